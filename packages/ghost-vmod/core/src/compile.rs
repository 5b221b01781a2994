//! Wire types become closed types, once; what cannot be compiled breaks its own rule and no other.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{
    document::Refused,
    expression::Expression,
    filter::{Field, Filters, HeaderEdit, PathRewrite, UrlRewrite, check_name},
    host::HostIndex,
    matcher::{Conditions, Test, ValueMatch},
    path::{PathIndex, PathMatch},
    pick::Weights,
    room,
    routing::{Action, Backend, Disclosure, Forward, Listener, Redirect, Routing, Rule, RuleId, ServiceId, Socket},
    wire,
};

type Map<K, V> = HashMap<K, V, RandomState>;

/// Of one backend.
const MAX_WEIGHT: i64 = 1_000_000;
/// Ten thousand ordinary expressions.
const EXPRESSIONS_BYTES: usize = 64 << 20;

/// A rule that answers 500, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    pub route: String,
    pub index: u64,
    pub reason: String,
}

/// Compiles one routing after the other; an expression that stays is not compiled again.
pub struct Compiler {
    expressions: Map<String, Expression>,
    /// Of all expressions of a document together; a rule with one beyond them is broken.
    limit_bytes: usize,
}

impl Default for Compiler {
    fn default() -> Self {
        Self { expressions: Map::default(), limit_bytes: EXPRESSIONS_BYTES }
    }
}

impl Compiler {
    /// Takes the text of `routing`; the error is for a document that is wrong as a whole.
    pub fn compile(&mut self, text: &str) -> Result<(Routing, Vec<Broken>), Refused> {
        let wired: wire::Routing = serde_json::from_str(text).map_err(|error| Refused::new(error.to_string()))?;
        check_weights(&wired)?;
        let mut build = Build::new(&self.expressions, self.limit_bytes);
        for network in &wired.trusted_networks {
            build.routing.trusted.insert(network).map_err(Refused::new)?;
        }
        let wire::Disclosure { server, x_varnish } = wired.disclosure;
        build.routing.disclosure = Disclosure { server, x_varnish };
        for rule in &wired.rules {
            let rule = build.rule(rule);
            build.routing.rules.push(rule);
        }
        for socket in &wired.sockets {
            let socket = build.socket(socket)?;
            build.routing.sockets.push(socket);
        }
        let Build { routing, broken, expressions, .. } = build;
        self.expressions = expressions;
        Ok((routing, broken))
    }
}

/// The generated types keep an integer's kind, not its bounds; larger weights could overflow their sum.
fn check_weights(wired: &wire::Routing) -> Result<(), Refused> {
    let backends = wired.rules.iter().flat_map(|rule| match &rule.action {
        wire::RuleAction::Forward(forward) => &*forward.backends,
        wire::RuleAction::Redirect(_) | wire::RuleAction::Refuse(_) => &[],
    });
    match backends.map(|backend| backend.weight).find(|weight| !(0..=MAX_WEIGHT).contains(weight)) {
        Some(weight) => Err(Refused::new(format!("weight {weight} is not between 0 and {MAX_WEIGHT}"))),
        None => Ok(()),
    }
}

/// What one compilation has made so far.
struct Build<'a> {
    routing: Routing,
    broken: Vec<Broken>,
    services: Map<String, ServiceId>,
    /// Those of the compilation before.
    known: &'a Map<String, Expression>,
    expressions: Map<String, Expression>,
    /// What further ones may take; None: they were too many.
    left_bytes: Option<usize>,
}

/// What is wrong with a rule.
type Problems = Vec<String>;

impl<'a> Build<'a> {
    fn new(known: &'a Map<String, Expression>, left_bytes: usize) -> Self {
        let (services, expressions) = (Map::default(), Map::default());
        let routing = Routing::default();
        Self { routing, broken: Vec::new(), services, known, expressions, left_bytes: Some(left_bytes) }
    }

