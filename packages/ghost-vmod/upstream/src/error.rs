//! What can go wrong, and which status a client is told.

use std::{error, fmt, io};

use crate::transport::ClientGone;

/// The step that took too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    Connect,
    Send,
    FirstByte,
    BetweenBytes,
    Total,
}

/// ```text
/// Error
///   503 Connect              there is no connection
///   504 Timeout              a deadline
///   502 Unanswered           the connection ended before the answer began
///   502 Closed               the connection ended before the answer did
///   502 Malformed            the answer has no meaning, or more than one
///   502 Broken               reading or writing failed
///   400 Upload               the client's own body ended early or broke
///   499 Gone                 the client has gone; nobody reads it but the log
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Error {
    Connect(io::ErrorKind),
    Timeout(Stage),
    Unanswered,
    Closed,
    Malformed(&'static str),
    Broken(io::ErrorKind),
    Upload,
    Gone,
}

impl Error {
    pub fn status(self) -> u16 {
        match self {
            Self::Upload => 400,
            Self::Gone => 499,
            Self::Unanswered | Self::Closed | Self::Malformed(_) | Self::Broken(_) => 502,
            Self::Connect(_) => 503,
            Self::Timeout(_) => 504,
        }
    }

    /// Of a read or a write that failed.
    pub(crate) fn of(error: &io::Error) -> Self {
        if error.get_ref().and_then(|inner| inner.downcast_ref::<ClientGone>()).is_some() {
            return Self::Gone;
        }
        match error.kind() {
            // rustls says so of an end without a goodbye.
            io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe => Self::Closed,
            kind => Self::Broken(kind),
        }
    }
}

impl fmt::Display for Error {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Connect(kind) => write!(formatter, "no connection: {kind}"),
            Self::Timeout(Stage::Connect) => formatter.write_str("no connection in time"),
            Self::Timeout(Stage::Send) => formatter.write_str("the backend did not take the request in time"),
            Self::Timeout(Stage::FirstByte) => formatter.write_str("no answer in time"),
            Self::Timeout(Stage::BetweenBytes) => formatter.write_str("the answer stopped for too long"),
            Self::Timeout(Stage::Total) => formatter.write_str("the exchange took too long"),
            Self::Unanswered => formatter.write_str("the backend closed the connection without an answer"),
            Self::Closed => formatter.write_str("the backend closed the connection early"),
            Self::Malformed(reason) => write!(formatter, "malformed answer: {reason}"),
            Self::Broken(kind) => write!(formatter, "connection failed: {kind}"),
            Self::Upload => formatter.write_str("the client's body ended early"),
            Self::Gone => formatter.write_str("the client has gone"),
        }
    }
}

impl error::Error for Error {}
