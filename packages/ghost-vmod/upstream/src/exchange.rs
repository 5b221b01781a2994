//! One request and the head of its answer.

use std::{
    io::{self, IoSlice},
    ops::ControlFlow,
    sync::Arc,
    time::Instant,
};

use crate::{
    connection::Connection,
    deadlines::{Clock, Deadlines},
    error::{Error, Stage},
    head::{self, Head, HeadLimits},
    inbox::Inbox,
    request::{Framing, RequestHead},
    response::Response,
    transport::{Client, Connect, Transport, Written},
    upstream::Upstream,
};

/// How many interim answers are passed over.
const INTERIM: usize = 32;

/// The client's body.
pub trait Upload {
    /// Gives it to the sink piece by piece until the sink breaks off; None when it ends early or cannot be read.
    fn pour(&mut self, sink: &mut dyn Sink) -> Option<()>;
}

/// Where a body goes.
pub trait Sink {
    /// `Break`: no more is wanted.
    fn take(&mut self, piece: &[u8]) -> ControlFlow<()>;
}

/// Somebody who is told how an exchange goes on; a request that is sent again begins again here, too.
pub trait Watch<T> {
    /// Whom the answer is for: no answer is waited for longer than it is there. None: nobody knows, or many wait.
    fn client(&self) -> Option<&dyn Client> {
        None
    }

    fn connected(&mut self, _: &T, _is_reused: bool) {}

    /// An interim answer other than 100: its status, and the fields that a proxy passes on.
    fn interim(&mut self, _status: u16, _fields: &mut dyn Iterator<Item = &[u8]>) {}

    /// As much as was sent of the head and of the body.
    fn sent(&mut self, _head_bytes: usize, _body_bytes: u64) {}

    /// The connection is closed.
    fn failed(&mut self, _: Error) {}
}

/// Nobody.
impl<T> Watch<T> for () {}

impl<C: Connect> Upstream<C> {
    /// Sends the request, and reads the answer's head. The body is there exactly if `RequestHead::end` announced one.
    pub fn exchange(
        self: &Arc<Self>,
        request: &RequestHead,
        upload: Option<&mut dyn Upload>,
        deadlines: Deadlines,
    ) -> Result<Response<C>, Error> {
        self.exchange_watched(request, upload, deadlines, &mut ())
    }

    pub fn exchange_watched(
        self: &Arc<Self>,
        request: &RequestHead,
        upload: Option<&mut dyn Upload>,
        deadlines: Deadlines,
        watch: &mut dyn Watch<C::Transport>,
    ) -> Result<Response<C>, Error> {
        let clock = Clock::start(deadlines, Instant::now());
        self.try_exchange(request, upload, &clock, watch).map_err(|error| self.counters.failed(error))
    }

    fn try_exchange(
        self: &Arc<Self>,
        request: &RequestHead,
        upload: Option<&mut dyn Upload>,
        clock: &Clock,
        watch: &mut dyn Watch<C::Transport>,
    ) -> Result<Response<C>, Error> {
        let Some(known) = self.pool.take(clock.started) else {
            return self.attempt(self.connect(clock)?, request, upload, clock, watch).map_err(|failure| failure.error);
        };
        let may_repeat = request.is_idempotent && upload.is_none();
        match self.attempt(known, request, upload, clock, watch) {
            // Between two answers a peer may close at any time; the request crossed that, and nobody has read it.
            Err(failure) if failure.is_stale && may_repeat => {
                self.counters.repeated.add();
                self.attempt(self.connect(clock)?, request, None, clock, watch).map_err(|failure| failure.error)
            }
            outcome => outcome.map_err(|failure| failure.error),
        }
    }

    fn attempt(
        self: &Arc<Self>,
        connection: Connection<C::Transport>,
        request: &RequestHead,
        upload: Option<&mut dyn Upload>,
        clock: &Clock,
        watch: &mut dyn Watch<C::Transport>,
    ) -> Result<Response<C>, Failure> {
        watch.connected(&connection.transport, connection.is_reused);
        let mut attempt = Attempt::new(connection, request, *clock, self.heads, watch);
        let outcome = attempt.send(upload);
        attempt.watch.sent(if attempt.has_begun { request.bytes().len() } else { 0 }, attempt.sent);
        match outcome.and_then(|()| attempt.answer()) {
            Ok(mut head) => {
                head.is_persistent &= !request.is_last;
                Ok(Response::new(self, attempt.connection, attempt.inbox, head, attempt.is_cut, attempt.clock))
            }
            Err(error) => {
                attempt.watch.failed(error);
                let is_stale = attempt.connection.is_reused && error == Error::Unanswered;
                Err(Failure { error, is_stale })
            }
        }
    }
}

struct Failure {
    error: Error,
    /// The connection had ended before the peer can have seen the request.
    is_stale: bool,
}

struct Attempt<'a, T> {
    connection: Connection<T>,
    /// Of the answer's head.
    limits: HeadLimits,
    inbox: Inbox,
    clock: Clock,
    request: &'a RequestHead,
    watch: &'a mut dyn Watch<T>,
    /// The request's head is on its way.
    has_begun: bool,
    /// The body's bytes that were sent.
    sent: u64,
    /// The answer came, or the connection broke, before the request was sent.
    is_cut: bool,
    has_heard: bool,
    /// When the answer's head must have come.
    until: Instant,
    interim: usize,
    /// An answer that came before the request was sent.
    early: Option<Head>,
    failed: Option<Error>,
}

