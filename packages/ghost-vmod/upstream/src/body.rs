//! The body of an answer, pulled piece by piece.

use std::{io, ops::Range, sync::Arc, time::Instant};

use crate::{
    chunked::Decoder,
    connection::Connection,
    deadlines::Clock,
    error::{Error, Stage},
    head::{Extent, Head},
    inbox::Inbox,
    transport::{Client, Connect, Transport, Wait},
    upgraded::Upgraded,
    upstream::Upstream,
};

/// Some of a body. Only the last one may be empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub bytes: &'a [u8],
    pub is_last: bool,
}

/// How much of a body was put where it was wanted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Taken {
    pub bytes: usize,
    pub is_last: bool,
}

/// What is yet to come.
enum Rest {
    Length(u64),
    Chunked(Decoder),
    UntilClosed,
    Nothing,
    /// Reading failed.
    Lost(Error),
}

pub(crate) struct Body<C: Connect> {
    upstream: Arc<Upstream<C>>,
    /// None: it is given back or closed.
    connection: Option<Connection<C::Transport>>,
    pub inbox: Inbox,
    head: Head,
    pub is_persistent: bool,
    /// It went back to the pool.
    is_released: bool,
    clock: Clock,
    rest: Rest,
    /// Where the bytes lie that a room was too small for.
    left_over: Range<usize>,
}

impl<C: Connect> Body<C> {
    pub fn new(
        upstream: &Arc<Upstream<C>>,
        connection: Connection<C::Transport>,
        inbox: Inbox,
        head: Head,
        is_persistent: bool,
        clock: Clock,
    ) -> Self {
        let rest = match head.extent {
            Extent::Nothing | Extent::Upgraded | Extent::Length(0) => Rest::Nothing,
            Extent::Length(length) => Rest::Length(length),
            Extent::Chunked => Rest::Chunked(Decoder::new()),
            Extent::UntilClosed => Rest::UntilClosed,
        };
        let upstream = Arc::clone(upstream);
        let mut body = Self {
            upstream,
            connection: Some(connection),
            inbox,
            head,
            is_persistent,
            is_released: false,
            clock,
            rest,
            left_over: 0..0,
        };
        if let (Rest::Nothing, false) = (&body.rest, head.extent == Extent::Upgraded) {
            body.release();
        }
        body
    }

    pub fn is_expected(&self) -> bool {
        !matches!(self.head.extent, Extent::Nothing | Extent::Upgraded | Extent::Length(0))
    }

    /// The connection, and what was read from it after the head; None unless it is upgraded.
    pub fn into_upgraded(self) -> Option<Upgraded<C::Transport>> {
        let connection = self.connection.filter(|_| self.head.extent == Extent::Upgraded)?;
        Some(Upgraded { connection, inbox: self.inbox })
    }

    pub fn is_released(&self) -> bool {
        self.is_released
    }

    pub fn is_whole(&self) -> bool {
        match self.rest {
            Rest::Nothing => true,
            Rest::Length(left) => left <= self.inbox.unread().len() as u64,
            _ => false,
        }
    }

    pub fn is_ready(&mut self) -> Result<bool, Error> {
        match self.rest {
            Rest::Nothing | Rest::Lost(_) => return Ok(true),
            _ if !self.inbox.is_empty() => return Ok(true),
            _ => {}
        }
        let connection = self.connection.as_mut().ok_or(Error::Closed)?;
        match self.inbox.fill_behind(&mut connection.transport).map_err(|error| self.failure(&error)) {
            Err(Error::Broken(io::ErrorKind::WouldBlock)) => Ok(false),
            // An end of the body that its next piece tells.
            Ok(0) if matches!(self.rest, Rest::UntilClosed) => {
                self.finish();
                Ok(true)
            }
            Ok(0) => Err(self.lose(Error::Closed)),
            Ok(_) => Ok(true),
            Err(error) => Err(self.lose(error)),
        }
    }

