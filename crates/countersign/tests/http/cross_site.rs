//! Requests that another site could make a browser send (SECURITY rows W-04, W-05).

use countersign::OriginPolicy;
use serde_json::json;

use crate::{App, JSON, request};

const HOST: (&str, &str) = ("host", "app.example:8443");

/// Headers of a POST beside the cookies, and whether it may act.
fn table() -> Vec<(Vec<(&'static str, &'static str)>, bool)> {
    let site = |value| ("sec-fetch-site", value);
    let origin = |value| ("origin", value);
    vec![
        (vec![site("same-origin")], true),
        (vec![site("none")], true),
        (vec![site("cross-site")], false),
        (vec![site("same-site")], false),
        (vec![site("Same-Origin")], false),
        (vec![site("")], false),
        (vec![site("cross-site"), JSON], false),
        (vec![site("cross-site"), origin("https://app.example:8443")], false),
        (vec![site("same-origin"), site("cross-site")], false),
        (vec![site("cross-site"), origin("https://front.example")], true),
        (vec![origin("https://front.example")], true),
        (vec![origin("https://front.example/")], false),
        (vec![origin("https://front.example:443")], false),
        (vec![origin("https://front.example.evil.example")], false),
        (vec![origin("https://evil-front.example")], false),
        (vec![origin("http://front.example")], false),
        (vec![origin("https://front.example"), origin("https://evil.example")], false),
        (vec![HOST, origin("https://app.example:8443")], true),
        (vec![HOST, origin("https://app.example")], false),
        (vec![HOST, origin("https://app.example:443")], false),
        (vec![HOST, origin("https://evil.app.example:8443")], false),
        (vec![HOST, origin("https://app.example:8443.evil.example")], false),
        (vec![HOST, origin("null")], false),
        (vec![HOST, origin("")], false),
        (vec![HOST, HOST, origin("https://app.example:8443")], false),
        (vec![HOST, origin("file://app.example:8443")], false),
        (vec![HOST, origin("https://evil.example"), JSON], false),
        (vec![HOST, ("referer", "https://app.example:8443/page")], false),
        (vec![HOST], false),
        (vec![], false),
        (vec![JSON], true),
        (vec![("content-type", "text/plain")], false),
        (vec![("content-type", "application/x-www-form-urlencoded")], false),
    ]
}

#[tokio::test]
async fn a_cookie_with_an_unsafe_method_needs_proof_of_origin() {
    let app = App::new();
    for (headers, allowed) in table() {
        for path in ["/me", "/auth/logout", "/auth/logout/all", "/auth/cookie/refresh", "/auth/cookie/logout"] {
            let tokens = app.tokens(1).await;
            let cookies = tokens.cookies();
            let headers: Vec<(&str, &str)> = headers.iter().copied().chain([("cookie", cookies.as_str())]).collect();
            let reply = app.post(path, &headers, "").await;
            if allowed {
                assert!(reply.status.is_success(), "{path} {headers:?} {}", reply.body);
            } else {
                reply.is_problem(403, "CSRF_FAILED", None);
                assert!(app.is_live(&tokens.access).await, "{path} {headers:?}");
            }
        }
    }
}

#[tokio::test]
async fn a_login_cannot_be_forged() {
    let app = App::new();
    let body = json!({"identifier": "me", "password": "password of 1"}).to_string();
    for (headers, _) in table() {
        let reply = app.post("/auth/cookie/login", &headers, body.clone()).await;
        let is_json = headers.contains(&JSON);
        assert!(is_json || !reply.status.is_success(), "{headers:?}");
        assert_eq!(reply.set_cookies().is_empty(), !reply.status.is_success());
    }
}

#[tokio::test]
async fn only_cookies_and_unsafe_methods_are_asked_for_proof() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cross = ("sec-fetch-site", "cross-site");
    assert_eq!(app.get("/me", &[("cookie", &tokens.cookies()), cross]).await.body, "member 1");
    assert_eq!(app.post("/me", &[("authorization", &tokens.bearer()), cross], "").await.body, "member 1");
    assert_eq!(app.post("/open", &[cross], "").await.body, "open");
    for method in ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
        let before = app.world.store.calls();
        let headers = [("cookie", &*tokens.cookies()), cross];
        app.call(request(method, "/me", &headers, "")).await;
        assert_eq!(app.world.store.calls(), before, "{method}: no store is asked whose cookie it is");
    }
}

/// On HTTP/2 the host is in the request's target.
#[tokio::test]
async fn the_target_counts_before_the_host_header() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    for (target, origin, status) in [
        ("https://app.example/me", "https://app.example", 200),
        ("https://app.example/me", "https://app.example:8443", 403),
    ] {
        let headers = [("cookie", cookies.as_str()), HOST, ("origin", origin)];
        assert_eq!(app.call(request("POST", target, &headers, "")).await.status.as_u16(), status);
    }
}

#[test]
fn origins_are_spelled_as_browsers_spell_them() {
    let good = ["https://a.example", "http://localhost:3000", "http://127.0.0.1:8000", "https://xn--bcher-kva.example"];
    for origin in good {
        assert!(OriginPolicy::default().trust(origin).is_ok(), "{origin}");
    }
    let bad = [
        "",
        "*",
        "null",
        "a.example",
        "https://",
        "https://a.example/",
        "https://a.example:443",
        "https://A.example",
        "https://a.example/path",
        "https://user@a.example",
        "https://*.example",
        "file:///x",
        "https://bücher.example",
        " https://a.example",
    ];
    for origin in bad {
        let refused = OriginPolicy::default().trust(origin);
        assert_eq!(refused.unwrap_err().setting(), "trusted origin", "{origin}");
    }
}
