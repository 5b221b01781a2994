//! How large the head of a request or of an answer may be.

use serde::Deserialize;

/// What a request line has beside method and target.
const REST_OF_LINE: usize = "  HTTP/1.1\r\n".len();
/// What a field has beside its name and value. More blanks do not count: HAProxy, and HTTP/2, have none.
const REST_OF_FIELD: usize = ": \r\n".len();

/// As the supervisor says; bytes are those of lines with their ends. The defaults are those of pod.json.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub struct HeadLimits {
    pub request_line_bytes: usize,
    pub request_header_bytes: usize,
    pub request_header_fields: usize,
    pub response_header_bytes: usize,
    pub response_header_fields: usize,
}

impl Default for HeadLimits {
    fn default() -> Self {
        Self {
            request_line_bytes: 8 << 10,
            request_header_bytes: 32 << 10,
            request_header_fields: 64,
            response_header_bytes: 64 << 10,
            response_header_fields: 128,
        }
    }
}

/// What of a request is more than it may have.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Excess {
    Line,
    Fields,
}

impl Excess {
    /// RFC 9110, 15.5.15; RFC 6585, 5.
    pub fn status(self) -> u16 {
        match self {
            Self::Line => 414,
            Self::Fields => 431,
        }
    }
}

impl HeadLimits {
    /// Judges a request by its line and its fields, none of them with its end.
    pub fn excess_of<'a>(
        &self,
        method: &[u8],
        target: &[u8],
        fields: impl Iterator<Item = &'a [u8]>,
    ) -> Option<Excess> {
        if method.len() + target.len() + REST_OF_LINE > self.request_line_bytes {
            return Some(Excess::Line);
        }
        let (count, bytes) = fields.fold((0, 0), |(count, bytes), field| (count + 1, bytes + bytes_of(field)));
        (count > self.request_header_fields || bytes > self.request_header_bytes).then_some(Excess::Fields)
    }
}

fn bytes_of(field: &[u8]) -> usize {
    let name = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
    let value = field.get(name + 1..).unwrap_or_default();
    name + value.trim_ascii().len() + REST_OF_FIELD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn excess(target: usize, fields: &[&[u8]]) -> Option<Excess> {
        let limits = HeadLimits {
            request_line_bytes: 100,
            request_header_bytes: 200,
            request_header_fields: 3,
            ..HeadLimits::default()
        };
        limits.excess_of(b"GET", &vec![b'/'; target], fields.iter().copied())
    }

    #[test]
    fn a_line_counts_with_its_method_protocol_and_end() {
        // GET /... HTTP/1.1, CR, LF
        assert_eq!(excess(85, &[]), None);
        assert_eq!(excess(86, &[]), Some(Excess::Line));
        assert_eq!(Excess::Line.status(), 414);
    }

    #[test]
    fn fields_are_counted() {
        assert_eq!(excess(1, &[b"a: b".as_slice(); 3]), None);
        assert_eq!(excess(1, &[b"a: b".as_slice(); 4]), Some(Excess::Fields));
        assert_eq!(Excess::Fields.status(), 431);
    }

    #[test]
    fn the_bytes_of_fields_count_with_their_ends() {
        let field = |bytes: usize| [b"x: ".as_slice(), &vec![b'y'; bytes - 5]].concat();
        assert_eq!(excess(1, &[&field(100)[..], &field(100)[..]]), None);
        assert_eq!(excess(1, &[&field(100)[..], &field(101)[..]]), Some(Excess::Fields));
    }

    #[test]
    fn blanks_around_a_value_do_not_count() {
        let fields = [b"x:y".as_slice(), b"x:  \t y \t"];
        assert_eq!(fields.map(bytes_of), [6, 6]);
    }

    #[test]
    fn a_field_that_no_version_knows_is_refused() {
        assert!(serde_json::from_str::<HeadLimits>(r#"{"request_line_bytes": 1, "more": 2}"#).is_err());
    }
}
