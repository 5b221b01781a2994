//! The body of the client's request, which Varnish reads for us.

use std::{
    ffi::{c_int, c_uint, c_void},
    marker::PhantomData,
    ops::ControlFlow,
    panic::{AssertUnwindSafe, catch_unwind},
    slice,
};

use ghost_upstream::{Framing, Sink, Upload};
use varnish::ffi;

use crate::{context::Context, message::Message};

/// The client's body: none, or one that can be read once.
pub struct ClientBody<'a> {
    request: *mut ffi::req,
    /// None: there is no body.
    kind: Option<Kind>,
    task: PhantomData<&'a ()>,
}

#[derive(Clone, Copy)]
enum Kind {
    Length(u64),
    Chunked,
}

impl<'a> Context<'a> {
    /// None where it is Varnish's to send: the body is kept for another attempt, or something is wrong with it.
    pub fn client_body(self) -> Option<ClientBody<'a>> {
        // SAFETY: the context is live; Varnish's states of a body are static.
        unsafe {
            let request = (*self.raw()).req;
            let state = request.as_ref()?.req_body_status.as_ref()?;
            let kind = match (state.avail, state.length_known) {
                (0, _) => None,
                (1, 0) => Some(Kind::Chunked),
                (1, _) => Some(Kind::Length(u64::try_from((*request).htc.as_ref()?.content_length).ok()?)),
                _ => return None,
            };
            Some(ClientBody { request, kind, task: PhantomData })
        }
    }
}

impl ClientBody<'_> {
    pub fn framing(&self, request: Message) -> Framing {
        match self.kind {
            Some(Kind::Length(length)) => Framing::Length(length),
            Some(Kind::Chunked) => Framing::Chunked,
            // An empty body is something else than none.
            None if request.value(b"content-length") == Some(b"0") => Framing::Length(0),
            None => Framing::Nothing,
        }
    }

    pub fn upload(&mut self) -> Option<&mut dyn Upload> {
        self.kind.is_some().then_some(self as &mut dyn Upload)
    }
}

impl Upload for ClientBody<'_> {
    fn pour(&mut self, mut sink: &mut dyn Sink) -> Option<()> {
        // SAFETY: the request is the one of a live context; `give` knows what it is given, and is not called later.
        let outcome = unsafe {
            let request = self.request;
            let log = (*request).vsl.as_mut_ptr();
            ffi::VRB_Iterate((*request).wrk, log, request, Some(give), (&raw mut sink).cast())
        };
        (outcome == 0).then_some(())
    }
}

/// Varnish has read a piece of a body, for a `&mut dyn Sink`. Not 0: no more is wanted.
pub unsafe extern "C" fn give(sink: *mut c_void, _: c_uint, bytes: *const c_void, length: isize) -> c_int {
    let taken = catch_unwind(AssertUnwindSafe(|| {
        let Ok(length @ 1..) = usize::try_from(length) else {
            return ControlFlow::Continue(());
        };
        // SAFETY: `pour` gave us the sink, Varnish so many bytes.
        unsafe { (*sink.cast::<&mut dyn Sink>()).take(slice::from_raw_parts(bytes.cast(), length)) }
    }));
    match taken {
        Ok(ControlFlow::Continue(())) => 0,
        Ok(ControlFlow::Break(())) | Err(_) => 1,
    }
}
