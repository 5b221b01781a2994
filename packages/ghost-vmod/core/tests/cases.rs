//! The golden cases: what e2e/cases expects of each request, checked with the core alone.

mod support;

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use serde::Deserialize;
use support::{Gateway, Headers, Outcome, Sent};

/// How far a share may be off.
const TOLERANCE: f64 = 0.12;

#[derive(Deserialize)]
struct Entry {
    claim: String,
    get: String,
    gateway: Option<String>,
    /// The server name of the TLS handshake, "" for none; without it, the Host.
    sni: Option<String>,
    #[serde(default = "get")]
    method: String,
    #[serde(default)]
    headers: Vec<(String, String)>,
    #[serde(default = "once")]
    repeat: usize,
    /// The expectation involves user VCL, of which the core knows nothing.
    #[serde(default)]
    vcl: bool,
    expect: Expect,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Expect {
    status: Option<u16>,
    backend: Option<String>,
    endpoints: Option<BTreeSet<String>>,
    route: Option<String>,
    path: Option<String>,
    host: Option<String>,
    request_headers: BTreeMap<String, Option<String>>,
    headers: BTreeMap<String, Option<String>>,
    shares: Option<BTreeMap<String, f64>>,
}

fn get() -> String {
    "GET".into()
}

fn once() -> usize {
    1
}

#[test]
fn every_case_holds() {
    let cases = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../e2e/cases");
    if !cases.exists() {
        return; // the crate stands alone
    }
    let (mut checked, mut failures) = (0, Vec::new());
    for case in folders(&cases) {
        let Ok(requests) = fs::read_to_string(case.join("requests.yaml")) else {
            continue;
        };
        let mut gateways = gateways(&case.join("out"));
        if gateways.is_empty() {
            continue;
        }
        let entries: Vec<Entry> =
            serde_yaml_ng::from_str(&requests).unwrap_or_else(|error| panic!("{}: {error}", case.display()));
        for entry in entries.iter().filter(|entry| !entry.vcl) {
            checked += 1;
            if let Err(reason) = check(entry, &mut gateways) {
                failures.push(format!("{}: {}: {reason}", case.file_name().unwrap().display(), entry.claim));
            }
        }
    }
    assert!(checked > 0, "no case has a ghost.json");
    assert!(failures.is_empty(), "{} of {checked} claims fail\n{}", failures.len(), failures.join("\n"));
}

fn folders(parent: &Path) -> Vec<PathBuf> {
    let mut found: Vec<_> = fs::read_dir(parent).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.retain(|path| path.is_dir());
    found.sort();
    found
}

/// By `namespace/name`.
fn gateways(out: &Path) -> BTreeMap<String, Gateway> {
    let folders = if out.exists() { folders(out) } else { Vec::new() };
    let read = |folder: PathBuf| {
        let text = fs::read(folder.join("ghost.json")).ok()?;
        let gateway = Gateway::new(&text).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
        Some((folder.file_name()?.to_str()?.replacen('.', "/", 1), gateway))
    };
    folders.into_iter().filter_map(read).collect()
}

fn check(entry: &Entry, gateways: &mut BTreeMap<String, Gateway>) -> Result<(), String> {
    let name = entry.gateway.clone().or_else(|| gateways.keys().next().cloned()).unwrap();
    let gateway = gateways.get_mut(&name).ok_or_else(|| format!("no ghost.json of {name}"))?;
    let sent = sent(entry);
    let outcomes: Vec<_> = (0..entry.repeat).map(|_| gateway.answer(&sent)).collect();
    if let Some(shares) = &entry.expect.shares {
        return check_shares(shares, &outcomes);
    }
    if let Some(wanted) = &entry.expect.endpoints {
        let seen = outcomes.iter().filter_map(|outcome| Some(outcome.seen.as_ref()?.endpoint.to_string())).collect();
        equal("endpoints", wanted, &seen)?;
    }
    outcomes.iter().try_for_each(|outcome| check_outcome(&entry.expect, outcome))
}

fn sent(entry: &Entry) -> Sent {
    let (scheme, rest) = entry.get.split_once("://").unwrap();
    let (authority, target) = rest.find('/').map_or((rest, "/"), |cut| rest.split_at(cut));
    let port = authority.rsplit_once(':').map_or(if scheme == "https" { "443" } else { "80" }, |parts| parts.1);
    let host = authority.rsplit_once(':').map_or(authority, |parts| parts.0);
    let mut headers = vec![("Host".to_owned(), authority.to_owned())];
    headers.extend(entry.headers.iter().cloned());
    Sent {
        socket: format!("{scheme}-{port}"),
        server_name: entry.sni.clone().unwrap_or_else(|| host.to_owned()),
        method: entry.method.clone(),
        target: target.to_owned(),
        headers: Headers(headers),
    }
}

fn check_shares(wanted: &BTreeMap<String, f64>, outcomes: &[Outcome]) -> Result<(), String> {
    let mut counts = BTreeMap::<String, f64>::new();
    for outcome in outcomes {
        let name = outcome.seen.as_ref().map_or_else(|| outcome.status.to_string(), |seen| seen.service.clone());
        let all = u32::try_from(outcomes.len()).unwrap();
        *counts.entry(name).or_default() += 1.0 / f64::from(all);
    }
    let names: BTreeSet<_> = wanted.keys().chain(counts.keys()).collect();
    let share = |of: &BTreeMap<String, f64>, name: &str| of.get(name).copied().unwrap_or_default();
    let is_off = |name: &&&String| (share(wanted, name) - share(&counts, name)).abs() > TOLERANCE;
    names.iter().find(is_off).map_or(Ok(()), |name| Err(format!("share of {name}: {counts:?}")))
}

fn check_outcome(expect: &Expect, outcome: &Outcome) -> Result<(), String> {
    equal("status", &expect.status.unwrap_or(200), &outcome.status)?;
    for (name, value) in &expect.headers {
        equal(name, value, &outcome.headers.joined(name))?;
    }
    let Some(seen) = &outcome.seen else {
        let wants_backend = expect.backend.is_some() || !expect.request_headers.is_empty() || expect.route.is_some();
        return if wants_backend { Err(format!("no backend was asked: {}", outcome.status)) } else { Ok(()) };
    };
    wanted("backend", expect.backend.as_ref(), &seen.service)?;
    wanted("path", expect.path.as_ref(), &seen.target)?;
    wanted("host", expect.host.as_ref(), &seen.headers.joined("host").unwrap_or_default())?;
    wanted("route", expect.route.as_ref(), &seen.headers.joined("x-gateway-route").unwrap_or_default())?;
    for (name, value) in &expect.request_headers {
        let port = (name == "x-echo-port").then(|| seen.endpoint.port().to_string());
        equal(name, value, &port.or_else(|| seen.headers.joined(name)))?;
    }
    Ok(())
}

fn wanted(what: &str, wanted: Option<&String>, found: &String) -> Result<(), String> {
    wanted.map_or(Ok(()), |wanted| equal(what, wanted, found))
}

fn equal<T: PartialEq + std::fmt::Debug>(what: &str, wanted: &T, found: &T) -> Result<(), String> {
    if wanted == found { Ok(()) } else { Err(format!("{what}: wanted {wanted:?}, found {found:?}")) }
}
