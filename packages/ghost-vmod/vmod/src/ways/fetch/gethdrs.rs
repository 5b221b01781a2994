//! One exchange of a fetch: from Varnish's backend request to the head of its backend response.

use std::{
    ffi::{CStr, c_int, c_void},
    marker::PhantomData,
    mem,
    os::fd::RawFd,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{Arc, atomic::Ordering},
};

use ghost_upstream::{Error, Extent, with_request_head};
use varnish::ffi::{self, VCL_BACKEND, VslTag, vrt_ctx};

use crate::{
    context::Context,
    director::Director,
    exchange::{Forwarded, Reached, Response, interim::AnswerFilters, reach, timeouts, waiting::Waiting},
    message::value_of,
    panic_if_asked,
    task::{Asker, Fetched, Task},
    ways::fetch::{
        Named, body,
        log::{self, Log},
        upload::BackendBody,
    },
};

const FAILED: c_int = -1;
const UNAVAILABLE: u16 = 503;
const AHEAD_BYTES: u64 = 1 << 20;

/// A fetch of Varnish's, while its thread is with us.
#[derive(Clone, Copy)]
pub struct Fetch<'a> {
    raw: *mut ffi::busyobj,
    /// None: it is for a part of a page, or nobody knows.
    asker: Option<Asker>,
    pub is_pass: bool,
    task: PhantomData<&'a ()>,
}

impl Fetch<'_> {
    /// # Safety
    /// `ctx` is a context that Varnish calls a backend's method with, and its task outlives `'a`.
    unsafe fn of(ctx: *const vrt_ctx) -> Self {
        // SAFETY: as demanded.
        let (raw, task, context) = unsafe { ((*ctx).bo, Task::existing(ctx), Context::new(ctx)) };
        Self { raw, asker: task.and_then(|task| task.asker), is_pass: context.is_pass(), task: PhantomData }
    }

    pub fn raw(self) -> *mut ffi::busyobj {
        self.raw
    }

    /// A record of the fetch's log.
    pub fn log(self, tag: VslTag, text: &str) {
        // SAFETY: the fetch is live, and its thread is the one that is here.
        unsafe { crate::log::write(self.vsl(), tag, text) }
    }

    pub fn vsl(self) -> *mut ffi::vsl_log {
        // SAFETY: the fetch is live; its log is a part of it.
        unsafe { (*self.raw).vsl.as_mut_ptr() }
    }

    /// In the log: a step is done.
    pub fn timestamp(self, step: &str) {
        // SAFETY: as above; the first time was set when the fetch began.
        unsafe { crate::log::timestamp(self.vsl(), step, (*self.raw).t_first, &mut (*self.raw).t_prev) }
    }

    /// What is counted of the fetch.
    pub fn account(self, count: impl FnOnce(&mut ffi::acct_bereq)) {
        // SAFETY: the fetch is live, and its thread is the one that is here.
        count(unsafe { &mut (*self.raw).acct });
    }

    /// Whoever waits for a pass, as it does until its answer has begun. Of a miss nobody knows who waits for it.
    pub fn client(self) -> Option<Waiting> {
        let may_be_asked = self.asker.is_some_and(|asker| asker.knows_interim_answers);
        // SAFETY: the fetch is live, and holds its session; the thread of a pass's client waits for the object, and its
        // connection stays open meanwhile.
        if self.is_pass { unsafe { Waiting::of((*self.raw).sp, may_be_asked) } } else { None }
    }

    /// The body is read no further ahead than this of the one client that reads it meanwhile, or all of a large one would
    /// be in memory. Varnish's parameter for it would also hold what nobody reads yet: a request's body that is kept, a
    /// synthetic answer, a packed part of a page.
    fn read_little_ahead(self) {
        if self.asker.is_some() && self.is_pass {
            // SAFETY: the fetch is live, and its object is under way; nobody reads of it before the answer begins.
            unsafe {
                if let Some(under_way) = (*self.raw).fetch_objcore.as_ref().and_then(|object| object.boc.as_mut()) {
                    under_way.transit_buffer = AHEAD_BYTES;
                }
            }
        }
    }

    /// Whether VCL wants the request's body changed on its way, which only Varnish's own backends can.
    fn has_filters(self) -> bool {
        // SAFETY: as above.
        unsafe { (*self.raw).vdp_filter_list.as_ref().is_some_and(|first| *first != 0) }
    }

    /// It is from this backend now: the one that `finish` is called with, and that VCL sees as `beresp.backend`.
    fn set_backend(self, backend: VCL_BACKEND) {
        // SAFETY: as above; Varnish takes a reference of its own, and lets go of the one before.
        unsafe { ffi::VRT_Assign_Backend((&raw mut (*self.raw).director_resp).cast(), backend) }
    }

    /// The status that vcl_backend_error begins with.
    fn set_error(self, status: u16) {
        // SAFETY: as above.
        unsafe { (*self.raw).err_code = status }
    }
}

