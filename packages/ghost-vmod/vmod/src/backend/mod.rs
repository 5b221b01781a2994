//! An endpoint as a backend of Varnish's: a director whose exchanges are made by ghost's own client, over the
//! connections that direct passes use too.
//!
//! ```text
//!  VDI_GetHdr  gethdrs: send (Upload, Log), read the head --Answer in htc--> beresp
//!  VFP_Suck    pull: the body, into the object's storage <------------------'
//!  VDI_Finish  finish: what is not read to its end closes its connection
//! ```
//!
//! In place of Varnish's native backends, whose pool hands each connection to a thread that polls.

mod body;
mod fetch;
mod log;
mod upload;

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    net::SocketAddr,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::fast::RandomState;
use varnish::ffi::{self, VCL_BACKEND, vrt_ctx};

use crate::{tunnel::Tunnel, varnish_abi::NONE};

/// What a backend's director stands for.
struct Endpoint {
    address: SocketAddr,
}

impl Endpoint {
    /// # Safety
    /// `director` is one of ours and outlives `'a`.
    unsafe fn of<'a>(director: VCL_BACKEND) -> &'a Self {
        // SAFETY: as demanded; `Backend::new` put it there.
        unsafe { &*(*director.0).priv_.cast::<Self>() }
    }
}

/// A backend of one VCL; a counted reference.
pub struct Backend(VCL_BACKEND);

// SAFETY: Varnish's directors are made to be shared by threads, and an `Endpoint` is never written to.
unsafe impl Send for Backend {}
unsafe impl Sync for Backend {}

impl Backend {
    pub fn director(&self) -> VCL_BACKEND {
        self.0
    }

    /// None while the VCL cools down.
    fn new(ctx: *const vrt_ctx, address: SocketAddr) -> Option<Self> {
        let name = CString::new(address.to_string()).ok()?;
        let endpoint = Box::into_raw(Box::new(Endpoint { address }));
        // SAFETY: `ctx` is live; `destroy` takes the box back, or we do when there is no director.
        unsafe {
            let (methods, name) = (&raw const METHODS.0, name.as_ptr());
            let made = ffi::VRT_AddDirector(ctx, methods, endpoint.cast(), c"%s".as_ptr(), name);
            if made.0.is_null() {
                drop(Box::from_raw(endpoint));
                return None;
            }
            Some(Self(made))
        }
    }
}

impl Drop for Backend {
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
    type_: c"ghost endpoint".as_ptr(),
    http1pipe: None,
    healthy: None,
    resolve: None,
    gethdrs: Some(fetch::gethdrs),
    // Only VCL 4.0 asks, which this Varnish does not load.
    getip: None,
    finish: Some(fetch::finish),
    event: None,
    release: None,
    destroy: Some(destroy),
    panic: None,
    list: None,
});

unsafe extern "C" fn destroy(director: VCL_BACKEND) {
    // SAFETY: `new` put the box there, and this is called once.
    let endpoint = unsafe { (*director.0).priv_.cast::<Endpoint>() };
    _ = catch_unwind(AssertUnwindSafe(|| drop(unsafe { Box::from_raw(endpoint) })));
}

/// The backends of one VCL, made when they are first needed, and its way for upgraded connections.
pub struct Pool {
    backends: RwLock<HashMap<SocketAddr, Arc<Backend>, RandomState>>,
    tunnel: Tunnel,
}

impl Pool {
    /// None when Varnish gives no director.
    pub fn new(ctx: *const vrt_ctx) -> Option<Self> {
        Some(Self { backends: RwLock::default(), tunnel: Tunnel::new(ctx)? })
    }

    /// What a request that is piped goes through.
    pub fn tunnel(&self) -> VCL_BACKEND {
        self.tunnel.director()
    }

    /// None while the VCL cools down and the endpoint was not used before.
    pub fn get(&self, ctx: *const vrt_ctx, address: SocketAddr) -> Option<Arc<Backend>> {
        let known = self.backends.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        known.or_else(|| {
            let made = Arc::new(Backend::new(ctx, address)?);
            let mut backends = self.backends.write().unwrap_or_else(PoisonError::into_inner);
            Some(Arc::clone(backends.entry(address).or_insert(made)))
        })
    }

    /// Lets go of those that are not listed. Requests on their way to one still get there.
    pub fn retain(&self, listed: impl Fn() -> HashSet<SocketAddr, RandomState>) {
        let mut backends = self.backends.write().unwrap_or_else(PoisonError::into_inner);
        if !backends.is_empty() {
            let listed = listed();
            backends.retain(|address, _| listed.contains(address));
        }
    }
}
