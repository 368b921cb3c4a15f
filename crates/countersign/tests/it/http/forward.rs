//! Answers to proxies that ask who sends a request.

use axum::Router;
use countersign::axum::ForwardAuth;
use http::HeaderName;

use crate::fixture::web::Member;
use crate::http::{App, Reply, Tokens, request};

const OURS: (&str, &str) = ("origin", "https://front.example");
const EVIL: (&str, &str) = ("origin", "https://evil.example");

/// An application, and its answers to a proxy.
struct Asked {
    app: App,
    router: Router,
}

impl Asked {
    fn new() -> Self {
        let app = App::new();
        let check = ForwardAuth::<Member>::new(app.authenticator.clone()).build();
        let router = Router::new()
            .route("/check", check.clone())
            .route("/check/{*path}", check);
        Self { app, router }
    }

    async fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
        crate::http::reply(self.router.clone(), request(method, path, headers, "body")).await
    }

    async fn check(&self, headers: &[(&str, &str)]) -> Reply {
        self.ask("GET", "/check", headers).await
    }

    async fn tokens(&self) -> Tokens {
        self.app.tokens(1).await
    }
}

#[tokio::test]
async fn a_good_credential_is_told_whatever_the_client_says() {
    let asked = Asked::new();
    let tokens = asked.tokens().await;
    let bearer = tokens.bearer();
    for method in [
        "GET", "HEAD", "POST", "PUT", "DELETE", "OPTIONS", "PATCH", "TRACE", "PROPFIND",
    ] {
        for path in ["/check", "/check/any/path"] {
            let headers = [
                ("authorization", &*bearer),
                ("x-auth-user-id", "2"),
                ("x-auth-session-id", "3"),
            ];
            let reply = asked.ask(method, path, &headers).await;
            assert_eq!(
                (reply.status.as_u16(), reply.body.as_str()),
                (200, ""),
                "{method} {path}"
            );
            assert_eq!(reply.header("x-auth-user-id"), Some("1"));
            assert_eq!(reply.headers.get_all("x-auth-user-id").iter().count(), 1);
            assert_eq!(reply.header("x-auth-session-id").map(str::len), Some(36));
            assert_eq!(reply.header("cache-control"), Some("no-store"));
            assert!(reply.set_cookies().is_empty());
            assert!(reply.headers["x-auth-user-id"].is_sensitive());
        }
    }
}

