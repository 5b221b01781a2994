//! What the bytes go over.

use std::{
    error, fmt,
    hash::Hash,
    io::{self, IoSlice},
    os::fd::BorrowedFd,
    time::Duration,
};

/// How long a read may take. `Not` ends as `WouldBlock`, `For` as `TimedOut`, or as `ClientGone` when whoever the answer is
/// for has gone.
#[derive(Clone, Copy)]
pub enum Wait<'a> {
    Not,
    For(Duration, Option<&'a dyn Client>),
}

/// Whoever an answer is for.
pub trait Client {
    /// Where it is connected, and sends nothing of interest now.
    fn socket(&self) -> BorrowedFd<'_>;

    /// It sends nothing more: it has gone, or has only said all that it had to say. Whatever is done here shows in time
    /// which of them, since the connection of a client that has gone breaks when something is sent to it.
    fn probe(&self) {}
}

/// What a read ends with that nobody waits for any more: an error's inner one, since the kernel has none that means this.
#[derive(Debug)]
pub struct ClientGone;

impl fmt::Display for ClientGone {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("the client has gone")
    }
}

impl error::Error for ClientGone {}

/// What a write came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Written {
    /// So many bytes, at least one.
    Bytes(usize),
    /// None: the peer takes nothing at the moment, and has something to say.
    PeerSpeaks,
}

/// A connection that bytes can be read from and written to: TCP, or TLS over it.
pub trait Transport: Send {
    /// Some bytes; 0 at a clean end only.
    fn read(&mut self, buffer: &mut [u8], wait: Wait<'_>) -> io::Result<usize>;

    /// Writes some of the parts, which are not all empty; `TimedOut` when none was taken in time.
    fn write(&mut self, parts: &[IoSlice<'_>], patience: Duration) -> io::Result<Written>;

    /// Whether the connection is open and has nothing to say, as it must be between two answers.
    fn is_quiet(&mut self) -> bool;
}

/// Makes connections.
pub trait Connect: Send + Sync {
    type Transport: Transport;
    /// Where a connection leads, and all that tells it from others: connections with the same one serve each other's
    /// requests.
    type Destination: Clone + Eq + Hash + Send + Sync;

    fn connect(&self, to: &Self::Destination, patience: Duration) -> io::Result<Self::Transport>;
}
