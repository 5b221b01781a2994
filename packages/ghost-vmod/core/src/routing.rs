//! routing.json, compiled: closed types that are only read.

use crate::{
    filter::{Field, Filters, PathRewrite},
    host::HostIndex,
    matcher::Conditions,
    network::Networks,
    path::{PathIndex, PathMatch},
    pick::Weights,
};

/// A rule's place in `Routing::rules`; a smaller one has precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RuleId(pub u32);

/// A service's place in `Routing::services`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct ServiceId(pub u32);

/// Everything of one Gateway.
#[derive(Debug, Default)]
pub struct Routing {
    /// Whose word on the clients before them is taken.
    pub trusted: Networks,
    pub disclosure: Disclosure,
    pub(crate) sockets: Vec<Socket>,
    pub(crate) rules: Vec<Rule>,
    pub(crate) services: Vec<Box<str>>,
}

impl Routing {
    /// By its name, which is varnishd's too.
    pub fn socket(&self, name: &[u8]) -> Option<&Socket> {
        self.sockets.iter().find(|socket| socket.name.as_bytes() == name)
    }

    pub fn rule(&self, id: RuleId) -> &Rule {
        &self.rules[id.0 as usize]
    }

    pub fn rules(&self) -> &[Rule] {
        &self.rules
    }

    /// The keys of the services that rules name.
    pub fn services(&self) -> &[Box<str>] {
        &self.services
    }
}

/// What answers tell of the gateway, besides Via.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Disclosure {
    /// Server, of ghost's own answers.
    pub server: bool,
    /// X-Varnish.
    pub x_varnish: bool,
}

/// What listens on one port.
#[derive(Debug)]
pub struct Socket {
    pub name: Box<str>,
    /// `X-Gateway-Listener`.
    pub header: Field,
    pub port: u16,
    pub is_https: bool,
    pub listeners: HostIndex<Listener>,
}

/// A listener of the Gateway; hosts and rules are its own, nothing falls through to another one.
#[derive(Debug, Default)]
pub struct Listener {
    pub hosts: HostIndex<PathIndex>,
}

/// One match of one rule of a route.
///
/// Among thousands of rules, each request finds its own outside of the processor's cache: what it needs stands together.
#[derive(Debug)]
#[repr(C)]
pub struct Rule {
    pub conditions: Conditions,
    pub action: Action,
    /// `X-Gateway-Route`, whose value is `namespace/name` of the route.
    pub header: Field,
    pub filters: Filters,
    pub path: PathMatch,
    /// The rule's place in its route.
    pub index: u64,
}

#[derive(Debug)]
pub enum Action {
    Forward(Forward),
    Redirect(Box<Redirect>),
    Refuse,
}

/// Shares of requests.
#[derive(Debug)]
pub struct Forward {
    pub weights: Weights,
    pub backends: Box<[Backend]>,
}

#[derive(Debug)]
pub struct Backend {
    /// None: the reference is invalid, its share is answered with 500.
    pub service: Option<ServiceId>,
    pub filters: Filters,
}

/// What is not set stays as the request has it.
#[derive(Debug)]
pub struct Redirect {
    pub status: u16,
    pub is_https: Option<bool>,
    pub hostname: Option<Box<str>>,
    pub port: Option<u16>,
    pub path: Option<PathRewrite>,
}
