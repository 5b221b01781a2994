//! vcl_backend_fetch and vcl_backend_response: what an attempt of a fetch sends, and the filters of its answer.

use ghost_core::filter::Filters;

use crate::{
    context::Context,
    exchange::{Forwarded, forward},
    panic_if_asked,
    task::Sending,
    ways::{fetch::handover, upgrade},
};

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
        Ok(forwarded) => attempt(context, &forwarded),
        Err(status) => status,
    };
    match context.task() {
        Some(task) => {
            task.answer = status;
            task.routed.clone_from(&route.routed);
            task.asker = task.asker.or(context.asker());
            task.fetched = context.share_with_client().or(task.fetched.take());
            task.offer = upgrade::offer(context);
            status
        }
        None => UNAVAILABLE,
    }
}

/// Applies the request filters.
fn attempt(context: Context, forwarded: &Forwarded) -> u16 {
    if context.is_retry() {
        undo_filters(context);
    }
    let (Some(mut request), Some(task)) = (context.backend_request(), context.task()) else {
        return UNAVAILABLE;
    };
    forwarded.rule().filter_request(forwarded.share.place, &mut request);
    task.sending = Some(Sending { share: forwarded.share, url: request.url().as_ptr(), picked: None });
    if request.is_overflowed() { UNAVAILABLE } else { 0 }
}

/// Varnish keeps the backend request from one attempt to the next: what the filters changed becomes again what it was.
/// What user VCL changed besides stays.
fn undo_filters(context: Context) {
    let messages = (context.backend_request(), context.original_backend_request(), context.known_task());
    let (Some(request), Some(original), Some(task)) = messages else { return };
    let (Some(routed), Some(sending)) = (&task.routed, task.sending.take()) else { return };
    let filters = || routed.rule().request_filters(sending.share.place);
    for name in filters().flat_map(Filters::request_names) {
        request.restore(name, original);
    }
    let is_rewritten = filters().any(|filters| filters.path_rewrite().is_some());
    if is_rewritten && request.url().as_ptr() == sending.url {
        request.set_url(original.url());
    }
}

/// vcl_backend_response: the response filters of the share's backend.
pub fn response(context: Context) {
    let (Some(mut response), Some(task)) = (context.backend_response(), context.known_task()) else {
        return;
    };
    if let (Some(routed), Some(sending)) = (&task.routed, &task.sending) {
        routed.rule().filter_answer_of(sending.share.place, &mut response);
    }
}
