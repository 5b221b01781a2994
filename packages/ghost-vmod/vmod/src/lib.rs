//! ghost, the VMOD that routes the requests of a Gateway inside varnishd.
//!
//! ```text
//!  process   state::CURRENT --Plan (routing, endpoint slots)-------------------.
//!                                                                              |
//!  VCL       router -- Tables -- Table: Director a rule --Route{rule}----------+
//!                        '------ Backends: Director an endpoint -- exchange    |
//!                                                                              |
//!  request   req.director_hint = Director --> share, filter, reach -------------'
//! ```
//!
//! Each function that VCL calls is a guarded call of one module; `context` and `message` hold what is unsafe about it.

mod answer;
mod context;
mod count;
mod director;
mod exchange;
mod graveyard;
mod internal;
mod log;
mod message;
mod plan;
mod random;
mod ranges;
mod receive;
mod route;
mod state;
mod subroutine;
mod table;
mod task;
mod varnish_abi;
mod ways;
mod workspace;

use std::{
    cell::RefCell,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::atomic::AtomicBool,
};

use context::Context;
use subroutine::Subroutines;
use table::Tables;
use varnish::vcl::Ctx;

/// Runs what VCL asked for; a panic is logged, gives `otherwise`, and costs one request.
fn guarded<T>(ctx: &Ctx, otherwise: T, work: impl FnOnce(Context) -> T) -> T {
    // SAFETY: Varnish called us with it, and the task outlives the call.
    let context = unsafe { Context::new(&raw const *ctx.raw) };
    catch_unwind(AssertUnwindSafe(|| work(context))).unwrap_or_else(|_| {
        context.log("a bug: panicked");
        otherwise
    })
}

/// The same for a function that VCL calls: only where it belongs.
fn called<T>(ctx: &Ctx, (place, function): (Subroutines, &str), otherwise: T, work: impl FnOnce(Context) -> T) -> T
where
    T: Copy,
{
    guarded(ctx, otherwise, |context| if place.admit(context, function) { work(context) } else { otherwise })
}

/// Panics where a test's request asks for it.
#[cfg(feature = "test-panic")]
pub(crate) fn panic_if_asked(context: Context, place: &str) {
    let request = context.backend_request().or_else(|| context.request());
    assert!(request.and_then(|request| request.value(b"x-test-panic")) != Some(place.as_bytes()), "asked for");
}

#[cfg(not(feature = "test-panic"))]
pub(crate) const fn panic_if_asked(_: Context, _: &str) {}

/// The object that VCL makes once.
#[allow(non_camel_case_types)]
pub struct router {
    tables: Tables,
    passes_directly: AtomicBool,
}

thread_local! {
    static KEY: RefCell<Vec<u8>> = const { RefCell::new(Vec::new()) };
}

/// Routes the requests of a Gateway.
#[allow(clippy::missing_safety_doc, reason = "the macro wants `unsafe` where a VCL type is returned; Varnish calls it")]
#[varnish::vmod]
mod ghost {
    use std::{
        ptr,
        sync::atomic::{AtomicBool, Ordering},
    };

    use ghost_core::key::identity;
    use varnish::{
        ffi::VCL_STRING,
        vcl::{Ctx, Event, VclError},
    };

    use super::{
        KEY, answer, called, guarded, internal, receive, router, state,
        subroutine::{
            BACKEND_FETCH, BACKEND_RESPONSE, DELIVER, HASH, INIT, PASS, PASS_OR_MISS, PIPE, RECV, REQUEST, SYNTH,
            SYNTH_OR_BACKEND_ERROR,
        },
        table::Tables,
        ways::{direct, fetch, upgrade},
    };

    /// The delivery processor of direct passes comes and goes with the VCL.
    #[event]
    pub fn event(ctx: &mut Ctx, event: Event) -> Result<(), VclError> {
        let is_done = guarded(ctx, false, |context| match event {
            Event::Load => direct::register(context.raw()),
            Event::Discard => {
                direct::unregister(context.raw());
                true
            }
            _ => true,
        });
        is_done.then_some(()).ok_or_else(|| VclError::from("ghost: no delivery processor".to_owned()))
    }

    impl router {
        /// One a VCL. Reads the last good configuration when this process has none.
        pub fn new(ctx: &mut Ctx, #[vcl_name] _name: &str) -> Result<Self, VclError> {
            let tables = guarded(ctx, None, |context| {
                state::begin();
                Tables::new(context)
            });
            let tables = tables.ok_or_else(|| VclError::from("ghost: no director".to_owned()))?;
            Ok(router { tables, passes_directly: AtomicBool::new(false) })
        }

