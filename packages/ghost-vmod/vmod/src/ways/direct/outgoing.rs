//! The request as the backend gets it: the client's, after the filters. The client's own stays as it is.

use std::borrow::Cow;

use ghost_core::filter::{EditFields, Field, Filters};
use ghost_upstream::{Framing, RequestHead};

use crate::{
    attempt::Forwarded,
    message::{Message, value_of},
};

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

    /// The filters of the rule, then those of the backend.
    pub fn filter(&mut self, forward: &Forwarded, place: usize) {
        // Only user VCL that rolls the request back brings a client's own field here.
        let header = &forward.rule().header;
        if !self.lines.iter().any(|line| value_of(line, b"x-gateway-route") == Some(header.value())) {
            self.remove(header.name());
            self.add(header);
        }
        self.apply(&forward.rule().filters);
        self.apply(&forward.to.backends[place].filters);
    }

    fn apply(&mut self, filters: &Filters) {
        filters.apply_to_request(self);
        if let Some(rewrite) = filters.path_rewrite() {
            self.target = Cow::Owned(rewrite.apply_to_target(&self.target));
        }
    }

    /// `transaction` is the number that Varnish's log knows the request by.
    pub fn write(&self, transaction: u64, head: &mut RequestHead) {
        head.begin(self.method, &self.target);
        for line in &self.lines {
            head.line(line);
        }
        head.line(["X-Varnish: ", itoa::Buffer::new().format(transaction)].concat().as_bytes());
        head.end(self.framing);
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
