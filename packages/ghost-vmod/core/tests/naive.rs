//! The indexes against a matcher that does what the specification says, word by word and one by one.

mod support;

use ghost_core::{Compiler, Connection, Routing, RuleId, Verdict, key::identity, request::Request};
use proptest::prelude::*;
use serde_json::{Value, json};
use support::Headers;

const HOSTNAMES: [&str; 7] = ["", "*.test", "*.a.test", "a.test", "x.a.test", "y.x.a.test", "*.x.a.test"];
const HOSTS: [&str; 7] = ["a.test", "x.a.test", "y.x.a.test", "z.y.x.a.test", "test", "b.example", "b.test"];

fn path() -> impl Strategy<Value = String> {
    proptest::collection::vec(prop_oneof!["a", "b", "ab", ""], 0..4)
        .prop_map(|elements| format!("/{}", elements.join("/")))
}

fn value_matches(names: [&'static str; 2]) -> impl Strategy<Value = Vec<Value>> {
    let one = (0..2_usize, prop_oneof!["1", "2", "1*"]).prop_map(move |(name, value)| {
        let kind = if value.ends_with('*') { "RegularExpression" } else { "Exact" };
        json!({"name": names[name], "type": kind, "value": value})
    });
    proptest::collection::vec(one, 0..2)
}

fn rule() -> impl Strategy<Value = Value> {
    let kinds = prop_oneof![2 => Just("Exact"), 4 => Just("PathPrefix"), 1 => Just("RegularExpression")];
    let methods = prop_oneof![3 => Just(None), 1 => Just(Some("GET")), 1 => Just(Some("POST"))];
    let values = (value_matches(["h", "i"]), value_matches(["q", "Q"]));
    (kinds, path(), methods, values).prop_map(|(kind, path, method, (headers, queries))| {
        let value = if kind == "RegularExpression" { path.replace('b', "[ab]") } else { path };
        json!({"route": "a/b", "action": {"type": "Forward"}, "match":
            {"path": {"type": kind, "value": value}, "method": method, "headers": headers, "query_parameters": queries}})
    })
}

/// Listeners of one socket: hostname and hosts, each with the places of its rules.
fn listeners(rules: usize) -> impl Strategy<Value = Vec<Value>> {
    let hosts = proptest::sample::subsequence(&HOSTNAMES, 1..5).prop_flat_map(move |names| {
        let places: Vec<_> = (0..rules).collect();
        proptest::collection::vec(proptest::sample::subsequence(places, 0..=rules), names.len()).prop_map(
            move |places| {
                let host = |(name, places): (&&str, &Vec<usize>)| json!({"hostname": name, "rules": places});
                names.iter().zip(&places).map(host).collect::<Vec<_>>()
            },
        )
    });
    proptest::sample::subsequence(&HOSTNAMES, 0..4).prop_flat_map(move |names| {
        proptest::collection::vec(hosts.clone(), names.len()).prop_map(move |hosts| {
            let listener =
                |(name, hosts): (&&str, &Vec<Value>)| json!({"name": name, "hostname": name, "hosts": hosts});
            names.iter().zip(&hosts).map(listener).collect()
        })
    })
}

fn routing() -> impl Strategy<Value = Value> {
    // As few on a host as are asked one by one, and more.
    proptest::collection::vec(rule(), 1..24).prop_flat_map(|rules| {
        (listeners(rules.len()), prop_oneof!["HTTP", "HTTPS"]).prop_map(move |(listeners, protocol)| {
            json!({"version": 1, "gateway": "a/b", "rules": rules,
                "sockets": [{"name": "s-80", "port": 80, "protocol": protocol, "listeners": listeners}]})
        })
    })
}

#[derive(Debug)]
struct Asked {
    method: &'static str,
    host: &'static str,
    server_name: Option<&'static str>,
    path: String,
    query: Option<String>,
    headers: Headers,
}

fn asked() -> impl Strategy<Value = Asked> {
    let pairs = proptest::collection::vec((prop_oneof!["h", "i", "q", "Q"], prop_oneof!["1", "2", "11"]), 0..3);
    let methods = prop_oneof![Just("GET"), Just("POST")];
    let host = || proptest::sample::select(&HOSTS[..]);
    let hosts = (host(), proptest::option::weighted(0.8, host()));
    (methods, hosts, path(), pairs).prop_map(|(method, (host, server_name), path, pairs)| {
        let query = pairs.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&");
        Asked { method, host, server_name, path, query: (!query.is_empty()).then_some(query), headers: Headers(pairs) }
    })
}

/// "Exact matches precede wildcards, longer ones shorter ones": the greater, the more specific; None: no match.
fn specificity(hostname: &str, host: &str) -> Option<(bool, usize)> {
    match hostname.strip_prefix('*') {
        _ if hostname.is_empty() => Some((false, 0)),
        Some(suffix) => (host.len() > suffix.len() && host.ends_with(suffix)).then_some((false, suffix.len())),
        None => (hostname == host).then_some((true, 0)),
    }
}

/// Everything that covers the host, the most specific first.
fn covering<'a>(of: &'a Value, host: &str) -> Vec<&'a Value> {
    let rank = |value: &Value| specificity(value["hostname"].as_str().unwrap(), host);
    let mut found: Vec<_> = of.as_array().unwrap().iter().filter(|value| rank(value).is_some()).collect();
    found.sort_by_key(|value| std::cmp::Reverse(rank(value)));
    found
}

