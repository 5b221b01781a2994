//! The connections of this process to all endpoints, shared by all VCLs and threads.

use std::{
    collections::BTreeMap,
    sync::{Arc, LazyLock},
    thread,
    time::{Duration, Instant},
};

use ghost_core::endpoint::Destination;
use ghost_upstream::{HeadLimits, PoolLimits, Upstream, Upstreams};

use crate::{exchange::Connector, plan::Plan, state::head_limits};

/// How often idle connections are looked through.
const REAP: Duration = Duration::from_secs(2);

static UPSTREAMS: LazyLock<Upstreams<Connector>> = LazyLock::new(|| {
    // Without the thread they are reaped when they are wanted.
    _ = thread::Builder::new().name("ghost-reaper".into()).spawn(|| {
        loop {
            thread::sleep(REAP);
            UPSTREAMS.reap(Instant::now());
        }
    });
    let limits = head_limits();
    let heads = HeadLimits { bytes: limits.response_header_bytes, fields: limits.response_header_fields };
    Upstreams::new(Connector, PoolLimits::default()).with_heads(heads)
});

pub fn of(destination: Destination) -> Arc<Upstream<Connector>> {
    UPSTREAMS.get(&destination)
}

/// Names and values, since the process began.
pub fn counters() -> BTreeMap<&'static str, u64> {
    UPSTREAMS.counters().all().into()
}

/// Lets go of destinations that are no longer endpoints of the plan.
pub fn forget_others(plan: &Plan) {
    let listed = plan.destinations();
    UPSTREAMS.retain(|destination| listed.contains(destination));
}
