//! The answers that are ghost's own, as values: what is not a backend's to say.

use std::borrow::Cow;

use crate::{
    request::Request,
    routing::{Redirect, Socket},
};

/// A status, the fields that belong to it, and a line of plain text.
#[derive(Debug, PartialEq, Eq)]
pub struct OwnAnswer {
    pub status: u16,
    /// Names and values.
    pub fields: Vec<(&'static str, Cow<'static, [u8]>)>,
    /// The connection ends with it.
    pub is_last: bool,
    pub body: &'static [u8],
}

impl OwnAnswer {
    /// After what could not be read as a request nobody knows where the next one begins.
    pub fn of_status(status: u16) -> Self {
        Self { status, fields: Vec::new(), is_last: matches!(status, 400 | 414 | 431), body: body(status) }
    }

    /// To a request that came in on that socket.
    pub fn redirect<F>(redirect: &Redirect, socket: &Socket, request: &Request<F>) -> Self {
        let location = Cow::Owned(redirect.location(socket, request));
        Self {
            status: redirect.status,
            fields: vec![("Location", location)],
            is_last: false,
            body: body(redirect.status),
        }
    }
}

fn body(status: u16) -> &'static [u8] {
    match status {
        301 => b"301 Moved Permanently\n",
        302 => b"302 Found\n",
        303 => b"303 See Other\n",
        307 => b"307 Temporary Redirect\n",
        308 => b"308 Permanent Redirect\n",
        400 => b"400 Bad Request\n",
        404 => b"404 Not Found\n",
        414 => b"414 URI Too Long\n",
        421 => b"421 Misdirected Request\n",
        431 => b"431 Request Header Fields Too Large\n",
        500 => b"500 Internal Server Error\n",
        502 => b"502 Bad Gateway\n",
        503 => b"503 Service Unavailable\n",
        504 => b"504 Gateway Timeout\n",
        _ => b"error\n",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{filter::Field, host::HostIndex};

    struct NoFields;

    #[test]
    fn every_status_says_what_it_is() {
        for status in [301, 302, 303, 307, 308, 400, 404, 414, 421, 431, 500, 502, 503, 504] {
            let body = OwnAnswer::of_status(status).body;
            assert!(body.starts_with(format!("{status} ").as_bytes()) && body.ends_with(b"\n"), "{status}");
        }
    }

    #[test]
    fn what_is_no_request_is_the_last_of_its_connection() {
        for (status, is_last) in [(400, true), (414, true), (431, true), (404, false), (421, false), (503, false)] {
            assert_eq!(OwnAnswer::of_status(status).is_last, is_last, "{status}");
        }
    }

    #[test]
    fn a_redirect_says_where() {
        let (header, listeners) = (Field::of_gateway("X-Gateway-Listener", "http-8080"), HostIndex::default());
        let socket = Socket { name: "http-8080".into(), header, port: 8080, is_https: false, listeners };
        let redirect = Redirect { status: 308, is_https: Some(true), hostname: None, port: None, path: None };
        let request = Request { method: b"GET", host: Some(b"a.test"), path: b"/x", query: None, fields: &NoFields };
        let answer = OwnAnswer::redirect(&redirect, &socket, &request);
        let location = ("Location", Cow::Borrowed(&b"https://a.test/x"[..]));
        assert_eq!((answer.status, answer.fields), (308, vec![location]));
        assert_eq!(answer.body, b"308 Permanent Redirect\n");
    }
}
