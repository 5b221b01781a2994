//! What a backend is told of the client: X-Forwarded-For, -Proto and -Host, which only trusted peers may tell.

use std::cell::Cell;

use crate::{filter::EditFields, request::Fields};

pub const FOR: &str = "X-Forwarded-For";
pub const PROTO: &str = "X-Forwarded-Proto";
pub const HOST: &str = "X-Forwarded-Host";

/// Who sent a request, as far as its fields are concerned.
#[derive(Clone, Copy, Debug)]
pub struct Peer<'a> {
    pub address: &'a [u8],
    /// Whether what it says of a client before it is believed.
    pub is_trusted: bool,
    pub is_https: bool,
    /// Whether X-Forwarded-For ends with its address already.
    pub is_appended: bool,
}

/// What can be done with a request besides.
pub trait EditForwarded: Fields + EditFields {
    /// Removes the fields, each `Name: value`, that are meant.
    fn remove_if(&mut self, is_meant: impl Fn(&[u8]) -> bool);
    /// Appends a field.
    fn append(&mut self, name: &'static str, value: &[u8]);
    /// Appends X-Forwarded-Proto.
    fn append_proto(&mut self, is_https: bool) {
        self.append(PROTO, if is_https { b"https" } else { b"http" });
    }
    /// These fields reach the backend, whatever Connection says.
    fn keep(&mut self, is_meant: impl Fn(&[u8]) -> bool);
}

/// Removes what the peer must not say, and says what is so. `host` is Host as the client sent it.
pub fn set(request: &mut impl EditForwarded, peer: Peer, host: Option<&[u8]>) {
    if peer.is_trusted {
        continue_with(request, peer, host);
    } else {
        begin(request, peer, host);
    }
}

/// Nothing that the peer said is believed.
fn begin(request: &mut impl EditForwarded, peer: Peer, host: Option<&[u8]>) {
    let has_ours = Cell::new(false);
    request.remove_if(|field| {
        let is_ours = peer.is_appended && is_address(field, peer.address);
        has_ours.set(has_ours.get() || is_ours);
        !is_ours && kind(field) != Kind::Ordinary
    });
    if !has_ours.get() {
        request.append(FOR, peer.address);
    }
    request.append_proto(peer.is_https);
    if let Some(host) = host {
        request.append(HOST, host);
    }
}

/// What the peer said stays; where it said nothing of the scheme and the host, what it asked for is said.
fn continue_with(request: &mut impl EditForwarded, peer: Peer, host: Option<&[u8]>) {
    request.remove_if(|field| matches!(kind(field), Kind::Gateways | Kind::Unwanted));
    request.keep(|field| kind(field) == Kind::Forwarded);
    if !peer.is_appended {
        request.append(FOR, peer.address);
    }
    if request.first(b"forwarded").is_some() {
        return;
    }
    if request.first(b"x-forwarded-proto").is_none() {
        request.append_proto(peer.is_https);
    }
    if let (Some(host), None) = (host, request.first(b"x-forwarded-host")) {
        request.append(HOST, host);
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Ordinary,
    /// The gateway's own to say.
    Gateways,
    /// Of a client before this one.
    Forwarded,
    /// Nobody's to say: one of those, or of those that frame a message, with an underscore, which many servers take for a
    /// dash; what some take for a Connection field, or for the address of a proxy (CGI's HTTP_PROXY).
    Unwanted,
}

/// Most fields begin with another letter, and no more of them is looked at: this runs for every request.
fn kind(field: &[u8]) -> Kind {
    if !matches!(field.first(), Some(b'c' | b'C' | b'f' | b'F' | b'p' | b'P' | b't' | b'T' | b'x' | b'X')) {
        return Kind::Ordinary;
    }
    let end = field.iter().position(|byte| *byte == b':').unwrap_or(field.len());
    let name = &field[..end];
    let kind = match name.first() {
        Some(b'x' | b'X') if begins(name, b"x-forwarded-") || is(name, b"x-real-ip") => Kind::Forwarded,
        Some(b'x' | b'X') if begins(name, b"x-gateway-") => return Kind::Gateways,
        Some(b'f' | b'F') if is(name, b"forwarded") => Kind::Forwarded,
        Some(b'p' | b'P') if is(name, b"proxy-connection") || is(name, b"proxy") => return Kind::Unwanted,
        Some(b'c' | b'C' | b't' | b'T') if is(name, b"content-length") || is(name, b"transfer-encoding") => {
            Kind::Ordinary
        }
        _ => return Kind::Ordinary,
    };
    if name.contains(&b'_') { Kind::Unwanted } else { kind }
}

/// Whether this is X-Forwarded-For with the address alone, as Varnish makes it of nothing.
fn is_address(field: &[u8], address: &[u8]) -> bool {
    let value = field.strip_prefix(FOR.as_bytes()).and_then(|rest| rest.strip_prefix(b":"));
    value.is_some_and(|value| value.trim_ascii() == address)
}

/// `prefix` is in lower case, with dashes.
fn begins(name: &[u8], prefix: &[u8]) -> bool {
    let same = |(byte, wanted): (&u8, &u8)| byte.eq_ignore_ascii_case(wanted) || (*byte == b'_' && *wanted == b'-');
    name.len() >= prefix.len() && name.iter().zip(prefix).all(same)
}

fn is(name: &[u8], whole: &[u8]) -> bool {
    name.len() == whole.len() && begins(name, whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_known_in_any_spelling() {
        for (name, wanted) in [
            ("X-Forwarded-For", Kind::Forwarded),
            ("x-forwarded-anything", Kind::Forwarded),
            ("FORWARDED", Kind::Forwarded),
            ("X-Real-IP", Kind::Forwarded),
            ("X_Forwarded_For", Kind::Unwanted),
            ("x-forwarded_proto", Kind::Unwanted),
            ("X_Real-IP", Kind::Unwanted),
            ("Content-Length", Kind::Ordinary),
            ("Content_Length", Kind::Unwanted),
            ("transfer-encoding", Kind::Ordinary),
            ("TRANSFER_ENCODING", Kind::Unwanted),
            ("Content_Type", Kind::Ordinary),
            ("Proxy-Connection", Kind::Unwanted),
            ("proxy_connection", Kind::Unwanted),
            ("Proxy", Kind::Unwanted),
            ("Proxy-Authorization", Kind::Ordinary),
            ("X-Gateway-Route", Kind::Gateways),
            ("x_gateway_route", Kind::Gateways),
            ("X-Forwarded", Kind::Ordinary),
            ("X-Real-IPs", Kind::Ordinary),
            ("Forwarded-For", Kind::Ordinary),
            ("X-Gatewa", Kind::Ordinary),
            ("", Kind::Ordinary),
        ] {
            assert_eq!(kind(format!("{name}: a_b").as_bytes()), wanted, "{name}");
        }
    }
}
