//! The fetch processor at the bottom: the backend's body, put where Varnish keeps it.

use std::{
    ffi::{CStr, c_int, c_void},
    panic::{AssertUnwindSafe, catch_unwind},
    ptr, slice,
};

use ghost_upstream::Taken;
use varnish::ffi::{self, VfpStatus, vfp_ctx, vfp_entry, vrt_ctx};

use crate::ways::fetch::gethdrs::Answer;

struct Processor(ffi::vfp);

// SAFETY: nobody writes to it; the pointers in it are to statics.
unsafe impl Sync for Processor {}

static PROCESSOR: Processor =
    Processor(ffi::vfp { name: c"ghost".as_ptr(), init: Some(init), pull: Some(pull), fini: None, priv1: ptr::null() });

/// In place of one that is not wanted: Varnish goes past it.
static BYPASS: Processor = Processor(ffi::vfp {
    name: c"ghost_bypass".as_ptr(),
    init: Some(bypass),
    pull: Some(pull),
    fini: None,
    priv1: ptr::null(),
});

/// Under whatever processors VCL asks for. None when the workspace is full.
///
/// # Safety
/// `fetch` is that of a fetch before its processors are opened; `connection` lives as long as it.
pub unsafe fn push(fetch: *mut vfp_ctx, connection: *mut ffi::http_conn) -> Option<()> {
    // SAFETY: as demanded.
    unsafe {
        let entry = ffi::VFP_Push(fetch, &raw const PROCESSOR.0).as_mut()?;
        entry.priv1 = connection.cast();
    }
    Some(())
}

/// A pass hands on what it gets: a body that says it is packed is not tried, and later not unpacked for a client that did
/// not ask for it. What VCL asked for itself stays.
///
/// # Safety
/// The processors of the fetch are being opened, ours first.
unsafe fn skip_trial(fetch: *const vfp_ctx) {
    // SAFETY: as demanded; a fetch holds its object, and the list is the fetch's own.
    unsafe {
        let is_pass =
            (*fetch).oc.as_ref().is_some_and(|object| u32::from(object.flags) & ffi::oc_flags_OC_F_PRIVATE != 0);
        let mut next = if is_pass { (*fetch).vfp.vtqh_first } else { ptr::null_mut() };
        while let Some(entry) = next.as_mut() {
            if CStr::from_ptr((*entry.vfp).name) == c"testgunzip" {
                entry.vfp = &raw const BYPASS.0;
            }
            next = entry.list.vtqe_next;
        }
    }
}

unsafe extern "C" fn bypass(_: *const vrt_ctx, _: *mut vfp_ctx, _: *mut vfp_entry) -> VfpStatus {
    VfpStatus::Null
}

/// VCL may have said by now that the connection shall not be used again.
unsafe extern "C" fn init(_: *const vrt_ctx, fetch: *mut vfp_ctx, entry: *mut vfp_entry) -> VfpStatus {
    // SAFETY: Varnish opens ours first, since it stands at the bottom.
    unsafe { skip_trial(fetch) };
    // SAFETY: Varnish calls us with an entry that `push` made, before `finish`.
    let (connection, answer) = unsafe {
        let connection = (*entry).priv1.cast::<ffi::http_conn>();
        (connection, Answer::of(connection))
    };
    // SAFETY: as above.
    let stays_open = unsafe { ptr::eq((*connection).doclose, (&raw const ffi::SC_NULL).cast()) };
    if let (Some(answer), false) = (answer, stays_open) {
        answer.response.close_after();
    }
    VfpStatus::Ok
}

/// Fills the room, or a part of it.
unsafe extern "C" fn pull(
    fetch: *mut vfp_ctx,
    entry: *mut vfp_entry,
    room: *mut c_void,
    length: *mut isize,
) -> VfpStatus {
    let outcome = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: Varnish calls us with an entry that `push` made, and a room of so many bytes that is ours meanwhile;
        // it came from C, so whatever is in it is a value.
        let (answer, room) = unsafe {
            let bytes = usize::try_from(*length).unwrap_or(0);
            *length = 0;
            (Answer::of((*entry).priv1.cast()), slice::from_raw_parts_mut(room.cast::<u8>(), bytes))
        };
        answer.ok_or("the fetch is over").map_err(str::to_owned).and_then(|answer| {
            let outcome = answer.response.read_into(room);
            outcome.inspect_err(|error| answer.tell_broken(*error)).map_err(|error| error.to_string())
        })
    }));
    match outcome {
        Ok(Ok(Taken { bytes, is_last })) => {
            // SAFETY: as above; no more bytes than there was room for.
            unsafe { *length = isize::try_from(bytes).unwrap_or(0) };
            if is_last { VfpStatus::End } else { VfpStatus::Ok }
        }
        Ok(Err(error)) => fail(fetch, &error),
        Err(_) => fail(fetch, "a bug: panicked"),
    }
}

fn fail(fetch: *mut vfp_ctx, text: &str) -> VfpStatus {
    let bytes = c_int::try_from(text.len()).unwrap_or(0);
    // SAFETY: the fetch is live, and its log copies the text.
    unsafe { ffi::VFP_Error(fetch, c"ghost: %.*s".as_ptr(), bytes, text.as_ptr()) }
}
