//! Registration, login, refresh and logout.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::json;

use crate::support::{PASSWORD, Server};

#[tokio::test]
async fn a_member_registers_logs_in_refreshes_and_logs_out_on_postgres() {
    let server = Server::start().await;
    let registered = server.register("ada@example.org", PASSWORD).await;
    assert_eq!(registered.status, StatusCode::CREATED, "{registered:?}");
    assert_eq!(registered.headers["cache-control"], "no-store");
    let me = server.me(registered.bearer()).await;
    let shown = json!({
        "id": me.body["id"], "email": "ada@example.org", "role": "member", "is_active": true
    });
    assert_eq!((me.status, me.body), (StatusCode::OK, shown));

    let login = server.log_in("ada@example.org", PASSWORD).await;
    assert_eq!(login.status, StatusCode::OK, "{login:?}");
    let refreshed = server.refresh(&login.body).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    server.assert_live(refreshed.bearer(), true).await;

    let logout = server.post("/auth/logout", refreshed.bearer(), json!({}));
    logout.await.assert_done();
    server.assert_live(refreshed.bearer(), false).await;
    let again = server.refresh(&refreshed.body).await;
    again.assert_refused(401, "REFRESH_TOKEN_INVALID");
    // The other session goes on.
    server.assert_live(registered.bearer(), true).await;
}

#[tokio::test]
async fn an_address_has_one_account_however_it_is_spelled_on_postgres() {
    let server = Server::start().await;
    server.member("ada@example.org").await;
    for spelling in ["ada@example.org", "Ada@Example.org"] {
        let second = server.register(spelling, "another password").await;
        second.assert_refused(409, "EMAIL_TAKEN");
        let login = server.log_in(spelling, PASSWORD).await;
        assert_eq!(login.status, StatusCode::OK, "{login:?}");
    }
}

#[tokio::test]
async fn nobody_registers_as_an_admin_on_postgres() {
    let server = Server::start().await;
    let body = json!({ "email": "eve@example.org", "password": PASSWORD, "role": "admin" });
    let registered = server.post("/members", HeaderMap::new(), body).await;
    let me = server.me(registered.bearer()).await;
    assert_eq!(me.body["role"], "member");
}

#[tokio::test]
async fn what_is_no_address_or_password_is_refused_on_postgres() {
    let server = Server::start().await;
    for email in ["ada", "ada@exa\0mple.org"] {
        let refused = server.register(email, PASSWORD).await;
        refused.assert_refused(422, "EMAIL_INVALID");
        let refused = server.log_in(email, PASSWORD).await;
        refused.assert_refused(401, "LOGIN_BAD_CREDENTIALS");
    }
    for password in ["too short", &"a".repeat(257)] {
        let refused = server.register("ada@example.org", password).await;
        refused.assert_refused(422, "PASSWORD_INVALID");
    }
}

#[tokio::test]
async fn a_wrong_password_and_an_unknown_address_have_one_answer_on_postgres() {
    let server = Server::start().await;
    server.member("ada@example.org").await;
    let wrong = server.log_in("ada@example.org", "wrong").await;
    wrong.assert_refused(401, "LOGIN_BAD_CREDENTIALS");
    let unknown = server.log_in("eve@example.org", PASSWORD).await;
    assert_eq!((unknown.status, unknown.body), (wrong.status, wrong.body));
    let anonymous = server.me(HeaderMap::new()).await;
    anonymous.assert_refused(401, "AUTHENTICATION_REQUIRED");
}
