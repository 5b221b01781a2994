//! What varnishd exports and the `varnish` crate does not declare.

use std::ffi::{c_char, c_int, c_uint, c_void};

use varnish::ffi::{VCL_BACKEND, VCL_DURATION, VCL_STRING, req, vrt_ctx};

/// How a request is talked about with its client: struct transport of Varnish 7.7.
#[derive(Clone, Copy)]
#[repr(C)]
pub struct Transport {
    magic: c_uint,
    number: u16,
    proto_ident: *const c_char,
    name: *const c_char,
    new_session: *const c_void,
    unwait: *const c_void,
    req_fail: *const c_void,
    req_body: *const c_void,
    pub deliver: Option<unsafe extern "C" fn(*mut req, c_int) -> c_uint>,
    sess_panic: *const c_void,
    req_panic: *const c_void,
    reembark: *const c_void,
    poll: *const c_void,
    minimal_response: *const c_void,
    /// Its place in Varnish's list, which a copy has not.
    list: [*const c_void; 2],
}

// SAFETY: nobody writes to it once it is made; the pointers in it are to functions and static texts.
unsafe impl Send for Transport {}
unsafe impl Sync for Transport {}

unsafe extern "C" {
    pub static HTTP1_transport: Transport;
    pub fn VRT_l_req_backend_hint(ctx: *const vrt_ctx, backend: VCL_BACKEND);
    /// Of the context's fetch, in seconds: what VCL says, else varnishd's parameter.
    pub fn VRT_r_bereq_connect_timeout(ctx: *const vrt_ctx) -> VCL_DURATION;
    pub fn VRT_r_bereq_first_byte_timeout(ctx: *const vrt_ctx) -> VCL_DURATION;
    pub fn VRT_r_bereq_between_bytes_timeout(ctx: *const vrt_ctx) -> VCL_DURATION;
    /// The delivery processors as Varnish would choose them.
    pub fn VRT_r_resp_filters(ctx: *const vrt_ctx) -> VCL_STRING;
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