    pub fn next_piece(&mut self, client: Option<&dyn Client>) -> Result<Piece<'_>, Error> {
        match self.pull(client) {
            Ok((start, length)) => {
                let is_last = matches!(self.rest, Rest::Nothing);
                Ok(Piece { bytes: self.inbox.at(start, length), is_last })
            }
            Err(error) => Err(self.lose(error)),
        }
    }

    pub fn read_into(&mut self, room: &mut [u8]) -> Result<Taken, Error> {
        match self.put(room) {
            Ok(bytes) => {
                let is_last = matches!(self.rest, Rest::Nothing) && self.left_over.is_empty();
                Ok(Taken { bytes, is_last })
            }
            Err(error) => Err(self.lose(error)),
        }
    }

    fn put(&mut self, room: &mut [u8]) -> Result<usize, Error> {
        if self.left_over.is_empty() {
            if let (Rest::Length(left), true) = (&self.rest, self.inbox.is_empty()) {
                return self.read_directly(*left, room);
            }
            let (start, length) = self.pull(None)?;
            self.left_over = start..start + length;
        }
        let bytes = room.len().min(self.left_over.len());
        room[..bytes].copy_from_slice(self.inbox.at(self.left_over.start, bytes));
        self.left_over.start += bytes;
        Ok(bytes)
    }

    /// From the network, past the inbox, when `left` bytes of a body are.
    fn read_directly(&mut self, left: u64, room: &mut [u8]) -> Result<usize, Error> {
        let wait = self.clock.wait(self.clock.deadlines.between_bytes, None)?;
        let bytes = usize::try_from(left).map_or(room.len(), |left| left.min(room.len()));
        let connection = self.connection.as_mut().ok_or(Error::Closed)?;
        let outcome = connection.transport.read(&mut room[..bytes], wait);
        let read = outcome.map_err(|error| self.failure(&error))?;
        if read == 0 {
            return Err(Error::Closed);
        }
        self.rest = Rest::Length(left - read as u64);
        if read as u64 == left {
            self.finish();
        }
        Ok(read)
    }

    /// Where the next bytes lie; none at the end.
    fn pull(&mut self, client: Option<&dyn Client>) -> Result<(usize, usize), Error> {
        loop {
            if !self.inbox.is_empty()
                && let Some(found) = self.take()?
            {
                return Ok(found);
            }
            match self.rest {
                Rest::Nothing => return Ok((0, 0)),
                Rest::Lost(error) => return Err(error),
                _ => {}
            }
            let wait = self.clock.wait(self.clock.deadlines.between_bytes, client)?;
            if self.read(wait)? == 0 {
                if !matches!(self.rest, Rest::UntilClosed) {
                    return Err(Error::Closed);
                }
                self.finish();
            }
        }
    }

    /// Of what was read, what belongs to the body; None when that was only its frame.
    fn take(&mut self) -> Result<Option<(usize, usize)>, Error> {
        let unread = self.inbox.unread().len();
        let (start, length, is_done) = match &mut self.rest {
            Rest::UntilClosed => (self.inbox.consume(unread), unread, false),
            Rest::Length(left) => {
                let length = usize::try_from(*left).map_or(unread, |left| left.min(unread));
                *left -= length as u64;
                (self.inbox.consume(length), length, *left == 0)
            }
            Rest::Chunked(decoder) => {
                let step = decoder.decode(self.inbox.unread_mut())?;
                let start = self.inbox.consume(step.consumed);
                (start + step.data.start, step.data.len(), step.is_done)
            }
            Rest::Nothing | Rest::Lost(_) => return Ok(None),
        };
        if is_done {
            self.finish();
        }
        Ok((length > 0 || is_done).then_some((start, length)))
    }

    fn read(&mut self, wait: Wait<'_>) -> Result<usize, Error> {
        let connection = self.connection.as_mut().ok_or(Error::Closed)?;
        let outcome = self.inbox.fill(&mut connection.transport, wait);
        outcome.map_err(|error| self.failure(&error))
    }

    fn failure(&self, error: &io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::TimedOut => self.clock.timeout(Stage::BetweenBytes),
            _ => Error::of(error),
        }
    }

    fn finish(&mut self) {
        self.rest = Rest::Nothing;
        self.release();
    }

    /// Gives the connection to the next one, unless it said more than it should have.
    fn release(&mut self) {
        let connection = self.connection.take();
        if let Some(connection) = connection
            && self.is_persistent
            && self.inbox.is_empty()
        {
            self.is_released = true;
            self.upstream.pool.put(connection, self.head.keeps_for, Instant::now());
        }
    }

    fn lose(&mut self, error: Error) -> Error {
        if !matches!(self.rest, Rest::Lost(_)) {
            self.rest = Rest::Lost(error);
            self.connection = None;
            self.upstream.counters.failed(error);
        }
        error
    }
}