#[tokio::test]
async fn whatever_is_no_good_credential_is_401_and_asks_no_store_without_need() {
    let asked = Asked::new();
    let tokens = asked.tokens().await;
    let (bearer, cookies) = (tokens.bearer(), tokens.cookies());
    let invalid = Some(r#"Bearer error="invalid_token""#);
    let before = asked.app.world.store.calls();
    for nothing in [
        vec![],
        vec![("authorization", "Basic eA==")],
        vec![("x-auth-user-id", "1")],
    ] {
        asked
            .check(&nothing)
            .await
            .is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
    }
    for bad in [
        vec![("authorization", "Bearer")],
        vec![("authorization", "Bearer a b")],
        vec![("authorization", "Bearer nonsense")],
        vec![("authorization", &*bearer), ("authorization", &*bearer)],
        vec![("authorization", &*bearer), ("cookie", &*cookies)],
        vec![("cookie", &*cookies), ("cookie", &*cookies)],
        vec![("cookie", "__Host-countersign_access=")],
        vec![("cookie", &*cookies), EVIL],
        vec![("cookie", &*cookies), ("x-original-method", "POST")],
    ] {
        asked
            .check(&bad)
            .await
            .is_problem(401, "AUTHENTICATION_FAILED", invalid);
    }
    assert_eq!(asked.app.world.store.calls(), before, "no store is asked");
    asked.app.world.members.put(1, false);
    asked.check(&[("authorization", &bearer)]).await.is_problem(
        401,
        "AUTHENTICATION_FAILED",
        invalid,
    );
}

#[tokio::test]
async fn an_outage_is_no_refusal() {
    let asked = Asked::new();
    let bearer = asked.tokens().await.bearer();
    asked.app.world.store.switch(false);
    let reply = asked.check(&[("authorization", &bearer)]).await;
    reply.is_problem(503, "STORE_UNAVAILABLE", None);
    assert_eq!(reply.header("retry-after"), Some("5"));
    asked
        .check(&[])
        .await
        .is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
}

/// What the proxy tells of the request counts, and what a client adds takes nothing away.
#[tokio::test]
async fn a_cookie_needs_proof_for_the_request_that_is_asked_about() {
    let asked = Asked::new();
    let tokens = asked.tokens().await;
    let (cookies, bearer) = (tokens.cookies(), tokens.bearer());
    let same = ("sec-fetch-site", "same-origin");
    let json = ("content-type", "application/json");
    let original = |method| ("x-original-method", method);
    let forwarded = |method| ("x-forwarded-method", method);
    for (method, headers, allowed) in [
        ("GET", vec![], true),
        ("HEAD", vec![original("OPTIONS"), forwarded("HEAD")], true),
        ("GET", vec![original("POST")], false),
        ("GET", vec![original("POST"), OURS], true),
        ("GET", vec![forwarded("POST"), same], true),
        ("GET", vec![forwarded("POST"), json], true),
        ("GET", vec![original("GET"), forwarded("POST")], false),
        ("GET", vec![original("POST"), forwarded("GET")], false),
        ("GET", vec![original("GET"), original("POST")], false),
        ("GET", vec![original("get")], false),
        ("GET", vec![original("")], false),
        ("POST", vec![original("GET")], false),
        ("POST", vec![OURS], true),
        ("GET", vec![EVIL], false),
        ("GET", vec![OURS], true),
        ("GET", vec![original("GET"), EVIL], false),
        ("GET", vec![("upgrade", "websocket")], false),
        ("GET", vec![("upgrade", "websocket"), OURS], true),
        (
            "GET",
            vec![("host", "app.example"), ("origin", "https://app.example")],
            true,
        ),
    ] {
        let with = |credential| {
            headers
                .iter()
                .copied()
                .chain([credential])
                .collect::<Vec<_>>()
        };
        let reply = asked
            .ask(method, "/check", &with(("cookie", &*cookies)))
            .await;
        assert_eq!(
            reply.status,
            if allowed { 200 } else { 401 },
            "{method} {headers:?}"
        );
        let reply = asked
            .ask(method, "/check", &with(("authorization", &*bearer)))
            .await;
        assert_eq!(
            reply.status, 200,
            "a header that the client sets itself needs no proof: {method} {headers:?}"
        );
    }
}

#[tokio::test]
async fn every_header_is_there_and_printable() {
    let app = App::new();
    let bearer = app.tokens(1).await.bearer();
    let name = HeaderName::from_static;
    let check = ForwardAuth::<Member>::new(app.authenticator.clone())
        .tell(name("x-auth-name"), |_| {
            Some("Zoë, 100 % \u{0}\r\nx-evil: 1\u{7f}~!".to_owned())
        })
        .tell(name("x-auth-plan"), |_| None)
        .tell(ForwardAuth::<Member>::SESSION_ID, |_| None)
        .tell(ForwardAuth::<Member>::USER_ID, |member| {
            Some(format!("member-{}", member.user.id))
        });
    assert!(!format!("{check:?}").contains("member-"));
    let router = Router::new().route("/check", check.build());
    let reply = crate::http::reply(
        router,
        request("GET", "/check", &[("authorization", &bearer)], ""),
    )
    .await;
    assert_eq!(
        reply.header("x-auth-name"),
        Some("Zo%C3%AB,%20100%20%25%20%00%0D%0Ax-evil:%201%7F~!")
    );
    for (header, value) in [
        ("x-auth-plan", ""),
        ("x-auth-session-id", ""),
        ("x-auth-user-id", "member-1"),
    ] {
        assert_eq!(reply.headers.get_all(header).iter().count(), 1, "{header}");
        assert_eq!(reply.header(header), Some(value));
    }
}
