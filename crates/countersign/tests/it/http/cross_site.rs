//! Requests that another site could make a browser send (SECURITY rows W-04, W-05).

use countersign::OriginPolicy;
use serde_json::json;

use crate::http::{App, JSON, request};

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
        (
            vec![site("cross-site"), origin("https://app.example:8443")],
            false,
        ),
        (vec![site("same-origin"), site("cross-site")], false),
        (
            vec![site("cross-site"), origin("https://front.example")],
            true,
        ),
        (vec![origin("https://front.example")], true),
        (vec![origin("https://front.example/")], false),
        (vec![origin("https://front.example:443")], false),
        (vec![origin("https://front.example.evil.example")], false),
        (vec![origin("https://evil-front.example")], false),
        (vec![origin("http://front.example")], false),
        (
            vec![
                origin("https://front.example"),
                origin("https://evil.example"),
            ],
            false,
        ),
        (vec![HOST, origin("https://app.example:8443")], true),
        (vec![HOST, origin("https://app.example")], false),
        (vec![HOST, origin("https://app.example:443")], false),
        (vec![HOST, origin("http://app.example:8443")], false),
        (
            vec![
                ("host", "APP.example:8443"),
                origin("https://app.example:8443"),
            ],
            true,
        ),
        (
            vec![("host", "app.example"), origin("https://app.example")],
            true,
        ),
        (
            vec![("host", "app.example:443"), origin("https://app.example")],
            true,
        ),
        (
            vec![("host", "app.example"), origin("http://app.example")],
            false,
        ),
        (
            vec![("host", "app.example:80"), origin("http://app.example")],
            false,
        ),
        (
            vec![("host", "app.example:443"), origin("http://app.example")],
            false,
        ),
        (
            vec![("host", "app.example:80"), origin("https://app.example")],
            false,
        ),
        (
            vec![
                ("host", "app.example:443"),
                origin("https://app.example:444"),
            ],
            false,
        ),
        (
            vec![("host", "app.example:444"), origin("https://app.example")],
            false,
        ),
        (
            vec![("host", "app.example."), origin("https://app.example")],
            false,
        ),
        (
            vec![("host", "user@app.example"), origin("https://app.example")],
            false,
        ),
        (
            vec![("host", "app.example:"), origin("https://app.example")],
            false,
        ),
        (
            vec![("host", "app.example:00443"), origin("https://app.example")],
            false,
        ),
        (
            vec![("host", "[::1]:8443"), origin("https://[::1]:8443")],
            true,
        ),
        (vec![("host", "[::1]"), origin("https://[::1]:443")], true),
        (vec![("host", "")], false),
        (vec![("host", ""), origin("https://")], false),
        (vec![HOST, origin("https://evil.app.example:8443")], false),
        (
            vec![HOST, origin("https://app.example:8443.evil.example")],
            false,
        ),
        (vec![HOST, origin("null")], false),
        (vec![HOST, origin("")], false),
        (vec![HOST, HOST, origin("https://app.example:8443")], false),
        (vec![HOST, origin("file://app.example:8443")], false),
        (vec![HOST, origin("https://evil.example"), JSON], false),
        (
            vec![HOST, ("referer", "https://app.example:8443/page")],
            false,
        ),
        (vec![HOST], false),
        (vec![], false),
        (vec![JSON], true),
        (vec![("content-type", "text/plain")], false),
        (
            vec![("content-type", "application/x-www-form-urlencoded")],
            false,
        ),
    ]
}

