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
    in_flight: AtomicU32,
}

impl Endpoint {
    pub fn new(address: SocketAddr) -> Arc<Self> {
        Arc::new(Self { address, in_flight: AtomicU32::new(0) })
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

/// Endpoints by address, so that one that stays keeps its count from one set to the next.
#[derive(Default)]
pub struct Endpoints {
    known: HashMap<SocketAddr, Arc<Endpoint>, foldhash::fast::RandomState>,
}

impl Endpoints {
    pub fn extend<'a>(&mut self, endpoints: impl IntoIterator<Item = &'a Arc<Endpoint>>) {
        self.known.extend(endpoints.into_iter().map(|endpoint| (endpoint.address, Arc::clone(endpoint))));
    }

    /// The error names the address that is none.
    pub fn set(&mut self, wired: &[wire::Endpoint]) -> Result<EndpointSet, String> {
        let mut set = EndpointSet::default();
        for endpoint in wired {
            let ip: IpAddr =
                endpoint.address.parse().map_err(|_| format!("{:?} is no IP address", endpoint.address))?;
            let port = u16::try_from(endpoint.port.get()).map_err(|_| format!("{} is no port", endpoint.port))?;
            let address = SocketAddr::new(ip, port);
            let known = self.known.entry(address).or_insert_with(|| Endpoint::new(address));
            match endpoint.state {
                wire::EndpointState::Ready => set.ready.push(Arc::clone(known)),
                wire::EndpointState::Draining => set.draining.push(Arc::clone(known)),
            }
        }
        Ok(set)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set(text: &str, endpoints: &mut Endpoints) -> Result<EndpointSet, String> {
        endpoints.set(&serde_json::from_str::<Vec<wire::Endpoint>>(text).unwrap())
    }

    #[test]
    fn draining_endpoints_are_for_when_none_is_ready() {
        let text = r#"[{"address": "::1", "port": 1, "state": "draining"}, {"address": "10.0.0.1", "port": 2}]"#;
        let both = set(text, &mut Endpoints::default()).unwrap();
        assert!((0..64).all(|bit| both.pick(1 << bit).unwrap().address.port() == 2));
        let draining = r#"[{"address": "::1", "port": 1, "state": "draining"}]"#;
        assert_eq!(set(draining, &mut Endpoints::default()).unwrap().pick(0).unwrap().address.port(), 1);
        assert!(EndpointSet::default().pick(0).is_none());
    }

    #[test]
    fn an_endpoint_that_stays_keeps_its_count() {
        let text = r#"[{"address": "10.0.0.1", "port": 1}, {"address": "10.0.0.2", "port": 1}]"#;
        let mut endpoints = Endpoints::default();
        let before = set(text, &mut endpoints).unwrap();
        let busy = InFlight::new(Arc::clone(&before.ready[0]));
        let after = set(text, &mut endpoints).unwrap();
        assert!((0..64).all(|bit| after.pick(1 << bit).unwrap().address != busy.address()));
        let address = busy.address();
        drop(busy);
        assert!((0..1000).any(|number| after.pick(number << 54 | number).unwrap().address == address));
    }

    #[test]
    fn a_name_is_no_address() {
        let error = set(r#"[{"address": "a.test", "port": 1}]"#, &mut Endpoints::default()).unwrap_err();
        assert!(error.contains("a.test"));
    }
}