/// What a backend has begun to answer. It hangs on the fetch from `gethdrs` to `finish`.
pub struct Answer {
    pub response: Response,
    /// As the log names the connection.
    pub socket: RawFd,
    /// What the client's thread is told.
    fetched: Option<Arc<Fetched>>,
    fetch: *mut ffi::busyobj,
}

impl Answer {
    /// The one of the connection that Varnish believes to have; None when the fetch is over.
    ///
    /// # Safety
    /// `connection` is null or what `hang_on` made, and nobody else has the answer at the time.
    pub unsafe fn of<'a>(connection: *mut ffi::http_conn) -> Option<&'a mut Self> {
        // SAFETY: as demanded.
        unsafe { connection.as_ref()?.priv_.cast::<Self>().as_mut() }
    }

    /// The thread of the client will know how old the backend said that it is.
    fn tell_age(&self) {
        if let Some(fetched) = &self.fetched {
            let age = self.response.fields().find_map(|(line, _)| value_of(line, b"age"));
            _ = fetched.age.set(age.map(Into::into));
        }
    }

    /// It broke off: who has not begun to pass it on will know why there is none.
    pub fn tell_broken(&self, error: Error) {
        // SAFETY: the fetch is live as long as its answer, and this is its thread.
        unsafe { (*self.fetch).err_code = error.status() };
        if let Some(fetched) = &self.fetched {
            fetched.broken.store(error.status(), Ordering::Release);
        }
    }
}

/// Sends the request, and makes the answer's head the backend response. Not 0: vcl_backend_error.
pub unsafe extern "C" fn gethdrs(ctx: *const vrt_ctx, _: VCL_BACKEND) -> c_int {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us with the live context of a fetch.
        let (context, fetch) = unsafe { (Context::new(ctx), Fetch::of(ctx)) };
        panic_if_asked(context, "gethdrs");
        if fetch.has_filters() {
            fetch.log(VslTag::FetchError, "ghost: bereq.filters are not for endpoints");
            return None;
        }
        let (backend, answer) = exchange(context, fetch)?;
        // SAFETY: the director is ours, and held.
        begin(context, fetch, unsafe { Named::of(backend.raw()) }, answer)
    }));
    match outcome {
        Ok(Some(())) => 0,
        Ok(None) => FAILED,
        Err(_) => {
            // SAFETY: as above.
            unsafe { Context::new(ctx) }.log("a bug: panicked");
            FAILED
        }
    }
}

/// Whichever endpoint answered is the fetch's backend from then on.
fn exchange(context: Context, fetch: Fetch) -> Option<(Arc<Director>, Answer)> {
    let request = context.backend_request()?;
    // Of what VCL wanted sent something may be missing.
    if request.is_overflowed() {
        fetch.log(VslTag::FetchError, "ghost: out of workspace");
        return None;
    }
    let route = context.route()?;
    let sending = context.known_task()?.sending.as_ref()?;
    let forwarded = Forwarded::of(route.routed.as_ref()?, sending.share);
    let asks_for_upgrade = context.known_task()?.offer.is_some();
    let mut body = BackendBody::new(fetch);
    // SAFETY: the context is that of a fetch.
    let deadlines = unsafe { timeouts::of_fetch(context.raw()) };
    let mut log = Log::new(context, fetch, &route.backends, AnswerFilters::of(&forwarded));
    let outcome = with_request_head(|head| {
        head.begin(request.method(), request.url());
        request.fields().for_each(|line| head.line(line));
        if asks_for_upgrade {
            head.upgrade();
        }
        head.end(body.framing());
        reach(&forwarded, head, body.upload(), deadlines, &mut log)
    });
    match outcome {
        Ok(Reached { response, picked, .. }) => {
            let task = context.known_task()?;
            task.sending.as_mut()?.picked = Some(picked);
            let fetched = task.fetched.clone();
            let answer = Answer { response, socket: log.socket(), fetched, fetch: fetch.raw() };
            let backend = log.backend()?;
            fetch.set_backend(backend.raw());
            Some((backend, answer))
        }
        Err(error) => {
            fetch.set_error(error.map_or(UNAVAILABLE, Error::status));
            None
        }
    }
}

/// None when the workspace is full.
fn begin(context: Context, fetch: Fetch, named: &Named, answer: Answer) -> Option<()> {
    let filled = fill(context, &answer.response);
    let Some(connection) = filled.and_then(|()| connection(fetch, &answer.response)) else {
        fetch.log(VslTag::FetchError, "ghost: out of workspace");
        log::ended(fetch, named, &answer, Some(c"RX_OVERFLOW"));
        return None;
    };
    answer.tell_age();
    hang_on(fetch, connection, answer);
    Some(())
}

