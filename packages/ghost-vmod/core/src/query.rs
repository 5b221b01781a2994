//! Query parameters as forms and browsers write them: `name=value` joined by `&`, percent-encoded, `+` for a space.
//!
//! The specification leaves decoding open. Names and values are decoded before they are compared, since a client may
//! encode any byte without meaning another one; an escape that is none stands for itself.

use std::borrow::Cow;

/// The first value of that name; a name without `=` has an empty value.
pub fn first<'a>(query: Option<&'a [u8]>, name: &[u8]) -> Option<Cow<'a, [u8]>> {
    query?.split(|byte| *byte == b'&').find_map(|pair| {
        let cut = pair.iter().position(|byte| *byte == b'=').unwrap_or(pair.len());
        let value = pair.get(cut + 1..).unwrap_or_default();
        (*decode(&pair[..cut]) == *name && !pair.is_empty()).then(|| decode(value))
    })
}

fn decode(text: &[u8]) -> Cow<'_, [u8]> {
    if !text.iter().any(|byte| matches!(byte, b'%' | b'+')) {
        return Cow::Borrowed(text);
    }
    let mut decoded = Vec::with_capacity(text.len());
    let mut rest = text;
    while let [byte, after @ ..] = rest {
        rest = after;
        decoded.push(match (byte, escape(after)) {
            (b'%', Some(escaped)) => {
                rest = &after[2..];
                escaped
            }
            (b'+', _) => b' ',
            _ => *byte,
        });
    }
    Cow::Owned(decoded)
}

/// The byte that two hexadecimal digits at the beginning stand for.
pub(crate) fn escape(text: &[u8]) -> Option<u8> {
    let digit = |place: usize| text.get(place).and_then(|byte| char::from(*byte).to_digit(16));
    u8::try_from(digit(0)? << 4 | digit(1)?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(query: &str, name: &str) -> Option<String> {
        first(Some(query.as_bytes()), name.as_bytes()).map(|value| String::from_utf8_lossy(&value).into_owned())
    }

    #[test]
    fn the_first_value_of_a_name_counts() {
        assert_eq!(value("a=1&b=2&a=3", "a").as_deref(), Some("1"));
        assert_eq!(value("a=1&b=2&a=3", "b").as_deref(), Some("2"));
        assert_eq!(value("a=1", "A"), None);
        assert_eq!(value("aa=1&ab", "a"), None);
    }

    #[test]
    fn a_value_may_be_empty_or_hold_an_equals_sign() {
        assert_eq!(value("x&a", "a").as_deref(), Some(""));
        assert_eq!(value("a=b=c", "a").as_deref(), Some("b=c"));
        assert_eq!(value("&&", ""), None);
        assert_eq!(first(None, b"a"), None);
    }

    #[test]
    fn names_and_values_are_decoded() {
        assert_eq!(value("%61=b%20c+d", "a").as_deref(), Some("b c d"));
        assert_eq!(value("a=100%&b=%zz%4", "a").as_deref(), Some("100%"));
        assert_eq!(value("a=100%&b=%zz%4", "b").as_deref(), Some("%zz%4"));
    }
}
