//! What finding a rule costs, and what taking a new document does. `cargo bench -p ghost-core`

use std::hint::black_box;

use divan::{Bencher, counter::ItemsCount};
use ghost_core::{
    Compiler, Connection, Document, Routing, Verdict,
    expression::Expression,
    normalise,
    request::{Fields, Request},
};

const SIZES: [usize; 3] = [10, 1_000, 10_000];

fn main() {
    divan::main();
}

struct NoFields;

impl Fields for NoFields {
    fn first(&self, _: &[u8]) -> Option<&[u8]> {
        None
    }
}

/// One rule of each host.
fn hosts(size: usize) -> String {
    let hosts = (0..size).map(|place| format!(r#"{{"hostname":"h{place}.example.com","rules":[{place}]}}"#));
    routing(&hosts.collect::<Vec<_>>().join(","), (0..size).map(|_| "/".to_owned()))
}

/// All rules of one host, each with a prefix of its own.
fn prefixes(size: usize) -> String {
    let places = (0..size).map(|place| place.to_string()).collect::<Vec<_>>().join(",");
    routing(
        &format!(r#"{{"hostname":"h1.example.com","rules":[{places}]}}"#),
        (0..size).map(|place| format!("/p{place}/x")),
    )
}

fn routing(hosts: &str, paths: impl Iterator<Item = String>) -> String {
    let rules = paths.enumerate().map(|(place, path)| {
        format!(
            r#"{{"route":"default/route-{place}","match":{{"path":{{"value":"{path}"}}}},"action":{{"type":"Forward","backends":[{{"service":"default/web-{}:80"}}]}}}}"#,
            place % 500
        )
    });
    let rules = rules.collect::<Vec<_>>().join(",");
    format!(
        r#"{{"version":1,"gateway":"default/gw","sockets":[{{"name":"http-80","port":80,"listeners":[{{"name":"http","hosts":[{hosts}]}}]}}],"rules":[{rules}]}}"#
    )
}

fn find(bencher: Bencher, routing: &str, host: &str, path: &str) {
    let (routing, _) = Compiler::default().compile(routing).unwrap();
    bencher.bench_local(|| {
        let verdict = decide(black_box(&routing), black_box(host), black_box(path));
        assert!(matches!(verdict, Verdict::Forward(_)));
    });
}

/// As the VMOD does: normalise, then decide.
fn decide(routing: &Routing, host: &str, target: &str) -> Verdict {
    let target = normalise::target(b"GET", target.as_bytes()).unwrap();
    let host = normalise::host(host.as_bytes()).unwrap();
    let (path, query) = (target.path(), target.query());
    let request = Request { method: b"GET", host: Some(&host), path, query, fields: &NoFields };
    routing.decide(b"http-80", Connection::Client(None), &request)
}

#[divan::bench(args = SIZES)]
fn find_among_hosts(bencher: Bencher, size: usize) {
    find(bencher, &hosts(size), &format!("h{}.example.com", size / 2), "/some/path?query");
}

#[divan::bench(args = SIZES)]
fn find_among_prefixes(bencher: Bencher, size: usize) {
    find(bencher, &prefixes(size), "h1.example.com", &format!("/p{}/x/some/path?query", size / 2));
}

#[divan::bench(args = SIZES)]
fn parse_and_compile(bencher: Bencher, size: usize) {
    let text = format!(r#"{{"version":1,"routing":{}}}"#, hosts(size));
    bencher.counter(ItemsCount::new(size)).bench_local(|| {
        let document = Document::parse(black_box(text.as_bytes())).unwrap();
        Compiler::default().compile(document.routing).unwrap()
    });
}

/// Every rule with an expression of its own.
#[divan::bench(args = [10, 1_000])]
fn compile_expressions(bencher: Bencher, size: usize) {
    let text =
        hosts(size).replace(r#""path":{"value":"/"}"#, r#""path":{"type":"RegularExpression","value":"/a@/[a-z]+"}"#);
    let mut place = 0;
    let text: String = text
        .split('@')
        .flat_map(|part| {
            place += 1;
            [part.to_owned(), place.to_string()]
        })
        .collect();
    let text = text.trim_end_matches(char::is_numeric).to_owned();
    bencher.counter(ItemsCount::new(size)).bench_local(|| Compiler::default().compile(black_box(&text)).unwrap());
}

/// On 64 KiB of text, none of which settles it.
#[divan::bench(args = ["(a+)+b", ".*.*.*.*=.*c", "(a?){50}a{50}c|[ab]*", ".*(bot|crawler|spider|slurp).*"])]
fn match_64_kib(bencher: Bencher, pattern: &str) {
    let text: Vec<u8> =
        (0..1_u64 << 16).map(|place| b"ab"[(place.wrapping_mul(0x9e37_79b9) >> 31 & 1) as usize]).collect();
    let expression = Expression::compile(pattern).unwrap();
    bencher.bench_local(|| expression.is_match(black_box(&text)));
}

/// All that one HTTPRoute can make a request line of 8 KiB meet.
#[divan::bench]
fn meet_128_expressions(bencher: Bencher) {
    let places = (0..128).map(|place| place.to_string()).collect::<Vec<_>>().join(",");
    let hosts = format!(r#"{{"hostname":"h1.example.com","rules":[{places}]}}"#);
    let text = routing(&hosts, (0..128).map(|place| format!(".*{place}x.*y")));
    let text = text.replace(r#""path":{"#, r#""path":{"type":"RegularExpression","#);
    let (routing, broken) = Compiler::default().compile(&text).unwrap();
    assert_eq!(broken, []);
    let target = format!("/{}", "1".repeat(8000));
    bencher.bench_local(|| decide(black_box(&routing), "h1.example.com", black_box(&target)));
}
