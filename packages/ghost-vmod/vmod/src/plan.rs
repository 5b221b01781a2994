//! A compiled routing and the endpoints of its services, which are swapped while it serves.

use arc_swap::ArcSwap;
use ghost_core::{
    Routing, ServiceId, Unusable,
    endpoint::{EndpointSet, Endpoints},
    wire,
};
use std::{collections::HashMap, sync::Arc};

pub struct Plan {
    pub routing: Routing,
    /// By `ServiceId`.
    slots: Box<[ArcSwap<EndpointSet>]>,
}

/// The endpoints of a document, by service key.
pub type Wired = HashMap<String, Vec<wire::Endpoint>>;

impl Plan {
    /// Endpoints that `before` has too keep their count of requests in flight.
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

    pub fn all_endpoints(&self) -> impl Iterator<Item = arc_swap::Guard<Arc<EndpointSet>>> {
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
