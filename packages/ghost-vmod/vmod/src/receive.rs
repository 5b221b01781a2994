//! vcl_recv: what a request is, and where it goes.

use std::{borrow::Cow, sync::Arc};

use ghost_core::{
    Connection, Verdict,
    filter::EditFields,
    forwarded::{self, Peer},
    heads::Excess,
    normalise::{self, Malformed},
    request::Request,
};

use crate::{
    context::Context,
    count::{COUNTS, count},
    exchange::client_chunks,
    message::Message,
    panic_if_asked,
    plan::Plan,
    state,
    table::Tables,
    task::{Routed, Task},
    ways::fetch::handover::take_back,
};

/// Answered when there is no configuration, or no room to work in.
const UNAVAILABLE: u16 = 503;
const MALFORMED: u16 = 400;

const MISDIRECTED: u16 = 421;

/// varnishd has one time for an idle connection and for a request's head. It is started with that of a head, 10 s; who
/// has sent a whole one gets this.
const PATIENCE_SECONDS: u32 = 60;

/// Returns the status to refuse with at once, or 0. A restart keeps the route, unless user VCL rolled the request back.
pub fn receive(tables: &Tables, context: Context) -> u16 {
    // What was lent to a fetch that user VCL prevented.
    take_back(context);
    match context.restarts() {
        0 => {
            if context.is_top() {
                count(&COUNTS.received);
            }
            receive_as(tables, context, Received::AsVarnishBegan)
        }
        _ => receive_again(tables, context).unwrap_or(0),
    }
}

/// As `receive`, for what user VCL rolled back since; None when it did not.
fn receive_again(tables: &Tables, context: Context) -> Option<u16> {
    context.known_task().is_none().then(|| receive_as(tables, context, Received::RolledBack))
}

/// What Varnish did to the request before.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Received {
    /// It appended client.ip to X-Forwarded-For, and itself to Via.
    AsVarnishBegan,
    /// It undid that, too.
    RolledBack,
}

fn receive_as(tables: &Tables, context: Context, received: Received) -> u16 {
    panic_if_asked(context, "receive");
    context.set_patience(PATIENCE_SECONDS);
    // Until there is a hint, Varnish's default holds: the preamble's backend that is none.
    let (Some(request), Some(task)) = (context.request(), context.task()) else { return UNAVAILABLE };
    // What a panic or a full workspace leaves behind.
    *task = Task { answer: UNAVAILABLE, ..Task::default() };
    client_chunks::take_over(context);
    let host = match admitted(context, request) {
        Ok(host) => host,
        Err(status) => {
            tables.nowhere().hint(context);
            count(&COUNTS.malformed);
            task.answer = status;
            // What Varnish had no room for is not asked for.
            request.forgive_overflow();
            return status;
        }
    };
    let answer = route(tables, context, request, host.as_deref(), received);
    if request.is_overflowed() {
        return too_large(tables, context, request);
    }
    if let Some(task) = context.known_task() {
        task.answer = answer;
    }
    if answer == MISDIRECTED { MISDIRECTED } else { 0 }
}

/// Within the limits, but with so much in fields that are copied that there is no room.
fn too_large(tables: &Tables, context: Context, request: Message) -> u16 {
    let status = Excess::Fields.status();
    tables.nowhere().hint(context);
    request.forgive_overflow();
    if let Some(task) = context.known_task() {
        *task = Task { answer: status, ..Task::default() };
    }
    status
}

/// The host's name of a request that is neither too large nor malformed; the error is the status to refuse it with.
fn admitted<'a>(context: Context<'a>, request: Message<'a>) -> Result<Option<Cow<'a, [u8]>>, u16> {
    if let Some(excess) = excess(context) {
        return Err(excess.status());
    }
    normalise(context, request).map_err(|Malformed| MALFORMED)
}

/// What the client itself sent too much of: Varnish has added to the request since.
fn excess(context: Context) -> Option<Excess> {
    let sent = context.original_request().filter(|_| context.is_top())?;
    state::head_limits().excess_of(sent.method(), sent.url(), sent.fields())
}

/// Brings the target into one form, makes the host of an absolute-form target the Host; returns the host's name.
fn normalise<'a>(context: Context<'a>, request: Message<'a>) -> Result<Option<Cow<'a, [u8]>>, Malformed> {
    normalise::method(request.method())?;
    if request.has_overlong_name() || !is_framed_once(request) {
        return Err(Malformed);
    }
    let url = request.url();
    let target = normalise::target(request.method(), url)?;
    if target.text.as_ptr() != url.as_ptr() {
        request.set_url(&target.text);
    }
    if let Some(authority) = target.authority {
        request.set("Host", authority);
    }
    let mut hosts = request.values(b"host");
    match (hosts.next().filter(|host| !host.is_empty()), hosts.next()) {
        (Some(host), None) => normalise::host(host).map(Some),
        // HTTP/1.0 knows no Host; an ESI include has its parent's.
        (None, None) if !request.is_http_1_1() || !context.is_top() => Ok(None),
        _ => Err(Malformed),
    }
}

