//! A gateway without a network: what the VMOD does with the core, done to plain values.

#![allow(dead_code, reason = "each test uses a part")]

use std::{
    collections::HashMap,
    net::{Ipv4Addr, SocketAddr},
    time::Duration,
};

use ghost_core::{
    Action, Compiler, Connection, Document, Routing, Rule, RuleId, Verdict,
    attempt::Tries,
    backoff::Moment,
    endpoint::{EndpointSet, Endpoints},
    filter::{EditFields, EditRequest, Field},
    forwarded::{self, EditForwarded, Peer},
    normalise,
    request::{Fields, Request},
};

/// Header fields in their order.
#[derive(Clone, Debug, Default)]
pub struct Headers(pub Vec<(String, String)>);

impl Headers {
    /// All values of that name, joined as a server would.
    pub fn joined(&self, name: &str) -> Option<String> {
        let values: Vec<_> =
            self.0.iter().filter(|field| field.0.eq_ignore_ascii_case(name)).map(|field| &*field.1).collect();
        (!values.is_empty()).then(|| values.join(","))
    }
}

impl Fields for Headers {
    fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find(|field| field.0.as_bytes().eq_ignore_ascii_case(name)).map(|field| field.1.as_bytes())
    }
}

impl EditFields for Headers {
    fn remove(&mut self, name: &[u8]) {
        self.0.retain(|field| !field.0.as_bytes().eq_ignore_ascii_case(name));
    }

    fn add(&mut self, field: &Field) {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        self.0.push((text(field.name()), text(field.value())));
    }
}

impl EditForwarded for Headers {
    fn remove_if(&mut self, is_meant: impl Fn(&[u8]) -> bool) {
        self.0.retain(|field| !is_meant(format!("{}: {}", field.0, field.1).as_bytes()));
    }

    fn append(&mut self, name: &'static str, value: &[u8]) {
        self.0.push((name.to_owned(), String::from_utf8(value.to_vec()).unwrap()));
    }

    fn keep(&mut self, _: impl Fn(&[u8]) -> bool) {}
}

/// A request as a client sends it; Host is among the headers.
#[derive(Clone, Debug)]
pub struct Sent {
    pub socket: String,
    /// The server name of the TLS handshake; empty for none.
    pub server_name: String,
    pub method: String,
    pub target: String,
    pub headers: Headers,
}

/// What came of it.
#[derive(Debug)]
pub struct Outcome {
    pub status: u16,
    pub headers: Headers,
    pub seen: Option<Seen>,
}

/// What a backend saw.
#[derive(Debug)]
pub struct Seen {
    pub service: String,
    pub endpoint: SocketAddr,
    pub target: String,
    pub headers: Headers,
}

pub struct Gateway {
    pub routing: Routing,
    pub broken: Vec<ghost_core::Broken>,
    endpoints: HashMap<String, EndpointSet>,
    random: u64,
}

impl Gateway {
    pub fn new(text: &[u8]) -> Result<Self, String> {
        let document = Document::parse(text).map_err(|refused| refused.to_string())?;
        let (routing, broken) = Compiler::default().compile(document.routing).map_err(|refused| refused.to_string())?;
        let mut known = Endpoints::default();
        let endpoints = document.endpoints.iter().map(|(key, wired)| (key.clone(), known.set(key, wired))).collect();
        Ok(Self { routing, broken, endpoints, random: 1 })
    }

    fn random(&mut self) -> u64 {
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        self.random ^ self.random >> 29
    }

    pub fn answer(&mut self, sent: &Sent) -> Outcome {
        self.route(sent).unwrap_or_else(|status| Outcome { status, headers: Headers::default(), seen: None })
    }

