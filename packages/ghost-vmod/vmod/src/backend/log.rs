//! What Varnish's log says of an exchange, as it says it of its own backends.

use std::{
    ffi::CStr,
    net::{IpAddr, SocketAddr},
    os::fd::{AsRawFd, RawFd},
};

use ghost_upstream::{Client, Error, Tcp, Watch};
use varnish::ffi::VslTag;

use crate::{
    backend::{
        Endpoint,
        fetch::{Answer, Fetch},
    },
    waiting::Waiting,
};

/// An exchange that is under way.
pub struct Log<'a> {
    fetch: Fetch<'a>,
    endpoint: &'a Endpoint,
    client: Option<Waiting>,
    /// None: there is no connection.
    socket: Option<RawFd>,
    /// What failed last is said.
    told: Option<Error>,
}

impl<'a> Log<'a> {
    pub fn new(fetch: Fetch<'a>, endpoint: &'a Endpoint) -> Self {
        Self { fetch, endpoint, client: fetch.client(), socket: None, told: None }
    }

    /// -1 where there is no connection.
    pub fn socket(&self) -> RawFd {
        self.socket.unwrap_or(-1)
    }

    /// The exchange failed; what `failed` was not told is told here.
    pub fn give_up(&mut self, error: Error) {
        if self.told != Some(error) {
            self.tell(error);
        }
    }

    fn tell(&mut self, error: Error) {
        self.told = Some(error);
        self.fetch.log(VslTag::FetchError, &format!("ghost: {error}"));
    }
}

impl Watch<Tcp> for Log<'_> {
    fn client(&self) -> Option<&dyn Client> {
        self.client.as_ref().map(|client| client as &dyn Client)
    }

    fn connected(&mut self, connection: &Tcp, is_reused: bool) {
        self.fetch.timestamp("Connected");
        let (socket, remote) = (connection.as_raw_fd(), self.endpoint.address);
        (self.socket, self.told) = (Some(socket), None);
        let local = connection.local_address().unwrap_or(SocketAddr::new(IpAddr::from([0, 0, 0, 0]), 0));
        let ends = format!("{} {} {} {}", remote.ip(), remote.port(), local.ip(), local.port());
        let how = if is_reused { "reuse" } else { "connect" };
        self.fetch.log(VslTag::BackendOpen, &format!("{socket} {remote} {ends} {how}"));
    }

    fn sent(&mut self, head_bytes: usize, body_bytes: u64) {
        self.fetch.timestamp("Bereq");
        self.fetch.account(|count| {
            count.bereq_hdrbytes += head_bytes as u64;
            count.bereq_bodybytes += body_bytes;
        });
    }

    fn failed(&mut self, error: Error) {
        self.tell(error);
        closed(self.fetch, self.endpoint, self.socket(), reason(error));
    }
}

/// An exchange whose answer had begun is over.
pub fn ended(fetch: Fetch, endpoint: &Endpoint, answer: &Answer, reason: Option<&CStr>) {
    if answer.response.is_released() {
        return fetch.log(VslTag::BackendClose, &format!("{} {} recycle", answer.socket, endpoint.address));
    }
    let reason = reason.and_then(|reason| reason.to_str().ok()).filter(|reason| *reason != "null");
    closed(fetch, endpoint, answer.socket, reason.unwrap_or("RESP_CLOSE"));
}

fn closed(fetch: Fetch, endpoint: &Endpoint, socket: RawFd, reason: &str) {
    fetch.log(VslTag::BackendClose, &format!("{socket} {} close {reason}", endpoint.address));
}

/// In Varnish's words.
fn reason(error: Error) -> &'static str {
    match error {
        Error::Timeout(_) => "RX_TIMEOUT",
        Error::Malformed(_) => "RX_JUNK",
        Error::Closed => "RESP_CLOSE",
        Error::Gone => "REM_CLOSE",
        Error::Connect(_) | Error::Broken(_) | Error::Upload => "TX_ERROR",
    }
}
