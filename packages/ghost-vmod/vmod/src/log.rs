//! Records in Varnish's log. What each request logs is put together without printf and `fmt`: a timestamp takes Varnish
//! four thousand instructions.

use std::{
    ffi::c_char,
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
    text.push_str(step);
    text.push(':');
    for time in [now, now.saturating_sub(duration(first)), now.saturating_sub(duration(*previous))] {
        push_seconds(&mut text, time);
    }
    *previous = vtim_real(now.as_secs_f64());
    // SAFETY: as demanded.
    unsafe { self::write(log, VslTag::Timestamp, &text) }
}

fn duration(time: vtim_real) -> Duration {
    Duration::try_from_secs_f64(time.0).unwrap_or_default()
}

/// A space, seconds, and six decimals.
fn push_seconds(text: &mut String, time: Duration) {
    let mut digits = itoa::Buffer::new();
    text.push(' ');
    text.push_str(digits.format(time.as_secs()));
    text.push('.');
    // The zeros before a small number come from the million before it.
    text.push_str(&digits.format(1_000_000 + time.subsec_micros())[1..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn seconds_have_six_decimals() {
        let mut text = String::new();
        push_seconds(&mut text, Duration::from_micros(1_700_000_000_000_042));
        push_seconds(&mut text, Duration::from_nanos(999_999_999));
        push_seconds(&mut text, Duration::ZERO);
        assert_eq!(text, " 1700000000.000042 0.999999 0.000000");
    }
}