    fn route(&mut self, sent: &Sent) -> Result<Outcome, u16> {
        normalise::method(sent.method.as_bytes()).map_err(|_| 400_u16)?;
        let target = normalise::target(sent.method.as_bytes(), sent.target.as_bytes()).map_err(|_| 400_u16)?;
        let host = target.authority.or_else(|| sent.headers.first(b"host")).ok_or(400_u16)?;
        let host = normalise::host(host).map_err(|_| 400_u16)?;
        let (method, fields) = (sent.method.as_bytes(), &sent.headers);
        let request = Request { method, host: Some(&host), path: target.path(), query: target.query(), fields };
        let server_name = normalise::server_name(sent.server_name.as_bytes());
        let connection = Connection::Client(server_name.as_deref());
        let verdict = self.routing.decide(sent.socket.as_bytes(), connection, &request);
        match verdict {
            Verdict::Forward(id) => self.forward(id, sent, &target.text),
            Verdict::Redirect(id, status) => Ok(self.redirect(id, status, sent, &request)),
            verdict => Err(verdict.status()),
        }
    }

    fn redirect(&self, id: RuleId, status: u16, sent: &Sent, request: &Request<Headers>) -> Outcome {
        let rule = self.routing.rule(id);
        let Action::Redirect(redirect) = &rule.action else { unreachable!("the verdict says so") };
        let location = redirect.location(self.routing.socket(sent.socket.as_bytes()).unwrap(), request);
        let location = String::from_utf8(location).unwrap();
        let mut headers = Headers(vec![("Location".into(), location)]);
        rule.filter_answer(&mut headers);
        Outcome { status, headers, seen: None }
    }

    fn forward(&mut self, id: RuleId, sent: &Sent, target: &[u8]) -> Result<Outcome, u16> {
        let (weighted, chosen) = (self.random(), self.random());
        let rule = self.routing.rule(id);
        let Action::Forward(forward) = &rule.action else { unreachable!("the verdict says so") };
        let share = forward.share(weighted).ok_or(500_u16)?;
        let service = &self.routing.services()[share.service.0 as usize];
        let tries = Tries::new(Duration::from_secs(1), true, Moment(0));
        let endpoints = self.endpoints.get(&**service).ok_or(503_u16)?;
        let (picked, _) = tries.next(endpoints, Moment(0), chosen).ok_or(503_u16)?;
        let (headers, target) = asked(rule, share.place, sent, target, &self.routing);
        let echo = |name: &str| (format!("x-echo-{name}"), "echo".to_owned());
        let mut answered = Headers(vec![echo("remove"), echo("set"), echo("add")]);
        rule.filter_answer_of(share.place, &mut answered);
        rule.filter_answer(&mut answered);
        let service = service.rsplit_once(':').unwrap().0.to_owned();
        let seen = Seen { service, endpoint: picked.endpoint().destination.address, target, headers };
        Ok(Outcome { status: 200, headers: answered, seen: Some(seen) })
    }
}

/// What a backend gets.
struct Asked {
    headers: Headers,
    target: String,
}

impl EditFields for Asked {
    fn remove(&mut self, name: &[u8]) {
        self.headers.remove(name);
    }

    fn add(&mut self, field: &Field) {
        self.headers.add(field);
    }
}

impl EditRequest for Asked {
    fn has(&self, field: &Field) -> bool {
        self.headers.first(&field.name().to_ascii_lowercase()) == Some(field.value())
    }

    fn target(&self) -> &[u8] {
        self.target.as_bytes()
    }

    fn set_target(&mut self, target: Vec<u8>) {
        self.target = String::from_utf8(target).unwrap();
    }
}

fn asked(rule: &Rule, place: usize, sent: &Sent, target: &[u8], routing: &Routing) -> (Headers, String) {
    let mut headers = sent.headers.clone();
    let socket = routing.socket(sent.socket.as_bytes()).unwrap();
    let is_trusted = routing.trusted.contain(Ipv4Addr::LOCALHOST.into());
    let peer = Peer { address: b"127.0.0.1", is_trusted, is_https: socket.is_https, is_appended: false };
    forwarded::set(&mut headers, peer, sent.headers.first(b"host"));
    headers.add(&socket.header);
    let mut asked = Asked { headers, target: String::from_utf8(target.to_vec()).unwrap() };
    rule.filter_request(place, &mut asked);
    (asked.headers, asked.target)
}