/// Whether everybody reads the same message: Varnish looks at the first Transfer-Encoding alone, takes one in HTTP/1.0,
/// and the protocol in any case.
fn is_framed_once(request: Message) -> bool {
    let mut encodings = request.values(b"transfer-encoding");
    match request.protocol() {
        b"HTTP/1.1" => encodings.nth(1).is_none(),
        b"HTTP/1.0" => encodings.next().is_none(),
        _ => false,
    }
}

/// Finds the rule, makes its director the request's, and says so in X-Gateway-*.
fn route(tables: &Tables, context: Context, mut request: Message, host: Option<&[u8]>, received: Received) -> u16 {
    let table = tables.newest(context);
    let socket = context.socket();
    let known = table.plan.as_ref().and_then(|plan| plan.routing.socket(socket));
    let is_https = known.is_some_and(|socket| socket.is_https);
    request.sign_via(received == Received::AsVarnishBegan);
    set_forwarded(table.plan.as_deref(), context, request, is_https, received);
    let Some(plan) = &table.plan else {
        tables.nowhere().hint(context);
        count(&COUNTS.unavailable);
        return UNAVAILABLE;
    };
    if let Some(known) = known {
        request.add(&known.header);
    }
    let (path, query) = split(request.url());
    let server_name = context.server_name().and_then(normalise::server_name);
    let connection = if context.is_top() { Connection::Client(server_name.as_deref()) } else { Connection::Inner };
    let asked = Request { method: request.method(), host, path, query, fields: &request };
    let verdict = plan.routing.decide(socket, connection, &asked);
    count_verdict(verdict);
    let Some((id, director)) = verdict.rule().and_then(|id| Some((id, table.director(id)?))) else {
        tables.nowhere().hint(context);
        return verdict.status();
    };
    director.hint(context);
    let header = &plan.routing.rule(id).header;
    request.add(header);
    context.log_route(header.value());
    let Some(task) = context.task() else {
        return UNAVAILABLE;
    };
    task.routed = Some(Routed { plan: Arc::clone(plan), id });
    verdict.status()
}

/// Removes X-Gateway-* and what nobody may say, and has X-Forwarded-* say what is so.
fn set_forwarded(plan: Option<&Plan>, context: Context, mut request: Message, is_https: bool, received: Received) {
    let is_in = |address| plan.is_some_and(|plan| plan.routing.trusted.contain(address));
    let peer = Peer {
        address: context.client(),
        is_trusted: context.client_address().is_some_and(is_in),
        is_https,
        is_appended: received == Received::AsVarnishBegan,
    };
    let host = request.value(b"host").filter(|host| !host.is_empty());
    forwarded::set(&mut request, peer, host);
}

fn count_verdict(verdict: Verdict) {
    count(match verdict {
        Verdict::NoListener | Verdict::NoRoute => &COUNTS.not_found,
        Verdict::Misdirected => &COUNTS.misdirected,
        Verdict::Forward(_) => &COUNTS.forwarded,
        Verdict::Redirect(..) => &COUNTS.redirected,
        Verdict::Hostless(_) => &COUNTS.malformed,
        Verdict::Refuse(_) => &COUNTS.refused,
    });
}

/// The name in Host, as routing compares it.
pub fn host_of(request: Message<'_>) -> Option<Cow<'_, [u8]>> {
    normalise::host(request.value(b"host")?).ok()
}

/// Path and query.
pub fn split(url: &[u8]) -> (&[u8], Option<&[u8]>) {
    let cut = url.iter().position(|byte| *byte == b'?').unwrap_or(url.len());
    (&url[..cut], url.get(cut + 1..))
}

/// The status of ghost's own answer.
pub fn answer(context: Context) -> u16 {
    context.known_task().map_or(0, |task| task.answer)
}

/// The end of vcl_recv: the answer, and after it nothing is looked up. What user VCL rolled back is received again.
pub fn decide(tables: &Tables, context: Context) -> u16 {
    receive_again(tables, context);
    let Some(task) = context.known_task() else { return UNAVAILABLE };
    task.decided = Some(context.restarts());
    task.answer
}

/// Right before Varnish fetches: what user VCL rolled back since it was received is received again. Returns the status of
/// ghost's own answer then, or 0.
pub fn before_fetch(tables: &Tables, context: Context) -> u16 {
    receive_again(tables, context).map_or(0, |_| answer(context))
}

/// The texts that tell this request's answer from others; nothing when it is not looked up. Varnish asks for every
/// request, whatever vcl_recv returned: what user VCL rolled back before it returned is received again.
pub fn with_identity(tables: &Tables, context: Context, use_it: impl FnOnce([&[u8]; 4])) {
    let Some(request) = context.request() else { return };
    if context.known_task().is_some_and(|task| task.decided == Some(context.restarts())) {
        return;
    }
    receive_again(tables, context);
    let host = host_of(request);
    let route = request.value(b"x-gateway-route").unwrap_or_default();
    use_it([context.socket(), route, host.as_deref().unwrap_or_default(), request.url()]);
}
