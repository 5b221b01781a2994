//! Where a redirect leads (HTTPRequestRedirectFilter).

use crate::{
    request::Request,
    routing::{Redirect, Socket},
};

impl Redirect {
    /// The Location of the answer to a request that came in on that socket.
    pub fn location<F>(&self, socket: &Socket, request: &Request<F>) -> Vec<u8> {
        let mut location = self.origin(socket, request.host);
        let path = self.path.as_ref().map_or_else(|| request.path.to_vec(), |path| path.apply(request.path));
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

    /// `http://a.test:8080`; empty when nobody names a host, which only HTTP/1.0 allows.
    fn origin(&self, socket: &Socket, host: Option<&[u8]>) -> Vec<u8> {
        let Some(host) = self.hostname.as_ref().map(|name| name.as_bytes()).or(host) else { return Vec::new() };
        let is_https = self.is_https.unwrap_or(socket.is_https);
        let mut origin = if is_https { b"https://".to_vec() } else { b"http://".to_vec() };
        origin.extend_from_slice(host);
        if let Some(port) = self.port_shown(socket, is_https) {
            origin.extend_from_slice(format!(":{port}").as_bytes());
        }
        origin
    }

    /// The port, unless it is the scheme's own. "If no port is specified: the well-known port of the redirect's scheme
    /// where it has one, else the listener's."
    fn port_shown(&self, socket: &Socket, is_https: bool) -> Option<u16> {
        let well_known = if is_https { 443 } else { 80 };
        let port = self.port.unwrap_or(if self.is_https.is_some() { well_known } else { socket.port });
        (port != well_known).then_some(port)
    }
}
