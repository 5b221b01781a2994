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

use ghost_core::endpoint::InFlight;
use ghost_upstream::{Response, TcpConnect, with_request_head};

use crate::{
    attempt,
    context::Context,
    count::{COUNTS, count},
    exchange::{timeouts, upstreams, waiting::Waiting},
    panic_if_asked,
    route::Route,
    task::Task,
};
use client_body::ClientBody;
use outgoing::Outgoing;

pub use client_body::give;
pub use relay::{give_up, relay};
pub use stream::{register, unregister};

const UNAVAILABLE: u16 = 503;

/// An answer that a backend has begun to give.
pub struct Reply {
    /// None when its body was passed on, or broke.
    response: Option<Response<TcpConnect>>,
    /// The backend's place in the rule.
    place: usize,
    /// Whom it is for.
    client: Waiting,
    /// Until the task is over.
    _in_flight: InFlight,
}

/// vcl_pass: returns the status to answer with; 0 where Varnish's own fetch has to do it.
pub fn ask(context: Context) -> u16 {
    let Some((route, body)) = askable(context) else {
        return 0;
    };
    let Some(task) = context.task() else {
        return UNAVAILABLE;
    };
    task.routed.clone_from(&route.routed);
    // What a panic leaves behind.
    (task.answer, task.reply) = (UNAVAILABLE, None);
    panic_if_asked(context, "direct");
    let (status, reply) = match attempt::forward(route) {
        Ok(forward) => exchange(context, &forward, body),
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

fn exchange(context: Context, forward: &attempt::Forwarded, mut body: ClientBody) -> (u16, Option<Reply>) {
    let (place, in_flight) = match attempt::choose(forward) {
        Ok((place, endpoint)) => (place, InFlight::new(endpoint)),
        Err(status) => return (status, None),
    };
    let Some(request) = context.request() else {
        return (UNAVAILABLE, None);
    };
    // SAFETY: this is the thread of the client's request, which has its connection until the task is over.
    let Some(mut client) = (unsafe { Waiting::of(context.session(), request.is_http_1_1()) }) else {
        return (UNAVAILABLE, None);
    };
    let mut outgoing = Outgoing::new(request, body.framing(request));
    outgoing.filter(forward, place);
    context.log_endpoint(in_flight.name());
    count(&COUNTS.direct);
    let outcome = with_request_head(|head| {
        outgoing.write(context.transaction(), head);
        let (upstream, deadlines) = (upstreams::of(in_flight.address()), timeouts::of_parameters());
        upstream.exchange_watched(head, body.upload(), deadlines, &mut client)
    });
    context.timestamp("Fetch");
    match outcome {
        Ok(response) => {
            let status = response.status();
            (status, Some(Reply { response: Some(response), place, client, _in_flight: in_flight }))
        }
        Err(error) => {
            context.log_fetch_error(&error);
            (error.status(), None)
        }
    }
}

impl Task {
    /// What a backend has begun to answer, for those who pass it on.
    fn response(&mut self) -> Option<&mut Response<TcpConnect>> {
        self.reply.as_mut()?.response.as_mut()
    }
}
