//! What ghost remembers of a request: once for the client's side, once for each fetch.

use std::{
    ffi::{c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::{Arc, OnceLock, atomic::AtomicU16},
};

use ghost_core::{Rule, RuleId, attempt::Share, endpoint::Picked};
use ghost_upstream::{Tcp, Upgraded};
use varnish::ffi::{self, vrt_ctx};

use crate::{
    plan::Plan,
    ways::{
        direct::Reply,
        upgrade::{Offer, Offered},
    },
};

/// Lives in the task's workspace and is dropped with the task.
#[derive(Default)]
pub struct Task {
    /// The status of ghost's own answer; 0 where a backend answers.
    pub answer: u16,
    /// At which restart the postamble decided, which looks nothing up: then the key is not wanted.
    pub decided: Option<u32>,
    /// The rule that the request is for.
    pub routed: Option<Routed>,
    /// What this attempt of a fetch sends.
    pub sending: Option<Sending>,
    /// What the backend of a direct pass answers.
    pub reply: Option<Reply>,
    /// Of a client's request: that its fetch may become a WebSocket.
    pub offered: Option<Offered>,
    /// The same, of the fetch.
    pub offer: Option<Arc<Offer>>,
    /// The WebSocket that follows the head of this answer.
    pub tunnel: Option<Upgraded<Tcp>>,
    /// Of a fetch: the client whose own request it is for.
    pub asker: Option<Asker>,
    /// Fields of a large answer, while a message has them.
    pub head: Vec<u8>,
    /// What the fetch tells the client's thread; both have it.
    pub fetched: Option<Arc<Fetched>>,
    /// The body of an internal answer.
    pub body: Option<String>,
}

/// What Varnish does not tell the client's thread of an answer that it fetches.
#[derive(Default)]
pub struct Fetched {
    /// The status of an answer that broke off; 0: none has.
    pub broken: AtomicU16,
    /// What Age the backend sent.
    pub age: OnceLock<Option<Box<[u8]>>>,
}

/// A client that waits for a fetch, as far as a fetch may know: Varnish takes the request from it once it is sent.
#[derive(Clone, Copy)]
pub struct Asker {
    pub knows_interim_answers: bool,
}

/// A rule, and the plan that it stays alive with.
#[derive(Clone)]
pub struct Routed {
    pub plan: Arc<Plan>,
    pub id: RuleId,
}

impl Routed {
    pub fn rule(&self) -> &Rule {
        self.plan.routing.rule(self.id)
    }
}

/// A backend request that the filters have changed.
pub struct Sending {
    pub share: Share,
    /// The target that the filters made, to tell whether user VCL changed it since.
    pub url: *const u8,
    /// The endpoint that answered, until the fetch is over.
    pub picked: Option<Picked>,
}

struct Methods(ffi::vmod_priv_methods);

// SAFETY: nobody writes to it; the pointers in it are to statics.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods(ffi::vmod_priv_methods {
    magic: ffi::VMOD_PRIV_METHODS_MAGIC,
    type_: c"ghost task".as_ptr(),
    fini: Some(finish),
});

unsafe extern "C" fn finish(_: *const vrt_ctx, task: *mut c_void) {
    // SAFETY: `of` put a task there, and this is called once.
    _ = catch_unwind(AssertUnwindSafe(|| unsafe { ptr::drop_in_place(task.cast::<Task>()) }));
}

fn identity() -> *const c_void {
    ptr::from_ref(&METHODS).cast()
}

impl Task {
    /// The task's, made at the first call; None when the workspace is full.
    ///
    /// # Safety
    /// `ctx` is a live context; the reference is not kept over a call of another function here.
    pub unsafe fn of<'a>(ctx: *const vrt_ctx) -> Option<&'a mut Self> {
        unsafe {
            let slot = ffi::VRT_priv_task(ctx, identity()).as_mut()?;
            if slot.priv_.is_null() {
                let bytes = u32::try_from(size_of::<Self>() + align_of::<Self>()).ok()?;
                let room = ffi::WS_Alloc((*ctx).ws, bytes);
                let place = room.byte_add(room.align_offset(align_of::<Self>())).cast::<Self>();
                if room.is_null() {
                    return None;
                }
                place.write(Self::default());
                slot.priv_ = place.cast();
                slot.len = c_int::MAX.into();
                slot.methods = &raw const METHODS.0;
            }
            slot.priv_.cast::<Self>().as_mut()
        }
    }

    /// The task's, if there is one.
    ///
    /// # Safety
    /// As for `of`.
    pub unsafe fn existing<'a>(ctx: *const vrt_ctx) -> Option<&'a mut Self> {
        unsafe { ffi::VRT_priv_task_get(ctx, identity()).as_ref()?.priv_.cast::<Self>().as_mut() }
    }
}
