//! Interim answers on their way to the client, such as 103 with what it may load already.

use std::borrow::Cow;

use ghost_core::Rule;

use crate::exchange::{Forwarded, lines::Lines, waiting::Waiting};

/// The filters that the answer will meet.
#[derive(Clone, Copy)]
pub struct AnswerFilters<'a> {
    rule: &'a Rule,
    /// The backend's place in the rule.
    place: usize,
}

impl<'a> AnswerFilters<'a> {
    pub fn of(forwarded: &Forwarded<'a>) -> Self {
        Self { rule: forwarded.rule(), place: forwarded.share.place }
    }

    fn apply(self, lines: &mut Lines) {
        self.rule.filter_answer_of(self.place, lines);
        self.rule.filter_answer(lines);
    }
}

/// Passes one on, with the fields that the answer's filters leave of it. Not for a client of HTTP/1.0, nor for one that
/// has no room for it: it is only a hint.
pub fn pass_on(client: &Waiting, status: u16, fields: &mut dyn Iterator<Item = &[u8]>, filters: AnswerFilters) {
    let mut lines = Lines(fields.map(Cow::Borrowed).collect());
    filters.apply(&mut lines);
    let mut text = format!("HTTP/1.1 {status} {}\r\n", reason(status)).into_bytes();
    for line in &lines.0 {
        text.extend_from_slice(line);
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    client.tell(&text);
}

fn reason(status: u16) -> &'static str {
    match status {
        102 => "Processing",
        103 => "Early Hints",
        104 => "Upload Resumption Supported",
        _ => "Interim",
    }
}
