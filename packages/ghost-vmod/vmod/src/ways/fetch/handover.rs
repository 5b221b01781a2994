//! A request without a body is handed to its fetch as one with a body would be.
//!
//! Varnish tells the client's thread at once that the fetch needs nothing more of a request that has no body; that
//! thread wakes, finds that it waits for the answer anyway, and sleeps again: two switches of the processor for nothing.
//! While there may be a body to send the fetch keeps the request, and the thread is first woken for the answer.
//!
//! ```text
//!  vcl_pass, vcl_miss (client)   lend:      BS_NONE -> LENT, which Varnish takes for a body
//!  VBF_Fetch, the fetch's thread            sees that it may not let go of the request yet
//!  vcl_backend_fetch             take_back: LENT -> BS_NONE, so that nobody looks for the body
//! ```
//!
//! Where user VCL lends and then has no fetch, vcl_synth or the next vcl_recv takes back.
//! Between the two Varnish 7.7 looks at the status there and nowhere else. It never lacks a thread for a fetch that is not
//! in the background: those wait in its queue. To be read again in each Varnish: VBF_Fetch, vbf_stp_mkbereq, cnt_fetch.

use std::ptr;

use varnish::ffi;

use crate::{context::Context, receive::before_fetch, table::Tables};

struct Status(ffi::body_status);

// SAFETY: nobody writes to it; the pointer in it is to a static.
unsafe impl Sync for Status {}

static LENT: Status = Status(ffi::body_status { name: c"none".as_ptr(), nbr: 0, avail: 1, length_known: 1 });

/// Right before Varnish fetches, so that nobody else sees the request meanwhile. A request that names a length is left
/// alone: Varnish's own backends would believe it.
///
/// Returns the status of ghost's own answer, or 0.
pub fn lend(tables: &Tables, context: Context) -> u16 {
    let status = before_fetch(tables, context);
    let names_length = context.request().is_some_and(|request| request.value(b"content-length").is_some());
    if status == 0 && !names_length {
        replace(context, (&raw const ffi::BS_NONE).cast(), &raw const LENT.0);
    }
    status
}

/// First of all that a fetch does, and vcl_recv and vcl_synth.
pub fn take_back(context: Context) {
    replace(context, &raw const LENT.0, (&raw const ffi::BS_NONE).cast());
}

fn replace(context: Context, before: *const ffi::body_status, after: *const ffi::body_status) {
    // SAFETY: the context is live, and while a fetch has a request, that one's thread waits; the states are static.
    unsafe {
        let (request, fetch) = ((*context.raw()).req, (*context.raw()).bo);
        let request = request.as_mut().or_else(|| fetch.as_ref()?.req.as_mut());
        if let Some(request) = request.filter(|request| ptr::eq(request.req_body_status, before)) {
            request.req_body_status = after;
        }
    }
}