/// The head of the answer becomes the backend response.
fn fill(context: Context, response: &Response) -> Option<()> {
    let answer = context.backend_response()?;
    answer.set_protocol(if response.is_http_1_1() { c"HTTP/1.1" } else { c"HTTP/1.0" });
    answer.set_status(response.status(), response.reason());
    // SAFETY: the task has them until the fetch is over, or has another answer.
    unsafe { answer.append_lines(response.fields().map(|(line, _)| line), &mut context.task()?.head) }
    if answer.varies_beyond_names() {
        answer.set("Vary", b"*");
    }
    match (response.extent(), response.content_length()) {
        (Extent::Chunked, _) => answer.append_line(b"Transfer-Encoding: chunked"),
        (_, Some(length)) if !matches!(response.status(), 101 | 204) => {
            answer.append("Content-Length", itoa::Buffer::new().format(length).as_bytes());
        }
        _ => {}
    }
    (!answer.is_overflowed()).then_some(())
}

/// A connection of Varnish's own kind to look at, and a processor that pulls the body from it. None when the workspace is
/// full.
fn connection(fetch: Fetch, response: &Response) -> Option<*mut ffi::http_conn> {
    let (body_status, content_length) = match response.extent() {
        Extent::Nothing | Extent::Upgraded | Extent::Length(0) => (&raw const ffi::BS_NONE, 0),
        Extent::Length(length) => (&raw const ffi::BS_LENGTH, isize::try_from(length).ok()?),
        Extent::Chunked => (&raw const ffi::BS_CHUNKED, -1),
        Extent::UntilClosed => (&raw const ffi::BS_EOF, -1),
    };
    fetch.account(|count| count.beresp_hdrbytes += response.head_bytes() as u64);
    // SAFETY: the fetch is live and this is its thread. WS_Alloc gives room that is aligned for any of Varnish's structs,
    // as many bytes as it is asked for, or null; it lives until the workspace is rolled back, before which Varnish calls
    // `finish`.
    unsafe {
        let fetch = fetch.raw();
        let room = ffi::WS_Alloc((*fetch).ws.as_mut_ptr(), u32::try_from(size_of::<ffi::http_conn>()).ok()?);
        let connection = room.cast::<ffi::http_conn>();
        if connection.is_null() {
            return None;
        }
        connection.write(ffi::http_conn {
            magic: ffi::HTTP_CONN_MAGIC,
            doclose: (&raw const ffi::SC_NULL).cast(),
            body_status: body_status.cast(),
            content_length,
            ..Default::default()
        });
        if content_length != 0 {
            body::push((*fetch).vfc, connection)?;
        }
        Some(connection)
    }
}

/// From here on Varnish has the answer, until it calls `finish`.
fn hang_on(fetch: Fetch, connection: *mut ffi::http_conn, answer: Answer) {
    fetch.read_little_ahead();
    // SAFETY: the fetch is live and this is its thread; `connection` was made for it.
    unsafe {
        let fetch = fetch.raw();
        // Each step of a stream wakes the client's thread, and there is nothing to wait for; but the body that a 304
        // confirms is still to be copied. VCL may say otherwise.
        let is_here = answer.response.is_whole() && answer.response.status() != 304;
        (*fetch).set_do_stream(u32::from(!is_here));
        (*connection).priv_ = Box::into_raw(Box::new(answer)).cast::<c_void>();
        (*fetch).htc = connection;
    }
}

/// The fetch is over: its answer is read to the end, or not wanted any more.
pub unsafe extern "C" fn finish(ctx: *const vrt_ctx, director: VCL_BACKEND) {
    _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us once after each `gethdrs` that returned 0, with the same fetch and the backend that was
        // set then; `hang_on` made the connection and the box, and the processor is not called any more.
        let (fetch, named, answer, reason) = unsafe {
            let fetch = Fetch::of(ctx);
            let connection = mem::replace(&mut (*fetch.raw()).htc, ptr::null_mut());
            let answer = mem::replace(&mut (*connection).priv_, ptr::null_mut());
            let reason = (*connection).doclose.as_ref().map(|reason| CStr::from_ptr(reason.name));
            (fetch, Named::of(director), Box::from_raw(answer.cast::<Answer>()), reason)
        };
        log::ended(fetch, named, &answer, reason);
        // SAFETY: as above.
        let task = unsafe { Task::existing(ctx) };
        if let (Some(offer), true) = (task.and_then(|task| task.offer.take()), reason == Some(c"null")) {
            // Before Varnish tells the client's thread that the fetch is done.
            answer.response.into_upgraded().into_iter().for_each(|upgraded| offer.lay(upgraded));
        }
    }));
}
