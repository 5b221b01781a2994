//! How large the head of a request or of an answer may be.

use serde::Deserialize;

/// What ends a line.
const LINE_END: usize = 2;
/// `HTTP/1.1`, and the two spaces of a request line.
const PROTOCOL: usize = 10;

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
        if method.len() + target.len() + PROTOCOL + LINE_END > self.request_line_bytes {
            return Some(Excess::Line);
        }
        let (count, bytes) = fields.fold((0, 0), |(count, bytes), field| (count + 1, bytes + field.len() + LINE_END));
        (count > self.request_header_fields || bytes > self.request_header_bytes).then_some(Excess::Fields)
    }
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
        assert_eq!(excess(1, &[&[b'x'; 98], &[b'x'; 98]]), None);
        assert_eq!(excess(1, &[&[b'x'; 98], &[b'x'; 99]]), Some(Excess::Fields));
    }

    #[test]
    fn a_field_that_no_version_knows_is_refused() {
        assert!(serde_json::from_str::<HeadLimits>(r#"{"request_line_bytes": 1, "more": 2}"#).is_err());
    }
}
