//! What the bytes go over.

use std::{
    io::{self, IoSlice},
    net::SocketAddr,
    time::Duration,
};

/// How long a read may take. `For` ends as `TimedOut`, `Not` as `WouldBlock`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wait {
    Not,
    For(Duration),
}

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
    fn read(&mut self, buffer: &mut [u8], wait: Wait) -> io::Result<usize>;

    /// Writes some of the parts, which are not all empty; `TimedOut` when none was taken in time.
    fn write(&mut self, parts: &[IoSlice<'_>], patience: Duration) -> io::Result<Written>;

    /// Whether the connection is open and has nothing to say, as it must be between two answers.
    fn is_quiet(&mut self) -> bool;
}

/// Makes connections.
pub trait Connect: Send + Sync {
    type Transport: Transport;

    fn connect(&self, address: SocketAddr, patience: Duration) -> io::Result<Self::Transport>;
}
