//! A request's way to a backend: its share of the rule, what the filters change, and which endpoint is tried after another.

use std::time::Duration;

use crate::{
    backoff::Moment,
    endpoint::{EndpointSet, Failed, Others, Picked},
    filter::{EditFields, EditRequest, Filters},
    routing::{Action, Backend, Forward, Rule, ServiceId},
};

/// While others are left no connection is waited for longer than this. Kernels repeat a SYN that was lost, or that a busy
/// endpoint had no room for, after a second.
const LONGEST_WAIT: Duration = Duration::from_millis(1250);
/// Nor for less, where there is time.
const SHORTEST_WAIT: Duration = Duration::from_millis(250);

/// The backend of a rule that a request is for, whatever its endpoints do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Share {
    /// The backend's place in the rule.
    pub place: usize,
    pub service: ServiceId,
}

impl Forward {
    /// Chosen by weight; None: the share has no valid backend.
    pub fn share(&self, random: u64) -> Option<Share> {
        let place = self.weights.pick(random)?;
        Some(Share { place, service: self.backends[place].service? })
    }
}

impl Rule {
    /// What the backend of that place gets: X-Gateway-Route, then the filters of the rule, then those of the backend.
    pub fn filter_request(&self, place: usize, to: &mut impl EditRequest) {
        // Only user VCL that rolls the request back brings a client's own field here.
        if !to.has(&self.header) {
            to.remove(self.header.name());
            to.add(&self.header);
        }
        self.request_filters(place).for_each(|filters| filters.apply_to_request(to));
    }

    /// In the order in which they act.
    pub fn request_filters(&self, place: usize) -> impl Iterator<Item = &Filters> {
        [&self.filters].into_iter().chain(self.backend(place).map(|backend| &backend.filters))
    }

    /// The response filters of the backend of that place, which act first.
    pub fn filter_answer_of(&self, place: usize, answer: &mut impl EditFields) {
        if let Some(edit) = self.backend(place).and_then(|backend| backend.filters.response_headers.as_ref()) {
            edit.apply(answer);
        }
    }

    /// Those of the rule, which act on every answer of its.
    pub fn filter_answer(&self, answer: &mut impl EditFields) {
        if let Some(edit) = &self.filters.response_headers {
            edit.apply(answer);
        }
    }

    fn backend(&self, place: usize) -> Option<&Backend> {
        match &self.action {
            Action::Forward(forward) => forward.backends.get(place),
            Action::Redirect(_) | Action::Refuse => None,
        }
    }
}

/// How a try failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nothing was sent.
    NoConnection,
    /// Nothing was sent, for want of something of our own: nothing is known of the endpoint.
    NoSocket,
    /// The request, or some of it, was sent; the connection ended without a byte of an answer.
    Unanswered,
    /// In a way that says nothing of whether it would go better elsewhere, or with an answer that has begun.
    Other,
}

/// The tries of one request: each endpoint once, as long as there is time for connections.
#[derive(Debug)]
pub struct Tries {
    failed: Failed,
    began: Moment,
    /// For all of them together.
    patience: Duration,
    /// The request may be sent twice.
    is_repeatable: bool,
}

impl Tries {
    pub fn new(patience: Duration, is_repeatable: bool, began: Moment) -> Self {
        Self { failed: Failed::default(), began, patience, is_repeatable }
    }

    /// The endpoint to try, and how long to wait for its connection; None when none is left, or no time.
    pub fn next(&self, endpoints: &EndpointSet, now: Moment, random: u64) -> Option<(Picked, Duration)> {
        if self.failed.is_empty() {
            let picked = endpoints.pick(now, random)?;
            let wait = wait(self.patience, picked.others);
            return Some((picked, wait));
        }
        let left = self.patience.checked_sub(Duration::from_millis(now.0.saturating_sub(self.began.0)))?;
        let picked = endpoints.pick_but(&self.failed, now, random).filter(|_| !left.is_zero())?;
        let wait = wait(left, picked.others);
        Some((picked, wait))
    }

    /// Whether another endpoint may be tried after this failure.
    pub fn failed(&mut self, picked: &Picked, failure: Failure, now: Moment, random: u64) -> bool {
        if matches!(failure, Failure::NoConnection | Failure::Unanswered) {
            picked.failed(now, random);
        }
        self.pass_over(picked);
        match failure {
            Failure::NoConnection | Failure::NoSocket => true,
            Failure::Unanswered => self.is_repeatable,
            Failure::Other => false,
        }
    }

    /// It is not to be tried, for a reason that is not its own.
    pub fn pass_over(&mut self, picked: &Picked) {
        self.failed.insert(picked.endpoint().destination);
    }
}

