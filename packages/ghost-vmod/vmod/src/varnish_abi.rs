//! What varnishd exports and the `varnish` crate does not declare.

use varnish::ffi::{VCL_BACKEND, VCL_STRING, vrt_ctx};

unsafe extern "C" {
    pub fn VRT_l_req_backend_hint(ctx: *const vrt_ctx, backend: VCL_BACKEND);
    pub fn VRT_r_local_socket(ctx: *const vrt_ctx) -> VCL_STRING;
}

/// No director.
pub const NONE: VCL_BACKEND = VCL_BACKEND(std::ptr::null());

/// `vrt_ctx.method` in vcl_recv.
pub const VCL_MET_RECV: u32 = 1 << 1;
