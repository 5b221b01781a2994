//! The target and the Host of a request, brought into the one form that is matched, keyed and sent.
//!
//! Whatever is refused here is answered with 400. Nothing is copied where nothing changes.
//!
//! The form of a path is that of RFC 3986, 6.2.2, and the paths of rules have it, too: two spellings of one path are one.

use std::{borrow::Cow, net::Ipv6Addr};

use crate::{header_name::is_token, query::escape};

/// The longest name of a host (RFC 1035).
const HOST_BYTES: usize = 255;

/// A target or a Host that no honest client sends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed;

/// A request target in origin-form (or `*`).
#[derive(Debug, PartialEq, Eq)]
pub struct Target<'a> {
    /// Path and query.
    pub text: Cow<'a, [u8]>,
    path_bytes: usize,
    /// The host of an absolute-form target, which takes the place of the Host field (RFC 9112, 3.2.2).
    pub authority: Option<&'a [u8]>,
}

impl Target<'_> {
    pub fn path(&self) -> &[u8] {
        &self.text[..self.path_bytes]
    }

    pub fn query(&self) -> Option<&[u8]> {
        self.text.get(self.path_bytes + 1..)
    }
}

/// A method is a token. CONNECT asks for a tunnel, of which there are none, and PRI begins HTTP/2: what follows either
/// is not read alike by everybody.
pub fn method(raw: &[u8]) -> Result<(), Malformed> {
    if is_token(raw) && raw != b"CONNECT" && raw != b"PRI" { Ok(()) } else { Err(Malformed) }
}

/// Unreserved characters of the path lose their escapes, the digits of other escapes become upper-case, dot segments are
/// resolved; `//`, `%2F` and `;` stay; the query is nobody's business.
pub fn target<'a>(method: &[u8], raw: &'a [u8]) -> Result<Target<'a>, Malformed> {
    if raw == b"*" && method == b"OPTIONS" {
        return Ok(Target { text: Cow::Borrowed(raw), path_bytes: 1, authority: None });
    }
    let (authority, rest) = split_absolute(raw);
    if !rest.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'#') {
        return Err(Malformed);
    }
    let cut = rest.iter().position(|byte| *byte == b'?').unwrap_or(rest.len());
    let (path, query) = rest.split_at(cut);
    if path.first() != Some(&b'/') && !(path.is_empty() && authority.is_some()) {
        return Err(Malformed);
    }
    let path = if path.is_empty() { Cow::Borrowed(&b"/"[..]) } else { resolve(path)? };
    let path_bytes = path.len();
    let text = match path {
        Cow::Borrowed(path) if path.len() == cut => Cow::Borrowed(rest),
        path => Cow::Owned([&path, query].concat()),
    };
    Ok(Target { text, path_bytes, authority })
}

/// `http://a.test/x` -> `a.test` and `/x`.
fn split_absolute(raw: &[u8]) -> (Option<&[u8]>, &[u8]) {
    let has = |scheme: &[u8]| raw.get(..scheme.len()).is_some_and(|start| start.eq_ignore_ascii_case(scheme));
    let start = match () {
        () if has(b"http://") => 7,
        () if has(b"https://") => 8,
        () => return (None, raw),
    };
    let after = &raw[start..];
    let end = after.iter().position(|byte| matches!(byte, b'/' | b'?' | b'#')).unwrap_or(after.len());
    (Some(&after[..end]), &after[end..])
}

/// Refuses escapes that are none, the zero byte, and the backslash, which many a backend takes for a slash.
fn resolve(path: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    if path.contains(&b'\\') {
        return Err(Malformed);
    }
    let path = unescape(path).ok_or(Malformed)?;
    let has_dots = path.windows(2).any(|pair| pair == b"/.");
    Ok(if has_dots { Cow::Owned(without_dots(&path)) } else { path })
}

/// The escapes of a path in their normal form: of unreserved characters there are none, and the digits of others are in
/// upper case. None where one stands for no byte, or for the zero byte.
pub fn unescape(path: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !path.contains(&b'%') {
        return Some(Cow::Borrowed(path));
    }
    let mut normal = Vec::with_capacity(path.len());
    let mut rest = path;
    while let [byte, after @ ..] = rest {
        rest = after;
        if *byte != b'%' {
            normal.push(*byte);
            continue;
        }
        match escape(after)? {
            0 => return None,
            escaped if is_unreserved(escaped) => normal.push(escaped),
            _ => normal.extend([b'%', after[0].to_ascii_uppercase(), after[1].to_ascii_uppercase()]),
        }
        rest = &after[2..];
    }
    Some(Cow::Owned(normal))
}

/// RFC 3986, 2.3.
fn is_unreserved(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_' | b'~')
}

