//! The body of a backend request: kept by Varnish, or read from the client as it comes.

use std::ptr;

use ghost_upstream::{Framing, Sink, Upload};
use varnish::ffi;

use crate::{
    message::Message,
    ways::{direct::give, fetch::gethdrs::Fetch},
};

/// The body of a fetch.
pub struct BackendBody<'a> {
    fetch: Fetch<'a>,
    framing: Framing,
}

impl<'a> BackendBody<'a> {
    pub fn new(fetch: Fetch<'a>) -> Self {
        // SAFETY: the fetch is live; while it has a request, that one's thread waits.
        let framing = unsafe {
            let raw = fetch.raw();
            match ((*raw).bereq_body.is_null(), (*raw).req.as_ref()) {
                (false, _) => Framing::Length(ffi::ObjGetLen((*raw).wrk, (*raw).bereq_body)),
                (true, Some(request)) => of_client(request),
                (true, None) => Framing::Nothing,
            }
        };
        // SAFETY: the fetch is live, and keeps what was asked for.
        let asked = unsafe { Message::new(ffi::VCL_HTTP((*fetch.raw()).bereq0)) };
        // An empty body is something else than none; Varnish leaves out what says so.
        let says_empty = asked.is_some_and(|asked| asked.value(b"content-length") == Some(b"0"));
        let framing = match framing {
            Framing::Nothing if says_empty && fetch.is_pass => Framing::Length(0),
            framing => framing,
        };
        Self { fetch, framing }
    }

    pub fn framing(&self) -> Framing {
        self.framing
    }

    pub fn upload(&mut self) -> Option<&mut dyn Upload> {
        (!matches!(self.framing, Framing::Nothing | Framing::Length(0))).then_some(self as &mut dyn Upload)
    }

    /// What was read from the client once is gone.
    ///
    /// # Safety
    /// The request is live.
    unsafe fn after(&self, request: *mut ffi::req) {
        // SAFETY: as demanded; the states of a body are static.
        unsafe {
            let state = (*request).req_body_status;
            if state != (&raw const ffi::BS_CACHED).cast() {
                (*self.fetch.raw()).no_retry = c"req.body not cached".as_ptr();
            }
            if state == (&raw const ffi::BS_ERROR).cast() {
                (*request).doclose = (&raw const ffi::SC_RX_BODY).cast();
            }
        }
    }
}

/// # Safety
/// Varnish's states of a body are static.
unsafe fn of_client(request: &ffi::req) -> Framing {
    unsafe {
        if ptr::eq(request.req_body_status, (&raw const ffi::BS_NONE).cast()) {
            return Framing::Nothing;
        }
        let state = request.req_body_status.as_ref();
        match (state.is_some_and(|state| state.length_known != 0), request.htc.as_ref()) {
            (true, Some(connection)) => Framing::Length(u64::try_from(connection.content_length).unwrap_or(0)),
            _ => Framing::Chunked,
        }
    }
}

impl Upload for BackendBody<'_> {
    fn pour(&mut self, mut sink: &mut dyn Sink) -> Option<()> {
        let sink = (&raw mut sink).cast();
        // SAFETY: the fetch is live, and this is its thread; `give` knows what it is given, and is not called later.
        let is_whole = unsafe {
            let raw = self.fetch.raw();
            if (*raw).bereq_body.is_null() {
                let request = (*raw).req;
                let outcome = ffi::VRB_Iterate((*raw).wrk, self.fetch.vsl(), request, Some(give), sink);
                self.after(request);
                outcome == 0
            } else {
                ffi::ObjIterate((*raw).wrk, (*raw).bereq_body, sink, Some(give), 0) == 0
            }
        };
        is_whole.then_some(())
    }
}
