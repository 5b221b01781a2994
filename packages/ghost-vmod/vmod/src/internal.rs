//! What only the supervisor may ask, on the internal socket.

use std::{collections::BTreeMap, sync::atomic::Ordering};

use serde::Serialize;
use serde_json::json;

use crate::{
    context::Context,
    count::{COUNTS, Counts},
    exchange::upstreams,
    state::{self, IS_DRAINING, Summary},
    table::Tables,
};

/// The socket that only the supervisor can open.
const SOCKET: &[u8] = b"ghost";

#[derive(Serialize)]
struct Status<'a> {
    #[serde(flatten)]
    summary: &'a Summary,
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'a str>,
    is_draining: bool,
    /// Whether the VCL in use asks backends in the client's thread.
    passes_directly: bool,
    requests: &'a Counts,
    /// The connections to endpoints.
    upstream: BTreeMap<&'static str, u64>,
}

/// Does what is asked and keeps the body for vcl_synth; returns the status.
pub fn internal(tables: &Tables, passes_directly: bool, context: Context) -> u16 {
    // User VCL can call this for any socket's request.
    let Some(request) = context.request().filter(|_| context.socket() == SOCKET) else {
        return 503;
    };
    let (method, path) = (request.method(), request.url());
    let (status, body) = match (path, method) {
        (b"/.varnish-ghost/reload", b"POST") => reload(tables, context),
        (b"/.varnish-ghost/status", b"GET") => (200, status(passes_directly)),
        (b"/.varnish-ghost/drain", b"POST") => {
            IS_DRAINING.store(true, Ordering::Relaxed);
            (200, status(passes_directly))
        }
        (b"/.varnish-ghost/reload" | b"/.varnish-ghost/status" | b"/.varnish-ghost/drain", _) => {
            (405, error("another method is wanted here"))
        }
        _ => (404, error("there is no such thing")),
    };
    let Some(task) = context.task() else {
        return 503;
    };
    task.body = Some(body + "\n");
    status
}

fn reload(tables: &Tables, context: Context) -> (u16, String) {
    match state::reload() {
        Ok(summary) => {
            tables.follow(context);
            (200, serde_json::to_string(&summary).unwrap_or_default())
        }
        Err(reason) => (422, error(&reason)),
    }
}

fn status(passes_directly: bool) -> String {
    let current = state::current();
    let is_draining = IS_DRAINING.load(Ordering::Relaxed);
    let error = current.error.as_deref();
    let status = Status {
        summary: &current.summary,
        error,
        is_draining,
        passes_directly,
        requests: &COUNTS,
        upstream: upstreams::counters(),
    };
    serde_json::to_string(&status).unwrap_or_default()
}

fn error(reason: &str) -> String {
    json!({ "error": reason }).to_string()
}
