//! What Varnish's log says of an exchange, as it says it of its own backends.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, RawFd},
};

use ghost_upstream::{Client, Error, Tcp, Watch};
use varnish::ffi::VslTag;

use crate::{
    exchange::waiting::Waiting,
    ways::fetch::{
        Endpoint,
        gethdrs::{Answer, Fetch},
    },
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
        (self.socket, self.told) = (Some(connection.as_raw_fd()), None);
        let (endpoint, how) = (self.endpoint, if is_reused { "reuse" } else { "connect" });
        let words = [&endpoint.name, &endpoint.end, connection.local_end(), how];
        self.fetch.log(VslTag::BackendOpen, &record(self.socket(), &words));
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
        return fetch.log(VslTag::BackendClose, &record(answer.socket, &[&endpoint.name, "recycle"]));
    }
    let reason = reason.and_then(|reason| reason.to_str().ok()).filter(|reason| *reason != "null");
    closed(fetch, endpoint, answer.socket, reason.unwrap_or("RESP_CLOSE"));
}

fn closed(fetch: Fetch, endpoint: &Endpoint, socket: RawFd, reason: &str) {
    fetch.log(VslTag::BackendClose, &record(socket, &[&endpoint.name, "close", reason]));
}

/// Each exchange logs two of these, so without `fmt`.
fn record(socket: RawFd, words: &[&str]) -> String {
    let mut text = String::with_capacity(128);
    text.push_str(itoa::Buffer::new().format(socket));
    for word in words {
        text.push(' ');
        text.push_str(word);
    }
    text
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
