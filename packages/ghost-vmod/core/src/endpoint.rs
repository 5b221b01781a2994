//! The endpoints of a service: which get new requests, and how busy each is.

use std::{
    cell::Cell,
    collections::{HashMap, HashSet},
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{
    backoff::{Backoff, Moment, State},
    pick::least_of_two,
    wire,
};

/// Where connections lead, and what is spoken over them; connections to the same destination may take each other's place.
/// Another protocol than HTTP/1.1, or TLS, will stand beside the address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Destination {
    pub address: SocketAddr,
}

/// A destination that serves, with the number of requests that it is busy with, and how it failed.
#[derive(Debug)]
pub struct Endpoint {
    pub destination: Destination,
    /// The address as a text, which a log of each request wants.
    name: Box<str>,
    in_flight: AtomicU32,
    backoff: Backoff,
}

impl Endpoint {
    pub fn new(destination: Destination) -> Arc<Self> {
        let name = destination.address.to_string().into();
        Arc::new(Self { destination, name, in_flight: AtomicU32::new(0), backoff: Backoff::default() })
    }

    pub fn name(&self) -> &str {
        &self.name
    }

    /// One that waits counts as loaded.
    fn load(&self, now: Moment) -> u32 {
        match self.backoff.state(now) {
            State::Waits => u32::MAX,
            State::Works | State::Due => self.in_flight.load(Ordering::Relaxed),
        }
    }
}

/// Counts a request as in flight until it is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<Endpoint>);

impl InFlight {
    pub fn new(endpoint: Arc<Endpoint>) -> Self {
        endpoint.in_flight.fetch_add(1, Ordering::Relaxed);
        Self(endpoint)
    }

    pub fn endpoint(&self) -> &Endpoint {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Those that a request was tried at in vain.
pub type Failed = HashSet<Destination, foldhash::fast::RandomState>;

/// An endpoint for one try of a request, which counts as in flight as long as this lives.
#[derive(Debug)]
pub struct Picked {
    pub in_flight: InFlight,
    /// It failed, and this request is the one that sees whether it works again.
    has_claimed: bool,
    pub others: Others,
}

/// What is left besides an endpoint that was picked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Others {
    /// How many work, as far as anybody knows.
    pub working: usize,
    pub waiting: usize,
}

impl Picked {
    fn new(endpoint: &Arc<Endpoint>, has_claimed: bool, others: Others) -> Self {
        Self { in_flight: InFlight::new(Arc::clone(endpoint)), has_claimed, others }
    }

    pub fn endpoint(&self) -> &Endpoint {
        self.in_flight.endpoint()
    }

    /// The endpoint has begun to answer.
    pub fn answered(&self) {
        self.endpoint().backoff.answered();
    }

    /// It did not let the request in, or left it without an answer.
    pub fn failed(&self, now: Moment, random: u64) {
        self.endpoint().backoff.failed(now, random, self.has_claimed);
    }
}

/// The endpoints of one service.
#[derive(Debug, Default)]
pub struct EndpointSet {
    ready: Vec<Arc<Endpoint>>,
    /// Terminating, yet still serving; used when none is ready.
    draining: Vec<Arc<Endpoint>>,
}

impl EndpointSet {
    /// Two random choices, the one with fewer requests in flight; None when nothing serves.
    pub fn pick(&self, now: Moment, random: u64) -> Option<Picked> {
        let serving = self.serving();
        let is_seen_waiting = Cell::new(false);
        let load = |place: usize| {
            let load = serving[place].load(now);
            is_seen_waiting.set(is_seen_waiting.get() || load == u32::MAX);
            load
        };
        let endpoint = &serving[least_of_two(random, serving.len(), load)?];
        let has_claimed = match endpoint.backoff.state(now) {
            State::Works if !is_seen_waiting.get() => false,
            State::Due if endpoint.backoff.claim(now, random) => true,
            _ => return self.pick_but(&Failed::default(), now, random),
        };
        Some(Picked::new(endpoint, has_claimed, Others { working: serving.len() - 1, waiting: 0 }))
    }

