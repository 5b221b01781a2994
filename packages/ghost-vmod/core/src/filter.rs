//! What is changed in a request on its way to the backend, and in the answer on its way back.

use crate::header_name::{NAME_BYTES, fits, is_token};

/// A header field as it stands in a message.
#[derive(Debug)]
pub struct Field {
    /// `Name: value` and a zero byte, which is how Varnish wants it.
    line: Box<[u8]>,
    name_bytes: usize,
}

impl Field {
    /// The error says why this is no header field.
    pub fn new(name: &str, value: &str) -> Result<Self, String> {
        check_name(name)?;
        if value.bytes().any(|byte| (byte < b' ' && byte != b'\t') || byte == 0x7f) {
            return Err(format!("the value of header {name:?} holds a control character"));
        }
        let line = format!("{name}: {}\0", value.trim_matches([' ', '\t']));
        Ok(Self { line: line.into_bytes().into(), name_bytes: name.len() })
    }

    /// A field of the gateway's own; control characters are left out.
    pub fn of_gateway(name: &str, value: &str) -> Self {
        let value: String = value.chars().filter(|character| !character.is_control()).collect();
        Self { line: format!("{name}: {value}\0").into_bytes().into(), name_bytes: name.len() }
    }

    pub fn name(&self) -> &[u8] {
        &self.line[..self.name_bytes]
    }

    pub fn value(&self) -> &[u8] {
        &self.line[self.name_bytes + 2..self.line.len() - 1]
    }

    /// With the zero byte at its end.
    pub fn line(&self) -> &[u8] {
        &self.line
    }
}

/// Refuses what is no token, and the fields that frame messages or are the gateway's own.
pub fn check_name(name: &str) -> Result<(), String> {
    if !is_token(name.as_bytes()) {
        return Err(format!("{name:?} is no name of a header"));
    }
    if !fits(name.as_bytes()) {
        return Err(format!("the header name {name:?} has more than {NAME_BYTES} characters"));
    }
    let lower = name.to_ascii_lowercase();
    let is_framing = ["connection", "content-length", "transfer-encoding"].contains(&lower.as_str());
    if is_framing || lower.starts_with("x-gateway-") {
        return Err(format!("header {name:?} is not a route's to change"));
    }
    Ok(())
}

/// A message whose header fields can be changed; names are compared without case.
pub trait EditFields {
    fn remove(&mut self, name: &[u8]);
    fn add(&mut self, field: &Field);
}

/// A request whose target can be changed, too.
pub trait EditRequest: EditFields {
    /// Whether it has that very field.
    fn has(&self, field: &Field) -> bool;
    fn target(&self) -> &[u8];
    fn set_target(&mut self, target: Vec<u8>);
}

/// Changes of header fields.
#[derive(Debug, Default)]
pub struct HeaderEdit {
    pub remove: Box<[Box<[u8]>]>,
    pub set: Box<[Field]>,
    pub add: Box<[Field]>,
}

impl HeaderEdit {
    /// Removes, sets, adds, in this order.
    pub fn apply(&self, to: &mut impl EditFields) {
        for name in &self.remove {
            to.remove(name);
        }
        for field in &self.set {
            to.remove(field.name());
            to.add(field);
        }
        for field in &self.add {
            to.add(field);
        }
    }

    /// The names of the fields that it may change.
    pub fn names(&self) -> impl Iterator<Item = &[u8]> {
        let fields = self.set.iter().chain(&self.add).map(Field::name);
        self.remove.iter().map(|name| &**name).chain(fields)
    }
}

/// A new path.
#[derive(Debug)]
pub enum PathRewrite {
    Full(Box<[u8]>),
    /// In place of the matched prefix, which is kept without its trailing slash.
    Prefix {
        matched: Box<[u8]>,
        replacement: Box<[u8]>,
    },
}

impl PathRewrite {
    /// The new path; a path that no longer has the prefix, since user VCL changed it, stays.
    pub fn apply(&self, path: &[u8]) -> Vec<u8> {
        let new = match self {
            Self::Full(value) => value.to_vec(),
            Self::Prefix { matched, replacement } => match path.strip_prefix(&**matched) {
                Some([]) => replacement.to_vec(),
                Some(rest @ [b'/', ..]) => [replacement.strip_suffix(b"/").unwrap_or(replacement), rest].concat(),
                _ => path.to_vec(),
            },
        };
        if new.is_empty() { b"/".to_vec() } else { new }
    }

