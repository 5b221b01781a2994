//! The idle connections to one address, shared by all threads.

use std::{
    mem,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{connection::Connection, counters::Counters, transport::Transport};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolLimits {
    /// How many idle connections are kept an address.
    pub idle: usize,
    /// How long one is kept idle.
    pub idle_for: Duration,
}

impl Default for PoolLimits {
    fn default() -> Self {
        Self { idle: 1024, idle_for: Duration::from_secs(30) }
    }
}

#[derive(Debug)]
pub(crate) struct Pool<T> {
    rack: Mutex<Rack<T>>,
    limits: PoolLimits,
    counters: Arc<Counters>,
}

#[derive(Debug)]
struct Rack<T> {
    is_closed: bool,
    /// The one that was used last is last, and is used next: the others may age.
    idle: Vec<Idle<T>>,
}

#[derive(Debug)]
struct Idle<T> {
    connection: Connection<T>,
    until: Instant,
}

impl<T: Transport> Pool<T> {
    pub fn new(limits: PoolLimits, counters: &Arc<Counters>) -> Self {
        let rack = Mutex::new(Rack { is_closed: false, idle: Vec::new() });
        Self { rack, limits, counters: Arc::clone(counters) }
    }

    /// One that is open and quiet; those that are not are closed.
    pub fn take(&self, now: Instant) -> Option<Connection<T>> {
        loop {
            let mut idle = self.lock().idle.pop()?;
            if idle.until <= now {
                self.counters.reaped.add();
            } else if idle.connection.transport.is_quiet() {
                self.counters.reused.add();
                return Some(idle.connection);
            } else {
                self.counters.stale.add();
            }
        }
    }

    /// Keeps one for the next, if there is room. `hint`: how long the peer says that it keeps it.
    pub fn put(&self, mut connection: Connection<T>, hint: Option<Duration>, now: Instant) {
        connection.is_reused = true;
        let until = now + hint.unwrap_or(self.limits.idle_for).min(self.limits.idle_for);
        let mut rack = self.lock();
        if !rack.is_closed && rack.idle.len() < self.limits.idle {
            rack.idle.push(Idle { connection, until });
            return;
        }
        // Closing takes a call: not under the lock.
        drop(rack);
        self.counters.reaped.add();
    }

    /// Closes those that were idle for too long.
    pub fn reap(&self, now: Instant) {
        let mut rack = self.lock();
        let (kept, old) = mem::take(&mut rack.idle).into_iter().partition(|idle| now < idle.until);
        rack.idle = kept;
        drop(rack);
        let old: Vec<Idle<T>> = old;
        for _ in &old {
            self.counters.reaped.add();
        }
    }

    /// Closes all, and those in use when they come back.
    pub fn close(&self) {
        let mut rack = self.lock();
        rack.is_closed = true;
        let idle = mem::take(&mut rack.idle);
        drop(rack);
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, Rack<T>> {
        self.rack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
