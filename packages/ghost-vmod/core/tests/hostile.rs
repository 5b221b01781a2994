//! Documents and requests that nobody means well with: errors, never crashes. The same entry is the fuzz target's.

use std::{fs, path::Path, time::Instant};

use ghost_core::{Compiler, Document, expression::Expression};

/// One input: a document, and after zero bytes the socket, the host, the target and the header lines of a request.
fn entry(input: &[u8]) -> Result<usize, String> {
    ghost_core::fuzzing::entry(input)
}

fn rule(match_: &str) -> String {
    format!(
        r#"{{"version":1,"routing":{{"version":1,"gateway":"a/b","rules":[{{"route":"a/b","match":{match_},"action":{{"type":"Refuse","reason":""}}}}]}}}}"#
    )
}

/// What a worker of the VMOD has is larger; a test's thread has 2 MiB.
fn broken(text: &str) -> Vec<String> {
    let document = Document::parse(text.as_bytes()).unwrap();
    let (_, broken) = Compiler::default().compile(document.routing).unwrap();
    broken.into_iter().map(|broken| broken.reason).collect()
}

#[test]
fn deep_nesting_is_an_error() {
    for (open, close) in [("[", "]"), (r#"{"a":"#, "}")] {
        let deep = open.repeat(10_000) + &close.repeat(10_000);
        assert!(entry(deep.as_bytes()).is_err());
        assert!(entry(format!(r#"{{"version":1,"routing":{deep}}}"#).as_bytes()).is_err());
        assert!(entry(open.repeat(10_000).as_bytes()).is_err());
    }
}

#[test]
fn deep_and_large_expressions_break_their_rule() {
    let deep = "(".repeat(10_000) + &")".repeat(10_000);
    for pattern in [&*deep, &"(?:".repeat(10_000), "(a{1000}){1000}", "\\\\w{1000}{1000}", "(?<=a)b", "a)|(b"] {
        let text = rule(&format!(r#"{{"path":{{"type":"RegularExpression","value":"{pattern}"}}}}"#));
        assert_eq!(broken(&text).len(), 1, "{}", &pattern[..pattern.len().min(40)]);
    }
    assert_eq!(broken(&rule(r#"{"path":{"type":"RegularExpression","value":"/(a+)+b"}}"#)), Vec::<String>::new());
}

/// What makes a matcher that backtracks take longer than the universe has lasted, or a table grow without end.
const EXPLOSIVE: [&str; 10] = [
    "(a+)+b",
    "(a|a)*b",
    "(a|b|ab)*c",
    "(.*a){20}c",
    "(x+x+)+y",
    "([a-z]+)*[0-9]",
    ".*.*.*.*=.*c",
    "(a?){50}a{50}c",
    "(\\w+\\s?)*!",
    "[ab]*a[ab]{200}c",
];

fn best_milliseconds(expression: &Expression, text: &[u8]) -> f64 {
    let once = || {
        let begun = Instant::now();
        assert!(!expression.is_match(text));
        begun.elapsed().as_secs_f64() * 1e3
    };
    (0..5).map(|_| once()).fold(f64::INFINITY, f64::min)
}

/// Eight times what Varnish takes as a request line.
#[test]
fn expressions_take_time_linear_to_the_text() {
    let text: Vec<u8> =
        (0..1_u64 << 16).map(|place| b"ab"[(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) as usize]).collect();
    for pattern in EXPLOSIVE {
        let taken = best_milliseconds(&Expression::compile(pattern).unwrap(), &text);
        assert!(taken < 500.0, "{pattern}: {taken} ms");
    }
    for pattern in ["/api/v[0-9]+/.*", "[a-b]*c", "(a|b)+/[0-9a-f]{8}(-[0-9a-f]{4}){3}"] {
        let taken = best_milliseconds(&Expression::compile(pattern).unwrap(), &text);
        assert!(taken < 1.0, "{pattern}: {taken} ms");
    }
}

#[test]
fn what_is_wrong_as_a_whole_is_refused() {
    let documents = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/refused");
    let files: Vec<_> = fs::read_dir(documents).unwrap().map(|file| file.unwrap().path()).collect();
    assert!(files.len() > 5);
    for file in files {
        let text = fs::read(&file).unwrap();
        assert!(entry(&text).is_err(), "{} was taken", file.display());
    }
}

#[test]
fn every_truncation_is_refused() {
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/whole.json")).unwrap();
    assert!(entry(&text).is_ok());
    let end = text.iter().rposition(|byte| *byte == b'}').unwrap();
    for length in 0..=end {
        assert!(entry(&text[..length]).is_err(), "{length} bytes were taken");
    }
}

/// A stand-in for the fuzzer: the corpus, and each of its bytes changed in a few ways.
#[test]
fn mutations_of_the_corpus_do_not_crash() {
    let text = fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/documents/whole.json")).unwrap();
    for request in [
        "http-80\0a.test\0/a?b=1\0h: a\nX_Forwarded-For: b\nx-gateway-route: c",
        "http-80\0[::1]:1\0/%2e%2e/%",
        "\0\0",
        "http-80\0A.test.\0http://x",
    ] {
        let input = [&text[..], b"\0", request.as_bytes()].concat();
        for place in 0..input.len() {
            for byte in [0, b'"', b'}', b'9', 0xff, input[place].wrapping_add(1)] {
                let mut mutated = input.clone();
                mutated[place] = byte;
                _ = entry(&mutated);
            }
        }
    }
}
