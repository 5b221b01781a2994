//! How many requests went which way, since the process began.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::{Serialize, Serializer};

#[derive(Default)]
pub struct Count(AtomicU64);

impl Serialize for Count {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_u64(self.0.load(Ordering::Relaxed))
    }
}

/// Every request counts as one of the first six; attempts count besides.
#[derive(Serialize)]
pub struct Counts {
    pub forwarded: Count,
    pub redirected: Count,
    pub not_found: Count,
    pub refused: Count,
    pub malformed: Count,
    /// There was no configuration.
    pub unavailable: Count,
    /// Attempts whose share has no valid backend.
    pub without_backend: Count,
    /// Attempts whose backend had no endpoint.
    pub without_endpoint: Count,
}

const ZERO: Count = Count(AtomicU64::new(0));

pub static COUNTS: Counts = Counts {
    forwarded: ZERO,
    redirected: ZERO,
    not_found: ZERO,
    refused: ZERO,
    malformed: ZERO,
    unavailable: ZERO,
    without_backend: ZERO,
    without_endpoint: ZERO,
};

pub fn count(count: &Count) {
    count.0.fetch_add(1, Ordering::Relaxed);
}
