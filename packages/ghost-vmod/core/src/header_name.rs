//! The name of a header field in the form that Varnish's functions want.

/// The longest name of a header field that Varnish can look for: with its colon it is counted in a signed byte.
pub const NAME_BYTES: usize = 126;

/// `hdr_t`: the length of the name with its colon, the name, the colon, and a zero byte. The length is a `char`, which has a
/// sign: a name that is longer than one can count makes varnishd panic, so there is no other way to such a form than this.
#[derive(Debug)]
pub struct HeaderName([u8; NAME_BYTES + 3]);

impl HeaderName {
    /// None for what is no name, or too long for Varnish.
    pub fn new(name: &[u8]) -> Option<Self> {
        let length = i8::try_from(name.len() + 1).ok().filter(|length| *length > 1)?;
        if name.contains(&0) {
            return None;
        }
        let mut form = [0; NAME_BYTES + 3];
        form[0] = length.to_ne_bytes()[0];
        form[1..=name.len()].copy_from_slice(name);
        form[name.len() + 1] = b':';
        Some(Self(form))
    }

    /// The whole form.
    pub fn form(&self) -> &[u8] {
        &self.0
    }
}

/// RFC 9110, 5.6.2.
pub fn is_token(text: &[u8]) -> bool {
    let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    !text.is_empty() && text.iter().all(is_part)
}

/// Whether Varnish can look for a field of that name.
pub fn fits(name: &[u8]) -> bool {
    name.len() <= NAME_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_as_long_as_a_signed_byte_can_count() {
        for (bytes, is_name) in
            [(0, false), (1, true), (126, true), (127, false), (128, false), (253, false), (254, false)]
        {
            assert_eq!(HeaderName::new(&vec![b'x'; bytes]).is_some(), is_name, "{bytes}");
        }
        assert!(HeaderName::new(b"a\0b").is_none());
    }

    #[test]
    fn the_form_ends_with_a_colon_and_a_zero_byte() {
        let longest = HeaderName::new(&[b'x'; NAME_BYTES]).unwrap();
        assert_eq!((longest.0[0], longest.0[NAME_BYTES], &longest.0[NAME_BYTES + 1..]), (127, b'x', &b":\0"[..]));
        assert_eq!(HeaderName::new(b"Via").unwrap().0[..6], *b"\x04Via:\0");
    }
}
