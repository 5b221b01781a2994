//! What is to be done with a request.

use crate::{
    request::{Fields, Request},
    routing::{Action, Routing, Rule, RuleId},
};

/// The answer to "what now?"; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No listener of the socket covers the host.
    NoListener,
    /// No rule of the listener matches.
    NoRoute,
    /// This rule's request goes to a backend.
    Forward(RuleId),
    /// This rule answers with a redirect of that status.
    Redirect(RuleId, u16),
    /// This rule cannot be carried out.
    Refuse(RuleId),
}

impl Verdict {
    /// The status of ghost's own answer; 0 where a backend answers.
    pub fn status(self) -> u16 {
        match self {
            Self::NoListener | Self::NoRoute => 404,
            Self::Forward(_) => 0,
            Self::Redirect(_, status) => status,
            Self::Refuse(_) => 500,
        }
    }

    pub fn rule(self) -> Option<RuleId> {
        match self {
            Self::NoListener | Self::NoRoute => None,
            Self::Forward(rule) | Self::Redirect(rule, _) | Self::Refuse(rule) => Some(rule),
        }
    }
}

impl Rule {
    fn verdict(&self, id: RuleId) -> Verdict {
        match &self.action {
            Action::Forward(_) => Verdict::Forward(id),
            Action::Redirect(redirect) => Verdict::Redirect(id, redirect.status),
            Action::Refuse => Verdict::Refuse(id),
        }
    }
}

impl Routing {
    /// The first rule that matches: exact host, wildcards, any host, and in each by precedence.
    pub fn decide<F: Fields>(&self, socket: &[u8], request: &Request<F>) -> Verdict {
        let listener = self.socket(socket).and_then(|socket| socket.listeners.find(request.host));
        let Some(listener) = listener else {
            return Verdict::NoListener;
        };
        let holds = |id| self.rule(id).conditions.hold(request);
        let rule = listener.hosts.covering(request.host).find_map(|paths| paths.find(request.path, holds));
        rule.map_or(Verdict::NoRoute, |id| self.rule(id).verdict(id))
    }
}
