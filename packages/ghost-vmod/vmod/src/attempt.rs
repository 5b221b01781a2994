//! vcl_backend_fetch and vcl_pipe: one attempt to reach a backend.

use std::sync::Arc;

use ghost_core::{
    Action, Rule,
    endpoint::{Endpoint, InFlight},
    filter::{EditFields, Filters},
    routing::Forward,
};

use crate::{
    context::Context,
    count::{COUNTS, count},
    message::Message,
    panic_if_asked, random,
    route::Route,
    state,
    task::{Picked, Routed},
    ways::fetch::{Pool, handover},
};

const NOT_FOUND: u16 = 404;
const INVALID: u16 = 500;
const UNAVAILABLE: u16 = 503;

/// Returns the status to answer with in place of a backend, or 0.
pub fn fetch(context: Context) -> u16 {
    handover::take_back(context);
    // A backend of the user's own choice is none of our business.
    let Some(route) = context.route() else {
        return 0;
    };
    panic_if_asked(context, "fetch");
    let status = match forward(route) {
        Ok(forward) => attempt(context, &forward, &route.pool),
        Err(status) => status,
    };
    match context.task() {
        Some(task) => {
            task.answer = status;
            task.routed.clone_from(&route.routed);
            task.asker = task.asker.or(context.asker());
            status
        }
        None => UNAVAILABLE,
    }
}

/// A rule that hands its requests to backends.
pub struct Forwarded<'a> {
    routed: &'a Routed,
    pub to: &'a Forward,
}

impl Forwarded<'_> {
    pub fn rule(&self) -> &Rule {
        self.routed.rule()
    }
}

/// What a route does with its requests; the error is the status of the answer that is not a backend's.
pub fn forward(route: &Route) -> Result<Forwarded<'_>, u16> {
    match &route.routed {
        Some(routed) => match &routed.rule().action {
            Action::Refuse => Err(INVALID),
            Action::Redirect(redirect) => Err(redirect.status),
            Action::Forward(to) => Ok(Forwarded { routed, to }),
        },
        None if state::plan().is_some() => Err(NOT_FOUND),
        None => Err(UNAVAILABLE),
    }
}

fn attempt(context: Context, forward: &Forwarded, pool: &Arc<Pool>) -> u16 {
    if context.is_retry() {
        undo_filters(context);
    }
    match pick(context, forward, pool) {
        Ok(picked) => send(context, forward, picked),
        Err(status) => status,
    }
}

/// A share by its weight, then an endpoint of its service.
pub fn choose(forward: &Forwarded) -> Result<(usize, Arc<Endpoint>), u16> {
    let place = forward.to.weights.pick(random::next());
    let chosen = place.and_then(|place| Some((place, forward.to.backends[place].service?)));
    let Some((place, service)) = chosen else {
        count(&COUNTS.without_backend);
        return Err(INVALID);
    };
    let endpoint = forward.routed.plan.endpoints(service).pick(random::next()).cloned();
    endpoint.map(|endpoint| (place, endpoint)).ok_or_else(without_endpoint)
}

fn without_endpoint() -> u16 {
    count(&COUNTS.without_endpoint);
    UNAVAILABLE
}

fn pick(context: Context, forward: &Forwarded, pool: &Arc<Pool>) -> Result<Picked, u16> {
    let (place, endpoint) = choose(forward)?;
    let backend = pool.get(context.raw(), endpoint.address).ok_or_else(without_endpoint)?;
    Ok(Picked { place, backend, in_flight: InFlight::new(endpoint), url: std::ptr::null() })
}

/// Applies the filters, and pins the endpoint until the fetch is over.
fn send(context: Context, forward: &Forwarded, mut picked: Picked) -> u16 {
    let (Some(request), Some(task)) = (context.backend_request(), context.task()) else {
        return UNAVAILABLE;
    };
    let rule = forward.rule();
    // Only user VCL that rolls the request back brings a client's own field here.
    if request.value(b"x-gateway-route") != Some(rule.header.value()) {
        restore_header(request, rule);
    }
    apply(&rule.filters, request);
    apply(&forward.to.backends[picked.place].filters, request);
    picked.url = request.url().as_ptr();
    task.picked = Some(picked);
    if request.is_overflowed() { UNAVAILABLE } else { 0 }
}

fn restore_header(mut request: Message, rule: &Rule) {
    let header = &rule.header;
    request.remove(header.name());
    request.add(header);
}

fn apply(filters: &Filters, mut request: Message) {
    filters.apply_to_request(&mut request);
    if let Some(rewrite) = filters.path_rewrite() {
        request.set_url(&rewrite.apply_to_target(request.url()));
    }
}

/// Varnish keeps the backend request from one attempt to the next: what the filters changed becomes again what it was.
/// What user VCL changed besides stays.
fn undo_filters(context: Context) {
    let messages = (context.backend_request(), context.original_backend_request(), context.known_task());
    let (Some(request), Some(original), Some(task)) = messages else { return };
    let (Some(routed), Some(picked)) = (&task.routed, task.picked.take()) else { return };
    let Action::Forward(forward) = &routed.rule().action else { return };
    let of_backend = forward.backends.get(picked.place).map(|backend| &backend.filters);
    let filters = || of_backend.into_iter().chain([&routed.rule().filters]);
    for name in filters().flat_map(Filters::request_names) {
        request.restore(name, original);
    }
    let is_rewritten = filters().any(|filters| filters.path_rewrite().is_some());
    if is_rewritten && request.url().as_ptr() == picked.url {
        request.set_url(original.url());
    }
}

/// vcl_pipe: as `fetch`, and what a WebSocket's handshake needs. Whatever else the client offered to become is not sent:
/// a backend that took up h2c would be sent requests that nobody routed.
pub fn pipe(context: Context) -> u16 {
    let status = fetch(context);
    if let (0, Some(mut request)) = (status, context.backend_request()) {
        request.remove(b"http2-settings");
        request.set("Upgrade", b"websocket");
        request.set("Connection", b"Upgrade");
    }
    status
}

/// vcl_backend_response: the response filters of the backend that was picked.
pub fn response(context: Context) {
    let (Some(mut response), Some(task)) = (context.backend_response(), context.known_task()) else {
        return;
    };
    let (Some(routed), Some(picked)) = (&task.routed, &task.picked) else {
        return;
    };
    filter_by_backend(&mut response, routed, picked.place);
}

/// The response filters of a backend, by its place in the rule.
pub fn filter_by_backend(response: &mut Message, routed: &Routed, place: usize) {
    if let Action::Forward(forward) = &routed.rule().action
        && let Some(edit) = forward.backends.get(place).and_then(|backend| backend.filters.response_headers.as_ref())
    {
        edit.apply(response);
    }
}
