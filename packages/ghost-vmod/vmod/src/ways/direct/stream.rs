//! The delivery processor that stands where the body of an object would come from: it pulls the backend's body piece by
//! piece and pushes it on, at the client's pace.

use std::{
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use ghost_upstream::Piece;
use varnish::ffi::{self, VdpAction, vdp_ctx, vrt_ctx};

use crate::{context::Context, exchange::Response, log, task::Task, ways::direct::Reply};

const FAILED: c_int = -1;

struct Processor(ffi::vdp);

// SAFETY: nobody writes to it; the pointers in it are to statics.
unsafe impl Sync for Processor {}

static PROCESSOR: Processor = Processor(ffi::vdp {
    name: c"ghost_direct".as_ptr(),
    init: Some(init),
    bytes: Some(bytes),
    fini: Some(fini),
    priv1: ptr::null(),
});

/// Makes the processor known to a VCL that is loaded.
pub fn register(ctx: *const vrt_ctx) -> bool {
    // SAFETY: `ctx` is that of a VCL's event; the processor is static.
    unsafe { ffi::VRT_AddFilter(ctx, ptr::null(), &raw const PROCESSOR.0).is_null() }
}

pub fn unregister(ctx: *const vrt_ctx) {
    // SAFETY: as for `register`.
    unsafe { ffi::VRT_RemoveFilter(ctx, ptr::null(), &raw const PROCESSOR.0) }
}

/// The answer's body will come from the processor. Varnish asks it only when there is something to deliver.
pub fn begin(context: Context) {
    context.write_body(b".");
    // SAFETY: a request that is being answered; the text is static.
    unsafe {
        if let Some(request) = (*context.raw()).req.as_mut() {
            request.vdp_filter_list = PROCESSOR.0.name;
        }
    }
}

/// Says how long the body is; -1 where nobody knows.
unsafe extern "C" fn init(ctx: *const vrt_ctx, delivery: *mut vdp_ctx, slot: *mut *mut c_void) -> c_int {
    let length = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us with the live context of a request, a delivery and a slot of ours.
        let reply = unsafe { Task::existing(ctx) }?.reply.as_mut()?;
        // SAFETY: as above; the task, and with it the reply, lives in the request's workspace until after `fini`.
        unsafe { *slot = ptr::from_mut(reply).cast() };
        let length = reply.response.as_ref()?.content_length();
        Some(length.and_then(|length| i64::try_from(length).ok()).unwrap_or(-1))
    }));
    let Ok(Some(length)) = length else {
        return FAILED;
    };
    // SAFETY: as above.
    unsafe { *(*delivery).clen = length };
    0
}

/// Called with the byte of `begin`, once.
unsafe extern "C" fn bytes(
    delivery: *mut vdp_ctx,
    _: VdpAction,
    slot: *mut *mut c_void,
    _: *const c_void,
    _: isize,
) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: `init` put the reply there; nobody else has it while it is delivered.
        let reply = unsafe { (*slot).cast::<Reply>().as_mut() };
        // Taken out, so that whatever happens closes the backend's connection at once.
        match reply.and_then(|reply| Some((reply.response.take()?, &*reply))) {
            Some((response, reply)) => pass_on(Delivery(delivery), response, reply),
            None => 0,
        }
    }));
    outcome.unwrap_or(FAILED)
}

unsafe extern "C" fn fini(_: *mut vdp_ctx, slot: *mut *mut c_void) -> c_int {
    // SAFETY: the slot is ours.
    unsafe { *slot = ptr::null_mut() };
    0
}

/// Not 0: the client's connection breaks, as it must where the body is not whole.
fn pass_on(delivery: Delivery, mut response: Response, reply: &Reply) -> c_int {
    reply.client.begin();
    // What the client can have already it should not wait for.
    if !reply.is_ready && !delivery.push(VdpAction::Flush, &[]) {
        return FAILED;
    }
    loop {
        match response.next_piece_for(&reply.client) {
            Err(error) => {
                delivery.log(&error);
                return FAILED;
            }
            Ok(Piece { bytes, is_last: true }) => return if delivery.push(VdpAction::End, bytes) { 0 } else { FAILED },
            Ok(Piece { bytes, .. }) if !delivery.push(VdpAction::Flush, bytes) => return FAILED,
            Ok(_) => {}
        }
    }
}

/// The delivery of a request, as long as its processor is called.
#[derive(Clone, Copy)]
struct Delivery(*mut vdp_ctx);

impl Delivery {
    /// False when the client is gone.
    fn push(self, action: VdpAction, bytes: &[u8]) -> bool {
        let start = if bytes.is_empty() { ptr::null() } else { bytes.as_ptr().cast() };
        let length = isize::try_from(bytes.len()).unwrap_or(0);
        // SAFETY: the delivery is live, and the bytes are until the flush, which every action here is.
        unsafe { ffi::VDP_bytes(self.0, action, start, length) == 0 }
    }

    fn log(self, error: &ghost_upstream::Error) {
        // SAFETY: the delivery is live, and has the log of its request.
        unsafe { log::write((*self.0).vsl, ffi::VslTag::FetchError, &format!("ghost: {error}")) }
    }
}
