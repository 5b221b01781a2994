//! Wire types become closed types, once; what cannot be compiled breaks its own rule and no other.

use std::collections::HashMap;

use foldhash::fast::RandomState;

use crate::{
    admission::{Limits, Tried, admit},
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

/// A rule that answers 500, and why.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Broken {
    pub route: String,
    pub index: u64,
    pub reason: String,
}

/// Compiles one routing after the other; an expression that stays is not compiled again.
#[derive(Default)]
pub struct Compiler {
    tried: Map<String, Tried>,
    limits: Limits,
}

impl Compiler {
    /// Takes the text of `routing`; the error is for a document that is wrong as a whole.
    pub fn compile(&mut self, text: &str) -> Result<(Routing, Vec<Broken>), Refused> {
        let wired: wire::Routing = serde_json::from_str(text).map_err(|error| Refused::new(error.to_string()))?;
        check_weights(&wired)?;
        let admission = admit(&wired, &self.tried, &self.limits);
        let mut build = Build::new(&admission.tried);
        for network in &wired.trusted_networks {
            build.routing.trusted.insert(network).map_err(Refused::new)?;
        }
        let wire::Disclosure { server, x_varnish } = wired.disclosure;
        build.routing.disclosure = Disclosure { server, x_varnish };
        for (place, rule) in wired.rules.iter().enumerate() {
            let rule = build.rule(rule, admission.refused.get(&place).copied());
            build.routing.rules.push(rule);
        }
        for socket in &wired.sockets {
            let socket = build.socket(socket)?;
            build.routing.sockets.push(socket);
        }
        let Build { routing, broken, .. } = build;
        self.tried = admission.tried;
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
    tried: &'a Map<String, Tried>,
    /// Why the rule that is being compiled goes without its expressions.
    refusal: Option<&'static str>,
}

/// What is wrong with a rule.
type Problems = Vec<String>;

impl<'a> Build<'a> {
    fn new(tried: &'a Map<String, Tried>) -> Self {
        let (routing, services) = (Routing::default(), Map::default());
        Self { routing, broken: Vec::new(), services, tried, refusal: None }
    }