    /// The same for a target: its query stays.
    pub fn apply_to_target(&self, target: &[u8]) -> Vec<u8> {
        let cut = target.iter().position(|byte| *byte == b'?').unwrap_or(target.len());
        let (path, query) = target.split_at(cut);
        let mut new = self.apply(path);
        new.extend_from_slice(query);
        new
    }
}

/// What the backend is asked for in place of what the client asked for.
#[derive(Debug)]
pub struct UrlRewrite {
    pub host: Option<Field>,
    pub path: Option<PathRewrite>,
}

/// The filters of a rule or of a backend. Most have none, and each request looks: so they are few bytes.
#[derive(Debug, Default)]
pub struct Filters {
    pub request_headers: Option<Box<HeaderEdit>>,
    pub response_headers: Option<Box<HeaderEdit>>,
    pub url_rewrite: Option<Box<UrlRewrite>>,
}

impl Filters {
    pub fn apply_to_request(&self, to: &mut impl EditRequest) {
        if let Some(edit) = &self.request_headers {
            edit.apply(to);
        }
        if let Some(host) = self.url_rewrite.as_ref().and_then(|rewrite| rewrite.host.as_ref()) {
            to.remove(host.name());
            to.add(host);
        }
        if let Some(rewrite) = self.path_rewrite() {
            to.set_target(rewrite.apply_to_target(to.target()));
        }
    }

    pub fn path_rewrite(&self) -> Option<&PathRewrite> {
        self.url_rewrite.as_ref()?.path.as_ref()
    }

    /// The names of the request's fields that may change.
    pub fn request_names(&self) -> impl Iterator<Item = &[u8]> {
        let edited = self.request_headers.iter().flat_map(|edit| edit.names());
        let host = self.url_rewrite.as_ref().and_then(|rewrite| rewrite.host.as_ref());
        edited.chain(host.map(Field::name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn prefix(matched: &str, replacement: &str, target: &str) -> String {
        let matched = matched.trim_end_matches('/').as_bytes().into();
        let rewrite = PathRewrite::Prefix { matched, replacement: replacement.as_bytes().into() };
        String::from_utf8(rewrite.apply_to_target(target.as_bytes())).unwrap()
    }

    /// The table of HTTPPathModifier in the specification.
    #[test]
    fn prefixes_are_replaced_as_the_specification_says() {
        for (path, matched, replacement, new) in [
            ("/foo/bar", "/foo", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo", "/xyz/", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz", "/xyz/bar"),
            ("/foo/bar", "/foo/", "/xyz/", "/xyz/bar"),
            ("/foo", "/foo", "/xyz", "/xyz"),
            ("/foo/", "/foo", "/xyz", "/xyz/"),
            ("/foo/bar", "/foo", "", "/bar"),
            ("/foo/", "/foo", "", "/"),
            ("/foo", "/foo", "", "/"),
            ("/foo/", "/foo", "/", "/"),
            ("/foo", "/foo", "/", "/"),
            ("/foo?a/b", "/foo", "/", "/?a/b"),
            ("/abc", "/", "/new", "/new/abc"),
            ("/else?x", "/foo", "/new", "/else?x"),
        ] {
            assert_eq!(prefix(matched, replacement, path), new, "{path} {matched} {replacement}");
        }
    }

    #[test]
    fn a_full_path_keeps_the_query() {
        let rewrite = PathRewrite::Full(b"/new"[..].into());
        assert_eq!(rewrite.apply_to_target(b"/a/b?c?d"), b"/new?c?d");
        assert_eq!(PathRewrite::Full([].into()).apply(b"/a"), b"/");
    }

    #[test]
    fn a_field_cannot_break_out_of_its_line() {
        for (name, value) in [("a b", "c"), ("", "c"), ("a:", "c"), ("a", "b\r\nc: d"), ("a", "b\0"), ("ä", "b")] {
            assert!(Field::new(name, value).is_err(), "{name:?} {value:?}");
        }
        assert!(Field::new("Content-Length", "1").is_err());
        assert!(Field::new("x-gateway-route", "a/b").is_err());
        let field = Field::new("X-A", " b\tc ").unwrap();
        assert_eq!((field.name(), field.value(), field.line()), (&b"X-A"[..], &b"b\tc"[..], &b"X-A: b\tc\0"[..]));
    }
}
