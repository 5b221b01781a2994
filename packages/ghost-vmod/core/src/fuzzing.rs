//! What the fuzz target and its stable stand-in feed: a document, a request, everything that is done with them.

use crate::{
    Action, Compiler, Connection, Document, Verdict,
    endpoint::Endpoints,
    normalise,
    request::{Fields, Request},
};

struct NoFields;

impl Fields for NoFields {
    fn first(&self, _: &[u8]) -> Option<&[u8]> {
        Some(b"a")
    }
}

/// The document, and after zero bytes the socket, the host and the target of a request. Returns the number of rules.
pub fn entry(input: &[u8]) -> Result<usize, String> {
    let mut parts = input.splitn(4, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (document, socket, host, target) = (part(), part(), part(), part());
    let text = |error: crate::document::Refused| error.to_string();
    let document = Document::parse(document).map_err(text)?;
    let (routing, _) = Compiler::default().compile(document.routing).map_err(text)?;
    let mut endpoints = Endpoints::default();
    for wired in document.endpoints.values() {
        endpoints.set(wired)?.pick(0);
    }
    let malformed = |_| "malformed".to_owned();
    let Ok(target) = normalise::target(b"GET", target) else {
        return Ok(routing.rules().len());
    };
    let server_name = normalise::server_name(host);
    let connection = Connection::Client(server_name.as_deref());
    let host = normalise::host(target.authority.unwrap_or(host)).map_err(malformed).ok();
    let (path, query) = (target.path(), target.query());
    let request = Request { method: b"GET", host: host.as_deref(), path, query, fields: &NoFields };
    if let Verdict::Redirect(id, _) = routing.decide(socket, connection, &request)
        && let (Action::Redirect(redirect), Some(socket)) = (&routing.rule(id).action, routing.socket(socket))
    {
        redirect.location(socket, &request);
    }
    Ok(routing.rules().len())
}
