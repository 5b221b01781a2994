//! Identities made of several texts.

/// Each text with its length before it, so that no two different lists give the same identity.
pub fn identity<'a>(parts: impl IntoIterator<Item = &'a [u8]>, mut write: impl FnMut(&[u8])) {
    for part in parts {
        let length = u32::try_from(part.len()).unwrap_or(u32::MAX);
        write(&length.to_le_bytes());
        write(part);
    }
}
