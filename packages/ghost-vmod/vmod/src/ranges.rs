//! Ranges of what Varnish keeps.
//!
//! Varnish has one switch for both halves of its ranges. One half cuts them out of objects. The other judges what a backend
//! says of a range, passes included, and fails whatever it does not know: several ranges, units other than bytes, an
//! unknown length. So the switch is off (`http_range_support`), backends have the last word of their ranges, and the half
//! that cuts is asked for here.

use varnish::ffi;

use crate::{context::Context, message::Message, varnish_abi::VRT_r_resp_filters};

/// vcl_deliver of what was looked up: says that there are ranges, and cuts out the one that is asked for.
pub fn offer(context: Context, answer: Message) {
    let Some(request) = context.request().filter(|_| answer.status() == 200) else {
        return;
    };
    answer.set("Accept-Ranges", b"bytes");
    if request.value(b"range").is_some() {
        cut(context);
    }
}

fn cut(context: Context) {
    // SAFETY: a request that is delivered; the list lives in its workspace.
    unsafe {
        let list = VRT_r_resp_filters(context.raw());
        let known = if list.0.is_null() { c"" } else { std::ffi::CStr::from_ptr(list.0) }.to_bytes();
        if known.ends_with(b"range") {
            return;
        }
        let ffi::VCL_STRING(list) = context.text(&[known, b" range"].concat());
        if let Some(request) = (*context.raw()).req.as_mut().filter(|_| !list.is_null()) {
            request.vdp_filter_list = list;
        }
    }
}
