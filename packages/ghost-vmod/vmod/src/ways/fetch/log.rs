//! What Varnish's log says of an exchange, as it says it of its own backends.

use std::{
    ffi::CStr,
    os::fd::{AsRawFd, RawFd},
    ptr,
    sync::Arc,
};

use ghost_core::endpoint::Endpoint;
use ghost_upstream::{Client, Error, Tcp, Watch};
use varnish::ffi::{self, VslTag};

use crate::{
    context::Context,
    director::Director,
    exchange::{
        Party,
        interim::{self, AnswerFilters},
        waiting::Waiting,
    },
    ways::fetch::{
        Backends, Named,
        gethdrs::{Answer, Fetch},
    },
};

/// An exchange that is under way.
pub struct Log<'a> {
    context: Context<'a>,
    fetch: Fetch<'a>,
    backends: &'a Backends,
    client: Option<Waiting>,
    filters: AnswerFilters<'a>,
    /// The endpoint that is tried.
    backend: Option<Arc<Director>>,
    /// None: there is no connection.
    socket: Option<RawFd>,
    /// What failed last is said.
    told: Option<Error>,
}

impl<'a> Log<'a> {
    pub fn new(context: Context<'a>, fetch: Fetch<'a>, backends: &'a Backends, filters: AnswerFilters<'a>) -> Self {
        Self { context, fetch, backends, client: fetch.client(), filters, backend: None, socket: None, told: None }
    }

    /// -1 where there is no connection.
    pub fn socket(&self) -> RawFd {
        self.socket.unwrap_or(-1)
    }

    pub fn backend(self) -> Option<Arc<Director>> {
        self.backend
    }

    fn named(&self) -> Option<&Named> {
        // SAFETY: the director is one of ours, which lives as long as this holds it.
        self.backend.as_ref().map(|backend| unsafe { Named::of(backend.raw()) })
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
        let how = if is_reused { "reuse" } else { "connect" };
        if let Some(Named { name, end }) = self.named() {
            self.fetch.log(VslTag::BackendOpen, &record(self.socket(), &[name, end, connection.local_end(), how]));
        }
    }

    fn interim(&mut self, status: u16, fields: &mut dyn Iterator<Item = &[u8]>) {
        if let Some(client) = &self.client {
            interim::pass_on(client, status, fields, self.filters);
        }
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
        if let Some(named) = self.named() {
            closed(self.fetch, named, self.socket(), reason(error));
        }
    }
}

impl Party for Log<'_> {
    /// An endpoint that was set sick at the command line gets nothing.
    fn tries(&mut self, endpoint: &Endpoint) -> bool {
        let Some(backend) = self.backends.get(self.context.raw(), endpoint.destination) else {
            return false;
        };
        // SAFETY: the context is live, and the director held.
        let is_healthy = unsafe { ffi::VRT_Healthy(self.context.raw(), backend.raw(), ptr::null_mut()) }.0 != 0;
        if !is_healthy {
            self.fetch.log(VslTag::FetchError, &format!("backend {}: unhealthy", endpoint.name()));
        }
        (self.backend, self.told) = (Some(backend), None);
        is_healthy
    }

    /// What `failed` was not told is told here.
    fn missed(&mut self, error: Error) {
        if self.told != Some(error) {
            self.tell(error);
        }
    }
}

/// An exchange whose answer had begun is over.
pub fn ended(fetch: Fetch, named: &Named, answer: &Answer, reason: Option<&CStr>) {
    if answer.response.is_released() {
        return fetch.log(VslTag::BackendClose, &record(answer.socket, &[&named.name, "recycle"]));
    }
    let reason = reason.and_then(|reason| reason.to_str().ok()).filter(|reason| *reason != "null");
    closed(fetch, named, answer.socket, reason.unwrap_or("RESP_CLOSE"));
}

fn closed(fetch: Fetch, named: &Named, socket: RawFd, reason: &str) {
    fetch.log(VslTag::BackendClose, &record(socket, &[&named.name, "close", reason]));
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
        Error::Unanswered | Error::Closed => "RESP_CLOSE",
        Error::Gone => "REM_CLOSE",
        Error::Connect(_) | Error::Broken(_) | Error::Upload => "TX_ERROR",
    }
}