impl<'a, T: Transport> Attempt<'a, T> {
    fn new(
        connection: Connection<T>,
        request: &'a RequestHead,
        clock: Clock,
        limits: HeadLimits,
        watch: &'a mut dyn Watch<T>,
    ) -> Self {
        Self {
            connection,
            limits,
            inbox: Inbox::new(),
            clock,
            request,
            watch,
            has_begun: false,
            sent: 0,
            is_cut: false,
            has_heard: false,
            until: Instant::now(),
            interim: 0,
            early: None,
            failed: None,
        }
    }

    fn send(&mut self, upload: Option<&mut dyn Upload>) -> Result<(), Error> {
        if let Some(upload) = upload {
            let is_whole = upload.pour(self).is_some();
            if let Some(error) = self.failed {
                return Err(error);
            }
            if !is_whole && !self.is_cut {
                return Err(Error::Upload);
            }
        }
        match self.request.framing {
            _ if self.is_cut => Ok(()),
            Some(Framing::Length(length)) if length != self.sent => Err(Error::Upload),
            Some(Framing::Chunked) => self.write(b"", b"", b"0\r\n\r\n"),
            _ => self.write(b"", b"", b""),
        }
    }

    /// The head, if it is not sent yet, and the parts.
    fn write(&mut self, before: &[u8], piece: &[u8], after: &[u8]) -> Result<(), Error> {
        let head = if self.has_begun { &[] } else { self.request.bytes() };
        self.has_begun = true;
        let mut parts = [head, before, piece, after].map(IoSlice::new);
        let mut parts = &mut parts[..];
        IoSlice::advance_slices(&mut parts, 0);
        while !parts.is_empty() && !self.is_cut {
            let patience = self.clock.patience(self.clock.deadlines.between_bytes)?;
            match self.connection.transport.write(parts, patience) {
                Ok(Written::Bytes(bytes)) => IoSlice::advance_slices(&mut parts, bytes),
                Ok(Written::PeerSpeaks) => self.listen()?,
                Err(error) if error.kind() == io::ErrorKind::TimedOut => return Err(self.clock.timeout(Stage::Send)),
                // Perhaps it said why before it hung up.
                Err(_) => self.is_cut = true,
            }
        }
        Ok(())
    }

    /// The peer stopped reading and says something: an interim answer, or the answer.
    fn listen(&mut self) -> Result<(), Error> {
        self.until = Instant::now() + self.clock.deadlines.first_byte;
        let head = self.hear(false)?;
        if head.is_interim() {
            self.tell(head);
        } else {
            self.early = Some(head);
            self.is_cut = true;
        }
        Ok(())
    }

    /// 100 was for us: nobody else waits for it.
    fn tell(&mut self, interim: Head) {
        if interim.status != 100 {
            self.watch.interim(interim.status, &mut self.inbox.fields().map(|(line, _)| line));
        }
    }

    fn answer(&mut self) -> Result<Head, Error> {
        if let Some(head) = self.early.take() {
            return Ok(head);
        }
        self.until = Instant::now() + self.clock.deadlines.first_byte;
        loop {
            let head = self.hear(true)?;
            if !head.is_interim() {
                return Ok(head);
            }
            self.tell(head);
        }
    }

    /// The next head, for as long as the client is there where it has nothing else to do.
    fn hear(&mut self, has_sent: bool) -> Result<Head, Error> {
        let mut known = 0;
        loop {
            if let Some(end) = head::end_of(self.inbox.unread(), known) {
                return self.parse(end);
            }
            let unread = self.inbox.unread();
            head::check_beginning(unread)?;
            if unread.len() >= self.limits.bytes {
                return Err(Error::Malformed("a long head"));
            }
            // The end may be cut in two.
            known = unread.len().saturating_sub(2);
            self.read(has_sent)?;
        }
    }

    fn read(&mut self, has_sent: bool) -> Result<(), Error> {
        // The first wait is the whole patience, so that the kernel need not be told of another one each time.
        let left = if self.has_heard {
            self.until.saturating_duration_since(Instant::now())
        } else {
            self.clock.deadlines.first_byte
        };
        if left.is_zero() {
            return Err(self.clock.timeout(Stage::FirstByte));
        }
        let client = if has_sent { self.watch.client() } else { None };
        let wait = self.clock.wait(left, client)?;
        match self.inbox.fill(&mut self.connection.transport, wait) {
            Ok(0) => Err(self.closed()),
            Ok(_) => {
                self.has_heard = true;
                Ok(())
            }
            Err(error) if error.kind() == io::ErrorKind::TimedOut => Err(self.clock.timeout(Stage::FirstByte)),
            Err(error) => Err(match Error::of(&error) {
                Error::Closed => self.closed(),
                other => other,
            }),
        }
    }

    fn closed(&self) -> Error {
        if self.has_heard { Error::Closed } else { Error::Unanswered }
    }

    fn parse(&mut self, end: usize) -> Result<Head, Error> {
        if end > self.limits.bytes {
            return Err(Error::Malformed("a long head"));
        }
        let head = self.inbox.parse_head(end, self.request.asks_for, self.limits.fields)?;
        self.interim += usize::from(head.is_interim());
        if self.interim > INTERIM {
            return Err(Error::Malformed("too many interim answers"));
        }
        Ok(head)
    }
}

impl<T: Transport> Sink for Attempt<'_, T> {
    fn take(&mut self, piece: &[u8]) -> ControlFlow<()> {
        if piece.is_empty() {
            return ControlFlow::Continue(());
        }
        self.sent += piece.len() as u64;
        let outcome = match self.request.framing {
            Some(Framing::Length(length)) if self.sent <= length => self.write(b"", piece, b""),
            Some(Framing::Chunked) => self.write(format!("{:x}\r\n", piece.len()).as_bytes(), piece, b"\r\n"),
            _ => Err(Error::Upload),
        };
        self.failed = outcome.err();
        if self.failed.is_some() || self.is_cut { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    }
}