fn matches_path(wanted: &Value, path: &str) -> bool {
    let value = wanted["value"].as_str().unwrap();
    match wanted["type"].as_str().unwrap() {
        "Exact" => path == value,
        // "Matches based on a URL path prefix split by /, case-sensitive, element by element. A trailing / is ignored."
        "PathPrefix" => {
            let prefix = value.strip_suffix('/').unwrap_or(value);
            path == prefix || path.starts_with(&format!("{prefix}/"))
        }
        _ => whole(value, path),
    }
}

fn whole(pattern: &str, text: &str) -> bool {
    regex_lite::Regex::new(&format!("^(?:{pattern})$")).unwrap().is_match(text)
}

/// "The first value of a repeated name counts."
fn matches_values(wanted: &Value, first: impl Fn(&str) -> Option<String>) -> bool {
    wanted.as_array().unwrap().iter().all(|wanted| {
        let (name, value) = (wanted["name"].as_str().unwrap(), wanted["value"].as_str().unwrap());
        let is_regex = wanted["type"] == "RegularExpression";
        first(name).is_some_and(|found| if is_regex { whole(value, &found) } else { found == value })
    })
}

fn matches(rule: &Value, asked: &Asked) -> bool {
    let wanted = &rule["match"];
    let header = |name: &str| {
        let found = asked.headers.0.iter().find(|field| field.0.eq_ignore_ascii_case(name));
        found.map(|field| field.1.clone())
    };
    let parameter = |name: &str| {
        let mut pairs = asked.query.as_deref()?.split('&').map(|pair| pair.split_once('=').unwrap());
        pairs.find(|pair| pair.0 == name).map(|pair| pair.1.to_owned())
    };
    matches_path(&wanted["path"], &asked.path)
        && (wanted["method"].is_null() || wanted["method"] == asked.method)
        && matches_values(&wanted["headers"], header)
        && matches_values(&wanted["query_parameters"], parameter)
}

/// The place of the listener with the most specific hostname; a connection without a server name is for the one without.
fn owner(listeners: &Value, host: Option<&str>) -> Option<usize> {
    let first = match host {
        Some(host) => covering(listeners, host).first().map(|listener| listener["name"].clone()),
        None => Some(json!("")),
    };
    listeners.as_array().unwrap().iter().position(|listener| Some(&listener["name"]) == first.as_ref())
}