    /// The same of those that are not listed: of those that work, else one that is due, else the one that failed first.
    pub fn pick_but(&self, failed: &Failed, now: Moment, random: u64) -> Option<Picked> {
        let left: Vec<_> = self.serving().iter().filter(|endpoint| !failed.contains(&endpoint.destination)).collect();
        let picked = |endpoint, has_claimed, working: usize| {
            let others = Others { working, waiting: left.len() - 1 - working };
            Some(Picked::new(endpoint, has_claimed, others))
        };
        let working: Vec<_> =
            left.iter().filter(|endpoint| endpoint.backoff.state(now) == State::Works).copied().collect();
        if let Some(place) = least_of_two(random, working.len(), |place| working[place].load(now)) {
            return picked(working[place], false, working.len() - 1);
        }
        if let Some(due) = left.iter().find(|endpoint| endpoint.backoff.claim(now, random)) {
            return picked(due, true, 0);
        }
        picked(left.iter().min_by_key(|endpoint| endpoint.backoff.last_failure())?, false, 0)
    }

    fn serving(&self) -> &[Arc<Endpoint>] {
        if self.ready.is_empty() { &self.draining } else { &self.ready }
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.ready.iter().chain(&self.draining)
    }
}

/// Of endpoints that are all ready.
impl FromIterator<Arc<Endpoint>> for EndpointSet {
    fn from_iter<T: IntoIterator<Item = Arc<Endpoint>>>(ready: T) -> Self {
        Self { ready: ready.into_iter().collect(), draining: Vec::new() }
    }
}

/// An endpoint whose address is none.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Unusable {
    pub service: String,
    pub address: String,
}

/// Endpoints by address, so that one that stays keeps its count from one set to the next.
#[derive(Default)]
pub struct Endpoints {
    known: HashMap<Destination, Arc<Endpoint>, foldhash::fast::RandomState>,
    /// Those that were left out of the sets that were made.
    pub unusable: Vec<Unusable>,
}

impl Endpoints {
    pub fn extend<'a>(&mut self, endpoints: impl IntoIterator<Item = &'a Arc<Endpoint>>) {
        self.known.extend(endpoints.into_iter().map(|endpoint| (endpoint.destination, Arc::clone(endpoint))));
    }

    /// One whose address is none costs itself.
    pub fn set(&mut self, service: &str, wired: &[wire::Endpoint]) -> EndpointSet {
        let mut set = EndpointSet::default();
        for endpoint in wired {
            let Some(destination) = destination(endpoint) else {
                self.unusable.push(Unusable { service: service.to_owned(), address: endpoint.address.clone() });
                continue;
            };
            let known = self.known.entry(destination).or_insert_with(|| Endpoint::new(destination));
            match endpoint.state {
                wire::EndpointState::Ready => set.ready.push(Arc::clone(known)),
                wire::EndpointState::Draining => set.draining.push(Arc::clone(known)),
            }
        }
        set
    }
}

