//! A connection that has become another protocol's.

use crate::{connection::Connection, inbox::Inbox};

/// Closed when it is dropped.
pub struct Upgraded<T> {
    pub(crate) connection: Connection<T>,
    pub(crate) inbox: Inbox,
}

impl<T> Upgraded<T> {
    pub fn transport(&mut self) -> &mut T {
        &mut self.connection.transport
    }

    /// What the peer said right after the head of its answer.
    pub fn unread(&self) -> &[u8] {
        self.inbox.unread()
    }
}
