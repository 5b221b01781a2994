//! Identities made of several texts.

/// Appends each text with its length before it, so that no two different lists give the same identity.
pub fn identity<'a>(parts: impl IntoIterator<Item = &'a [u8]>, identity: &mut Vec<u8>) {
    for part in parts {
        write_decimal(part.len(), identity);
        identity.push(b':');
        identity.extend_from_slice(part);
    }
}

/// Without the detours of `format!`: this runs for every request.
pub(crate) fn write_decimal(number: usize, to: &mut Vec<u8>) {
    let start = to.len();
    let mut rest = number;
    loop {
        to.push(b'0' + u8::try_from(rest % 10).unwrap_or(0));
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    to[start..].reverse();
}
