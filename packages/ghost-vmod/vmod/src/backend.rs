//! The way to an endpoint: Varnish's native backends. Nothing else here knows them, so that another way can replace
//! this one.

use std::{
    collections::{HashMap, HashSet},
    ffi::{CString, c_void},
    net::SocketAddr,
    ptr,
    sync::{Arc, PoisonError, RwLock},
};

use foldhash::fast::RandomState;
use varnish::ffi::{self, VCL_BACKEND, VCL_IP, VCL_PROBE, vrt_ctx, vtim_dur};

use crate::{tunnel::Tunnel, varnish_abi::NONE};

const AF_INET: u16 = 2;
const AF_INET6: u16 = 10;
/// Varnish's own parameter applies.
const DEFAULT: vtim_dur = vtim_dur(-1.0);

/// A backend of one VCL.
pub struct Native(VCL_BACKEND);

// SAFETY: Varnish's backends are made to be shared by threads; ours is a counted reference.
unsafe impl Send for Native {}
unsafe impl Sync for Native {}

impl Native {
    pub fn director(&self) -> VCL_BACKEND {
        self.0
    }

    /// None while the VCL cools down.
    fn new(ctx: *const vrt_ctx, address: SocketAddr) -> Option<Self> {
        // Room for Varnish's struct suckaddr, aligned for it.
        let mut room = [0_u64; 16];
        let suckaddr = VCL_IP(suckaddr(address, &mut room));
        let none = VCL_IP(ptr::null());
        let (ipv4, ipv6) = if address.is_ipv4() { (suckaddr, none) } else { (none, suckaddr) };
        let endpoint = ffi::vrt_endpoint {
            magic: ffi::VRT_ENDPOINT_MAGIC,
            ipv4,
            ipv6,
            uds_path: ptr::null(),
            preamble: ptr::null(),
        };
        let name = CString::new(address.to_string()).ok()?;
        let backend = ffi::vrt_backend {
            magic: ffi::VRT_BACKEND_MAGIC,
            endpoint: &raw const endpoint,
            vcl_name: name.as_ptr(),
            hosthdr: ptr::null(),
            authority: ptr::null(),
            connect_timeout: DEFAULT,
            first_byte_timeout: DEFAULT,
            between_bytes_timeout: DEFAULT,
            backend_wait_timeout: DEFAULT,
            max_connections: 0,
            proxy_header: 0,
            backend_wait_limit: 0,
            probe: VCL_PROBE(ptr::null()),
        };
        // SAFETY: `ctx` is live; everything given is copied.
        let made = unsafe { ffi::VRT_new_backend(ctx, &raw const backend, NONE) };
        (!made.0.is_null()).then_some(Self(made))
    }
}

impl Drop for Native {
    fn drop(&mut self) {
        // Not VRT_delete_backend: that marks it sick first, and requests on their way to it would get 503.
        // SAFETY: the reference is ours.
        unsafe { ffi::VRT_Assign_Backend(&raw mut self.0, NONE) }
    }
}

fn suckaddr(address: SocketAddr, room: &mut [u64; 16]) -> *const ffi::suckaddr {
    let port = address.port().to_be();
    let mut build = |family: u16, octets: &[u8]| {
        let port = (&raw const port).cast::<c_void>();
        let length = u32::try_from(octets.len()).unwrap_or(0);
        // SAFETY: `room` holds more than Varnish's largest address; lengths are those of the family.
        unsafe { ffi::VSA_BuildFAP(room.as_mut_ptr().cast(), family, octets.as_ptr().cast(), length, port, 2) }
    };
    match address {
        SocketAddr::V4(address) => build(AF_INET, &address.ip().octets()),
        SocketAddr::V6(address) => build(AF_INET6, &address.ip().octets()),
    }
}

/// The native backends of one VCL, made when they are first needed, and its way for upgraded connections.
pub struct Pool {
    natives: RwLock<HashMap<SocketAddr, Arc<Native>, RandomState>>,
    tunnel: Tunnel,
}

impl Pool {
    /// None when Varnish gives no director.
    pub fn new(ctx: *const vrt_ctx) -> Option<Self> {
        Some(Self { natives: RwLock::default(), tunnel: Tunnel::new(ctx)? })
    }

    /// What a request that is piped goes through.
    pub fn tunnel(&self) -> VCL_BACKEND {
        self.tunnel.director()
    }

    /// None while the VCL cools down and the endpoint was not used before.
    pub fn get(&self, ctx: *const vrt_ctx, address: SocketAddr) -> Option<Arc<Native>> {
        let known = self.natives.read().unwrap_or_else(PoisonError::into_inner).get(&address).cloned();
        known.or_else(|| {
            let made = Arc::new(Native::new(ctx, address)?);
            let mut natives = self.natives.write().unwrap_or_else(PoisonError::into_inner);
            Some(Arc::clone(natives.entry(address).or_insert(made)))
        })
    }

    /// Lets go of those that are not listed; Varnish's connections to the others are kept.
    pub fn retain(&self, listed: impl Fn() -> HashSet<SocketAddr, RandomState>) {
        let mut natives = self.natives.write().unwrap_or_else(PoisonError::into_inner);
        if !natives.is_empty() {
            let listed = listed();
            natives.retain(|address, _| listed.contains(address));
        }
    }
}
