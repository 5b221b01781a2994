//! The endpoints of a service: which get new requests, and how busy each is.

use std::{
    collections::HashMap,
    net::{IpAddr, SocketAddr},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
};

use crate::{pick::least_of_two, wire};

/// An address that serves, with the number of requests that it is busy with.
#[derive(Debug)]
pub struct Endpoint {
    pub address: SocketAddr,
    /// The address as a text, which a log of each request wants.
    name: Box<str>,
    in_flight: AtomicU32,
}

impl Endpoint {
    pub fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, name: address.to_string().into(), in_flight: AtomicU32::new(0) })
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

    pub fn address(&self) -> SocketAddr {
        self.0.address
    }

    pub fn name(&self) -> &str {
        &self.0.name
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
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
    pub fn pick(&self, random: u64) -> Option<&Arc<Endpoint>> {
        let serving = if self.ready.is_empty() { &self.draining } else { &self.ready };
        let load = |place: usize| serving[place].in_flight.load(Ordering::Relaxed);
        least_of_two(random, serving.len(), load).map(|place| &serving[place])
    }

    pub fn iter(&self) -> impl Iterator<Item = &Arc<Endpoint>> {
        self.ready.iter().chain(&self.draining)
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
    known: HashMap<SocketAddr, Arc<Endpoint>, foldhash::fast::RandomState>,
    /// Those that were left out of the sets that were made.
    pub unusable: Vec<Unusable>,
}

impl Endpoints {
    pub fn extend<'a>(&mut self, endpoints: impl IntoIterator<Item = &'a Arc<Endpoint>>) {
        self.known.extend(endpoints.into_iter().map(|endpoint| (endpoint.address, Arc::clone(endpoint))));
    }

    /// One whose address is none costs itself.
    pub fn set(&mut self, service: &str, wired: &[wire::Endpoint]) -> EndpointSet {
        let mut set = EndpointSet::default();
        for endpoint in wired {
            let Some(address) = address(endpoint) else {
                self.unusable.push(Unusable { service: service.to_owned(), address: endpoint.address.clone() });
                continue;
            };
            let known = self.known.entry(address).or_insert_with(|| Endpoint::new(address));
            match endpoint.state {
                wire::EndpointState::Ready => set.ready.push(Arc::clone(known)),
                wire::EndpointState::Draining => set.draining.push(Arc::clone(known)),
            }
        }
        set
    }
}

fn address(endpoint: &wire::Endpoint) -> Option<SocketAddr> {
    let ip: IpAddr = endpoint.address.parse().ok()?;
    Some(SocketAddr::new(ip, u16::try_from(endpoint.port.get()).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, endpoints: &mut Endpoints) -> EndpointSet {
        endpoints.set("default/web:80", &serde_json::from_str::<Vec<wire::Endpoint>>(text).unwrap())
    }

    #[test]
    fn draining_endpoints_are_for_when_none_is_ready() {
        let text = r#"[{"address": "::1", "port": 1, "state": "draining"}, {"address": "10.0.0.1", "port": 2}]"#;
        let both = set(text, &mut Endpoints::default());
        assert!((0..64).all(|bit| both.pick(1 << bit).unwrap().address.port() == 2));
        let draining = r#"[{"address": "::1", "port": 1, "state": "draining"}]"#;
        assert_eq!(set(draining, &mut Endpoints::default()).pick(0).unwrap().address.port(), 1);
        assert!(EndpointSet::default().pick(0).is_none());
    }

    #[test]
    fn an_endpoint_that_stays_keeps_its_count() {
        let text = r#"[{"address": "10.0.0.1", "port": 1}, {"address": "10.0.0.2", "port": 1}]"#;
        let mut endpoints = Endpoints::default();
        let before = set(text, &mut endpoints);
        let busy = InFlight::new(Arc::clone(&before.ready[0]));
        let after = set(text, &mut endpoints);
        assert!((0..64).all(|bit| after.pick(1 << bit).unwrap().address != busy.address()));
        let address = busy.address();
        drop(busy);
        assert!((0..1000).any(|number| after.pick(number << 54 | number).unwrap().address == address));
    }

    #[test]
    fn an_address_that_is_none_costs_its_endpoint() {
        let text =
            r#"[{"address": "a.test", "port": 1}, {"address": "10.0.0.1", "port": 2}, {"address": "", "port": 3}]"#;
        let mut endpoints = Endpoints::default();
        let made = set(text, &mut endpoints);
        assert_eq!(made.iter().map(|endpoint| endpoint.address.port()).collect::<Vec<_>>(), [2]);
        let unusable: Vec<_> = endpoints.unusable.iter().map(|unusable| &*unusable.address).collect();
        assert_eq!(unusable, ["a.test", ""]);
        assert_eq!(endpoints.unusable[0].service, "default/web:80");
    }
}
