//! What the log says of a request: one line per refusal, its reason, and nothing that is secret.

use serde_json::json;

use crate::fixture::log;
use crate::http::{App, JSON};

pub(super) fn take() -> String {
    log::take().concat()
}

#[tokio::test]
async fn one_line_per_refusal_with_its_reason() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    let bearer = tokens.bearer();
    let unknown = format!("{}z", &bearer[..bearer.len() - 1]);
    let offered = [
        (vec![("authorization", "Bearer")], "malformed_request", ""),
        (vec![("authorization", "Bearer nonsense")], "malformed", ""),
        (
            vec![("authorization", &*unknown)],
            "malformed",
            "backend=\"api\"",
        ),
        (
            vec![("authorization", &*bearer), ("cookie", &*cookies)],
            "ambiguous",
            "",
        ),
        (
            vec![("cookie", &*cookies), ("sec-fetch-site", "cross-site")],
            "cross_site",
            "backend=\"web\"",
        ),
    ];
    for (headers, reason, backend) in offered {
        take();
        app.post("/me", &headers, "").await;
        let lines = take();
        assert_eq!(
            lines.matches("refused").count(),
            2,
            "the event's name and its text, once: {lines}"
        );
        assert!(
            lines.contains(&format!("reason=\"{reason}\"")) && lines.contains(backend),
            "{lines}"
        );
    }
    app.world.members.put(1, false);
    take();
    app.get("/me", &[("authorization", &bearer)]).await;
    let line = take();
    assert!(
        line.contains("user_inactive") && line.contains("session="),
        "{line}"
    );
}

#[tokio::test]
async fn no_line_holds_a_token_a_password_or_an_identifier() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    let login = |password: &str| {
        json!({"identifier": "needle@example.com", "password": password}).to_string()
    };
    app.post("/auth/login", &[JSON], login("needle-password"))
        .await;
    app.post("/auth/cookie/login", &[JSON], login("password of 1"))
        .await;
    app.get("/me", &[("authorization", &tokens.bearer())]).await;
    app.get("/me", &[("authorization", "Bearer needle-token")])
        .await;
    app.post(
        "/me",
        &[("cookie", &cookies), ("origin", "https://needle.example")],
        "",
    )
    .await;
    app.post(
        "/auth/refresh",
        &[JSON],
        json!({"refresh_token": "needle-refresh"}).to_string(),
    )
    .await;
    app.post("/auth/cookie/refresh", &[JSON, ("cookie", &cookies)], "")
        .await;
    app.world.store.switch(false);
    app.get("/me", &[("authorization", &tokens.bearer())]).await;
    let lines = take();
    for event in ["login", "login_failed", "refresh", "refused", "failed"] {
        assert!(
            lines.contains(&format!("event=\"{event}\"")),
            "{event} is missing: {lines}"
        );
    }
    for needle in ["needle", &tokens.access, &tokens.refresh, "password of"] {
        assert!(!lines.contains(needle), "{needle} is in the log");
    }
}
