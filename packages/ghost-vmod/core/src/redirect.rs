//! Where a redirect leads (HTTPRequestRedirectFilter).

use std::borrow::Cow;

use crate::{
    key::write_decimal,
    request::Request,
    routing::{Redirect, Socket},
};

/// What the scheme, the port and the question mark take.
const ORIGIN_BYTES: usize = 16;

impl Redirect {
    /// The Location of the answer to a request that came in on that socket.
    pub fn location<F>(&self, socket: &Socket, request: &Request<F>) -> Vec<u8> {
        let mut location = self.origin(socket, request);
        let path = self.path.as_ref().map_or(Cow::Borrowed(request.path), |path| Cow::Owned(path.apply(request.path)));
        if location.is_empty() {
            // Without a host the reference is relative; "//x" would name one.
            let slashes = path.iter().take_while(|byte| **byte == b'/').count();
            location.extend_from_slice(&path[slashes.saturating_sub(1)..]);
        } else {
            location.extend_from_slice(&path);
        }
        if let Some(query) = request.query {
            location.push(b'?');
            location.extend_from_slice(query);
        }
        location
    }

    /// Whether it can be said where it leads: without a host only to the origin that was asked.
    pub fn knows_origin(&self, socket: &Socket, host: Option<&[u8]>) -> bool {
        let is_same =
            || self.is_https.unwrap_or(socket.is_https) == socket.is_https && self.port_of(socket) == socket.port;
        host.is_some() || self.hostname.is_some() || is_same()
    }

    /// `http://a.test:8080`; empty when nobody names a host, which only HTTP/1.0 allows.
    fn origin<F>(&self, socket: &Socket, request: &Request<F>) -> Vec<u8> {
        let host = self.hostname.as_ref().map(|name| name.as_bytes()).or(request.host);
        let Some(host) = host else { return Vec::new() };
        let room = host.len() + request.path.len() + request.query.map_or(0, <[u8]>::len) + ORIGIN_BYTES;
        let mut origin = Vec::with_capacity(room);
        let is_https = self.is_https.unwrap_or(socket.is_https);
        origin.extend_from_slice(if is_https { b"https://" } else { b"http://" });
        origin.extend_from_slice(host);
        if let Some(port) = self.port_shown(socket, is_https) {
            origin.push(b':');
            write_decimal(usize::from(port), &mut origin);
        }
        origin
    }

    /// The port, unless it is the scheme's own.
    fn port_shown(&self, socket: &Socket, is_https: bool) -> Option<u16> {
        let port = self.port_of(socket);
        (port != well_known(is_https)).then_some(port)
    }

    /// "If no port is specified: the well-known port of the redirect's scheme where it has one, else the listener's."
    fn port_of(&self, socket: &Socket) -> u16 {
        self.port.unwrap_or_else(|| self.is_https.map_or(socket.port, well_known))
    }
}

fn well_known(is_https: bool) -> u16 {
    if is_https { 443 } else { 80 }
}