    fn rule(&mut self, wired: &wire::Rule) -> Rule {
        let mut problems = Problems::new();
        let path = self.path(&wired.match_.path, &mut problems);
        let conditions = self.conditions(&wired.match_, &mut problems);
        let filters = filters(&wired.filters, &path, &mut problems);
        let action = self.action(&wired.action, &path, &mut problems);
        problems.extend(room::excess(&filters, &action));
        let is_broken = !problems.is_empty();
        if is_broken {
            let reason = problems.join("; ");
            self.broken.push(Broken { route: wired.route.clone(), index: wired.index, reason });
        }
        let action = if is_broken { Action::Refuse } else { action };
        let header = Field::of_gateway("X-Gateway-Route", &wired.route);
        Rule { conditions, action, header, filters, path, index: wired.index }
    }

    fn path(&mut self, wired: &wire::PathMatch, problems: &mut Problems) -> PathMatch {
        match wired.type_ {
            wire::PathMatchType::Exact => PathMatch::exact(&wired.value),
            wire::PathMatchType::PathPrefix => PathMatch::prefix(&wired.value),
            wire::PathMatchType::RegularExpression => match self.expression(&wired.value) {
                Ok(expression) => PathMatch::Expression(expression),
                Err(reason) => {
                    problems.push(format!("path {:?}: {reason}", shown(&wired.value)));
                    literal_elements(&wired.value)
                }
            },
        }
    }

    fn conditions(&mut self, wired: &wire::Match, problems: &mut Problems) -> Conditions {
        let method = wired.method.as_ref().map(|method| method.as_bytes().into());
        let headers = self.values(&wired.headers, true, problems);
        let query_parameters = self.values(&wired.query_parameters, false, problems);
        Conditions { method, headers, query_parameters }
    }

    fn values(&mut self, wired: &[wire::ValueMatch], is_lower: bool, problems: &mut Problems) -> Box<[ValueMatch]> {
        let name = |name: &str| {
            if is_lower { name.to_ascii_lowercase() } else { name.to_owned() }
        };
        wired
            .iter()
            .map(|value| ValueMatch { name: name(&value.name).into_bytes().into(), test: self.test(value, problems) })
            .collect()
    }

    fn test(&mut self, wired: &wire::ValueMatch, problems: &mut Problems) -> Test {
        match wired.type_ {
            wire::ValueMatchType::Exact => Test::Exact(wired.value.as_bytes().into()),
            wire::ValueMatchType::RegularExpression => self.expression(&wired.value).map_or_else(
                |reason| {
                    problems.push(format!("{:?} {:?}: {reason}", wired.name, shown(&wired.value)));
                    Test::Broken
                },
                Test::Expression,
            ),
        }
    }

    fn expression(&mut self, pattern: &str) -> Result<Expression, String> {
        if let Some(expression) = self.expressions.get(pattern) {
            return Ok(expression.clone());
        }
        // Once they are too many, no more of them is even compiled.
        let beyond = || "all expressions together take too much memory".to_owned();
        let left_bytes = self.left_bytes.ok_or_else(beyond)?;
        let expression = self.known.get(pattern).cloned().map_or_else(|| Expression::compile(pattern), Ok)?;
        self.left_bytes = left_bytes.checked_sub(expression.bytes());
        self.left_bytes.ok_or_else(beyond)?;
        self.expressions.insert(pattern.to_owned(), expression.clone());
        Ok(expression)
    }

    fn action(&mut self, wired: &wire::RuleAction, path: &PathMatch, problems: &mut Problems) -> Action {
        match wired {
            wire::RuleAction::Forward(forward) => Action::Forward(self.forward(forward, path, problems)),
            wire::RuleAction::Redirect(wired) => Action::Redirect(redirect(wired, path, problems).into()),
            wire::RuleAction::Refuse(_) => Action::Refuse,
        }
    }

