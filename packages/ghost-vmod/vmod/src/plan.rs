//! A compiled routing and the endpoints of its services, which are swapped while it serves.

use arc_swap::ArcSwap;
use ghost_core::{
    Routing, ServiceId,
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
    pub fn new(routing: Routing, wired: &Wired, before: Option<&Self>) -> Result<Self, String> {
        let slots = sets(&routing, wired, before)?.into_iter().map(ArcSwap::from_pointee).collect();
        Ok(Self { routing, slots })
    }

    /// All or nothing.
    pub fn replace_endpoints(&self, wired: &Wired) -> Result<(), String> {
        for (slot, set) in self.slots.iter().zip(sets(&self.routing, wired, Some(self))?) {
            slot.store(Arc::new(set));
        }
        Ok(())
    }

    pub fn endpoints(&self, service: ServiceId) -> arc_swap::Guard<Arc<EndpointSet>> {
        self.slots[service.0 as usize].load()
    }

    pub fn all_endpoints(&self) -> impl Iterator<Item = arc_swap::Guard<Arc<EndpointSet>>> {
        self.slots.iter().map(ArcSwap::load)
    }
}

fn sets(routing: &Routing, wired: &Wired, before: Option<&Plan>) -> Result<Vec<EndpointSet>, String> {
    let mut endpoints = Endpoints::default();
    for set in before.iter().flat_map(|plan| plan.all_endpoints()) {
        endpoints.extend(set.iter());
    }
    let of_service = |key: &str| wired.get(key).map_or(&[][..], Vec::as_slice);
    let set = |key| endpoints.set(of_service(key)).map_err(|reason| format!("endpoints of {key}: {reason}"));
    routing.services().iter().map(AsRef::as_ref).map(set).collect()
}
