//! When an endpoint that failed is asked again: by one request after a short time, and after each further failure later.
//!
//! ```text
//!  Works --failed--> Waits (250 ms) --> Due --one request claims it--> Waits (500 ms) --failed--> Waits (500 ms) --> Due ...
//!    ^                                                                              |
//!    '---------------------------------- answered ----------------------------------'
//! ```

use std::sync::atomic::{AtomicU32, AtomicU64, Ordering::Relaxed};

/// After the first failure.
const FIRST_MILLISECONDS: u64 = 250;
/// After many.
const LONGEST_MILLISECONDS: u64 = 16_000;

/// Milliseconds of a clock of the caller's that never goes back.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Moment(pub u64);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    Works,
    /// It failed, and nobody but who has no other choice asks it before its time.
    Waits,
    /// It failed, and one request may see whether it works again.
    Due,
}

/// What is known of an endpoint's failures. One that never failed costs its readers one load.
#[derive(Debug, Default)]
pub struct Backoff {
    /// 0: it works.
    waits_until: AtomicU64,
    failed_at: AtomicU64,
    /// How often it failed without an answer in between.
    failures: AtomicU32,
}

impl Backoff {
    pub fn state(&self, now: Moment) -> State {
        match self.waits_until.load(Relaxed) {
            0 => State::Works,
            until if now.0 < until => State::Waits,
            _ => State::Due,
        }
    }

    /// True for one of those who see that it is due: the others go on to see that it waits.
    pub fn claim(&self, now: Moment, random: u64) -> bool {
        let until = self.waits_until.load(Relaxed);
        until != 0 && until <= now.0 && self.wait(until, now, random)
    }

    /// `has_claimed`: by a request that `claim` let. Of several that fail at the same time one counts.
    pub fn failed(&self, now: Moment, random: u64, has_claimed: bool) {
        self.failed_at.store(now.0, Relaxed);
        let until = self.waits_until.load(Relaxed);
        if (until <= now.0 || has_claimed) && self.wait(until, now, random) {
            self.failures.fetch_add(1, Relaxed);
        }
    }

    pub fn answered(&self) {
        if self.waits_until.load(Relaxed) != 0 {
            self.failures.store(0, Relaxed);
            self.waits_until.store(0, Relaxed);
        }
    }

    pub fn last_failure(&self) -> Moment {
        Moment(self.failed_at.load(Relaxed))
    }

    fn wait(&self, known: u64, now: Moment, random: u64) -> bool {
        let until = now.0 + pause(self.failures.load(Relaxed), random);
        self.waits_until.compare_exchange(known, until.max(1), Relaxed, Relaxed).is_ok()
    }
}

/// Doubled by each failure, and a quarter more or less by chance, so that not all come back at the same time.
fn pause(failures: u32, random: u64) -> u64 {
    let milliseconds = (FIRST_MILLISECONDS << failures.min(16)).min(LONGEST_MILLISECONDS);
    milliseconds * 3 / 4 + random % (milliseconds / 2 + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Chance that changes nothing: the pause is what it is doubled to.
    const EVEN: u64 = 0;

    fn waits(backoff: &Backoff, from: u64) -> u64 {
        (from..1_000_000).find(|now| backoff.state(Moment(*now)) == State::Due).unwrap() - from
    }

    #[test]
    fn each_failure_doubles_the_pause_up_to_a_limit() {
        let backoff = Backoff::default();
        assert_eq!(backoff.state(Moment(5)), State::Works);
        let (mut now, mut pauses) = (1000, Vec::new());
        for _ in 0..9 {
            backoff.failed(Moment(now), EVEN, false);
            pauses.push(waits(&backoff, now) * 4 / 3);
            now += 100_000;
        }
        assert_eq!(pauses[..8], [249, 500, 1000, 2000, 4000, 8000, 16_000, 16_000]);
    }

    #[test]
    fn chance_spreads_a_pause_by_a_quarter() {
        let pauses: Vec<_> = (0..1000).map(|random| pause(2, random)).collect();
        assert_eq!((pauses.iter().min(), pauses.iter().max()), (Some(&750), Some(&1250)));
    }

    #[test]
    fn what_fails_at_the_same_time_counts_once() {
        let backoff = Backoff::default();
        (0..8).for_each(|_| backoff.failed(Moment(1000), EVEN, false));
        assert_eq!(waits(&backoff, 1000), 187);
    }

    #[test]
    fn one_request_sees_whether_it_works_again() {
        let backoff = Backoff::default();
        assert!(!backoff.claim(Moment(1), EVEN));
        backoff.failed(Moment(1000), EVEN, false);
        assert!(!backoff.claim(Moment(1001), EVEN));
        assert!(backoff.claim(Moment(2000), EVEN));
        assert_eq!(backoff.state(Moment(2000)), State::Waits);
        assert!(!backoff.claim(Moment(2000), EVEN));
        // It failed again: twice as long from then on.
        backoff.failed(Moment(2100), EVEN, true);
        assert_eq!(waits(&backoff, 2100), 375);
        // Or it came to nothing: another one may see.
        assert!(backoff.claim(Moment(3000), EVEN));
        assert!(backoff.claim(Moment(9000), EVEN));
        backoff.answered();
        assert_eq!(backoff.state(Moment(9000)), State::Works);
        backoff.failed(Moment(20_000), EVEN, false);
        assert_eq!(waits(&backoff, 20_000), 187);
    }
}