fn destination(endpoint: &wire::Endpoint) -> Option<Destination> {
    let ip: IpAddr = endpoint.address.parse().ok()?;
    Some(Destination { address: SocketAddr::new(ip, u16::try_from(endpoint.port.get()).ok()?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment(1000);
    const NOBODY: Others = Others { working: 0, waiting: 0 };

    fn set(text: &str, endpoints: &mut Endpoints) -> EndpointSet {
        endpoints.set("default/web:80", &serde_json::from_str::<Vec<wire::Endpoint>>(text).unwrap())
    }

    /// That many ready ones, with ports from 0 on.
    fn ready(count: u16) -> EndpointSet {
        (0..count).map(|port| Endpoint::new(Destination { address: ([10, 0, 0, 1], port).into() })).collect()
    }

    fn port(picked: &Picked) -> u16 {
        picked.endpoint().destination.address.port()
    }

    /// Mixed, so that both halves vary.
    fn numbers() -> impl Iterator<Item = u64> {
        (1..1000_u64).map(|number| number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
    }

    fn ports(set: &EndpointSet, now: Moment) -> HashSet<u16> {
        numbers().map(|random| port(&set.pick(now, random).unwrap())).collect()
    }

    #[test]
    fn draining_endpoints_are_for_when_none_is_ready() {
        let text = r#"[{"address": "::1", "port": 1, "state": "draining"}, {"address": "10.0.0.1", "port": 2}]"#;
        let both = set(text, &mut Endpoints::default());
        assert_eq!(ports(&both, NOW), [2].into());
        let draining = r#"[{"address": "::1", "port": 1, "state": "draining"}]"#;
        assert_eq!(ports(&set(draining, &mut Endpoints::default()), NOW), [1].into());
        assert!(EndpointSet::default().pick(NOW, 0).is_none());
    }

    #[test]
    fn an_endpoint_that_stays_keeps_its_count_and_its_failures() {
        let text = r#"[{"address": "10.0.0.1", "port": 1}, {"address": "10.0.0.2", "port": 2}]"#;
        let mut endpoints = Endpoints::default();
        let before = set(text, &mut endpoints);
        let busy = InFlight::new(Arc::clone(&before.ready[0]));
        let after = set(text, &mut endpoints);
        assert_eq!(ports(&after, NOW), [2].into());
        drop(busy);
        assert_eq!(ports(&after, NOW), [1, 2].into());
        Picked::new(&before.ready[1], false, NOBODY).failed(NOW, 0);
        assert_eq!(ports(&set(text, &mut endpoints), NOW), [1].into());
    }

    #[test]
    fn whoever_failed_gets_nothing_while_others_work() {
        for dead in 1..8 {
            let set = ready(8);
            set.ready[..dead].iter().for_each(|endpoint| Picked::new(endpoint, false, NOBODY).failed(NOW, 0));
            let working = u16::try_from(dead).unwrap()..8;
            assert_eq!(ports(&set, Moment(NOW.0 + 1)), working.collect());
        }
    }

    #[test]
    fn others_that_wait_are_told_from_those_that_work() {
        let set = ready(2);
        assert_eq!(set.pick(NOW, 7).unwrap().others, Others { working: 1, waiting: 0 });
        Picked::new(&set.ready[0], false, NOBODY).failed(NOW, 0);
        assert!(numbers().all(|random| set.pick(NOW, random).unwrap().others == Others { working: 0, waiting: 1 }));
    }

    #[test]
    fn one_request_is_the_probe() {
        let set = ready(2);
        Picked::new(&set.ready[0], false, NOBODY).failed(NOW, 0);
        let later = Moment(NOW.0 + 400);
        let probes: Vec<_> = numbers().map(|random| set.pick(later, random).unwrap()).collect();
        assert_eq!(probes.iter().filter(|picked| port(picked) == 0).count(), 1);
        let probe = probes.iter().find(|picked| picked.has_claimed).unwrap();
        probe.answered();
        drop(probes);
        assert_eq!(ports(&set, later), [0, 1].into());
    }

    #[test]
    fn when_all_have_failed_it_is_the_turn_of_who_failed_first() {
        let set = ready(3);
        for (time, place) in [(1000, 1), (1001, 2), (1002, 0)] {
            Picked::new(&set.ready[place], false, NOBODY).failed(Moment(time), 0);
        }
        assert_eq!(ports(&set, Moment(1003)), [1].into());
        let tried = [set.ready[1].destination].into_iter().collect();
        assert_eq!(port(&set.pick_but(&tried, Moment(1003), 0).unwrap()), 2);
    }

    #[test]
    fn each_is_tried_once() {
        let set = ready(5);
        let (mut tried, mut random) = (Failed::default(), numbers());
        for others in (0..5).rev() {
            let picked = set.pick_but(&tried, NOW, random.next().unwrap()).unwrap();
            assert_eq!(picked.others.working + picked.others.waiting, others);
            assert!(tried.insert(picked.endpoint().destination));
            picked.failed(NOW, 0);
        }
        assert!(set.pick_but(&tried, NOW, 0).is_none());
    }

    #[test]
    fn an_address_that_is_none_costs_its_endpoint() {
        let text =
            r#"[{"address": "a.test", "port": 1}, {"address": "10.0.0.1", "port": 2}, {"address": "", "port": 3}]"#;
        let mut endpoints = Endpoints::default();
        let made = set(text, &mut endpoints);
        assert_eq!(made.iter().map(|endpoint| endpoint.destination.address.port()).collect::<Vec<_>>(), [2]);
        let unusable: Vec<_> = endpoints.unusable.iter().map(|unusable| &*unusable.address).collect();
        assert_eq!(unusable, ["a.test", ""]);
        assert_eq!(endpoints.unusable[0].service, "default/web:80");
    }
}
