//! Addresses that requests are sent to.

use std::{
    collections::HashMap,
    io,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
    time::Instant,
};

use foldhash::fast::RandomState;

use crate::{
    connection::Connection,
    counters::Counters,
    deadlines::Clock,
    error::{Error, Stage},
    pool::{Pool, PoolLimits},
    transport::Connect,
};

/// An address, and the idle connections to it.
pub struct Upstream<C: Connect> {
    address: SocketAddr,
    connector: Arc<C>,
    pub(crate) pool: Pool<C::Transport>,
    pub(crate) counters: Arc<Counters>,
}

impl<C: Connect> Upstream<C> {
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    pub(crate) fn connect(&self, clock: &Clock) -> Result<Connection<C::Transport>, Error> {
        let patience = clock.patience(clock.deadlines.connect)?;
        match self.connector.connect(self.address, patience) {
            Ok(transport) => Ok(Connection::new(transport, &self.counters)),
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(clock.timeout(Stage::Connect)),
            Err(error) => Err(Error::Connect(error.kind())),
        }
    }
}

/// The upstreams of a process by address, made when they are first needed.
pub struct Upstreams<C: Connect> {
    connector: Arc<C>,
    limits: PoolLimits,
    counters: Arc<Counters>,
    known: RwLock<HashMap<SocketAddr, Arc<Upstream<C>>, RandomState>>,
}

impl<C: Connect> Upstreams<C> {
    pub fn new(connector: C, limits: PoolLimits) -> Self {
        Self { connector: Arc::new(connector), limits, counters: Arc::default(), known: RwLock::default() }
    }

    pub fn counters(&self) -> &Counters {
        &self.counters
    }

    pub fn get(&self, address: SocketAddr) -> Arc<Upstream<C>> {
        let known = self.known.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        known.unwrap_or_else(|| {
            let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
            Arc::clone(known.entry(address).or_insert_with(|| Arc::new(self.make(address))))
        })
    }

    fn make(&self, address: SocketAddr) -> Upstream<C> {
        Upstream {
            address,
            connector: Arc::clone(&self.connector),
            pool: Pool::new(self.limits, &self.counters),
            counters: Arc::clone(&self.counters),
        }
    }

    /// Forgets the others. Exchanges that are under way end as they would, and their connections are closed.
    pub fn retain(&self, is_wanted: impl Fn(SocketAddr) -> bool) {
        let mut known = self.known.write().unwrap_or_else(PoisonError::into_inner);
        let unwanted: Vec<_> = known.extract_if(|address, _| !is_wanted(*address)).collect();
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
