//! A director of Varnish's: made with what it stands for, shared by counting, destroyed by Varnish.

use std::{
    ffi::CStr,
    marker::PhantomData,
    panic::{AssertUnwindSafe, catch_unwind},
    ptr,
};

use varnish::ffi::{self, VCL_BACKEND, vdi_methods, vrt_ctx};

use crate::{
    context::Context,
    varnish_abi::{NONE, VRT_l_req_backend_hint},
};

/// What those have in common that stand for a `T`.
pub struct Methods<T>(vdi_methods, PhantomData<fn() -> T>);

// SAFETY: nobody writes to it; the pointers in it are to statics.
unsafe impl<T> Sync for Methods<T> {}

/// For what a kind of director does not do.
pub const NO_METHODS: vdi_methods = vdi_methods {
    magic: ffi::VDI_METHODS_MAGIC,
    type_: ptr::null(),
    http1pipe: None,
    healthy: None,
    resolve: None,
    gethdrs: None,
    getip: None,
    finish: None,
    event: None,
    release: None,
    destroy: None,
    panic: None,
    list: None,
};

impl<T> Methods<T> {
    /// `name` is what Varnish calls the kind.
    pub const fn new(name: &'static CStr, methods: vdi_methods) -> Self {
        Self(vdi_methods { type_: name.as_ptr(), destroy: Some(destroy::<T>), ..methods }, PhantomData)
    }

    pub const fn raw(&self) -> *const vdi_methods {
        &raw const self.0
    }
}

/// A counted reference.
pub struct Director(VCL_BACKEND);

// SAFETY: Varnish's directors are made to be shared by threads, and so is what ours stand for.
unsafe impl Send for Director {}
unsafe impl Sync for Director {}

impl Director {
    /// None while the VCL cools down. `what` is the director's `priv_` until Varnish destroys it.
    pub fn new<T: Send + Sync>(
        ctx: *const vrt_ctx,
        methods: &'static Methods<T>,
        name: &CStr,
        what: T,
    ) -> Option<Self> {
        let what = Box::into_raw(Box::new(what));
        // SAFETY: `ctx` is live; `destroy` takes the box back, or we do when there is no director.
        unsafe {
            let made = ffi::VRT_AddDirector(ctx, methods.raw(), what.cast(), c"%s".as_ptr(), name.as_ptr());
            if made.0.is_null() {
                drop(Box::from_raw(what));
                return None;
            }
            Some(Self(made))
        }
    }

    pub fn raw(&self) -> VCL_BACKEND {
        self.0
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

unsafe extern "C" fn destroy<T>(director: VCL_BACKEND) {
    // SAFETY: `Director::new` put the box there, and this is called once.
    let what = unsafe { (*director.0).priv_.cast::<T>() };
    _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(what) })));
}
