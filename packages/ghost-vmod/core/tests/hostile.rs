//! Documents and requests that nobody means well with: errors, never crashes. The same entry is the fuzz target's.

use std::{fs, path::Path};

use ghost_core::{
    Compiler, Document,
    expression::{Expression, TOO_LARGE},
};

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

/// Eight times what Varnish takes as a request line. A step takes about two nanoseconds: `cargo bench -p ghost-core`.
#[test]
fn an_expression_looks_at_each_byte_once_and_its_automaton_is_small() {
    let text: Vec<u8> =
        (0..1_u64 << 16).map(|place| b"ab"[(place.wrapping_mul(0x9e37_79b9_7f4a_7c15) >> 63) as usize]).collect();
    let mut served = 0;
    for pattern in EXPLOSIVE {
        match Expression::compile(pattern) {
            Ok(expression) => {
                let (steps, is_match) = expression.walk(&text);
                assert!(steps <= text.len() && !is_match, "{pattern}: {steps} steps");
                assert!(expression.bytes() <= 1 << 18, "{pattern}: {} bytes", expression.bytes());
                served += 1;
            }
            Err(reason) => assert_eq!(reason, TOO_LARGE, "{pattern}"),
        }
    }
    assert_eq!(served, 9);
}

#[test]
fn ordinary_expressions_are_small_and_soon_told_apart() {
    for (pattern, prefix) in [
        ("/api/v[0-9]+/.*", "/api/v"),
        (r"/users/\w{8}", "/users/"),
        (r"/orders/\d{4}-\d{2}/[^/]+", "/orders/"),
        ("/(a|b)/[0-9a-f]{8}(-[0-9a-f]{4}){3}", "/"),
        ("(?i).*(bot|crawler|spider|slurp).*", ""),
        (r"(?:.*,)?\s*(gzip|br)\b.*", ""),
        ("[^/]{1,255}", ""),
        ("/caf(é|e)", "/caf"),
        (r"/\p{Greek}+", "/"),
        ("ab?|cd", ""),
    ] {
        let expression = Expression::compile(pattern).unwrap();
        assert!(expression.bytes() < 16_000, "{pattern}: {} bytes", expression.bytes());
        assert_eq!(expression.prefix(), prefix.as_bytes(), "{pattern}");
    }
    assert_eq!(Expression::compile("/api/v[0-9]+/.*").unwrap().walk(&b"/other".repeat(1000)), (2, false));
}

#[test]
fn bytes_that_are_no_characters_match_as_any_others() {
    let matches = |pattern: &str, text: &[u8]| Expression::compile(pattern).unwrap().is_match(text);
    assert!(matches(".*", b"a\xff") && matches("[^/]+", b"\xff") && !matches("[^/]+", b"\xff/"));
    assert!(matches("caf(é|e)", "café".as_bytes()) && !matches(r"\w+", "é".as_bytes()));
    assert!(matches(r"\p{Greek}+", "λ".as_bytes()) && matches(r"(?u:\w+)", "é".as_bytes()));
    assert!(matches(r".*\bgzip\b.*", b"br, gzip") && !matches(r".*\bgzip\b.*", b"br, xgzip"));
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
