//! The cookie routes.

use http::StatusCode;
use serde_json::json;

use crate::http::{App, JSON, Reply};

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");

/// What a browser would send back: names and values of the cookies that were set.
fn jar(reply: &Reply) -> String {
    let pairs: Vec<&str> = reply
        .set_cookies()
        .iter()
        .map(|cookie| cookie.split(';').next().unwrap())
        .collect();
    pairs.join("; ")
}

async fn log_in(app: &App) -> String {
    let body = json!({"identifier": "me", "password": "password of 1"}).to_string();
    let reply = app
        .post("/auth/cookie/login", &[JSON, SAME_ORIGIN], body)
        .await;
    reply.is_empty_204();
    assert_eq!(reply.set_cookies().len(), 2);
    jar(&reply)
}

#[tokio::test]
async fn login_refresh_logout() {
    let app = App::new();
    let first = log_in(&app).await;
    assert_eq!(app.get("/me", &[("cookie", &first)]).await.body, "member 1");

    let refreshed = app
        .post(
            "/auth/cookie/refresh",
            &[("cookie", &first), SAME_ORIGIN],
            "",
        )
        .await;
    refreshed.is_empty_204();
    let second = jar(&refreshed);
    assert_ne!(first, second);
    assert_eq!(
        app.get("/me", &[("cookie", &second)]).await.body,
        "member 1"
    );

    let retry = app
        .post(
            "/auth/cookie/refresh",
            &[("cookie", &first), SAME_ORIGIN],
            "",
        )
        .await;
    assert_eq!(jar(&retry), second, "another tab, or a lost answer");
    let unknown = first.replace("csr_", "csr_A");
    let again = app
        .post(
            "/auth/cookie/refresh",
            &[("cookie", &unknown), SAME_ORIGIN],
            "",
        )
        .await;
    again.is_problem(
        401,
        "REFRESH_TOKEN_INVALID",
        Some(r#"Bearer error="invalid_token""#),
    );
    assert!(
        again.set_cookies().is_empty(),
        "another tab may hold the successor"
    );

    let out = app
        .post(
            "/auth/cookie/logout",
            &[("cookie", &second), SAME_ORIGIN],
            "",
        )
        .await;
    out.is_empty_204();
    let cleared = [
        "__Host-countersign_access=\"\"; HttpOnly; Max-Age=0; Path=/; SameSite=Lax; Secure",
        "__Host-countersign_refresh=\"\"; HttpOnly; Max-Age=0; Path=/; SameSite=Lax; Secure",
    ];
    assert_eq!(out.set_cookies(), cleared);
    let me = app.get("/me", &[("cookie", &second)]).await;
    me.is_problem(
        401,
        "AUTHENTICATION_FAILED",
        Some(r#"Bearer error="invalid_token""#),
    );
    app.post("/auth/cookie/logout", &[SAME_ORIGIN], "")
        .await
        .is_empty_204();
    app.post(
        "/auth/cookie/logout",
        &[("cookie", &second), SAME_ORIGIN],
        "",
    )
    .await
    .is_empty_204();
}

#[tokio::test]
async fn the_refresh_cookie_alone_logs_out() {
    let app = App::new();
    let both = log_in(&app).await;
    let refresh = both
        .split("; ")
        .find(|pair| pair.contains("refresh"))
        .unwrap();
    app.post(
        "/auth/cookie/logout",
        &[("cookie", refresh), SAME_ORIGIN],
        "",
    )
    .await
    .is_empty_204();
    assert_eq!(
        app.get("/me", &[("cookie", &both)]).await.status,
        StatusCode::UNAUTHORIZED
    );
}

/// SECURITY row W-06.
#[tokio::test]
async fn one_cookie_is_never_the_other() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let swapped = format!(
        "__Host-countersign_access={}; __Host-countersign_refresh={}",
        tokens.refresh, tokens.access
    );
    assert_eq!(
        app.get("/me", &[("cookie", &swapped)]).await.code(),
        "AUTHENTICATION_FAILED"
    );
    let refresh = app
        .post(
            "/auth/cookie/refresh",
            &[("cookie", &swapped), SAME_ORIGIN],
            "",
        )
        .await;
    assert_eq!(refresh.code(), "REFRESH_TOKEN_INVALID");
    assert!(app.is_live(&tokens.access).await);
}

#[tokio::test]
async fn cookies_that_are_missing_malformed_or_double() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let none = app.post("/auth/cookie/refresh", &[SAME_ORIGIN], "").await;
    none.is_problem(401, "REFRESH_TOKEN_INVALID", Some("Bearer"));
    let double = format!("{0}; {0}", tokens.cookies());
    let invalid_request = Some(r#"Bearer error="invalid_request""#);
    for bad in [
        double.as_str(),
        "__Host-countersign_access=; __Host-countersign_refresh=",
    ] {
        let me = app.get("/me", &[("cookie", bad)]).await;
        me.is_problem(400, "CREDENTIALS_MALFORMED", invalid_request);
        let refresh = app
            .post("/auth/cookie/refresh", &[("cookie", bad), SAME_ORIGIN], "")
            .await;
        refresh.is_problem(400, "CREDENTIALS_MALFORMED", invalid_request);
    }
    let both = app
        .get(
            "/me",
            &[
                ("cookie", &tokens.cookies()),
                ("authorization", &tokens.bearer()),
            ],
        )
        .await;
    both.is_problem(400, "CREDENTIALS_MALFORMED", invalid_request);
    assert!(app.is_live(&tokens.access).await);
}

#[tokio::test]
async fn logout_through_a_cookie_on_the_bearer_route_clears_it() {
    let app = App::new();
    let cookies = log_in(&app).await;
    let access = cookies.split("; ").next().unwrap();
    let forged = app
        .post(
            "/auth/logout",
            &[("cookie", access), ("sec-fetch-site", "cross-site")],
            "",
        )
        .await;
    forged.is_problem(403, "CSRF_FAILED", None);
    let all = app
        .post(
            "/auth/logout/all",
            &[("cookie", access), ("sec-fetch-site", "cross-site")],
            "",
        )
        .await;
    all.is_problem(403, "CSRF_FAILED", None);
    let out = app
        .post("/auth/logout/all", &[("cookie", access), SAME_ORIGIN], "")
        .await;
    out.is_empty_204();
    assert_eq!(out.set_cookies().len(), 2);
}
