//! What varnishd exports and the `varnish` crate does not declare.

use std::ffi::{c_int, c_void};

use varnish::ffi::{VCL_BACKEND, VCL_DURATION, VCL_STRING, req, vrt_ctx};

unsafe extern "C" {
    pub fn VRT_l_req_backend_hint(ctx: *const vrt_ctx, backend: VCL_BACKEND);
    /// Of the context's fetch, in seconds: what VCL says, else varnishd's parameter.
    pub fn VRT_r_bereq_connect_timeout(ctx: *const vrt_ctx) -> VCL_DURATION;
    pub fn VRT_r_bereq_first_byte_timeout(ctx: *const vrt_ctx) -> VCL_DURATION;
    pub fn VRT_r_bereq_between_bytes_timeout(ctx: *const vrt_ctx) -> VCL_DURATION;
    pub fn VRT_r_local_socket(ctx: *const vrt_ctx) -> VCL_STRING;
    /// Finds what a PROXY v2 header says besides addresses; 0: found.
    pub fn VPX_tlv(request: *const req, kind: c_int, value: *mut *const c_void, bytes: *mut c_int) -> c_int;
}

/// No director.
pub const NONE: VCL_BACKEND = VCL_BACKEND(std::ptr::null());

/// The server name, in a PROXY v2 header.
pub const PP2_TYPE_AUTHORITY: c_int = 2;

/// `http.hdf`: Connection names this field.
pub const HDF_FILTER: u8 = 1;
