//! vcl_synth: the head of a backend's answer becomes the client's.

use ghost_core::filter::EditFields;

use crate::{
    answer::{close_when_draining, filter_by_route, synth},
    attempt,
    context::Context,
    message::Message,
    panic_if_asked,
    task::Task,
    ways::direct::{UNAVAILABLE, stream},
};

/// Whether this is the answer of a backend that was asked directly: then the rest of vcl_synth must not run.
pub fn relay(context: Context) -> bool {
    let (Some(mut answer), Some(task)) = (context.response(), context.known_task()) else {
        return false;
    };
    if !take_over(answer, task) {
        return false;
    }
    panic_if_asked(context, "relay");
    let place = task.reply.as_ref().map(|reply| reply.place);
    if let (Some(routed), Some(place)) = (&task.routed, place) {
        attempt::filter_by_backend(&mut answer, routed, place);
    }
    filter_by_route(&mut answer, task);
    close_when_draining(answer);
    stream::begin(context);
    true
}

/// What is left of an answer that could not be relayed: ghost's own in its place. Returns false, as for others of ghost's.
pub fn give_up(context: Context) -> bool {
    if let (Some(answer), Some(task)) = (context.response(), context.known_task()) {
        (task.reply, task.answer) = (None, UNAVAILABLE);
        answer.clear();
        answer.set_status(UNAVAILABLE, b"");
        synth(context);
    }
    false
}

/// Status and fields of the backend in place of those that Varnish gives an answer of its own.
fn take_over(mut answer: Message, task: &mut Task) -> bool {
    let Some(response) = task.response() else {
        return false;
    };
    answer.set_status(response.status(), response.reason());
    answer.remove(b"server");
    let has_date = response.fields().any(|(line, name_bytes)| line[..name_bytes].eq_ignore_ascii_case(b"date"));
    if has_date {
        answer.remove(b"date");
    }
    answer.append_lines(response.fields().map(|(line, _)| line));
    answer.append_via();
    true
}
