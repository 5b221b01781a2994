//! What is to be done with a request.

use std::ptr;

use crate::{
    request::{Fields, Request},
    routing::{Action, Listener, Routing, Rule, RuleId, Socket},
};

/// The answer to "what now?"; there are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// No listener of the socket covers the host.
    NoListener,
    /// The connection was made for another listener than the host's.
    Misdirected,
    /// No rule of the listener matches.
    NoRoute,
    /// This rule's request goes to a backend.
    Forward(RuleId),
    /// This rule answers with a redirect of that status.
    Redirect(RuleId, u16),
    /// This rule answers with a redirect to another origin, whose host the client does not say.
    Hostless(RuleId),
    /// This rule cannot be carried out.
    Refuse(RuleId),
}

impl Verdict {
    /// The status of ghost's own answer; 0 where a backend answers.
    pub fn status(self) -> u16 {
        match self {
            Self::NoListener | Self::NoRoute => 404,
            Self::Misdirected => 421,
            Self::Forward(_) => 0,
            Self::Redirect(_, status) => status,
            Self::Hostless(_) => 400,
            Self::Refuse(_) => 500,
        }
    }

    pub fn rule(self) -> Option<RuleId> {
        match self {
            Self::NoListener | Self::Misdirected | Self::NoRoute => None,
            Self::Forward(rule) | Self::Redirect(rule, _) | Self::Hostless(rule) | Self::Refuse(rule) => Some(rule),
        }
    }
}

/// What the connection was made for, as far as the client told.
#[derive(Clone, Copy, Debug)]
pub enum Connection<'a> {
    /// A client's own, with the server name of its TLS handshake: lower-case, without trailing dot.
    Client(Option<&'a [u8]>),
    /// The request is not a client's own but one for a part of its page.
    Inner,
}

impl Connection<'_> {
    /// Whether it was made for the host's listener. Listeners are compared, not names, for one certificate may be good
    /// for many hosts of a listener, and what one listener demands of a client another one may not.
    fn leads_to(self, socket: &Socket, listener: Option<&Listener>, host: Option<&[u8]>) -> bool {
        let Self::Client(server_name) = self else { return true };
        server_name == host || socket.listeners.find(server_name).map(ptr::from_ref) == listener.map(ptr::from_ref)
    }
}

impl Rule {
    fn verdict(&self, id: RuleId, socket: &Socket, host: Option<&[u8]>) -> Verdict {
        match &self.action {
            Action::Forward(_) => Verdict::Forward(id),
            Action::Redirect(redirect) if !redirect.knows_origin(socket, host) => Verdict::Hostless(id),
            Action::Redirect(redirect) => Verdict::Redirect(id, redirect.status),
            Action::Refuse => Verdict::Refuse(id),
        }
    }
}

impl Routing {
    /// The first rule that matches: exact host, wildcards, any host, and in each by precedence.
    pub fn decide<F: Fields>(&self, socket: &[u8], connection: Connection, request: &Request<F>) -> Verdict {
        let Some(socket) = self.socket(socket) else { return Verdict::NoListener };
        let listener = socket.listeners.find(request.host);
        if socket.is_https && !connection.leads_to(socket, listener, request.host) {
            return Verdict::Misdirected;
        }
        let Some(listener) = listener else { return Verdict::NoListener };
        let holds = |id| self.rule(id).conditions.hold(request);
        let rule = listener.hosts.covering(request.host).find_map(|paths| paths.find(request.path, holds));
        rule.map_or(Verdict::NoRoute, |id| self.rule(id).verdict(id, socket, request.host))
    }
}
