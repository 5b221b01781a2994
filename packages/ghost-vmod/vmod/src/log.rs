//! Records in Varnish's log, formatted here: Varnish's own way takes some thousand instructions for a timestamp.

use std::{
    ffi::c_char,
    fmt::{self, Display, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use varnish::ffi::{self, VslTag, vsl_log, vtim_real};

/// # Safety
/// `log` is null, or a live log that nobody else writes to.
pub unsafe fn write(log: *mut vsl_log, tag: VslTag, text: &str) {
    let start: *const c_char = text.as_ptr().cast();
    // SAFETY: Varnish copies what is between the two ends, or as much as a record may hold.
    unsafe {
        // Of an empty text Varnish would look for the end.
        if !log.is_null() && !text.is_empty() {
            ffi::VSLbt(log, tag, ffi::txt { b: start, e: start.add(text.len()) });
        }
    }
}

/// A step is done: when, how long after the task began, and how long after the step before, as VSLb_ts says it.
///
/// # Safety
/// As for `write`.
pub unsafe fn timestamp(log: *mut vsl_log, step: &str, first: vtim_real, previous: &mut vtim_real) {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let mut text = String::with_capacity(64);
    let since = |then| Seconds(now.saturating_sub(duration(then)));
    // Writing to memory does not fail.
    _ = write!(text, "{step}: {} {} {}", Seconds(now), since(first), since(*previous));
    *previous = vtim_real(now.as_secs_f64());
    // SAFETY: as demanded.
    unsafe { self::write(log, VslTag::Timestamp, &text) }
}

fn duration(time: vtim_real) -> Duration {
    Duration::try_from_secs_f64(time.0).unwrap_or_default()
}

struct Seconds(Duration);

impl Display for Seconds {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        write!(formatter, "{}.{:06}", self.0.as_secs(), self.0.subsec_micros())
    }
}
