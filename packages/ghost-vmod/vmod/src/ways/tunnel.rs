//! A client's connection that becomes a WebSocket: after the head of the answer that says so, both sides' bytes are passed on.
//!
//! Varnish writes an answer by the `deliver` of the request's transport. A request whose answer is 101 gets a transport
//! that is HTTP/1.1's but for this function, which lets Varnish write the head and then keeps the thread, as Varnish's own
//! pipe would. To be read again in each Varnish: struct transport, cnt_transmit, V1D_Deliver.

use std::{
    ffi::{c_int, c_uint},
    os::fd::BorrowedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
    sync::LazyLock,
    time::Duration,
};

use ghost_upstream::{Tcp, Upgraded, tunnel};
use varnish::ffi::{self, req, vrt_ctx};

use crate::{
    context::Context,
    log,
    message::Message,
    panic_if_asked,
    task::Task,
    varnish_abi::{HTTP1_transport, Transport},
};

/// A tunnel in which nothing moves for so long is closed.
const IDLE: Duration = Duration::from_secs(3600);
/// Of Varnish: the answer is delivered.
const DONE: c_uint = 1;

static TRANSPORT: LazyLock<Transport> = LazyLock::new(|| {
    // SAFETY: varnishd made it before it loaded us, and does not change it.
    let mut transport = unsafe { HTTP1_transport };
    transport.deliver = Some(deliver);
    transport
});

/// The answer that is being made is followed by this connection. False where the client's is none of HTTP/1.1.
pub fn begin(context: Context, upgraded: Upgraded<Tcp>) -> bool {
    // SAFETY: the context is that of a client's request, whose thread is the one that is here.
    let request = unsafe { (*context.raw()).req.as_mut() };
    let is_http_1 = |request: &&mut req| ptr::eq(request.transport.cast(), &raw const HTTP1_transport);
    let (Some(request), Some(task)) = (request.filter(is_http_1), context.known_task()) else {
        return false;
    };
    task.tunnel = Some(upgraded);
    request.transport = ptr::from_ref(&*TRANSPORT).cast();
    true
}

/// In place of Varnish's own. What user VCL made of the answer since is none of ours.
unsafe extern "C" fn deliver(request: *mut req, sends_body: c_int) -> c_uint {
    // SAFETY: Varnish calls us with a live request, in its thread.
    let upgraded = catch_unwind(AssertUnwindSafe(|| unsafe { take(request) })).ok().flatten();
    // SAFETY: as above. Without a tunnel this is what would have been called.
    unsafe {
        let of_varnish = HTTP1_transport;
        (*request).transport = (&raw const HTTP1_transport).cast();
        (*request).doclose = match upgraded {
            Some(_) => (&raw const ffi::SC_NULL).cast(),
            // Nobody may take what follows for a WebSocket.
            None => (&raw const ffi::SC_TX_ERROR).cast(),
        };
        let sends_body = if upgraded.is_some() { 0 } else { sends_body };
        let outcome = of_varnish.deliver.map_or(DONE, |deliver| deliver(request, sends_body));
        if let Some(upgraded) = upgraded {
            (*request).doclose = (&raw const ffi::SC_TX_PIPE).cast();
            _ = catch_unwind(AssertUnwindSafe(|| keep(request, upgraded)));
        }
        outcome
    }
}

/// The connection that follows the answer, if the head says so.
///
/// # Safety
/// The request is live, and about to be answered.
unsafe fn take(request: *mut req) -> Option<Upgraded<Tcp>> {
    // SAFETY: as demanded; of the context nothing else is looked at.
    unsafe {
        let http_req = ffi::VCL_HTTP((*request).http);
        let ctx = vrt_ctx { magic: ffi::VRT_CTX_MAGIC, req: request, http_req, ..Default::default() };
        panic_if_asked(Context::new(&raw const ctx), "tunnel");
        let upgraded = Task::existing(&raw const ctx)?.tunnel.take()?;
        let answer = Message::new(ffi::VCL_HTTP((*request).resp)).filter(|answer| answer.status() == 101)?;
        answer.set("Upgrade", b"websocket");
        answer.set("Connection", b"Upgrade");
        (!answer.is_overflowed()).then_some(upgraded)
    }
}

/// # Safety
/// The request is live, and the head of its answer is sent.
unsafe fn keep(request: *mut req, upgraded: Upgraded<Tcp>) {
    // SAFETY: as demanded; the session's connection stays open until the request is over.
    unsafe {
        let Some(session) = (*request).sp.as_ref().filter(|session| session.fd >= 0) else { return };
        let client = BorrowedFd::borrow_raw(session.fd);
        if let Err(error) = tunnel(client, early(request), upgraded, IDLE) {
            log::write((*request).vsl.as_mut_ptr(), ffi::VslTag::Error, &format!("ghost: tunnel: {error}"));
        }
    }
}

/// What the client sent after its request.
///
/// # Safety
/// The request is live as long as `'a`.
unsafe fn early<'a>(request: *mut req) -> &'a [u8] {
    // SAFETY: as demanded; both ends are in the request's workspace.
    unsafe {
        let Some(connection) = (*request).htc.as_ref().filter(|connection| !connection.pipeline_b.is_null()) else {
            return &[];
        };
        let bytes = connection.pipeline_e.offset_from(connection.pipeline_b);
        slice::from_raw_parts(connection.pipeline_b.cast(), usize::try_from(bytes).unwrap_or(0))
    }
}
