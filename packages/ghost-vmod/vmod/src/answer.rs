//! vcl_synth, vcl_backend_error and vcl_deliver: ghost's own answers, and the filters of others.

use std::sync::atomic::Ordering;

use ghost_core::{Action, filter::EditFields, own_answer::OwnAnswer, request::Request, routing::Disclosure};

use crate::{
    context::Context,
    count::{COUNTS, count},
    message::Message,
    panic_if_asked, ranges,
    receive::{host_of, split},
    state::{self, IS_DRAINING},
    task::Task,
    ways::fetch::handover::take_back,
    ways::{tunnel, upgrade::Offered},
};

const BAD_GATEWAY: u16 = 502;
const UNAVAILABLE: u16 = 503;
const PLAIN: &[u8] = b"text/plain; charset=utf-8";

/// Fills in an answer of ghost's own; others are left as they are, but for errors of a backend. Answers of backends that
/// were asked directly are not for here.
pub fn synth(context: Context) {
    // What was lent to a fetch that user VCL prevented.
    take_back(context);
    if let (Some(answer), Some(asked)) = (context.response(), context.request()) {
        fill(context, answer, asked, false);
    } else if let (Some(answer), Some(asked)) = (context.backend_response(), context.backend_request()) {
        fill(context, answer, asked, true);
    }
}

fn fill(context: Context, mut answer: Message, asked: Message, is_error: bool) {
    close_when_draining(answer);
    let disclosed = disclosure();
    if !disclosed.server {
        answer.remove(b"server");
    }
    hide(answer, disclosed);
    let task = context.known_task();
    if task.as_ref().is_some_and(|task| task.reply.is_some()) {
        return;
    }
    if let Some(body) = task.as_ref().and_then(|task| task.body.as_ref()) {
        answer.set("Content-Type", b"application/json");
        answer.set("Cache-Control", b"no-store");
        return context.write_body(body.as_bytes());
    }
    if !is_error {
        count(&COUNTS.synthetic);
    }
    if !is_error && let Some(status) = task.as_ref().and_then(|task| broken(task, answer)) {
        answer.set_status(status, b"");
        answer.set("Content-Type", PLAIN);
        return context.write_body(OwnAnswer::of_status(status).body);
    }
    let task = task.filter(|task| task.answer == answer.status());
    if task.is_none() && !is_error {
        return;
    }
    let redirected = task.and_then(|task| redirect(context, task, asked)).filter(|own| own.status == answer.status());
    let is_redirect = redirected.is_some();
    let own = redirected.unwrap_or_else(|| OwnAnswer::of_status(answer.status()));
    if own.is_last {
        close(context, answer);
    }
    own.fields.iter().for_each(|(name, value)| answer.set(name, value));
    if let (true, Some(task)) = (is_redirect, context.known_task()) {
        filter_by_route(&mut answer, task);
    }
    answer.set("Content-Type", PLAIN);
    context.write_body(own.body);
}

/// What follows on the connection may be no request. HAProxy takes Connection for itself, and wants to be told.
fn close(context: Context, answer: Message) {
    answer.set("Connection", b"close");
    if context.is_behind_front() {
        answer.set("X-Gateway-Close", b"1");
    }
}

/// The status of a fetched answer that broke off before its head was passed on; Varnish calls all of them 503.
fn broken(task: &Task, answer: Message) -> Option<u16> {
    let status = task.fetched.as_ref()?.broken.load(Ordering::Acquire);
    (status != 0 && task.answer == 0 && answer.status() == UNAVAILABLE).then_some(status)
}

/// The end of vcl_synth: the body of an answer that nobody filled in, in place of Varnish's page.
pub fn page(context: Context) {
    let Some(answer) = context.response().filter(|_| !context.has_body()) else {
        return;
    };
    answer.set("Content-Type", PLAIN);
    let mut text = answer.status().to_string().into_bytes();
    text.push(b' ');
    text.extend_from_slice(answer.reason());
    text.push(b'\n');
    context.write_body(&text);
}

/// The answer of a rule that redirects.
fn redirect(context: Context, task: &Task, asked: Message) -> Option<OwnAnswer> {
    let routed = task.routed.as_ref()?;
    let Action::Redirect(redirect) = &routed.rule().action else {
        return None;
    };
    if redirect.status != task.answer {
        return None;
    }
    let socket = routed.plan.routing.socket(context.socket())?;
    let host = host_of(asked);
    let (path, query) = split(asked.url());
    let request = Request { method: asked.method(), host: host.as_deref(), path, query, fields: &asked };
    redirect.knows_origin(socket, host.as_deref()).then(|| OwnAnswer::redirect(redirect, socket, &request))
}

fn disclosure() -> Disclosure {
    state::plan().map(|plan| plan.routing.disclosure).unwrap_or_default()
}

/// Takes away what tells whose number this is among Varnish's requests.
fn hide(mut answer: Message, disclosed: Disclosure) {
    if !disclosed.x_varnish {
        answer.remove(b"x-varnish");
    }
}

/// What Varnish says of itself in an answer of a backend's. Age is for what was in the cache (RFC 9111, 5.1): Varnish gives
/// it to all. Nothing of it is there in one that Varnish did not fetch, but a number.
pub fn sign(context: Context, mut answer: Message, is_signed: bool) {
    answer.sign_via(is_signed);
    hide(answer, disclosure());
    if !context.is_hit() && answer.value(b"age") == Some(b"0") {
        answer.remove(b"age");
    }
}

/// The response filters of the route, once an answer.
pub fn deliver(context: Context) {
    panic_if_asked(context, "deliver");
    let Some(mut answer) = context.response() else {
        return;
    };
    sign(context, answer, true);
    if context.delivers_pass() {
        restore_age(context, answer);
    } else {
        ranges::offer(context, answer);
    }
    if let Some(task) = context.known_task() {
        become_upgraded(context, answer, task);
        filter_by_route(&mut answer, task);
    }
    close_when_draining(answer);
}

/// A pass is as old as its backend says; Varnish counts anew, from 0.
fn restore_age(context: Context, answer: Message) {
    let fetched = context.known_task().and_then(|task| task.fetched.clone());
    match fetched.as_ref().and_then(|fetched| fetched.age.get()) {
        Some(Some(age)) if age[..] != *b"0" => answer.set("Age", age),
        Some(_) => answer.unset(b"age"),
        None => {}
    }
}

/// Of a pass by fetch that the backend answered with 101. A 101 that came in another way means nothing.
fn become_upgraded(context: Context, answer: Message, task: &mut Task) {
    let upgraded = task.offered.take().and_then(Offered::take);
    if answer.status() == 101 && !upgraded.is_some_and(|upgraded| tunnel::begin(context, upgraded)) {
        answer.set_status(BAD_GATEWAY, b"");
        answer.set("Connection", b"close");
    }
}

/// The response filters of the rule that the request is for.
pub fn filter_by_route(answer: &mut Message, task: &Task) {
    if let Some(routed) = &task.routed {
        routed.rule().filter_answer(answer);
    }
}

pub fn close_when_draining(answer: Message) {
    if IS_DRAINING.load(Ordering::Relaxed) {
        answer.set("Connection", b"close");
    }
}
