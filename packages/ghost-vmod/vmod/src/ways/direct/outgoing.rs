//! The request as the backend gets it: the client's, after the filters. The client's own stays as it is.

use std::borrow::Cow;

use ghost_core::filter::{EditFields, EditRequest, Field};
use ghost_upstream::{Framing, RequestHead};

use crate::message::{Message, value_of};

pub struct Outgoing<'a> {
    method: &'a [u8],
    target: Cow<'a, [u8]>,
    lines: Vec<Cow<'a, [u8]>>,
    framing: Framing,
}

impl<'a> Outgoing<'a> {
    /// Without the fields that are between the client and us.
    pub fn new(request: Message<'a>, framing: Framing) -> Self {
        let mut lines = Vec::with_capacity(request.count());
        lines.extend(request.passed_fields().map(Cow::Borrowed));
        Self { method: request.method(), target: Cow::Borrowed(request.url()), lines, framing }
    }

    /// `transaction` is the number that Varnish's log knows the request by.
    pub fn write(&self, transaction: u64, asks_for_upgrade: bool, head: &mut RequestHead) {
        head.begin(self.method, &self.target);
        for line in &self.lines {
            head.line(line);
        }
        head.line(["X-Varnish: ", itoa::Buffer::new().format(transaction)].concat().as_bytes());
        if asks_for_upgrade {
            head.upgrade();
        }
        head.end(self.framing);
    }
}

impl EditRequest for Outgoing<'_> {
    fn has(&self, field: &Field) -> bool {
        self.lines.iter().any(|line| value_of(line, field.name()) == Some(field.value()))
    }

    fn target(&self) -> &[u8] {
        &self.target
    }

    fn set_target(&mut self, target: Vec<u8>) {
        self.target = Cow::Owned(target);
    }
}

impl EditFields for Outgoing<'_> {
    fn remove(&mut self, name: &[u8]) {
        self.lines.retain(|line| value_of(line, name).is_none());
    }

    fn add(&mut self, field: &Field) {
        self.lines.push(Cow::Owned(field.line()[..field.line().len() - 1].to_vec()));
    }
}