        /// vcl_recv: normalises and routes a request, once. Returns a status to refuse with at once, or 0.
        pub fn receive(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (RECV, "receive"), 503, |context| receive::receive(&self.tables, context)).into()
        }

        /// The status of ghost's own answer to this request or attempt; 0 where a backend answers.
        pub fn answer(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (REQUEST, "answer"), 503, receive::answer).into()
        }

        /// The end of vcl_recv: as `answer`; nothing is looked up after it.
        pub fn decide(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (RECV, "decide"), 503, |context| receive::decide(&self.tables, context)).into()
        }

        /// vcl_hash: socket, route, host and target, each with its length; nothing for what is not looked up.
        pub unsafe fn key(&self, ctx: &mut Ctx) -> VCL_STRING {
            called(ctx, (HASH, "key"), VCL_STRING(ptr::null()), |context| {
                KEY.with_borrow_mut(|key| {
                    key.clear();
                    receive::with_identity(&self.tables, context, |parts| identity(parts, key));
                    if key.is_empty() { VCL_STRING(ptr::null()) } else { context.text(key) }
                })
            })
        }

        /// vcl_pass, first: whoever asks the backend asks for the WebSocket that the client asks for.
        pub fn upgrade(&self, ctx: &mut Ctx) {
            called(ctx, (PASS, "upgrade"), (), upgrade::begin);
        }

        /// vcl_pipe, where only user VCL leads: asks the backend as `ask` does. Returns the status to answer with, or 0 where
        /// the backend is the user's own.
        pub fn pipe(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (PIPE, "pipe"), 503, direct::pipe).into()
        }

        /// vcl_init: says that this VCL asks backends directly.
        pub fn pass_directly(&self, ctx: &mut Ctx) {
            called(ctx, (INIT, "pass_directly"), (), |_| self.passes_directly.store(true, Ordering::Relaxed));
        }

        /// vcl_pass: asks the backend in this thread. Returns the status to answer with, or 0 where Varnish has to fetch.
        pub fn ask(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (PASS, "ask"), 503, direct::ask).into()
        }

        /// vcl_synth: fills in the answer of a backend that was asked directly; whether there is one.
        pub fn relay(&self, ctx: &mut Ctx) -> bool {
            let relayed = guarded(ctx, None, |context| Some(SYNTH.admit(context, "relay") && direct::relay(context)));
            // Half of an answer must not look like one.
            relayed.unwrap_or_else(|| guarded(ctx, false, direct::give_up))
        }

        /// vcl_pass and vcl_miss, right before Varnish fetches: its thread need not wake this one before the answer.
        /// Returns a status to answer with, or 0.
        pub fn lend(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (PASS_OR_MISS, "lend"), 503, |context| fetch::handover::lend(&self.tables, context)).into()
        }

        /// vcl_backend_fetch, every attempt: chooses the share, applies the request filters. Returns a status to answer with, or 0.
        pub fn fetch(&self, ctx: &mut Ctx) -> i64 {
            called(ctx, (BACKEND_FETCH, "fetch"), 503, fetch::attempt::fetch).into()
        }

        /// vcl_backend_response: the response filters of the backend that was picked.
        pub fn response(&self, ctx: &mut Ctx) {
            called(ctx, (BACKEND_RESPONSE, "response"), (), fetch::attempt::response);
        }

        /// vcl_deliver: the response filters of the route.
        pub fn deliver(&self, ctx: &mut Ctx) {
            called(ctx, (DELIVER, "deliver"), (), answer::deliver);
        }

        /// vcl_synth and vcl_backend_error: fills in ghost's own answer, leaves others as they are.
        pub fn synth(&self, ctx: &mut Ctx) {
            called(ctx, (SYNTH_OR_BACKEND_ERROR, "synth"), (), answer::synth);
        }

        /// The end of vcl_synth: a body for an answer that nobody filled in.
        pub fn page(&self, ctx: &mut Ctx) {
            called(ctx, (SYNTH, "page"), (), answer::page);
        }

        /// vcl_recv on the internal socket: does what the supervisor asks. Returns the status of the answer.
        pub fn internal(&self, ctx: &mut Ctx) -> i64 {
            let passes_directly = self.passes_directly.load(Ordering::Relaxed);
            called(ctx, (RECV, "internal"), 503, |context| internal::internal(&self.tables, passes_directly, context))
                .into()
        }
    }
}
