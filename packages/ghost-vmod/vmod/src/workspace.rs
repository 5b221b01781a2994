//! Room that lives as long as a task.

use std::ffi::c_char;

use varnish::ffi;

/// The parts as one text with a zero byte after it, as everything of Varnish's wants it; None when there is no room.
///
/// # Safety
/// `workspace` is that of a live task, whose thread is the one that is here.
pub unsafe fn copy(workspace: *mut ffi::ws, parts: &[&[u8]]) -> Option<*const c_char> {
    let bytes = u32::try_from(parts.iter().map(|part| part.len()).sum::<usize>()).ok()?;
    // SAFETY: WS_Alloc gives as many bytes as it is asked for, or null.
    unsafe {
        let room = ffi::WS_Alloc(workspace, bytes.checked_add(1)?).cast::<u8>();
        if room.is_null() {
            return None;
        }
        let mut end = room;
        for part in parts {
            end.copy_from_nonoverlapping(part.as_ptr(), part.len());
            end = end.add(part.len());
        }
        end.write(0);
        Some(room.cast())
    }
}
