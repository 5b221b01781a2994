//! The head of a request.

use std::{cell::Cell, io::Write};

use crate::head;

/// How the end of the request's body is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Framing {
    /// There is none, and no word of it.
    Nothing,
    Length(u64),
    Chunked,
}

/// What a request wants, as far as it says how an answer is read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum AsksFor {
    #[default]
    Whole,
    /// An answer without its body.
    Head,
    /// An answer, or a connection that is one from then on.
    WebSocket,
}

/// A request line and its fields, written into one buffer that is used again and again.
#[derive(Debug, Default)]
pub struct RequestHead {
    bytes: Vec<u8>,
    pub(crate) framing: Option<Framing>,
    pub(crate) asks_for: AsksFor,
    /// By RFC 9110, 9.2.2 it may be sent twice.
    pub(crate) is_idempotent: bool,
    names_host: bool,
    /// It asks for the connection to be closed after the answer.
    pub(crate) is_last: bool,
}

impl RequestHead {
    /// Begins a new one.
    pub fn begin(&mut self, method: &[u8], target: &[u8]) {
        self.bytes.clear();
        self.framing = None;
        self.asks_for = if method == b"HEAD" { AsksFor::Head } else { AsksFor::Whole };
        (self.is_last, self.names_host) = (false, false);
        self.is_idempotent = matches!(method, b"GET" | b"HEAD" | b"OPTIONS" | b"TRACE" | b"PUT" | b"DELETE");
        for part in [method, b" ", target, b" HTTP/1.1\r\n"] {
            self.bytes.extend_from_slice(part);
        }
    }

    /// A field as it stands in a message, without the line's end. Those that frame a body are left out: `end` says how
    /// the body ends.
    pub fn line(&mut self, line: &[u8]) {
        let (name, value) = line.split_at(memchr::memchr(b':', line).unwrap_or(0));
        self.names_host |= head::is(name, b"host");
        self.is_last |= head::is(name, b"connection") && head::lists(&value[1..], b"close");
        let frames = [&b"content-length"[..], b"transfer-encoding"].iter().any(|other| head::is(name, other));
        if !frames {
            self.bytes.extend_from_slice(line);
            self.bytes.extend_from_slice(b"\r\n");
        }
    }

    /// A request of HTTP/1.1 has a Host, an empty one where nobody knows it (RFC 9112, 3.2).
    pub fn end(&mut self, framing: Framing) {
        if !self.names_host {
            self.bytes.extend_from_slice(b"Host:\r\n");
        }
        match framing {
            Framing::Nothing => {}
            // Writing to memory does not fail.
            Framing::Length(length) => _ = write!(self.bytes, "Content-Length: {length}\r\n"),
            Framing::Chunked => self.bytes.extend_from_slice(b"Transfer-Encoding: chunked\r\n"),
        }
        self.bytes.extend_from_slice(b"\r\n");
        self.framing = Some(framing);
    }

    /// Asks for a connection that becomes a WebSocket; to be said before `end`, of a request without a body.
    pub fn upgrade(&mut self) {
        self.asks_for = AsksFor::WebSocket;
        self.bytes.extend_from_slice(b"Upgrade: websocket\r\nConnection: Upgrade\r\n");
    }

    /// Whether it may be sent twice, if it has no body.
    pub fn is_idempotent(&self) -> bool {
        self.is_idempotent
    }

    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }
}

thread_local! {
    static SPARE: Cell<Option<RequestHead>> = const { Cell::new(None) };
}

/// Lends the thread's own head.
pub fn with_request_head<T>(use_it: impl FnOnce(&mut RequestHead) -> T) -> T {
    let mut head = SPARE.try_with(Cell::take).ok().flatten().unwrap_or_default();
    let outcome = use_it(&mut head);
    _ = SPARE.try_with(|spare| spare.set(Some(head)));
    outcome
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_framing_is_its_own() {
        let mut head = RequestHead::default();
        for (framing, said) in [
            (Framing::Nothing, ""),
            (Framing::Length(3), "Content-Length: 3\r\n"),
            (Framing::Chunked, "Transfer-Encoding: chunked\r\n"),
        ] {
            head.begin(b"POST", b"/a?b");
            head.line(b"Host: a");
            head.line(b"content-LENGTH: 9");
            head.line(b"Transfer-Encoding: gzip");
            head.end(framing);
            assert_eq!(head.bytes(), format!("POST /a?b HTTP/1.1\r\nHost: a\r\n{said}\r\n").as_bytes());
        }
    }

    #[test]
    fn a_host_that_nobody_knows_is_empty() {
        let mut head = RequestHead::default();
        for line in [&b"Host: a"[..], b"X: y"] {
            head.begin(b"GET", b"/");
            head.line(line);
            head.end(Framing::Nothing);
        }
        assert_eq!(head.bytes(), b"GET / HTTP/1.1\r\nX: y\r\nHost:\r\n\r\n");
    }

    #[test]
    fn a_head_within_a_head_is_another() {
        with_request_head(|outer| {
            outer.begin(b"GET", b"/outer");
            with_request_head(|inner| inner.begin(b"GET", b"/inner"));
            assert_eq!(outer.bytes(), b"GET /outer HTTP/1.1\r\n");
        });
    }
}
