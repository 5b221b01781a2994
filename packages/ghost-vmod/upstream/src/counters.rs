//! How often what happened, over all upstreams of a process.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::error::Error;

#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    pub fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }

    pub(crate) fn add(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[derive(Debug, Default)]
pub struct Counters {
    /// Connections made, and closed again for whatever reason.
    pub opened: Counter,
    pub closed: Counter,
    /// Exchanges on a connection that had served before.
    pub reused: Counter,
    /// Idle connections that were found unusable when they were wanted.
    pub stale: Counter,
    /// Idle connections that were closed for their age or their number.
    pub reaped: Counter,
    /// Requests that were sent once more, since the connection had ended before the answer began.
    pub repeated: Counter,
    pub connect_failed: Counter,
    pub timed_out: Counter,
    pub malformed: Counter,
    pub broken: Counter,
    /// Failures of the client's own body.
    pub upload_failed: Counter,
    /// Exchanges that were given up because the client had gone.
    pub abandoned: Counter,
}

impl Counters {
    /// Names and values.
    pub fn all(&self) -> [(&'static str, u64); 12] {
        [
            ("opened", self.opened.get()),
            ("closed", self.closed.get()),
            ("reused", self.reused.get()),
            ("stale", self.stale.get()),
            ("reaped", self.reaped.get()),
            ("repeated", self.repeated.get()),
            ("connect_failed", self.connect_failed.get()),
            ("timed_out", self.timed_out.get()),
            ("malformed", self.malformed.get()),
            ("broken", self.broken.get()),
            ("upload_failed", self.upload_failed.get()),
            ("abandoned", self.abandoned.get()),
        ]
    }

    /// Counts an error, and hands it on.
    pub(crate) fn failed(&self, error: Error) -> Error {
        match error {
            Error::Connect(_) => self.connect_failed.add(),
            Error::Timeout(_) => self.timed_out.add(),
            Error::Malformed(_) => self.malformed.add(),
            Error::Unanswered | Error::Closed | Error::Broken(_) => self.broken.add(),
            Error::Upload => self.upload_failed.add(),
            Error::Gone => self.abandoned.add(),
        }
        error
    }
}
