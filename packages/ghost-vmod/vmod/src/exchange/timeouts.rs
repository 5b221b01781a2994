//! How long a backend may take: what VCL says of a fetch, and else varnishd's parameters.

use std::{ptr, sync::LazyLock, time::Duration};

use ghost_upstream::Deadlines;
use varnish::ffi::{self, VCL_DURATION, vrt_ctx, vtim_dur};

use crate::varnish_abi::{
    VRT_r_bereq_between_bytes_timeout, VRT_r_bereq_connect_timeout, VRT_r_bereq_first_byte_timeout,
};

/// What "never" is to Varnish would be too much for a clock.
const NEVER: Duration = Duration::from_secs(365 * 24 * 3600);
/// None at all would not even be a try.
const SHORTEST: Duration = Duration::from_millis(1);

/// Of the fetch that a context is about.
///
/// # Safety
/// `ctx` is a live context with a busyobj.
pub unsafe fn of_fetch(ctx: *const vrt_ctx) -> Deadlines {
    // SAFETY: as demanded; the functions read three numbers of the busyobj.
    let [connect, first_byte, between_bytes] = unsafe {
        [VRT_r_bereq_connect_timeout(ctx), VRT_r_bereq_first_byte_timeout(ctx), VRT_r_bereq_between_bytes_timeout(ctx)]
    }
    .map(duration);
    Deadlines { connect, first_byte, between_bytes, total: None }
}

fn duration(VCL_DURATION(vtim_dur(seconds)): VCL_DURATION) -> Duration {
    // VCL may compute what is left of a time, and that nothing is.
    Duration::try_from_secs_f64(seconds.max(0.0)).unwrap_or(NEVER).clamp(SHORTEST, NEVER)
}

/// A fetch of which VCL said nothing, so that what is asked of it are the parameters of the moment. Varnish has no other
/// way to ask for those.
struct Unsaid {
    ctx: vrt_ctx,
}

// SAFETY: nobody writes to it once it is made.
unsafe impl Send for Unsaid {}
unsafe impl Sync for Unsaid {}

static UNSAID: LazyLock<Unsaid> = LazyLock::new(|| {
    const UNSET: vtim_dur = vtim_dur(f64::NAN);
    let fetch = Box::leak(Box::new(ffi::busyobj {
        magic: ffi::BUSYOBJ_MAGIC,
        connect_timeout: UNSET,
        first_byte_timeout: UNSET,
        between_bytes_timeout: UNSET,
        ..Default::default()
    }));
    Unsaid { ctx: vrt_ctx { magic: ffi::VRT_CTX_MAGIC, bo: ptr::from_mut(fetch), ..Default::default() } }
});

/// varnishd's parameters `connect_timeout`, `first_byte_timeout` and `between_bytes_timeout`.
pub fn of_parameters() -> Deadlines {
    // SAFETY: the context has a busyobj, which is all that is looked at.
    unsafe { of_fetch(&raw const UNSAID.ctx) }
}
