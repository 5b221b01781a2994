//! A compiled routing and the endpoints of its services, which are swapped while it serves.

use arc_swap::ArcSwap;
use foldhash::fast::RandomState;
use ghost_core::{
    Routing, ServiceId, Unusable,
    endpoint::{Destination, EndpointSet, Endpoints},
    wire,
};
use std::{
    collections::{HashMap, HashSet},
    sync::Arc,
};

pub struct Plan {
    pub routing: Routing,
    /// By `ServiceId`.
    slots: Box<[ArcSwap<EndpointSet>]>,
}

/// The endpoints of a document, by service key.
pub type Wired = HashMap<String, Vec<wire::Endpoint>>;

impl Plan {
    /// Endpoints that `before` has too keep what is known of them: requests in flight, and failures.
    pub fn new(routing: Routing, wired: &Wired, before: Option<&Self>) -> (Self, Vec<Unusable>) {
        let (sets, unusable) = sets(&routing, wired, before);
        let slots = sets.into_iter().map(ArcSwap::from_pointee).collect();
        (Self { routing, slots }, unusable)
    }

    pub fn replace_endpoints(&self, wired: &Wired) -> Vec<Unusable> {
        let (sets, unusable) = sets(&self.routing, wired, Some(self));
        for (slot, set) in self.slots.iter().zip(sets) {
            slot.store(Arc::new(set));
        }
        unusable
    }

    pub fn endpoints(&self, service: ServiceId) -> arc_swap::Guard<Arc<EndpointSet>> {
        self.slots[service.0 as usize].load()
    }

    pub fn destinations(&self) -> HashSet<Destination, RandomState> {
        let of_set = |set: arc_swap::Guard<Arc<EndpointSet>>| {
            set.iter().map(|endpoint| endpoint.destination).collect::<Vec<_>>()
        };
        self.all_endpoints().flat_map(of_set).collect()
    }

    fn all_endpoints(&self) -> impl Iterator<Item = arc_swap::Guard<Arc<EndpointSet>>> {
        self.slots.iter().map(ArcSwap::load)
    }
}

/// By `ServiceId`.
fn sets(routing: &Routing, wired: &Wired, before: Option<&Plan>) -> (Vec<EndpointSet>, Vec<Unusable>) {
    let mut endpoints = Endpoints::default();
    for set in before.iter().flat_map(|plan| plan.all_endpoints()) {
        endpoints.extend(set.iter());
    }
    let of_service = |key: &str| wired.get(key).map_or(&[][..], Vec::as_slice);
    let sets = routing.services().iter().map(|key| endpoints.set(key, of_service(key))).collect();
    (sets, endpoints.unusable)
}