/// RFC 3986, 5.2.4: nothing is above the root, and a dot segment at the end leaves its slash.
fn without_dots(path: &[u8]) -> Vec<u8> {
    let mut resolved: Vec<u8> = Vec::with_capacity(path.len());
    let mut segments = path.split(|byte| *byte == b'/').skip(1).peekable();
    while let Some(segment) = segments.next() {
        match segment {
            b"." => {}
            b".." => {
                let parent = resolved.iter().rposition(|byte| *byte == b'/').unwrap_or(0);
                resolved.truncate(parent);
            }
            _ => {
                resolved.push(b'/');
                resolved.extend_from_slice(segment);
                continue;
            }
        }
        if segments.peek().is_none() {
            resolved.push(b'/');
        }
    }
    resolved
}

/// The name in a Host field: lower-case, without port and trailing dot; an IPv6 literal keeps its brackets.
pub fn host(raw: &[u8]) -> Result<Cow<'_, [u8]>, Malformed> {
    let end = if raw.first() == Some(&b'[') { literal_end(raw)? } else { name_end(raw)? };
    let (name, port) = raw.split_at(end);
    let is_port = match port {
        [] | [b':'] => true,
        [b':', digits @ ..] => digits.iter().all(u8::is_ascii_digit) && is_port(digits),
        _ => false,
    };
    let name = name.strip_suffix(b".").unwrap_or(name);
    if !is_port || name.is_empty() || name.len() > HOST_BYTES {
        return Err(Malformed);
    }
    Ok(lower(name))
}

fn is_port(digits: &[u8]) -> bool {
    str::from_utf8(digits).is_ok_and(|digits| digits.parse::<u16>().is_ok())
}

/// Where a name of labels, none of them empty, ends; there may be one more dot.
fn name_end(raw: &[u8]) -> Result<usize, Malformed> {
    let mut before = b'.';
    for (place, byte) in raw.iter().enumerate() {
        match byte {
            b':' => return Ok(place),
            b'.' if before == b'.' => return Err(Malformed),
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => before = *byte,
            _ => return Err(Malformed),
        }
    }
    Ok(raw.len())
}

fn literal_end(raw: &[u8]) -> Result<usize, Malformed> {
    let end = raw.iter().position(|byte| *byte == b']').ok_or(Malformed)?;
    let inside = str::from_utf8(&raw[1..end]).map_err(|_| Malformed)?;
    inside.parse::<Ipv6Addr>().map(|_| end + 1).map_err(|_| Malformed)
}

/// The server name of a TLS handshake, as listeners know it; an empty one is none.
pub fn server_name(raw: &[u8]) -> Option<Cow<'_, [u8]>> {
    let name = raw.strip_suffix(b".").unwrap_or(raw);
    (!name.is_empty()).then(|| lower(name))
}

