//! Which backend of its rule a request is for.

use std::sync::Arc;

use arc_swap::Guard;
use ghost_core::{Action, Rule, attempt::Share, endpoint::EndpointSet};

use crate::{
    count::{COUNTS, count},
    random,
    route::Route,
    state,
    task::Routed,
};

const NOT_FOUND: u16 = 404;
const INVALID: u16 = 500;
const UNAVAILABLE: u16 = 503;

/// A request that goes to a backend of its rule.
#[derive(Clone, Copy)]
pub struct Forwarded<'a> {
    routed: &'a Routed,
    pub share: Share,
}

impl<'a> Forwarded<'a> {
    pub fn of(routed: &'a Routed, share: Share) -> Self {
        Self { routed, share }
    }

    pub fn rule(&self) -> &'a Rule {
        self.routed.rule()
    }

    pub fn endpoints(&self) -> Guard<Arc<EndpointSet>> {
        self.routed.plan.endpoints(self.share.service)
    }
}

/// Chooses the share; the error is the status of the answer that is not a backend's.
pub fn forward(route: &Route) -> Result<Forwarded<'_>, u16> {
    let Some(routed) = &route.routed else {
        return Err(if state::plan().is_some() { NOT_FOUND } else { UNAVAILABLE });
    };
    match &routed.rule().action {
        Action::Refuse => Err(INVALID),
        Action::Redirect(redirect) => Err(redirect.status),
        Action::Forward(to) => {
            let share = to.share(random::next()).ok_or_else(without_backend)?;
            Ok(Forwarded { routed, share })
        }
    }
}

fn without_backend() -> u16 {
    count(&COUNTS.without_backend);
    INVALID
}
