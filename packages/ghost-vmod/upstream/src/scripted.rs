//! A connection without a network, for tests: the peer says what a script says, whatever it is asked.

use std::{
    collections::VecDeque,
    io::{self, IoSlice},
    net::SocketAddr,
    sync::Mutex,
    time::Duration,
};

use crate::transport::{Connect, Transport, Wait, Written};

/// What a peer does next.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Line {
    Says(Vec<u8>),
    /// Says nothing for longer than anyone waits.
    Stalls,
    Resets,
}

/// A peer that says its lines, and then closes.
#[derive(Clone, Debug, Default)]
pub struct Scripted {
    lines: VecDeque<Line>,
}

impl Scripted {
    pub fn new(lines: impl IntoIterator<Item = Line>) -> Self {
        Self { lines: lines.into_iter().collect() }
    }
}

impl Transport for Scripted {
    fn read(&mut self, buffer: &mut [u8], _: Wait<'_>) -> io::Result<usize> {
        match self.lines.front_mut() {
            None => Ok(0),
            Some(Line::Stalls) => Err(io::ErrorKind::TimedOut.into()),
            Some(Line::Resets) => Err(io::ErrorKind::ConnectionReset.into()),
            Some(Line::Says(bytes)) => {
                let read = bytes.len().min(buffer.len());
                buffer[..read].copy_from_slice(&bytes[..read]);
                bytes.drain(..read);
                if bytes.is_empty() {
                    self.lines.pop_front();
                }
                Ok(read)
            }
        }
    }

    fn write(&mut self, parts: &[IoSlice<'_>], _: Duration) -> io::Result<Written> {
        Ok(Written::Bytes(parts.iter().map(|part| part.len()).sum()))
    }

    fn is_quiet(&mut self) -> bool {
        true
    }
}

/// Hands out peers in their order; then the connection is refused.
#[derive(Debug, Default)]
pub struct Script {
    peers: Mutex<VecDeque<Scripted>>,
}

impl Script {
    pub fn new(peers: impl IntoIterator<Item = Scripted>) -> Self {
        Self { peers: Mutex::new(peers.into_iter().collect()) }
    }
}

impl Connect for Script {
    type Transport = Scripted;
    type Destination = SocketAddr;

    fn connect(&self, _: &SocketAddr, _: Duration) -> io::Result<Scripted> {
        let next = self.peers.lock().ok().and_then(|mut peers| peers.pop_front());
        next.ok_or_else(|| io::ErrorKind::ConnectionRefused.into())
    }
}
