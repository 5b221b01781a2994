//! A transport that is counted from its first to its last moment.

use std::sync::Arc;

use crate::counters::Counters;

#[derive(Debug)]
pub(crate) struct Connection<T> {
    pub transport: T,
    /// Whether an answer was read from it before: then the peer may have closed it meanwhile.
    pub is_reused: bool,
    counters: Arc<Counters>,
}

impl<T> Connection<T> {
    pub fn new(transport: T, counters: &Arc<Counters>) -> Self {
        counters.opened.add();
        Self { transport, is_reused: false, counters: Arc::clone(counters) }
    }
}

impl<T> Drop for Connection<T> {
    fn drop(&mut self) {
        self.counters.closed.add();
    }
}
