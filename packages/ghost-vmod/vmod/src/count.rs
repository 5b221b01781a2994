//! How many requests went which way, since the process began.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

pub struct Count(AtomicU64);

impl Count {
    const fn zero() -> Self {
        Self(AtomicU64::new(0))
    }
}

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.load(Ordering::Relaxed))
    }
}

/// Whatever is routed counts as one of the seven after the first; attempts and answers count besides. What the
/// supervisor asks does not count.
#[derive(Serialize)]
pub struct Counts {
    /// From clients, each once: neither parts of a page nor restarts.
    pub received: Count,
    pub forwarded: Count,
    pub redirected: Count,
    pub not_found: Count,
    /// Made on a connection for another listener.
    pub misdirected: Count,
    pub refused: Count,
    pub malformed: Count,
    /// There was no configuration.
    pub unavailable: Count,
    /// Attempts in the client's own thread.
    pub direct: Count,
    /// Answers that came from no backend: ghost's own and those of user VCL.
    pub synthetic: Count,
    /// Attempts whose share has no valid backend.
    pub without_backend: Count,
    /// Attempts whose backend had no endpoint.
    pub without_endpoint: Count,
    /// Endpoints that failed, and another one was tried in their place.
    pub replaced: Count,
}

pub static COUNTS: Counts = Counts {
    received: Count::zero(),
    forwarded: Count::zero(),
    redirected: Count::zero(),
    not_found: Count::zero(),
    misdirected: Count::zero(),
    refused: Count::zero(),
    malformed: Count::zero(),
    unavailable: Count::zero(),
    direct: Count::zero(),
    synthetic: Count::zero(),
    without_backend: Count::zero(),
    without_endpoint: Count::zero(),
    replaced: Count::zero(),
};

pub fn count(count: &Count) {
    count.0.fetch_add(1, Ordering::Relaxed);
}