fn lower(name: &[u8]) -> Cow<'_, [u8]> {
    if name.iter().any(u8::is_ascii_uppercase) { Cow::Owned(name.to_ascii_lowercase()) } else { Cow::Borrowed(name) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn path(raw: &str) -> Result<String, Malformed> {
        target(b"GET", raw.as_bytes()).map(|target| String::from_utf8_lossy(&target.text).into_owned())
    }

    fn name(raw: &str) -> Result<String, Malformed> {
        host(raw.as_bytes()).map(|name| String::from_utf8_lossy(&name).into_owned())
    }

    #[test]
    fn dot_segments_are_resolved_in_any_encoding() {
        for (raw, resolved) in [
            ("/", "/"),
            ("/a/b?c", "/a/b?c"),
            ("/x/../admin/./users", "/admin/users"),
            ("/x/%2e%2E/admin", "/admin"),
            ("/x/.%2e/admin", "/admin"),
            ("/../../admin", "/admin"),
            ("/x/admin/..", "/x/"),
            ("/x/admin/.", "/x/admin/"),
            ("/..", "/"),
            ("/a//../b", "/a/b"),
            ("/x?y=/../z", "/x?y=/../z"),
            ("/x/./?y=/../z", "/x/?y=/../z"),
            ("/%2e", "/"),
            ("/x/%2e%2e?%2e", "/?%2e"),
        ] {
            assert_eq!(path(raw).as_deref(), Ok(resolved), "{raw}");
        }
    }

    #[test]
    fn what_is_no_dot_segment_stays() {
        for raw in ["//admin", "/x%2F..%2Fadmin", "/.../x", "/..x", "/.well-known", "/a;b=../c", "/%252e%252e/x"] {
            assert_eq!(path(raw).as_deref(), Ok(raw));
        }
    }

    #[test]
    fn unreserved_characters_are_not_escaped_and_other_escapes_are_in_upper_case() {
        for (raw, normal) in [
            ("/%61dmin", "/admin"),
            ("/%41%5a%30%39%2d%2E%5f%7e", "/AZ09-._~"),
            ("/%c3%a4", "/%C3%A4"),
            ("/%2f%3b%3a%40%21%20%5c", "/%2F%3B%3A%40%21%20%5C"),
            ("/%2561", "/%2561"),
            ("/%25%361", "/%2561"),
            ("/%2e%2e%2e/%2ex", "/.../.x"),
            ("/a%7eb?c=%7e%c3", "/a~b?c=%7e%c3"),
            ("http://a.test/%61?%61", "/a?%61"),
        ] {
            assert_eq!(path(raw).as_deref(), Ok(normal), "{raw}");
        }
    }

    #[test]
    fn nothing_is_copied_where_nothing_changes() {
        let found = target(b"GET", b"/a/b%20c/..d?e").unwrap();
        assert!(matches!(found.text, Cow::Borrowed(_)) || found.path().contains(&b'.'));
        assert!(matches!(target(b"GET", b"/a/b?c").unwrap().text, Cow::Borrowed(_)));
        assert!(matches!(host(b"a.test:80").unwrap(), Cow::Borrowed(_)));
    }

    #[test]
    fn malformed_targets_are_refused() {
        for raw in [
            "",
            "x",
            "*",
            "/%00",
            "/%0",
            "/%",
            "/%zz",
            "/a b",
            "/a#b",
            "a.test:443",
            "ftp://a/",
            "/\x01",
            "/\x7f",
            "/\\admin",
            "/ä",
            "/a?ä",
            "/a%2\u{0}",
        ] {
            assert_eq!(path(raw), Err(Malformed), "{raw}");
        }
        assert_eq!(path("/a?b\\c").as_deref(), Ok("/a?b\\c"));
    }

    #[test]
    fn methods_are_tokens_and_make_no_tunnel() {
        for raw in ["GET", "get", "M-SEARCH", "!#$%&'*+-.^_`|~09", "connect", "CONNECTS"] {
            assert_eq!(method(raw.as_bytes()), Ok(()), "{raw}");
        }
        for raw in ["", "CONNECT", "PRI", "G T", "G(T", "G{T", "G:T", "G@T", "\"GET\"", "GÉT", "G/T"] {
            assert_eq!(method(raw.as_bytes()), Err(Malformed), "{raw}");
        }
    }

    #[test]
    fn the_asterisk_is_for_options() {
        assert_eq!(target(b"OPTIONS", b"*").unwrap().path(), b"*");
    }

    #[test]
    fn absolute_form_becomes_origin_form() {
        for (raw, origin, authority) in [
            ("http://b.test/x?y", "/x?y", "b.test"),
            ("HTTPS://b.test:1", "/", "b.test:1"),
            ("http://b.test?x", "/?x", "b.test"),
            ("http://b.test/a/../b", "/b", "b.test"),
        ] {
            let found = target(b"GET", raw.as_bytes()).unwrap();
            assert_eq!((&*found.text, found.authority), (origin.as_bytes(), Some(authority.as_bytes())), "{raw}");
        }
    }

    #[test]
    fn path_and_query_are_told_apart() {
        let found = target(b"GET", b"/a?b?c").unwrap();
        assert_eq!((found.path(), found.query()), (&b"/a"[..], Some(&b"b?c"[..])));
        assert_eq!(target(b"GET", b"/a").unwrap().query(), None);
        assert_eq!(target(b"GET", b"/a?").unwrap().query(), Some(&b""[..]));
    }

    #[test]
    fn hosts_lose_case_port_and_trailing_dot() {
        for (raw, bare) in [
            ("A.Test", "a.test"),
            ("a.test.:8080", "a.test"),
            ("a.test:", "a.test"),
            ("[::1]:8080", "[::1]"),
            ("[FE80::1]", "[fe80::1]"),
            ("10.0.0.1:1", "10.0.0.1"),
            ("a.test:65535", "a.test"),
            ("[::ffff:10.0.0.1]:1", "[::ffff:10.0.0.1]"),
        ] {
            assert_eq!(name(raw).as_deref(), Ok(bare), "{raw}");
        }
    }

    #[test]
    fn server_names_lose_case_and_trailing_dot() {
        for (raw, bare) in [("A.Test", "a.test"), ("a.test.", "a.test"), ("a b:1", "a b:1"), ("", ""), (".", "")] {
            let found = server_name(raw.as_bytes());
            assert_eq!(found.as_deref(), (!bare.is_empty()).then_some(bare.as_bytes()), "{raw}");
        }
    }

    #[test]
    fn malformed_hosts_are_refused() {
        let long = "a".repeat(256);
        for raw in [
            "",
            ".",
            "..",
            ".a",
            "a..",
            "a..b",
            ":80",
            "a:b",
            "a:65536",
            "a:123456",
            "a:1:2",
            "[::1",
            "[]",
            "[::1]x",
            "[:]",
            "[1:2]",
            "[:::]",
            "[10.0.0.1]",
            "[::1%25eth0]",
            "[v1.a]",
            "[::1].",
            "a/b",
            "a b",
            "u@a",
            "a,b",
            "a%62",
            &long,
        ] {
            assert_eq!(name(raw), Err(Malformed), "{raw}");
        }
    }
}
