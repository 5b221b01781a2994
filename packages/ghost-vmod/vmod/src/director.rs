//! One director a rule: the hint carries the rule from the client's task to the fetch, and Varnish counts the
//! references, so a rule lives as long as its requests.

use std::{
    ffi::CStr,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
    sync::Arc,
};

use varnish::ffi::{self, VCL_BACKEND, vrt_ctx};

use crate::{
    backend::Pool,
    context::Context,
    panic_if_asked,
    task::Routed,
    varnish_abi::{NONE, VRT_l_req_backend_hint},
};

/// What a director stands for.
pub struct Route {
    /// None: there is no route.
    pub routed: Option<Routed>,
    pub pool: Arc<Pool>,
}

impl Route {
    /// # Safety
    /// `director` is null or one of Varnish's that outlives `'a`.
    pub unsafe fn of<'a>(director: *const ffi::director) -> Option<&'a Self> {
        unsafe {
            let director = director.as_ref()?;
            let is_ours = ptr::eq(director.vdir.as_ref()?.methods, &raw const METHODS.0);
            is_ours.then(|| director.priv_.cast::<Self>().as_ref()).flatten()
        }
    }
}

/// A counted reference.
pub struct Director(VCL_BACKEND);

// SAFETY: Varnish's directors are made to be shared by threads.
unsafe impl Send for Director {}
unsafe impl Sync for Director {}

impl Director {
    /// None while the VCL cools down.
    pub fn new(ctx: *const vrt_ctx, name: &CStr, route: Route) -> Option<Self> {
        let route = Box::into_raw(Box::new(route));
        // SAFETY: `ctx` is live; `destroy` takes the box back, or we do when there is no director.
        unsafe {
            let made = ffi::VRT_AddDirector(ctx, &raw const METHODS.0, route.cast(), c"%s".as_ptr(), name.as_ptr());
            if made.0.is_null() {
                drop(Box::from_raw(route));
                return None;
            }
            Some(Self(made))
        }
    }

    /// Makes it the request's; Varnish takes a reference of its own.
    pub fn hint(&self, context: Context) {
        // SAFETY: the context is that of vcl_recv.
        unsafe { VRT_l_req_backend_hint(context.raw(), self.0) }
    }
}

impl Drop for Director {
    fn drop(&mut self) {
        // SAFETY: the reference is ours.
        unsafe { ffi::VRT_Assign_Backend(&raw mut self.0, NONE) }
    }
}

struct Methods(ffi::vdi_methods);

// SAFETY: nobody writes to it; the pointers in it are to statics.
unsafe impl Sync for Methods {}

static METHODS: Methods = Methods(ffi::vdi_methods {
    magic: ffi::VDI_METHODS_MAGIC,
    type_: c"ghost".as_ptr(),
    http1pipe: None,
    healthy: None,
    resolve: Some(resolve),
    gethdrs: None,
    getip: None,
    finish: None,
    event: None,
    release: None,
    destroy: Some(destroy),
    panic: None,
    list: None,
});

/// The backend that `fetch` or `pipe` picked. Without one, since user VCL rolled the task back, nothing is fetched:
/// what would be sent has lost its filters.
unsafe extern "C" fn resolve(ctx: *const vrt_ctx, director: VCL_BACKEND) -> VCL_BACKEND {
    let picked = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us with a live context and a director of ours.
        let (context, route) = unsafe { (Context::new(ctx), Route::of(director.0)?) };
        panic_if_asked(context, "resolve");
        let picked = context.known_task()?.picked.as_ref()?;
        Some(if context.is_pipe() { route.pool.tunnel() } else { picked.backend.director() })
    }));
    picked.ok().flatten().unwrap_or(NONE)
}

unsafe extern "C" fn destroy(director: VCL_BACKEND) {
    // SAFETY: `new` put the box there, and this is called once.
    let route = unsafe { (*director.0).priv_.cast::<Route>() };
    _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(route) })));
}
