//! An open path beside a protected one: no spelling of the protected one's targets leads through the open rule to a
//! backend that takes it for the protected path.

mod support;

use serde_json::json;
use support::{Gateway, Headers, Sent};

/// `/` is open, `/admin` is somebody else's, `/old` is rewritten to `/`.
fn gateway() -> Gateway {
    let rule = |path: &str, service: &str| {
        json!({"route": "a/b", "match": {"path": {"value": path}},
            "action": {"type": "Forward", "backends": [{"service": format!("default/{service}:80")}]}})
    };
    let mut old = rule("/old", "open");
    old["filters"] = json!({"url_rewrite": {"path": {"type": "ReplacePrefixMatch", "value": "/"}}});
    let service = |name: &str| json!({"namespace": "default", "name": name});
    let endpoint = json!([{"address": "10.0.0.1", "port": 80}]);
    let document = json!({"version": 1, "routing": {"version": 1, "gateway": "a/b",
        "sockets": [{"name": "http-80", "port": 80, "listeners": [{"name": "l", "hosts": [{"rules": [0, 1, 2]}]}]}],
        "rules": [rule("/admin", "guard"), old, rule("/", "open")],
        "services": {"default/guard:80": service("guard"), "default/open:80": service("open")}},
        "endpoints": {"default/guard:80": endpoint, "default/open:80": endpoint}});
    Gateway::new(document.to_string().as_bytes()).unwrap()
}

/// Who is asked, and for what; else the status.
fn asked(target: &str) -> Result<(String, String), u16> {
    let headers = Headers(vec![("Host".into(), "a.test".into())]);
    let (socket, method) = ("http-80".to_owned(), "GET".to_owned());
    let outcome =
        gateway().answer(&Sent { socket, server_name: String::new(), method, target: target.into(), headers });
    outcome.seen.map(|seen| (seen.service, seen.target)).ok_or(outcome.status)
}

#[test]
fn every_spelling_of_a_protected_path_is_protected() {
    for (target, sent) in [
        ("/admin", "/admin"),
        ("/admin/", "/admin/"),
        ("/admin/x?y", "/admin/x?y"),
        ("/./admin", "/admin"),
        ("/x/../admin", "/admin"),
        ("/x/%2e%2e/admin", "/admin"),
        ("/x/.%2E/%2e/admin/x", "/admin/x"),
        ("/../../admin", "/admin"),
        ("/x/y/../../admin", "/admin"),
        ("/admin/x/..", "/admin/"),
        ("/old/../admin", "/admin"),
        ("http://a.test/x/../admin", "/admin"),
        ("HTTP://a.test/admin", "/admin"),
        ("/%61dmin", "/admin"),
        ("/%61%64%6D%69%6e/%78", "/admin/x"),
        ("/x/%2e./%61dmin", "/admin"),
    ] {
        assert_eq!(asked(target), Ok(("default/guard".to_owned(), sent.to_owned())), "{target}");
    }
}

/// What the rules of the path say is kept is another path, here and for the backend: `//`, `%2F`, `;`, case.
#[test]
fn what_is_another_path_is_sent_as_it_is() {
    for (target, sent) in [
        ("/admin/../x", "/x"),
        ("//admin", "//admin"),
        ("/administrator", "/administrator"),
        ("/admin;x=y", "/admin;x=y"),
        ("/Admin", "/Admin"),
        ("/%2Fadmin", "/%2Fadmin"),
        ("/x%2f..%2Fadmin", "/x%2F..%2Fadmin"),
        ("/%2561dmin", "/%2561dmin"),
        ("/admin%3b", "/admin%3B"),
        ("/old/admin", "/admin"),
        ("/old", "/"),
    ] {
        assert_eq!(asked(target), Ok(("default/open".to_owned(), sent.to_owned())), "{target}");
    }
}

#[test]
fn what_no_honest_client_sends_reaches_nobody() {
    for target in [
        "/admin%00",
        "/x%00/../admin",
        "/\\admin",
        "/x\\..\\admin",
        "/ädmin",
        "/%",
        "/%zz",
        "admin",
        "/a b",
        "/a#/admin",
        "/admin\t",
        "ftp://a.test/x",
    ] {
        assert_eq!(asked(target), Err(400), "{target:?}");
    }
}
