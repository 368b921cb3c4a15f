//! Roles, and accounts that an admin disables.

use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::json;
use uuid::Uuid;

use crate::support::{PASSWORD, Server};

fn activity(id: Uuid) -> String {
    format!("/admin/members/{id}/active")
}

/// A role counts from the moment at which the row has it, for tokens that were issued before.
#[tokio::test]
async fn only_admins_pass_the_guard_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let path = activity(server.member("eve@example.org").await);
    let session = server.session(ada).await;
    let disable = || server.put(&path, session.bearer(), json!({ "is_active": false }));

    disable().await.assert_refused(403, "ADMINS_ONLY");
    server
        .sql("UPDATE member SET role = 'admin' WHERE email = 'ada@example.org'")
        .await;
    let disabled = disable().await;
    assert_eq!(disabled.status, StatusCode::OK, "{disabled:?}");
    assert_eq!(disabled.body["email"], "eve@example.org");
    assert_eq!(disabled.body["is_active"], false);
    server.sql("UPDATE member SET role = 'member'").await;
    disable().await.assert_refused(403, "ADMINS_ONLY");

    let anonymous = server.put(&path, HeaderMap::new(), json!({ "is_active": false }));
    anonymous
        .await
        .assert_refused(401, "AUTHENTICATION_REQUIRED");
}

#[tokio::test]
async fn the_tokens_of_a_disabled_account_stop_at_once_and_for_good_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let eve = server.member("eve@example.org").await;
    server
        .sql("UPDATE member SET role = 'admin' WHERE email = 'ada@example.org'")
        .await;
    let admin = server.session(ada).await;
    let login = server.log_in("eve@example.org", PASSWORD).await;
    let other = server.session(eve).await;
    server.assert_live(login.bearer(), true).await;

    let set = |is_active: bool| {
        let body = json!({ "is_active": is_active });
        let (server, admin) = (&server, &admin);
        async move { server.put(&activity(eve), admin.bearer(), body).await }
    };
    assert_eq!(set(false).await.status, StatusCode::OK);
    let assert_ended = async || {
        server.assert_live(login.bearer(), false).await;
        server.assert_live(other.bearer(), false).await;
        let refresh = server.refresh(&login.body).await;
        refresh.assert_refused(401, "REFRESH_TOKEN_INVALID");
    };
    assert_ended().await;
    let refused = server.log_in("eve@example.org", PASSWORD).await;
    refused.assert_refused(401, "LOGIN_BAD_CREDENTIALS");
    server.assert_live(admin.bearer(), true).await;

    assert_eq!(set(true).await.status, StatusCode::OK);
    assert_ended().await;
    let again = server.log_in("eve@example.org", PASSWORD).await;
    server.assert_live(again.bearer(), true).await;
}

/// Without a route: the row alone decides, on each request and each refresh.
#[tokio::test]
async fn a_row_that_is_not_active_is_enough_on_postgres() {
    let server = Server::start().await;
    server.member("ada@example.org").await;
    let login = server.log_in("ada@example.org", PASSWORD).await;
    server.sql("UPDATE member SET is_active = false").await;
    server.assert_live(login.bearer(), false).await;
    let refresh = server.refresh(&login.body).await;
    refresh.assert_refused(401, "REFRESH_TOKEN_INVALID");
    server.sql("UPDATE member SET is_active = true").await;
    server.assert_live(login.bearer(), true).await;
}

#[tokio::test]
async fn an_unknown_member_is_404_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    server.sql("UPDATE member SET role = 'admin'").await;
    let admin = server.session(ada).await;
    let path = activity(Uuid::from_u128(7));
    let unknown = server.put(&path, admin.bearer(), json!({ "is_active": false }));
    unknown.await.assert_refused(404, "MEMBER_NOT_FOUND");
}

/// The guard judges the head of a request, and the body may come when the role is long gone.
#[tokio::test]
async fn an_admin_who_was_changed_meanwhile_is_refused_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let path = activity(server.member("eve@example.org").await);
    for (first, is_active) in [
        ("UPDATE member SET role = 'member'", false),
        ("UPDATE member SET password_hash = 'changed'", false),
        ("UPDATE member SET is_active = false", true),
    ] {
        server.sql("UPDATE member SET role = 'admin'").await;
        let session = server.session(ada).await;
        let body = json!({ "is_active": is_active });
        let second = server.put_during(first, &path, session.bearer(), body);
        second.await.assert_refused(403, "ADMINS_ONLY");
        let eve = "SELECT is_active FROM member WHERE email = 'eve@example.org'";
        let eve = sqlx::query_scalar::<_, bool>(eve).fetch_one(&server.pool);
        assert_eq!(eve.await.unwrap(), !is_active, "{first}");
    }
}