#[tokio::test]
async fn a_cookie_with_an_unsafe_method_needs_proof_of_origin() {
    let app = App::new();
    for (headers, allowed) in table() {
        for path in [
            "/me",
            "/auth/logout",
            "/auth/logout/all",
            "/auth/cookie/refresh",
            "/auth/cookie/logout",
        ] {
            let tokens = app.tokens(1).await;
            let cookies = tokens.cookies();
            let headers: Vec<(&str, &str)> = headers
                .iter()
                .copied()
                .chain([("cookie", cookies.as_str())])
                .collect();
            let reply = app.post(path, &headers, "").await;
            if allowed {
                assert!(
                    reply.status.is_success(),
                    "{path} {headers:?} {}",
                    reply.body
                );
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
    assert_eq!(
        app.get("/me", &[("cookie", &tokens.cookies()), cross])
            .await
            .body,
        "member 1"
    );
    assert_eq!(
        app.post("/me", &[("authorization", &tokens.bearer()), cross], "")
            .await
            .body,
        "member 1"
    );
    assert_eq!(app.post("/open", &[cross], "").await.body, "open");
    for method in ["PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
        let before = app.world.store.calls();
        let headers = [("cookie", &*tokens.cookies()), cross];
        app.call(request(method, "/me", &headers, "")).await;
        assert_eq!(
            app.world.store.calls(),
            before,
            "{method}: no store is asked whose cookie it is"
        );
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
        assert_eq!(
            app.call(request("POST", target, &headers, ""))
                .await
                .status
                .as_u16(),
            status
        );
    }
}

/// Whether a POST with a cookie may act, where there is no `Sec-Fetch-Site`.
async fn allows(app: &App, cookies: &str, target: &str, host: &str, origin: &str) -> bool {
    let headers = [("cookie", cookies), ("host", host), ("origin", origin)];
    let reply = app.call(request("POST", target, &headers, "")).await;
    assert!(
        matches!(reply.status.as_u16(), 200 | 403),
        "{target} {origin}: {}",
        reply.body
    );
    reply.status == 200
}

/// Cookies with `Secure` travel over https alone, and then a page over plain http is another site's: anybody on the way can
/// write it. Browsers count loopback as safe, and send such cookies there over http too.
#[tokio::test]
async fn the_scheme_counts_where_it_is_known() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    for (host, origin, allowed) in [
        ("app.example", "https://app.example", true),
        ("app.example", "http://app.example", false),
        ("app.example:8000", "http://app.example:8000", false),
        ("localhost:8000", "http://localhost:8000", true),
        ("app.localhost:8000", "http://app.localhost:8000", true),
        ("127.0.0.1:8000", "http://127.0.0.1:8000", true),
        ("127.9.9.9", "http://127.9.9.9", true),
        ("[::1]:8000", "http://[::1]:8000", true),
        (
            "127.0.0.1.evil.example",
            "http://127.0.0.1.evil.example",
            false,
        ),
        ("notlocalhost", "http://notlocalhost", false),
        (
            "localhost.evil.example",
            "http://localhost.evil.example",
            false,
        ),
        ("localhost:8000", "http://localhost:8001", false),
    ] {
        assert_eq!(
            allows(&app, &cookies, "/me", host, origin).await,
            allowed,
            "{host} {origin}"
        );
    }

    // Without `Secure` only the request's own target can say that the site is https: a proxy that ends TLS may speak http.
    let plain = countersign::transport::CookieTransport::builder(countersign::Profile::Countersign);
    let plain = plain
        .secure(false)
        .allow_insecure_cookie_auth(true)
        .build()
        .unwrap();
    let app = App::with_cookies(crate::fixture::web::World::new(), plain);
    let tokens = app.tokens(1).await;
    let cookies = format!("countersign_access={}", tokens.access);
    for (target, host, origin, allowed) in [
        ("/me", "app.example", "http://app.example", true),
        ("/me", "app.example", "https://app.example", true),
        ("/me", "app.example:80", "http://app.example", true),
        ("/me", "app.example:443", "http://app.example", false),
        ("http://app.example/me", "x", "http://app.example", true),
        ("http://app.example/me", "x", "https://app.example", true),
        ("https://app.example/me", "x", "https://app.example", true),
        (
            "https://app.example:443/me",
            "x",
            "https://app.example",
            true,
        ),
        ("https://app.example/me", "x", "http://app.example", false),
        (
            "https://app.example:80/me",
            "x",
            "http://app.example",
            false,
        ),
    ] {
        assert_eq!(
            allows(&app, &cookies, target, host, origin).await,
            allowed,
            "{target} {host} {origin}"
        );
    }
}

#[test]
fn a_policy_of_its_own_can_be_told_that_the_site_is_https() {
    let parts = |origin: &str| {
        let request = request(
            "POST",
            "/",
            &[("host", "app.example"), ("origin", origin)],
            "",
        );
        request.into_parts().0
    };
    let policy = OriginPolicy::default();
    assert!(
        policy.allows(&parts("http://app.example")) && policy.allows(&parts("https://app.example"))
    );
    let policy = policy.https_only();
    assert!(
        !policy.allows(&parts("http://app.example"))
            && policy.allows(&parts("https://app.example"))
    );
    let policy = policy.trust("http://app.example").unwrap();
    assert!(
        policy.allows(&parts("http://app.example")),
        "named is named"
    );
}

/// A proxy may have put another name into `Host`, and the target of the request is what the proxy asked for.
#[test]
fn a_public_origin_takes_the_place_of_the_target() {
    let public = |origin: &str| OriginPolicy::default().public(origin).unwrap();
    let allows = |policy: &OriginPolicy, target: &str, headers: &[(&str, &str)]| {
        policy.allows(&request("POST", target, headers, "").into_parts().0)
    };
    let origin = |value| ("origin", value);
    let host = |value| ("host", value);
    let site = |value| ("sec-fetch-site", value);
    let policy = public("https://app.example:443")
        .trust("https://front.example:443")
        .unwrap();
    for (headers, allowed) in [
        (
            vec![host("127.0.0.1:8000"), origin("https://app.example")],
            true,
        ),
        (vec![origin("https://app.example")], true),
        (
            vec![host("127.0.0.1:8000"), origin("https://front.example")],
            true,
        ),
        (vec![site("same-origin")], true),
        (
            vec![site("cross-site"), origin("https://app.example")],
            true,
        ),
        (vec![JSON], true),
        (
            vec![host("127.0.0.1:8000"), origin("http://127.0.0.1:8000")],
            false,
        ),
        (
            vec![host("evil.example"), origin("https://evil.example")],
            false,
        ),
        (
            vec![host("app.example"), origin("http://app.example")],
            false,
        ),
        (
            vec![host("app.example"), origin("https://app.example:444")],
            false,
        ),
        (
            vec![origin("https://app.example"), origin("https://app.example")],
            false,
        ),
        (vec![site("same-site")], false),
        (
            vec![site("cross-site"), origin("https://evil.example")],
            false,
        ),
        (vec![host("app.example")], false),
    ] {
        assert_eq!(allows(&policy, "/me", &headers), allowed, "{headers:?}");
    }
    assert!(!allows(
        &policy,
        "https://inner.example/me",
        &[origin("https://inner.example")]
    ));
    assert!(allows(
        &public("http://app.example:80"),
        "/me",
        &[host("inner"), origin("http://app.example")]
    ));
    assert_eq!(
        OriginPolicy::default()
            .public("https://app.example/x")
            .unwrap_err()
            .setting(),
        "public origin"
    );
}

/// A WebSocket handshake is a GET that opens a door for scripts, and pages of other sites may send it with cookies.
#[tokio::test]
async fn an_upgrade_is_judged_like_an_unsafe_method() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    let own = ("origin", "https://app.example");
    let evil = ("origin", "https://evil.example");
    let host = ("host", "app.example");
    let cross = ("sec-fetch-site", "cross-site");
    for (upgrade, own_headers, evil_headers) in [
        (vec!["websocket"], vec![host, own], vec![host, evil]),
        (
            vec!["WebSocket"],
            vec![("sec-fetch-site", "same-origin")],
            vec![cross],
        ),
        (
            vec!["h2c, websocket"],
            vec![host, own],
            vec![host, evil, cross],
        ),
        (vec!["h2c", "websocket/13"], vec![host, own], vec![host]),
        (vec!["x-tunnel"], vec![host, own], vec![host, own, cross]),
        (vec![""], vec![host, own], vec![host, evil]),
    ] {
        for method in ["GET", "HEAD", "OPTIONS"] {
            for (headers, status) in [(&own_headers, 200), (&evil_headers, 403)] {
                let upgrade = upgrade.iter().map(|value| ("upgrade", *value));
                let headers: Vec<_> = upgrade
                    .chain(headers.iter().copied())
                    .chain([("cookie", &*cookies)])
                    .collect();
                let reply = app.call(request(method, "/any", &headers, "")).await;
                assert_eq!(reply.status.as_u16(), status, "{method} {headers:?}");
            }
        }
    }
    // Programs offer HTTP/2 so, with each request; it is the same request in another form.
    let headers = [("upgrade", "h2c"), ("cookie", &*cookies), cross];
    assert_eq!(app.get("/me", &headers).await.body, "member 1");
    let bearer = tokens.bearer();
    let headers = [("upgrade", "websocket"), ("authorization", &*bearer), cross];
    assert_eq!(
        app.get("/me", &headers).await.body,
        "member 1",
        "a header that the client sets itself needs no proof"
    );
    // HTTP/2 and later (RFC 8441).
    for (headers, status) in [
        (vec![evil, cross], 403),
        (vec![evil], 403),
        (vec![], 403),
        (vec![own], 200),
    ] {
        let headers: Vec<_> = headers.into_iter().chain([("cookie", &*cookies)]).collect();
        let reply = app
            .call(request("CONNECT", "https://app.example/any", &headers, ""))
            .await;
        assert_eq!(reply.status.as_u16(), status, "{headers:?}");
    }
}

#[test]
fn origins_are_spelled_as_browsers_spell_them() {
    for (origin, spelled) in [
        ("https://a.example", "https://a.example"),
        ("https://a.example:443", "https://a.example"),
        ("https://a.example:80", "https://a.example:80"),
        ("http://a.example:80", "http://a.example"),
        ("http://a.example:443", "http://a.example:443"),
        ("http://localhost:3000", "http://localhost:3000"),
        ("http://127.0.0.1:8000", "http://127.0.0.1:8000"),
        ("http://[::1]:80", "http://[::1]"),
        (
            "https://xn--bcher-kva.example",
            "https://xn--bcher-kva.example",
        ),
    ] {
        let policy = OriginPolicy::default().trust(origin).unwrap();
        assert_eq!(
            policy
                .trusted()
                .map(|origin| origin.to_str().unwrap())
                .collect::<Vec<_>>(),
            [spelled]
        );
    }
    for (origin, said) in [
        ("", "is not a valid origin"),
        ("*", "contains `*`"),
        ("null", "is not a valid origin"),
        ("a.example", "is not a valid origin"),
        ("a.example:443", "does not start with http:// or https://"),
        ("https://", "is not a valid origin"),
        ("https://a.example/", "ends with a slash"),
        ("https://a.example:443/", "ends with a slash"),
        ("https://a.example:0443", "which is https://a.example"),
        ("https://A.example", "which is https://a.example"),
        ("https://a.example/path", "has a path"),
        ("https://a.example/path/", "has a path"),
        ("https://a.example?query", "a query or a fragment"),
        ("https://a.example#fragment", "a query or a fragment"),
        ("https://user:secret@a.example", "contains a user name"),
        ("https://*.example", "contains `*`"),
        ("file:///x", "does not start with http:// or https://"),
        (
            "https://bücher.example",
            "which is https://xn--bcher-kva.example",
        ),
        (" https://a.example", "which is https://a.example"),
    ] {
        let refused = OriginPolicy::default().trust(origin).unwrap_err();
        assert_eq!(refused.setting(), "trusted origin", "{origin}");
        let told = refused.to_string();
        assert!(
            refused.problem().contains(said) && !told.contains("secret"),
            "{origin}: {told}"
        );
    }
}
