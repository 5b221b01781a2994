//! One director a rule: the hint carries the rule from the client's task to the fetch, and Varnish counts the
//! references, so a rule lives as long as its requests.

use std::{
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
};

use varnish::ffi::{self, VCL_BACKEND, vdi_methods, vrt_ctx};

use crate::{
    context::Context,
    director::{Director, Methods, NO_METHODS},
    panic_if_asked,
    task::Routed,
    varnish_abi::NONE,
    ways::fetch::Backends,
};

/// What a director stands for.
pub struct Route {
    /// None: there is no route.
    pub routed: Option<Routed>,
    pub backends: Arc<Backends>,
}

impl Route {
    /// None while the VCL cools down.
    pub fn director(self, ctx: *const vrt_ctx, name: &CStr) -> Option<Director> {
        Director::new(ctx, &METHODS, name, self)
    }

    /// # Safety
    /// `director` is null or one of Varnish's that outlives `'a`.
    pub unsafe fn of<'a>(director: *const ffi::director) -> Option<&'a Self> {
        unsafe {
            let director = director.as_ref()?;
            let is_ours = ptr::eq(director.vdir.as_ref()?.methods, METHODS.raw());
            is_ours.then(|| director.priv_.cast::<Self>().as_ref()).flatten()
        }
    }
}

static METHODS: Methods<Route> = Methods::new(c"ghost", vdi_methods { resolve: Some(resolve), ..NO_METHODS });

/// The one that makes the exchange, where `fetch` has filtered the request. Where it has not, since user VCL rolled the
/// task back, nothing is fetched: what would be sent has lost its filters.
unsafe extern "C" fn resolve(ctx: *const vrt_ctx, director: VCL_BACKEND) -> VCL_BACKEND {
    let exchange = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us with a live context and a director of ours.
        let (context, route) = unsafe { (Context::new(ctx), Route::of(director.0)?) };
        panic_if_asked(context, "resolve");
        context.known_task()?.sending.as_ref()?;
        (!context.is_pipe()).then(|| route.backends.exchange())
    }));
    exchange.ok().flatten().unwrap_or(NONE)
}