/// The listener with the most specific hostname, then its hosts from the most specific on, then the first rule.
fn naive(routing: &Value, asked: &Asked) -> Verdict {
    let socket = &routing["sockets"][0];
    let listeners = &socket["listeners"];
    if socket["protocol"] == "HTTPS" && owner(listeners, asked.server_name) != owner(listeners, Some(asked.host)) {
        return Verdict::Misdirected;
    }
    let listeners = covering(listeners, asked.host);
    let Some(listener) = listeners.first() else { return Verdict::NoListener };
    let hosts = covering(&listener["hosts"], asked.host);
    let places = hosts.iter().flat_map(|host| host["rules"].as_array().unwrap());
    let mut places = places.map(|place| usize::try_from(place.as_u64().unwrap()).unwrap());
    let found = places.find(|place| matches(&routing["rules"][place], asked));
    found.map_or(Verdict::NoRoute, |place| Verdict::Forward(RuleId(u32::try_from(place).unwrap())))
}

fn indexed(routing: &Routing, asked: &Asked) -> Verdict {
    let request = Request {
        method: asked.method.as_bytes(),
        host: Some(asked.host.as_bytes()),
        path: asked.path.as_bytes(),
        query: asked.query.as_deref().map(str::as_bytes),
        fields: &asked.headers,
    };
    routing.decide(b"s-80", Connection::Client(asked.server_name.map(str::as_bytes)), &request)
}

/// Every escape undone: what two spellings of a path have in common.
fn decoded(path: &[u8]) -> Vec<u8> {
    let text = str::from_utf8(path).unwrap();
    let mut parts = text.split('%');
    let mut found = parts.next().unwrap().as_bytes().to_vec();
    for part in parts {
        found.push(u8::from_str_radix(&part[..2], 16).unwrap());
        found.extend_from_slice(&part.as_bytes()[2..]);
    }
    found
}

/// RFC 3986, 5.2.4, segment by segment.
fn resolved(path: &str) -> Vec<u8> {
    let mut kept: Vec<&str> = Vec::new();
    let segments: Vec<_> = path[1..].split('/').collect();
    for (place, segment) in segments.iter().enumerate() {
        let plain = segment.replace("%2e", ".").replace("%2E", ".");
        let is_last = place + 1 == segments.len();
        match plain.as_str() {
            "." | ".." => {
                if plain == ".." {
                    kept.pop();
                }
                if is_last {
                    kept.push("");
                }
            }
            _ => kept.push(segment),
        }
    }
    format!("/{}", kept.join("/")).into_bytes()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(512))]

    #[test]
    fn the_index_finds_what_the_specification_says(
        routing in routing(), asked in proptest::collection::vec(asked(), 20)
    ) {
        let (compiled, broken) = Compiler::default().compile(&routing.to_string()).unwrap();
        prop_assert_eq!(broken, vec![]);
        for asked in asked {
            prop_assert_eq!(indexed(&compiled, &asked), naive(&routing, &asked), "{:?}", asked);
        }
    }

    #[test]
    fn different_texts_have_different_identities(
        one in proptest::collection::vec("[0-9:a]{0,4}", 0..5), other in proptest::collection::vec("[0-9:a]{0,4}", 0..5)
    ) {
        let made = |parts: &[String]| {
            let mut made = Vec::new();
            identity(parts.iter().map(String::as_bytes), &mut made);
            made
        };
        prop_assert_eq!(one == other, made(&one) == made(&other));
    }

    #[test]
    fn a_normalised_target_is_normal(raw in "[/a.%2eE67cC?;]{0,12}") {
        let raw = format!("/{raw}");
        if let Ok(target) = ghost_core::normalise::target(b"GET", raw.as_bytes()) {
            let again = ghost_core::normalise::target(b"GET", &target.text).unwrap();
            prop_assert_eq!(&again.text, &target.text);
            prop_assert!(!target.path().split(|byte| *byte == b'/').any(|segment| segment == b"." || segment == b".."));
            prop_assert_eq!(decoded(target.path()), decoded(&resolved(raw.split('?').next().unwrap())));
        }
    }
}