    fn forward(&mut self, wired: &wire::Forward, path: &PathMatch, problems: &mut Problems) -> Forward {
        let weights = Weights::new(wired.backends.iter().map(|backend| u64::try_from(backend.weight).unwrap_or(0)));
        let backends = wired.backends.iter().map(|backend| Backend {
            service: backend.service.as_deref().map(|key| self.service(key)),
            filters: filters(&backend.filters, path, problems),
        });
        Forward { backends: backends.collect(), weights }
    }

    fn service(&mut self, key: &str) -> ServiceId {
        if let Some(id) = self.services.get(key) {
            return *id;
        }
        let id = ServiceId(place(self.services.len()));
        self.services.insert(key.to_owned(), id);
        self.routing.services.push(key.into());
        id
    }

    fn socket(&self, wired: &wire::Socket) -> Result<Socket, Refused> {
        let mut listeners = HostIndex::default();
        for listener in &wired.listeners {
            listeners.insert(&listener.hostname, self.listener(listener)?);
        }
        let port = port(wired.port).map_err(Refused::new)?;
        let is_https = wired.protocol == wire::SocketProtocol::Https;
        let header = Field::of_gateway("X-Gateway-Listener", &wired.name);
        Ok(Socket { name: wired.name.as_str().into(), header, port, is_https, listeners })
    }

    fn listener(&self, wired: &wire::Listener) -> Result<Listener, Refused> {
        let mut listener = Listener::default();
        for host in &wired.hosts {
            listener.hosts.insert(&host.hostname, self.paths(host)?);
        }
        Ok(listener)
    }

    fn paths(&self, wired: &wire::Host) -> Result<PathIndex, Refused> {
        let mut index = PathIndex::default();
        let mut last = None;
        for place in &wired.rules {
            let id = u32::try_from(*place).ok().filter(|id| (*id as usize) < self.routing.rules.len());
            let id = id.ok_or_else(|| Refused::new(format!("host {:?} names rule {place}", wired.hostname)))?;
            if last.is_some_and(|last| id <= last) {
                return Err(Refused::new(format!("the rules of host {:?} are not ascending", wired.hostname)));
            }
            last = Some(id);
            index.insert(RuleId(id), &self.routing.rules[id as usize].path);
        }
        Ok(index)
    }
}

/// The elements of a pattern that are certainly literal. A rule whose expression does not compile answers 500 below
/// them; where the pattern has none, it would answer for every path, so it stands nowhere.
fn literal_elements(pattern: &str) -> PathMatch {
    let literal = pattern.trim_start_matches('^');
    let end = literal.find(|byte: char| !(byte.is_ascii_alphanumeric() || "/-_~%,;=".contains(byte)));
    match literal[..end.unwrap_or(literal.len())].rsplit_once('/') {
        Some((elements, _)) if elements.starts_with('/') => PathMatch::prefix(elements),
        _ => PathMatch::Nowhere,
    }
}

fn redirect(wired: &wire::Redirect, path: &PathMatch, problems: &mut Problems) -> Redirect {
    Redirect {
        status: u16::try_from(*wired.status).unwrap_or(302),
        is_https: wired.scheme.map(|scheme| scheme == wire::RedirectScheme::Https),
        hostname: wired.hostname.as_deref().map(|hostname| checked_host(hostname, problems).into()),
        port: wired.port.and_then(|number| port(number).map_err(|reason| problems.push(reason)).ok()),
        path: wired.path.as_ref().map(|rewrite| path_rewrite(rewrite, path, problems)),
    }
}

fn filters(wired: &wire::Filters, path: &PathMatch, problems: &mut Problems) -> Filters {
    Filters {
        request_headers: wired.request_headers.as_ref().map(|edit| header_edit(edit, problems).into()),
        response_headers: wired.response_headers.as_ref().map(|edit| header_edit(edit, problems).into()),
        url_rewrite: wired.url_rewrite.as_ref().map(|rewrite| url_rewrite(rewrite, path, problems).into()),
    }
}

