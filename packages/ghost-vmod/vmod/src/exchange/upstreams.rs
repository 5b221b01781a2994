//! The connections of this process to all endpoints, shared by all VCLs and threads.

use std::{
    collections::{BTreeMap, HashSet},
    net::SocketAddr,
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

use foldhash::fast::RandomState;
use ghost_upstream::{PoolLimits, TcpConnect, Upstream, Upstreams};

use crate::plan::Plan;

/// How often idle connections are looked through.
const REAP: Duration = Duration::from_secs(2);

static UPSTREAMS: LazyLock<Upstreams<TcpConnect>> = LazyLock::new(|| {
    // Without the thread they are reaped when they are wanted.
    _ = thread::Builder::new().name("ghost-reaper".into()).spawn(|| {
        loop {
            thread::sleep(REAP);
            UPSTREAMS.reap(Instant::now());
        }
    });
    Upstreams::new(TcpConnect, PoolLimits::default())
});

pub fn of(address: SocketAddr) -> Arc<Upstream<TcpConnect>> {
    UPSTREAMS.get(address)
}

/// Names and values, since the process began.
pub fn counters() -> BTreeMap<&'static str, u64> {
    UPSTREAMS.counters().all().into()
}

/// Lets go of addresses that are no longer endpoints of the plan.
pub fn forget_others(plan: &Plan) {
    let listed: HashSet<SocketAddr, RandomState> =
        plan.all_endpoints().flat_map(|set| set.iter().map(|endpoint| endpoint.address).collect::<Vec<_>>()).collect();
    UPSTREAMS.retain(|address| listed.contains(&address));
}
