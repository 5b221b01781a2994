//! An answer whose head was read.

use std::sync::Arc;

use crate::{
    body::{Body, Piece, Taken},
    connection::Connection,
    deadlines::Clock,
    error::Error,
    head::{Extent, Head},
    inbox::Inbox,
    transport::{Client, Connect},
    upgraded::Upgraded,
    upstream::Upstream,
};

/// Dropped before its last piece, it closes the connection.
pub struct Response<C: Connect> {
    head: Head,
    is_upload_cut: bool,
    body: Body<C>,
}

impl<C: Connect> Response<C> {
    pub(crate) fn new(
        upstream: &Arc<Upstream<C>>,
        connection: Connection<C::Transport>,
        inbox: Inbox,
        head: Head,
        is_upload_cut: bool,
        clock: Clock,
    ) -> Self {
        let is_persistent = head.is_persistent && !is_upload_cut;
        let body = Body::new(upstream, connection, inbox, head, is_persistent, clock);
        Self { head, is_upload_cut, body }
    }

    pub fn status(&self) -> u16 {
        self.head.status
    }

    /// The backend answered without taking all of the client's body, so the client must not go on sending it.
    pub fn is_upload_cut(&self) -> bool {
        self.is_upload_cut
    }

    /// What Content-Length says, which is the body's length unless the answer has no body.
    pub fn content_length(&self) -> Option<u64> {
        self.head.content_length
    }

    pub fn has_body(&self) -> bool {
        self.body.is_expected()
    }

    /// How the end of the body is known.
    pub fn extent(&self) -> Extent {
        self.head.extent
    }

    pub fn is_http_1_1(&self) -> bool {
        self.head.is_http_1_1
    }

    /// As many as the head took.
    pub fn head_bytes(&self) -> usize {
        self.head.bytes
    }

    /// The connection will not serve again, unless it does already.
    pub fn close_after(&mut self) {
        self.body.is_persistent = false;
    }

    /// Whether the connection serves others again.
    pub fn is_released(&self) -> bool {
        self.body.is_released()
    }

    /// The reason phrase; empty once the body was read from.
    pub fn reason(&self) -> &[u8] {
        self.body.inbox.reason()
    }

    /// Each field as it came, `Name: value`, with the bytes of its name, but for Content-Length and what is between the
    /// backend and us. None once the body was read from.
    pub fn fields(&self) -> impl Iterator<Item = (&[u8], usize)> + Clone {
        self.body.inbox.fields()
    }

    /// Whether all of a body with a length was read already.
    pub fn is_whole(&self) -> bool {
        self.body.is_whole()
    }

    /// Whether `next_piece` has something without waiting; an answer that broke off meanwhile is an error. The head stays.
    pub fn is_ready(&mut self) -> Result<bool, Error> {
        self.body.is_ready()
    }

    /// Whether the connection is a WebSocket from here on.
    pub fn is_upgraded(&self) -> bool {
        self.head.extent == Extent::Upgraded
    }

    /// The connection, if it is one.
    pub fn into_upgraded(self) -> Option<Upgraded<C::Transport>> {
        self.body.into_upgraded()
    }

    /// The next piece of the body. After an error there is nothing more.
    pub fn next_piece(&mut self) -> Result<Piece<'_>, Error> {
        self.body.next_piece(None)
    }

    /// As `next_piece`, for as long as the client is there.
    pub fn next_piece_for(&mut self, client: &dyn Client) -> Result<Piece<'_>, Error> {
        self.body.next_piece(Some(client))
    }

    /// As `next_piece`, into a room that is not empty; what comes from the network later goes straight there. At least
    /// one byte, unless it is the end. Not to be mixed with `next_piece`.
    pub fn read_into(&mut self, room: &mut [u8]) -> Result<Taken, Error> {
        self.body.read_into(room)
    }
}
