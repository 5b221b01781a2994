//! The direct pass: the whole exchange with a backend in the client's own thread, in place of Varnish's fetch, which
//! costs a second thread and a busy object.
//!
//! ```text
//!  vcl_pass   ask: pick, filter, send (Outgoing, ClientBody), read the head --Reply in the Task--.
//!  vcl_synth  relay: status, fields, response filters; the one byte of a body that never is       |
//!  delivery   stream: our delivery processor pulls the backend's body and pushes it on <----------'
//! ```
//!
//! What it does not run is vcl_backend_*, vcl_deliver and everything else that needs an object. So a VCL has it only
//! where the user's part has nothing of that kind: the operator decides, and direct.vcl is what says so.

mod client_body;
mod outgoing;
mod relay;
mod stream;

use ghost_core::endpoint::{Endpoint, Picked};
use ghost_upstream::{Client, Error, Tcp, Watch, with_request_head};

use crate::{
    context::Context,
    count::{COUNTS, count},
    exchange::{
        Forwarded, Party, Reached, Response, forward,
        interim::{self, AnswerFilters},
        reach, timeouts,
        waiting::Waiting,
    },
    panic_if_asked,
    route::Route,
    task::Task,
    ways::upgrade,
};
use client_body::ClientBody;
use outgoing::Outgoing;

pub use client_body::give;
pub use relay::{give_up, relay};
pub use stream::{register, unregister};

const UNAVAILABLE: u16 = 503;

/// An answer that a backend has begun to give.
pub struct Reply {
    /// None when its body was passed on, or broke, or it became something else.
    response: Option<Response>,
    /// Some of its body came with its head.
    is_ready: bool,
    /// The backend's place in the rule.
    place: usize,
    /// Whom it is for.
    client: Waiting,
    /// Until the task is over.
    _picked: Picked,
}

/// vcl_pass: returns the status to answer with; 0 where Varnish's own fetch has to do it.
pub fn ask(context: Context) -> u16 {
    let Some((route, body)) = askable(context) else {
        return 0;
    };
    answered(context, route, body)
}

/// vcl_pipe, where only user VCL leads: Varnish would pass blindly on what the two say, so the request is asked as any
/// other. Returns the status to answer with; 0 where the user chose a backend of its own.
pub fn pipe(context: Context) -> u16 {
    if context.hinted_route().is_none() {
        return 0;
    }
    upgrade::begin(context);
    match askable(context) {
        Some((route, body)) => answered(context, route, body),
        None => UNAVAILABLE,
    }
}

fn answered(context: Context, route: &Route, body: ClientBody) -> u16 {
    let Some(task) = context.task() else {
        return UNAVAILABLE;
    };
    task.routed.clone_from(&route.routed);
    // What a panic leaves behind.
    (task.answer, task.reply) = (UNAVAILABLE, None);
    let asks_for_upgrade = task.offered.take().is_some();
    panic_if_asked(context, "direct");
    let (status, reply) = match forward(route) {
        Ok(forwarded) => exchange(context, &forwarded, body, asks_for_upgrade),
        Err(status) => (status, None),
    };
    if let Some(task) = context.known_task() {
        (task.answer, task.reply) = (status, reply);
    }
    status
}

/// A request of a client's own that goes where we routed it, with a body that is read once.
fn askable(context: Context<'_>) -> Option<(&Route, ClientBody<'_>)> {
    if !context.is_top() {
        return None;
    }
    Some((context.hinted_route()?, context.client_body()?))
}

fn exchange(
    context: Context,
    forwarded: &Forwarded,
    mut body: ClientBody,
    asks_for_upgrade: bool,
) -> (u16, Option<Reply>) {
    let Some(request) = context.request() else {
        return (UNAVAILABLE, None);
    };
    // SAFETY: this is the thread of the client's request, which has its connection until the task is over.
    let Some(client) = (unsafe { Waiting::of(context.session(), request.is_http_1_1()) }) else {
        return (UNAVAILABLE, None);
    };
    let mut outgoing = Outgoing::new(request, body.framing(request));
    forwarded.rule().filter_request(forwarded.share.place, &mut outgoing);
    count(&COUNTS.direct);
    let mut asking = Asking { context, client, filters: AnswerFilters::of(forwarded) };
    let outcome = with_request_head(|head| {
        outgoing.write(context.transaction(), asks_for_upgrade, head);
        reach(forwarded, head, body.upload(), timeouts::of_parameters(), &mut asking)
    });
    context.timestamp("Fetch");
    match outcome {
        Ok(Reached { response, is_ready, picked }) => {
            let (status, place) = (response.status(), forwarded.share.place);
            let response = Some(response);
            (status, Some(Reply { response, is_ready, place, client: asking.client, _picked: picked }))
        }
        Err(error) => (error.map_or(UNAVAILABLE, Error::status), None),
    }
}

/// A client's thread that asks a backend.
struct Asking<'a> {
    context: Context<'a>,
    client: Waiting,
    filters: AnswerFilters<'a>,
}

impl Watch<Tcp> for Asking<'_> {
    fn client(&self) -> Option<&dyn Client> {
        Some(&self.client)
    }

    fn interim(&mut self, status: u16, fields: &mut dyn Iterator<Item = &[u8]>) {
        interim::pass_on(&self.client, status, fields, self.filters);
    }
}

impl Party for Asking<'_> {
    fn tries(&mut self, endpoint: &Endpoint) -> bool {
        self.context.log_endpoint(endpoint.name());
        true
    }

    fn missed(&mut self, error: Error) {
        self.context.log_fetch_error(&error);
    }
}

impl Task {
    /// What a backend has begun to answer, for those who pass it on.
    fn response(&mut self) -> Option<&mut Response> {
        self.reply.as_mut()?.response.as_mut()
    }
}