/// A fair part of what is left, so that the others have theirs; those that failed before need time for one look.
fn wait(left: Duration, others: Others) -> Duration {
    let shortest = SHORTEST_WAIT.min(left / 2);
    match u32::try_from(others.working).unwrap_or(u32::MAX) {
        0 if others.waiting == 0 => left,
        0 => left.checked_sub(shortest).unwrap_or(left),
        working => (left / working.saturating_add(1)).clamp(shortest, LONGEST_WAIT),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::endpoint::{Destination, Endpoint};

    fn endpoints(count: u16) -> EndpointSet {
        (0..count).map(|port| Endpoint::new(Destination { address: ([10, 0, 0, 1], port).into() })).collect()
    }

    fn tries(is_repeatable: bool) -> Tries {
        Tries::new(Duration::from_millis(3500), is_repeatable, Moment(0))
    }

    #[test]
    fn what_was_not_sent_goes_elsewhere_and_what_was_only_if_it_may_be_sent_twice() {
        let set = endpoints(2);
        for (failure, is_repeatable, goes_on) in [
            (Failure::NoConnection, false, true),
            (Failure::NoConnection, true, true),
            (Failure::NoSocket, false, true),
            (Failure::Unanswered, false, false),
            (Failure::Unanswered, true, true),
            (Failure::Other, true, false),
        ] {
            let mut tries = tries(is_repeatable);
            let (picked, _) = tries.next(&set, Moment(0), 7).unwrap();
            assert_eq!(tries.failed(&picked, failure, Moment(1), 7), goes_on, "{failure:?} {is_repeatable}");
        }
    }

    #[test]
    fn what_is_not_an_endpoints_fault_is_no_reason_to_shun_it() {
        for failure in [Failure::Other, Failure::NoSocket] {
            let set = endpoints(2);
            let (picked, _) = tries(true).next(&set, Moment(0), 7).unwrap();
            tries(true).failed(&picked, failure, Moment(1), 7);
            let failed = picked.endpoint().destination;
            drop(picked);
            let picked_again = |number: u64| {
                let (picked, _) = tries(true).next(&set, Moment(1), number << 54 | number).unwrap();
                picked.endpoint().destination == failed
            };
            assert!((0..1000).any(picked_again), "{failure:?}");
        }
    }

    #[test]
    fn each_endpoint_is_tried_once() {
        let set = endpoints(20);
        let mut tries = tries(false);
        for number in 0..20_u64 {
            let (picked, _) = tries.next(&set, Moment(number), number << 40 | number).unwrap();
            assert!(tries.failed(&picked, Failure::NoConnection, Moment(number), number));
        }
        assert!(tries.next(&set, Moment(20), 1).is_none());
    }

    #[test]
    fn all_connections_together_are_waited_for_no_longer_than_one() {
        for count in [1, 2, 3, 4, 20, 1000] {
            for patience in [10, 100, 3500, 60_000] {
                let set = endpoints(count);
                let mut tries = Tries::new(Duration::from_millis(patience), false, Moment(0));
                let (mut now, mut count_of_tries) = (0, 0);
                while let Some((picked, wait)) = tries.next(&set, Moment(now), now) {
                    assert!(!wait.is_zero());
                    now += u64::try_from(wait.as_millis()).unwrap().max(1);
                    count_of_tries += 1;
                    tries.failed(&picked, Failure::NoConnection, Moment(now), now);
                }
                assert!(now <= patience, "{count} {patience}: {now}");
                assert!(count_of_tries >= u16::min(count, 4) && count_of_tries <= count, "{count} {patience}");
            }
        }
    }

    #[test]
    fn time_is_shared_by_those_that_may_still_do() {
        for (left, working, waiting, wanted) in [
            (3500, 0, 0, 3500),
            (3500, 1, 0, 1250),
            (3500, 3, 0, 875),
            (3500, 99, 0, 250),
            (100, 99, 0, 50),
            // The others failed a moment ago: this one may be busy.
            (3500, 0, 1, 3250),
            (3500, 0, 9, 3250),
            (100, 0, 1, 50),
        ] {
            let waited = wait(Duration::from_millis(left), Others { working, waiting });
            assert_eq!(waited, Duration::from_millis(wanted), "{left} {working} {waiting}");
        }
    }

    /// A model of clients and endpoints: those that are dead cost a request no more than a try, and hardly that.
    #[test]
    fn with_some_endpoints_dead_every_request_is_answered_and_few_see_the_dead() {
        for (count, dead) in [(2, 1), (4, 1), (4, 3), (10, 9)] {
            let set = endpoints(count);
            let (mut wasted, mut random) = (0, 1_u64);
            for now in 0..10_000 {
                let mut tries = Tries::new(Duration::from_secs(3), false, Moment(now));
                loop {
                    random = random.wrapping_mul(0x5851_f42d_4c95_7f2d).wrapping_add(0x1405_7b7e_f767_814f);
                    let (picked, _) = tries.next(&set, Moment(now), random).expect("one works");
                    if picked.endpoint().destination.address.port() >= dead {
                        picked.answered();
                        break;
                    }
                    wasted += 1;
                    assert!(tries.failed(&picked, Failure::NoConnection, Moment(now), random));
                }
            }
            // Ten seconds: at most seven of each.
            assert!(wasted <= dead * 7, "{wasted} of {dead}");
        }
    }

    #[test]
    fn an_endpoint_that_works_again_is_used_again() {
        let set = endpoints(2);
        let mut tries = tries(false);
        let (picked, _) = tries.next(&set, Moment(0), 7).unwrap();
        tries.failed(&picked, Failure::NoConnection, Moment(0), 7);
        let returned = picked.endpoint().destination;
        drop(picked);
        let used = |now: u64| {
            (0..1000_u64).any(|number| {
                let (picked, _) = Tries::new(Duration::from_secs(1), true, Moment(now))
                    .next(&set, Moment(now), number.wrapping_mul(0x9e37_79b9_7f4a_7c15))
                    .unwrap();
                picked.answered();
                picked.endpoint().destination == returned
            })
        };
        assert!(!used(1));
        assert!(used(400) && used(401));
    }
}
