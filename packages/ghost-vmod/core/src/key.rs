//! Identities made of several texts.

/// Appends each text with its length before it, so that no two different lists give the same identity.
pub fn identity<'a>(parts: impl IntoIterator<Item = &'a [u8]>, identity: &mut Vec<u8>) {
    for part in parts {
        let mut digits = [0; 20];
        let mut rest = part.len();
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
            rest /= 10;
            if rest == 0 {
                break;
            }
        }
        identity.extend_from_slice(&digits[start..]);
        identity.push(b':');
        identity.extend_from_slice(part);
    }
}