fn header_edit(wired: &wire::HeaderEdit, problems: &mut Problems) -> HeaderEdit {
    let mut fields = |wired: &[wire::Header]| {
        let made = wired.iter().map(|header| Field::new(&header.name, &header.value));
        made.filter_map(|field| field.map_err(|reason| problems.push(reason)).ok()).collect()
    };
    let (set, add) = (fields(&wired.set), fields(&wired.add));
    problems.extend(wired.remove.iter().filter_map(|name| check_name(name).err()));
    HeaderEdit { remove: wired.remove.iter().map(|name| name.as_bytes().into()).collect(), set, add }
}

fn url_rewrite(wired: &wire::UrlRewrite, path: &PathMatch, problems: &mut Problems) -> UrlRewrite {
    let host = wired.hostname.as_deref().map(|hostname| Field::new("Host", checked_host(hostname, problems)));
    UrlRewrite {
        host: host.and_then(Result::ok),
        path: wired.path.as_ref().map(|rewrite| path_rewrite(rewrite, path, problems)),
    }
}

fn checked_host<'a>(hostname: &'a str, problems: &mut Problems) -> &'a str {
    if crate::normalise::host(hostname.as_bytes()).is_err() {
        problems.push(format!("{hostname:?} is no hostname"));
    }
    hostname
}

fn path_rewrite(wired: &wire::PathRewrite, path: &PathMatch, problems: &mut Problems) -> PathRewrite {
    let value = &wired.value;
    let is_clean = value.bytes().all(|byte| byte > b' ' && byte != 0x7f && !b"?#".contains(&byte));
    if !is_clean || !(value.is_empty() || value.starts_with('/')) {
        problems.push(format!("{value:?} is no path"));
    }
    match (wired.type_, path) {
        (wire::PathRewriteType::ReplaceFullPath, _) => PathRewrite::Full(value.as_bytes().into()),
        (wire::PathRewriteType::ReplacePrefixMatch, PathMatch::Prefix(matched)) => {
            PathRewrite::Prefix { matched: matched.clone(), replacement: value.as_bytes().into() }
        }
        (wire::PathRewriteType::ReplacePrefixMatch, _) => {
            problems.push("ReplacePrefixMatch needs a PathPrefix".to_owned());
            PathRewrite::Full([].into())
        }
    }
}

fn port(number: std::num::NonZeroU64) -> Result<u16, String> {
    u16::try_from(number.get()).map_err(|_| format!("{number} is no port"))
}

fn place(number: usize) -> u32 {
    u32::try_from(number).expect("fewer services than bytes of the document")
}

/// Enough of a pattern to know it by.
fn shown(pattern: &str) -> String {
    pattern.chars().take(80).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn expressions_beyond_the_limit_break_their_own_rules() {
        let rule = |path: &str| {
            format!(r#"{{"route":"a/b","match":{{"path":{path}}},"action":{{"type":"Refuse","reason":""}}}}"#)
        };
        let expression = |number: u32| rule(&format!(r#"{{"type":"RegularExpression","value":"/{number}/[a-z]+"}}"#));
        let rules: Vec<_> = (0..100).map(expression).chain([rule(r#"{"value":"/plain"}"#)]).collect();
        let text = format!(r#"{{"version":1,"gateway":"a/b","rules":[{}]}}"#, rules.join(","));
        let one = Expression::compile("/0/[a-z]+").unwrap().bytes();
        let mut compiler = Compiler { limit_bytes: 50 * one, ..Compiler::default() };
        let (routing, broken) = compiler.compile(&text).unwrap();
        assert_eq!(routing.rules().len(), 101);
        assert!((40..60).contains(&broken.len()), "{}", broken.len());
        assert!(broken[0].reason.contains("all expressions together"), "{}", broken[0].reason);
        assert_eq!(Compiler::default().compile(&text).unwrap().1, []);
    }
}
