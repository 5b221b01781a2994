//! A call of VCL's: which messages, which task, which directors it is about.

use std::{
    ffi::{CStr, c_int},
    fmt::Display,
    marker::PhantomData,
    net::IpAddr,
    ptr, slice,
    sync::Arc,
};

use varnish::ffi::{self, vrt_ctx};

use crate::{
    log,
    message::Message,
    route::Route,
    task::{Asker, Fetched, Task},
    varnish_abi::{PP2_TYPE_AUTHORITY, VPX_tlv, VRT_r_local_socket},
    workspace,
};

/// A live `vrt_ctx`; what it hands out lives as long as the task.
#[derive(Clone, Copy)]
pub struct Context<'a> {
    raw: *const vrt_ctx,
    task: PhantomData<&'a ()>,
}

impl<'a> Context<'a> {
    /// # Safety
    /// `raw` is a context that Varnish calls us with, and its task outlives `'a`.
    pub unsafe fn new(raw: *const vrt_ctx) -> Self {
        Self { raw, task: PhantomData }
    }

    pub fn raw(self) -> *const vrt_ctx {
        self.raw
    }

    pub fn request(self) -> Option<Message<'a>> {
        // SAFETY: as `new` demands; the same below.
        unsafe { Message::new((*self.raw).http_req) }
    }

    pub fn response(self) -> Option<Message<'a>> {
        unsafe { Message::new((*self.raw).http_resp) }
    }

    pub fn backend_request(self) -> Option<Message<'a>> {
        unsafe { Message::new((*self.raw).http_bereq) }
    }

    pub fn backend_response(self) -> Option<Message<'a>> {
        unsafe { Message::new((*self.raw).http_beresp) }
    }

    /// The backend request as it was before anything changed it.
    pub fn original_backend_request(self) -> Option<Message<'a>> {
        unsafe { Message::new(ffi::VCL_HTTP((*self.raw).bo.as_ref()?.bereq0)) }
    }

    /// The client's request as it came, before Varnish or VCL changed it.
    pub fn original_request(self) -> Option<Message<'a>> {
        unsafe { Message::new(ffi::VCL_HTTP((*self.raw).req.as_ref()?.http0)) }
    }

    /// The route that a fetch or a pipe is for; None when user VCL chose a backend of its own.
    pub fn route(self) -> Option<&'a Route> {
        unsafe { Route::of((*self.raw).bo.as_ref()?.director_req) }
    }

    /// The route that a client's request is for; None as above.
    pub fn hinted_route(self) -> Option<&'a Route> {
        unsafe { Route::of((*self.raw).req.as_ref()?.director_hint) }
    }

    /// Whose own request a fetch is for, while it has that request; None for a part of a page, or when nobody knows.
    pub fn asker(self) -> Option<Asker> {
        unsafe {
            let Some(request) = (*self.raw).bo.as_ref()?.req.as_ref() else {
                // What names its body's length is no part of a page: those have none.
                let has_length = self.original_backend_request()?.value(b"content-length").is_some();
                return has_length.then_some(Asker { knows_interim_answers: false });
            };
            let knows_interim_answers = Message::new(ffi::VCL_HTTP(request.http))?.is_http_1_1();
            (request.esi_level == 0).then_some(Asker { knows_interim_answers })
        }
    }

    /// Makes what a fetch tells the thread of its client, and gives it to both; None once the fetch has let go of the
    /// request.
    pub fn share_with_client(self) -> Option<Arc<Fetched>> {
        unsafe {
            let request = (*self.raw).bo.as_ref()?.req;
            let of_client = vrt_ctx { magic: ffi::VRT_CTX_MAGIC, req: request, ..Default::default() };
            // As long as the fetch has the request its thread waits.
            let task = if request.is_null() { None } else { Task::existing(&raw const of_client) }?;
            let fetched = Arc::new(Fetched::default());
            task.fetched = Some(Arc::clone(&fetched));
            Some(fetched)
        }
    }

    /// Whether what is delivered was passed, not looked up.
    pub fn delivers_pass(self) -> bool {
        unsafe {
            let object = (*self.raw).req.as_ref().and_then(|request| request.objcore.as_ref());
            object.is_some_and(|object| u32::from(object.flags) & ffi::oc_flags_OC_F_PRIVATE != 0)
        }
    }

    /// Whether a fetch is for one client alone.
    pub fn is_pass(self) -> bool {
        unsafe {
            let object = (*self.raw).bo.as_ref().and_then(|fetch| fetch.fetch_objcore.as_ref());
            object.is_some_and(|object| u32::from(object.flags) & ffi::oc_flags_OC_F_PRIVATE != 0)
        }
    }

    /// The session of the client that a fetch began for.
    pub fn session_of_fetch(self) -> *const ffi::sess {
        unsafe { (*self.raw).bo.as_ref().map_or(ptr::null(), |fetch| fetch.sp.cast_const()) }
    }

    pub fn is_retry(self) -> bool {
        unsafe { (*self.raw).bo.as_ref().is_some_and(|fetch| fetch.retries > 0) }
    }

    /// Whether the request is a client's own, not one for an ESI include.
    pub fn is_top(self) -> bool {
        unsafe { (*self.raw).req.as_ref().is_some_and(|request| request.esi_level == 0) }
    }

    /// The client's connection and what Varnish knows of it; null where there is none.
    pub fn session(self) -> *const ffi::sess {
        unsafe { (*self.raw).sp }
    }

    /// Whether the answer was in the cache.
    pub fn is_hit(self) -> bool {
        unsafe { (*self.raw).req.as_ref().is_some_and(|request| request.is_hit() != 0) }
    }

    /// How often the request began again.
    pub fn restarts(self) -> u32 {
        unsafe { (*self.raw).req.as_ref().map_or(0, |request| request.restarts) }
    }

    /// Whether the client's connection is about to become a pipe: only then there are both sides.
    pub fn is_pipe(self) -> bool {
        unsafe { !(*self.raw).req.is_null() && !(*self.raw).bo.is_null() }
    }

    /// How long the client's connection may be idle, and a body of its pause; once, so that user VCL may change it.
    pub fn set_patience(self, seconds: u32) {
        unsafe {
            let Some(session) = (*self.raw).sp.as_mut().filter(|session| session.timeout_idle.0.is_nan()) else {
                return;
            };
            session.timeout_idle.0 = seconds.into();
            let time = libc::timeval { tv_sec: seconds.into(), tv_usec: 0 };
            let bytes = libc::socklen_t::try_from(size_of_val(&time)).unwrap_or(0);
            libc::setsockopt(session.fd, libc::SOL_SOCKET, libc::SO_RCVTIMEO, (&raw const time).cast(), bytes);
        }
    }

    /// Whether HAProxy stands between the client and us: it comes by a unix socket.
    pub fn is_behind_front(self) -> bool {
        let mut domain: c_int = 0;
        let mut bytes = libc::socklen_t::try_from(size_of_val(&domain)).unwrap_or(0);
        unsafe {
            (*self.raw).sp.as_ref().is_some_and(|session| {
                let place = (&raw mut domain).cast();
                libc::getsockopt(session.fd, libc::SOL_SOCKET, libc::SO_DOMAIN, place, &raw mut bytes) == 0
                    && domain == libc::AF_UNIX
            })
        }
    }

    /// The name of the socket that the request came in on.
    pub fn socket(self) -> &'a [u8] {
        unsafe {
            if (*self.raw).sp.is_null() {
                return &[];
            }
            let name = VRT_r_local_socket(self.raw).0;
            if name.is_null() { &[] } else { CStr::from_ptr(name).to_bytes() }
        }
    }

    /// client.ip as a text, which Varnish made when the connection began.
    pub fn client(self) -> &'a [u8] {
        unsafe {
            if (*self.raw).sp.is_null() {
                return &[];
            }
            let text = ffi::SES_Get_String_Attr((*self.raw).sp, ffi::SessionAttr::ClientIp);
            if text.is_null() { &[] } else { CStr::from_ptr(text).to_bytes() }
        }
    }

    /// client.ip.
    pub fn client_address(self) -> Option<IpAddr> {
        let (mut address, mut octets) = (ptr::null_mut(), ptr::null());
        unsafe {
            if (*self.raw).sp.is_null() || ffi::SES_Get_client_addr((*self.raw).sp, &raw mut address) != 0 {
                return None;
            }
            match ffi::VRT_VSA_GetPtr(self.raw, ffi::VCL_IP(address), &raw mut octets) {
                libc::AF_INET => Some((*octets.cast::<[u8; 4]>()).into()),
                libc::AF_INET6 => Some((*octets.cast::<[u8; 16]>()).into()),
                _ => None,
            }
        }
    }

    /// The server name of the client's TLS handshake, as the PROXY header tells it.
    pub fn server_name(self) -> Option<&'a [u8]> {
        let (mut name, mut bytes) = (ptr::null(), 0);
        unsafe {
            if (*self.raw).req.is_null()
                || VPX_tlv((*self.raw).req, PP2_TYPE_AUTHORITY, &raw mut name, &raw mut bytes) != 0
            {
                return None;
            }
            Some(slice::from_raw_parts(name.cast(), usize::try_from(bytes).unwrap_or(0)))
        }
    }

    /// The task, made when it is not there yet; None when the workspace is full.
    ///
    /// The reference must be gone before this or `known_task` is called again.
    pub fn task(self) -> Option<&'a mut Task> {
        unsafe { Task::of(self.raw) }
    }

    pub fn known_task(self) -> Option<&'a mut Task> {
        unsafe { Task::existing(self.raw) }
    }

    /// Whether somebody wrote something into the body of a synthetic answer.
    pub fn has_body(self) -> bool {
        // VSB_len would be linked from libvarnishapi, which varnishd need not find.
        unsafe { (*self.raw).specific.cast::<ffi::vsb>().as_ref().is_some_and(|body| body.s_len > 0) }
    }

    /// Appends to the body of a synthetic answer.
    pub fn write_body(self, body: &[u8]) {
        let blob = ffi::vrt_blob { type_: 0, len: body.len(), blob: body.as_ptr().cast() };
        unsafe { ffi::VRT_synth_blob(self.raw, ffi::VCL_BLOB(&raw const blob)) }
    }

    /// An error in Varnish's log of this transaction.
    pub fn log(self, text: &str) {
        self.log_text(ffi::VslTag::Error, &format!("ghost: {text}"));
    }

    /// The number that Varnish's log knows the client's request by.
    pub fn transaction(self) -> u64 {
        // Two bits tell clients from backends.
        const NUMBER: u64 = (1 << 62) - 1;
        unsafe { (*self.raw).req.as_ref().map_or(0, |request| (*request.vsl.as_ptr()).wid.vxid & NUMBER) }
    }

    /// In the log of the client's request: which endpoint it went to.
    pub fn log_endpoint(self, name: &str) {
        self.log_text(ffi::VslTag::VclLog, &["endpoint: ", name].concat());
    }

    /// In the log of the client's request: which route it is for. varnishncsa shows fields as the client sent them.
    pub fn log_route(self, name: &[u8]) {
        let name = str::from_utf8(name).unwrap_or_default();
        self.log_text(ffi::VslTag::VclLog, &["route: ", name].concat());
    }

    /// In the log of the client's request: why a backend's answer is none.
    pub fn log_fetch_error(self, error: &impl Display) {
        self.log_text(ffi::VslTag::FetchError, &format!("ghost: {error}"));
    }

    fn log_text(self, tag: ffi::VslTag, text: &str) {
        unsafe { log::write((*self.raw).vsl, tag, text) }
    }

    /// In the log of the client's request: a step is done.
    pub fn timestamp(self, step: &str) {
        unsafe {
            if let Some(request) = (*self.raw).req.as_mut() {
                log::timestamp(request.vsl.as_mut_ptr(), step, request.t_first, &mut request.t_prev);
            }
        }
    }

    /// The text for VCL, in the task's workspace; none when that is full.
    pub fn text(self, text: &[u8]) -> ffi::VCL_STRING {
        // SAFETY: the workspace is the task's.
        ffi::VCL_STRING(unsafe { workspace::copy((*self.raw).ws, &[text]) }.unwrap_or(ptr::null()))
    }

    /// Fails what VCL is doing, which then goes on as Varnish has it for that subroutine.
    pub fn fail(self, reason: &str) {
        let bytes = c_int::try_from(reason.len()).unwrap_or(0);
        unsafe { ffi::VRT_fail(self.raw, c"%.*s".as_ptr(), bytes, reason.as_ptr()) }
    }

    /// The bit of the subroutine that calls, as Varnish numbers them.
    pub fn subroutine(self) -> u32 {
        unsafe { (*self.raw).method }
    }
}
