//! Endpoints as backends of Varnish's: a director that makes the exchange, with ghost's own client and over the connections
//! that direct passes use too, and one for each endpoint, which stands for the one that answered.
//!
//! ```text
//!  VDI_GetHdr  gethdrs: reach an endpoint (BackendBody, Log), read the head --Answer in htc--> beresp
//!  VFP_Suck    pull: the body, into the object's storage <------------------'
//!  VDI_Finish  finish: what is not read to its end closes its connection
//! ```
//!
//! In place of Varnish's native backends, whose pool hands each connection to a thread that polls.

pub mod attempt;
mod body;
mod gethdrs;
pub mod handover;
mod log;
mod upload;

use std::{
    collections::{HashMap, HashSet},
    ffi::CString,
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::fast::RandomState;
use ghost_core::endpoint::Destination;
use ghost_upstream::end;
use varnish::ffi::{VCL_BACKEND, vdi_methods, vrt_ctx};

use crate::director::{Director, Methods, NO_METHODS};

/// What a backend stands for: an endpoint, as Varnish's log names it. Each exchange writes these texts.
struct Named {
    name: String,
    end: String,
}

impl Named {
    fn new(destination: Destination) -> Self {
        Self { name: destination.address.to_string(), end: end(destination.address) }
    }

    /// Its backend. None while the VCL cools down.
    fn director(self, ctx: *const vrt_ctx) -> Option<Director> {
        let name = CString::new(self.name.as_str()).ok()?;
        Director::new(ctx, &ENDPOINT, &name, self)
    }

    /// # Safety
    /// `director` is one of ours and outlives `'a`.
    unsafe fn of<'a>(director: VCL_BACKEND) -> &'a Self {
        // SAFETY: as demanded; `Named::director` put it there.
        unsafe { &*(*director.0).priv_.cast::<Self>() }
    }
}

/// What a fetch is from once an endpoint has answered it. Nobody asks for `getip` but VCL 4.0, which this Varnish does not
/// load.
static ENDPOINT: Methods<Named> =
    Methods::new(c"ghost endpoint", vdi_methods { finish: Some(gethdrs::finish), ..NO_METHODS });

/// What a fetch is from until then: whichever endpoint will answer.
static EXCHANGE: Methods<()> =
    Methods::new(c"ghost exchange", vdi_methods { gethdrs: Some(gethdrs::gethdrs), ..NO_METHODS });

/// The backends of one VCL: one that makes exchanges, and one for each endpoint, made when it is first needed.
pub struct Backends {
    endpoints: RwLock<HashMap<Destination, Arc<Director>, RandomState>>,
    exchange: Director,
}

impl Backends {
    /// None when Varnish gives no director.
    pub fn new(ctx: *const vrt_ctx) -> Option<Self> {
        Some(Self { endpoints: RwLock::default(), exchange: Director::new(ctx, &EXCHANGE, c"exchange", ())? })
    }

    pub fn exchange(&self) -> VCL_BACKEND {
        self.exchange.raw()
    }

    /// None while the VCL cools down and the endpoint was not used before.
    fn get(&self, ctx: *const vrt_ctx, destination: Destination) -> Option<Arc<Director>> {
        let known = self.endpoints.read().unwrap_or_else(PoisonError::into_inner).get(&destination).cloned();
        known.or_else(|| {
            let made = Arc::new(Named::new(destination).director(ctx)?);
            let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
            Some(Arc::clone(endpoints.entry(destination).or_insert(made)))
        })
    }

    /// Lets go of those that are not listed. Requests on their way to one still get there.
    pub fn retain(&self, listed: impl Fn() -> HashSet<Destination, RandomState>) {
        let mut endpoints = self.endpoints.write().unwrap_or_else(PoisonError::into_inner);
        if !endpoints.is_empty() {
            let listed = listed();
            endpoints.retain(|destination, _| listed.contains(destination));
        }
    }
}
