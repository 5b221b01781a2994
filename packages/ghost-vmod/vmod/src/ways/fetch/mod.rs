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
mod gethdrs;
pub mod handover;
mod log;
mod upload;

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    net::SocketAddr,
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::fast::RandomState;
use varnish::ffi::{VCL_BACKEND, vdi_methods, vrt_ctx};

use ghost_upstream::end;

use crate::{
    director::{Director, Methods, NO_METHODS},
    ways::tunnel,
};

/// What a backend stands for.
struct Endpoint {
    address: SocketAddr,
    /// The address as a text, and as Varnish's log names an end; each exchange writes them.
    name: String,
    end: String,
}

impl Endpoint {
    fn new(address: SocketAddr) -> Self {
        Self { address, name: address.to_string(), end: end(address) }
    }

    /// Its backend. None while the VCL cools down.
    fn director(self, ctx: *const vrt_ctx) -> Option<Director> {
        let name = CString::new(self.name.as_str()).ok()?;
        Director::new(ctx, &METHODS, &name, self)
    }

    /// # Safety
    /// `director` is one of ours and outlives `'a`.
    unsafe fn of<'a>(director: VCL_BACKEND) -> &'a Self {
        // SAFETY: as demanded; `Endpoint::director` put it there.
        unsafe { &*(*director.0).priv_.cast::<Self>() }
    }
}

// Nobody asks for `getip` but VCL 4.0, which this Varnish does not load.
static METHODS: Methods<Endpoint> = Methods::new(
    c"ghost endpoint",
    vdi_methods { gethdrs: Some(gethdrs::gethdrs), finish: Some(gethdrs::finish), ..NO_METHODS },
);

/// The backends of one VCL, made when they are first needed, and its way for upgraded connections.
pub struct Pool {
    backends: RwLock<HashMap<SocketAddr, Arc<Director>, RandomState>>,
    tunnel: Director,
}

impl Pool {
    /// None when Varnish gives no director.
    pub fn new(ctx: *const vrt_ctx) -> Option<Self> {
        Some(Self { backends: RwLock::default(), tunnel: tunnel::director(ctx)? })
    }

    /// What a request that is piped goes through.
    pub fn tunnel(&self) -> VCL_BACKEND {
        self.tunnel.raw()
    }

    /// None while the VCL cools down and the endpoint was not used before.
    pub fn get(&self, ctx: *const vrt_ctx, address: SocketAddr) -> Option<Arc<Director>> {
        let known = self.backends.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        known.or_else(|| {
            let made = Arc::new(Endpoint::new(address).director(ctx)?);
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
