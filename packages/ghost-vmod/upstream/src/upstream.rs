//! Destinations that requests are sent to.

use std::{
    collections::HashMap,
    io,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use foldhash::fast::RandomState;

use crate::{
    connection::Connection,
    counters::Counters,
    deadlines::Clock,
    error::{Error, Stage},
    head::HeadLimits,
    pool::{Pool, PoolLimits},
    transport::Connect,
};

/// A destination, and the idle connections to it.
pub struct Upstream<C: Connect> {
    destination: C::Destination,
    connector: Arc<C>,
    pub(crate) pool: Pool<C::Transport>,
    pub(crate) heads: HeadLimits,
    pub(crate) counters: Arc<Counters>,
}

impl<C: Connect> Upstream<C> {
    pub(crate) fn connect(&self, clock: &Clock) -> Result<Connection<C::Transport>, Error> {
        let patience = clock.patience(clock.deadlines.connect)?;
        match self.connector.connect(&self.destination, patience) {
            Ok(transport) => Ok(Connection::new(transport, &self.counters)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(clock.timeout(Stage::Connect)),
            Err(error) => Err(Error::Connect(error.kind())),
        }
    }
}

/// The upstreams of a process by destination, made when they are first needed.
pub struct Upstreams<C: Connect> {
    connector: Arc<C>,
    limits: PoolLimits,
    heads: HeadLimits,
    counters: Arc<Counters>,
    known: RwLock<HashMap<C::Destination, Arc<Upstream<C>>, RandomState>>,
}

impl<C: Connect> Upstreams<C> {
    pub fn new(connector: C, limits: PoolLimits) -> Self {
        let (counters, known) = (Arc::default(), RwLock::default());
        Self { connector: Arc::new(connector), limits, heads: HeadLimits::default(), counters, known }
    }

    /// With other limits of answers' heads.
    #[must_use]
    pub fn with_heads(self, heads: HeadLimits) -> Self {
        Self { heads, ..self }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn get(&self, destination: &C::Destination) -> Arc<Upstream<C>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(destination).cloned();
        known.unwrap_or_else(|| {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(destination.clone()).or_insert_with(|| Arc::new(self.make(destination))))
        })
    }

    fn make(&self, destination: &C::Destination) -> Upstream<C> {
        Upstream {
            destination: destination.clone(),
            connector: Arc::clone(&self.connector),
            pool: Pool::new(self.limits, &self.counters),
            heads: self.heads,
            counters: Arc::clone(&self.counters),
        }
    }

    /// Forgets the others. Exchanges that are under way end as they would, and their connections are closed.
    pub fn retain(&self, is_wanted: impl Fn(&C::Destination) -> bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let unwanted: Vec<_> = known.extract_if(|destination, _| !is_wanted(destination)).collect();
        drop(known);
        for (_, upstream) in unwanted {
            upstream.pool.close();
        }
    }

    /// Closes connections that were idle for too long; to be called now and then.
    pub fn reap(&self, now: Instant) {
        let known: Vec<_> = self.known.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        for upstream in known {
            upstream.pool.reap(now);
        }
    }
}
