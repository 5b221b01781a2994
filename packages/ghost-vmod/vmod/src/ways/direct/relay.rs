//! vcl_synth: the head of a backend's answer becomes the client's.

use ghost_core::filter::EditFields;

use crate::{
    answer::{close_when_draining, filter_by_route, sign},
    context::Context,
    exchange::Response,
    message::Message,
    panic_if_asked,
    task::Task,
    ways::{
        direct::{Reply, UNAVAILABLE, stream},
        tunnel,
    },
};

/// Whether this is the answer of a backend that was asked directly: then the rest of vcl_synth must not run.
pub fn relay(context: Context) -> bool {
    let (Some(mut answer), Some(task)) = (context.response(), context.known_task()) else {
        return false;
    };
    if !take_over(answer, task) {
        return false;
    }
    sign(context, answer, false);
    panic_if_asked(context, "relay");
    if let (Some(routed), Some(reply)) = (&task.routed, &task.reply) {
        routed.rule().filter_answer_of(reply.place, &mut answer);
    }
    filter_by_route(&mut answer, task);
    close_when_draining(answer);
    if task.response().is_some_and(|response| response.is_upgraded()) {
        become_upgraded(context, answer);
    } else {
        stream::begin(context);
    }
    true
}

/// The head is all of this answer; the connection follows it.
fn become_upgraded(context: Context, answer: Message) {
    let response = context.known_task().and_then(|task| task.reply.as_mut()?.response.take());
    let upgraded = response.and_then(Response::into_upgraded);
    if !upgraded.is_some_and(|upgraded| tunnel::begin(context, upgraded)) {
        answer.set_status(UNAVAILABLE, b"");
        answer.set("Connection", b"close");
    }
}

/// What is left of an answer that could not be relayed becomes one of ghost's own, which the rest of vcl_synth fills in:
/// so it returns false, as for others of ghost's.
pub fn give_up(context: Context) -> bool {
    if let (Some(answer), Some(task)) = (context.response(), context.known_task()) {
        (task.reply, task.answer) = (None, UNAVAILABLE);
        answer.clear();
        answer.set_status(UNAVAILABLE, b"");
    }
    false
}

/// Status and fields of the backend in place of those that Varnish gives an answer of its own.
fn take_over(mut answer: Message, task: &mut Task) -> bool {
    let Some(Reply { response: Some(response), .. }) = &task.reply else {
        return false;
    };
    answer.set_status(response.status(), response.reason());
    answer.remove(b"server");
    let has_date = response.fields().any(|(line, name_bytes)| line[..name_bytes].eq_ignore_ascii_case(b"date"));
    if has_date {
        answer.remove(b"date");
    }
    // SAFETY: the task has them until it is over, and the answer with it.
    unsafe { answer.append_lines(response.fields().map(|(line, _)| line), &mut task.head) }
    true
}
