//! What the fuzz target and its stable stand-in feed: a document, a request, everything that is done with them, and what
//! must be true of it.

use crate::{
    Action, Compiler, Connection, Document, Routing, Rule,
    backoff::Moment,
    document::Refused,
    endpoint::Endpoints,
    filter::{EditFields, EditRequest, Field},
    forwarded::{self, EditForwarded, Peer},
    normalise::{self, Target},
    request::{Fields, Request},
};

const ADDRESS: &[u8] = b"192.0.2.1";

/// Header fields, each `Name: value`.
#[derive(Clone)]
struct Lines(Vec<Vec<u8>>);

impl Lines {
    fn values<'a>(&'a self, name: &'a [u8]) -> impl Iterator<Item = &'a [u8]> {
        self.0.iter().filter_map(move |line| value_of(line, name))
    }
}

impl Fields for Lines {
    fn first(&self, name: &[u8]) -> Option<&[u8]> {
        self.0.iter().find_map(|line| value_of(line, name))
    }
}

fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = line.split_at_checked(name.len())?;
    let value = rest.strip_prefix(b":")?;
    start.eq_ignore_ascii_case(name).then(|| value.trim_ascii())
}

impl EditFields for Lines {
    fn remove(&mut self, name: &[u8]) {
        self.0.retain(|line| value_of(line, name).is_none());
    }

    fn add(&mut self, field: &Field) {
        self.0.push(field.line()[..field.line().len() - 1].to_vec());
    }
}

impl EditForwarded for Lines {
    fn remove_if(&mut self, is_meant: impl Fn(&[u8]) -> bool) {
        self.0.retain(|line| !is_meant(line));
    }

    fn append(&mut self, name: &'static str, value: &[u8]) {
        self.0.push([name.as_bytes(), b": ", value].concat());
    }

    fn keep(&mut self, _: impl Fn(&[u8]) -> bool) {}
}

/// The document, and after zero bytes the socket, the host, the target and the header lines of a request. Returns the
/// number of rules.
pub fn entry(input: &[u8]) -> Result<usize, String> {
    let mut parts = input.splitn(5, |byte| *byte == 0);
    let mut part = || parts.next().unwrap_or_default();
    let (document, socket, host, target, lines) = (part(), part(), part(), part(), part());
    let text = |error: Refused| error.to_string();
    let document = Document::parse(document).map_err(text)?;
    let (routing, _) = Compiler::default().compile(document.routing).map_err(text)?;
    let mut endpoints = Endpoints::default();
    for (service, wired) in &document.endpoints {
        endpoints.set(service, wired).pick(Moment(0), input.len() as u64);
    }
    let lines = lines.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).filter(|line| !line.is_empty());
    ask(&routing, socket, host, target, Lines(lines.collect()));
    Ok(routing.rules().len())
}

fn ask(routing: &Routing, socket: &[u8], host: &[u8], raw: &[u8], mut lines: Lines) {
    let Ok(target) = normalise::target(b"GET", raw) else { return };
    check_target(&target);
    let Ok(host) = normalise::host(target.authority.unwrap_or(host)) else { return };
    assert_eq!(normalise::host(&host).as_ref(), Ok(&host), "a host's name is in its last form");
    let server_name = normalise::server_name(&host);
    set_forwarded(&mut lines, &host);
    let connection = Connection::Client(server_name.as_deref());
    let (path, query) = (target.path(), target.query());
    let request = Request { method: b"GET", host: Some(&host), path, query, fields: &lines };
    let Some(id) = routing.decide(socket, connection, &request).rule() else { return };
    let rule = routing.rule(id);
    match &rule.action {
        Action::Redirect(redirect) => {
            let socket = routing.socket(socket).expect("it led to the rule");
            check_line(&redirect.location(socket, &request));
        }
        Action::Forward(forward) => {
            for place in 0..forward.backends.len() {
                send(rule, place, &target.text, lines.clone());
            }
        }
        Action::Refuse => {}
    }
}

/// What a backend gets.
struct Sent {
    lines: Lines,
    target: Vec<u8>,
}

impl EditFields for Sent {
    fn remove(&mut self, name: &[u8]) {
        self.lines.remove(name);
    }

    fn add(&mut self, field: &Field) {
        self.lines.add(field);
    }
}

impl EditRequest for Sent {
    fn has(&self, field: &Field) -> bool {
        self.lines.values(field.name()).any(|value| value == field.value())
    }

    fn target(&self) -> &[u8] {
        &self.target
    }

    fn set_target(&mut self, target: Vec<u8>) {
        self.target = target;
    }
}

/// Once more changes nothing, and no dot segment is left.
fn check_target(target: &Target) {
    let again = normalise::target(b"GET", &target.text).expect("what was taken is taken again");
    assert_eq!(again.text, target.text);
    assert!(again.authority.is_none() && target.path().starts_with(b"/"));
    let segments = || target.path().split(|byte| *byte == b'/');
    assert!(!segments().any(|segment| matches!(segment, b"." | b"..")), "{:?}", target.path());
}

fn check_line(line: &[u8]) {
    assert!(!line.iter().any(|byte| matches!(byte, b'\r' | b'\n' | 0)), "{line:?}");
}

/// Nothing that a stranger says of itself is left.
fn set_forwarded(lines: &mut Lines, host: &[u8]) {
    let peer = Peer { address: ADDRESS, is_trusted: false, is_https: false, is_appended: false };
    forwarded::set(lines, peer, Some(host));
    assert!(lines.values(b"x-forwarded-for").eq([ADDRESS]));
    assert!(lines.values(b"x-forwarded-host").eq([host]));
    assert!(lines.values(b"x-gateway-route").next().is_none() && lines.values(b"forwarded").next().is_none());
}

fn send(rule: &Rule, place: usize, target: &[u8], lines: Lines) {
    let mut sent = Sent { lines, target: target.to_vec() };
    rule.filter_request(place, &mut sent);
    let Sent { lines, target } = sent;
    check_line(&target);
    assert!(target.starts_with(b"/"), "{target:?}");
    assert!(lines.values(b"x-gateway-route").eq([rule.header.value()]));
}