    fn rule(&mut self, wired: &wire::Rule, refusal: Option<&'static str>) -> Rule {
        self.refusal = refusal;
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

    fn path(&self, wired: &wire::PathMatch, problems: &mut Problems) -> PathMatch {
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

    fn conditions(&self, wired: &wire::Match, problems: &mut Problems) -> Conditions {
        let method = wired.method.as_ref().map(|method| method.as_bytes().into());
        let headers = self.values(&wired.headers, true, problems);
        let query_parameters = self.values(&wired.query_parameters, false, problems);
        Conditions { method, headers, query_parameters }
    }

    fn values(&self, wired: &[wire::ValueMatch], is_lower: bool, problems: &mut Problems) -> Box<[ValueMatch]> {
        let name = |name: &str| {
            if is_lower { name.to_ascii_lowercase() } else { name.to_owned() }
        };
        wired
            .iter()
            .map(|value| ValueMatch { name: name(&value.name).into_bytes().into(), test: self.test(value, problems) })
            .collect()
    }

    fn test(&self, wired: &wire::ValueMatch, problems: &mut Problems) -> Test {
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

    fn expression(&self, pattern: &str) -> Result<Expression, String> {
        match (self.refusal, self.tried.get(pattern)) {
            (Some(reason), _) => Err(reason.to_owned()),
            (None, Some(Tried::Compiled(expression))) => Ok(expression.clone()),
            (None, Some(Tried::Wrong(reason))) => Err(reason.clone()),
            (None, Some(Tried::Refused(_)) | None) => Err("was not compiled".to_owned()),
        }
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
    pattern.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const MANY: &str = r#"{"type":"RegularExpression","value":"(?u:\\w+)@"}"#;

    /// Rules with paths, each of a route.
    fn document<'a>(rules: impl Iterator<Item = (&'a str, String)>, ages: &str) -> String {
        let rule = |(route, path): (&str, String)| {
            format!(r#"{{"route":"{route}","match":{{"path":{path}}},"action":{{"type":"Refuse","reason":""}}}}"#)
        };
        let rules: Vec<_> = rules.map(rule).collect();
        let places: Vec<_> = (0..rules.len()).map(|place| place.to_string()).collect();
        let host = format!(r#"{{"rules":[{}]}}"#, places.join(","));
        let socket = format!(r#"{{"name":"http-80","port":80,"listeners":[{{"name":"http","hosts":[{host}]}}]}}"#);
        format!(
            r#"{{"version":1,"gateway":"a/b","sockets":[{socket}],"rules":[{}],"expression_routes":[{ages}]}}"#,
            rules.join(",")
        )
    }

    fn broken(compiler: &mut Compiler, text: &str) -> Vec<(String, String)> {
        let (_, broken) = compiler.compile(text).unwrap();
        broken.into_iter().map(|each| (each.route, each.reason)).collect()
    }

    fn large(number: usize) -> String {
        MANY.replace('@', &number.to_string())
    }

    fn limits() -> Limits {
        let one = Expression::compile(r"(?u:\w+)0").unwrap().bytes();
        Limits { route_bytes: 10 * one, namespace_bytes: 20 * one, all_bytes: 30 * one, met: 1000 }
    }

    #[test]
    fn a_namespace_that_takes_too_much_breaks_its_own_rules_and_no_others() {
        let routes = ["greedy/a", "greedy/b", "greedy/c", "quiet/a"];
        let rules = routes.iter().enumerate().flat_map(|(place, route)| {
            let count = if *route == "quiet/a" { 3 } else { 8 };
            (0..count).map(move |number| (*route, large(100 * place + number)))
        });
        let text = document(rules, "");
        let mut compiler =
            Compiler { limits: Limits { all_bytes: limits().all_bytes / 2, ..limits() }, ..Compiler::default() };
        let found = broken(&mut compiler, &text);
        assert!((10..=14).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|(route, _)| route.starts_with("greedy/")), "{found:?}");
        assert_eq!(found, broken(&mut compiler, &text));
        assert_eq!(broken(&mut Compiler::default(), &text), []);
    }

    #[test]
    fn of_a_namespace_the_oldest_route_is_charged_first() {
        let rules = || {
            ["n/new", "n/old"]
                .into_iter()
                .zip([7, 8])
                .flat_map(|(route, first)| (0..9).map(move |number| (route, large(10 * first + number))))
        };
        let tight = Limits { namespace_bytes: limits().route_bytes, ..limits() };
        for (ages, newest) in [(r#""n/old","n/new""#, "n/new"), (r#""n/new","n/old""#, "n/old")] {
            let mut compiler = Compiler { limits: tight, ..Compiler::default() };
            let found = broken(&mut compiler, &document(rules(), ages));
            assert!((7..=9).contains(&found.len()), "{}", found.len());
            assert!(found.iter().all(|(route, reason)| route == newest && reason.contains("namespace")), "{found:?}");
        }
    }

    #[test]
    fn a_route_has_a_limit_of_its_own() {
        let mut compiler = Compiler { limits: limits(), ..Compiler::default() };
        let rules = (0..12).map(|number| ("n/a", large(number))).chain([("n/b", large(50))]);
        let found = broken(&mut compiler, &document(rules, ""));
        assert!((2..=4).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|(route, reason)| route == "n/a" && reason.contains("route")), "{found:?}");
    }

    /// 512 that any path leads to, and 5,000 of which each has paths of its own.
    #[test]
    fn one_request_meets_a_bounded_number_of_expressions() {
        let expression = |value: String| format!(r#"{{"type":"RegularExpression","value":"{value}"}}"#);
        let routes: Vec<_> = (0..50).map(|number| format!("quiet/a{number}")).collect();
        let greedy = (0..512).map(|number| ("greedy/a", expression(format!(".*{number}x"))));
        let apart = (0..5000).map(|number| (&*routes[number / 100], expression(format!("/p{number}/[a-z]+"))));
        let quiet = [("quiet/b", expression("/.*/end".to_owned()))];
        let text = document(greedy.chain(apart).chain(quiet), "");
        let found = broken(&mut Compiler::default(), &text);
        assert!((250..=262).contains(&found.len()), "{}", found.len());
        assert!(found.iter().all(|(route, reason)| route == "greedy/a" && reason.contains("one request")));
    }

    #[test]
    fn what_does_not_compile_is_tried_once_and_charged() {
        let hungry = |number: usize| format!(r#"{{"type":"RegularExpression","value":".*a.{{12}}{number}"}}"#);
        let text = document((0..200).map(|number| ("greedy/a", hungry(number))), "");
        let mut compiler = Compiler::default();
        assert_eq!(broken(&mut compiler, &text).len(), 200);
        assert!(compiler.tried.len() <= 130, "{}", compiler.tried.len());
    }
}
