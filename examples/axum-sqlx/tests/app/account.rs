//! Changes that need a recent login, and what a changed password ends.

use std::time::Duration;

use reqwest::StatusCode;
use serde_json::json;

use crate::support::{PASSWORD, Server};

const NEW: &str = "another horse battery";

#[tokio::test]
async fn delicate_changes_need_a_recent_login_on_postgres() {
    let server = Server::start().await;
    server.member("ada@example.org").await;
    let login = server.log_in("ada@example.org", PASSWORD).await;
    let email = || {
        server.put(
            "/me/email",
            login.bearer(),
            json!({ "email": "ada@new.example" }),
        )
    };
    let password = || server.put("/me/password", login.bearer(), json!({ "password": NEW }));
    let prove = |password: &str| {
        let body = json!({ "identifier": "ada@example.org", "password": password });
        server.post("/auth/reauthenticate", login.bearer(), body)
    };

    server.clock.advance(Duration::from_secs(301));
    let assert_both_refused = async || {
        for refused in [email().await, password().await] {
            refused.assert_refused(401, "RECENT_AUTHENTICATION_REQUIRED");
            let challenge = refused.headers["www-authenticate"].to_str().unwrap();
            assert!(
                challenge.contains(r#"error="insufficient_user_authentication""#)
                    && challenge.contains(r#"max_age="300""#),
                "{challenge}"
            );
        }
    };
    assert_both_refused().await;
    // Refreshing proves nothing about who is there, and the token is good for other routes.
    let refreshed = server.refresh(&login.body).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{refreshed:?}");
    server.assert_live(login.bearer(), true).await;
    prove("wrong")
        .await
        .assert_refused(401, "LOGIN_BAD_CREDENTIALS");
    assert_both_refused().await;

    prove(PASSWORD).await.assert_done();
    email().await.assert_done();
    let me = server.me(login.bearer()).await;
    assert_eq!(me.body["email"], "ada@new.example");
    password().await.assert_done();
}

#[tokio::test]
async fn an_address_that_another_member_has_stays_theirs_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    server.member("eve@example.org").await;
    let session = server.session(ada).await;
    for (email, status, code) in [
        ("Eve@example.org", 409, "EMAIL_TAKEN"),
        ("eve", 422, "EMAIL_INVALID"),
    ] {
        let refused = server.put("/me/email", session.bearer(), json!({ "email": email }));
        refused.await.assert_refused(status, code);
    }
}

#[tokio::test]
async fn a_changed_password_ends_all_sessions_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let eve = server.member("eve@example.org").await;
    let (here, stranger) = (server.session(ada).await, server.session(eve).await);
    let elsewhere = server.log_in("ada@example.org", PASSWORD).await;

    let short = server.put(
        "/me/password",
        here.bearer(),
        json!({ "password": "short" }),
    );
    short.await.assert_refused(422, "PASSWORD_INVALID");
    server.assert_live(here.bearer(), true).await;
    let change = server.put("/me/password", here.bearer(), json!({ "password": NEW }));
    change.await.assert_done();

    server.assert_live(here.bearer(), false).await;
    server.assert_live(elsewhere.bearer(), false).await;
    let refresh = server.refresh(&elsewhere.body).await;
    refresh.assert_refused(401, "REFRESH_TOKEN_INVALID");
    server.assert_live(stranger.bearer(), true).await;
    let old = server.log_in("ada@example.org", PASSWORD).await;
    old.assert_refused(401, "LOGIN_BAD_CREDENTIALS");
    let new = server.log_in("ada@example.org", NEW).await;
    assert_eq!(new.status, StatusCode::OK, "{new:?}");
}

/// Whichever of the two is refused, the other one isn't there either.
#[tokio::test]
async fn a_changed_password_and_the_end_of_sessions_are_one_transaction_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let session = server.session(ada).await;
    server
        .sql(
            "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql \
             AS $$ BEGIN RAISE EXCEPTION 'refused'; END $$",
        )
        .await;
    for (refuse, allow) in [
        // The row of the member, at the commit: after all that the application has asked for.
        (
            "CREATE CONSTRAINT TRIGGER refuse AFTER UPDATE ON member DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refuse ON member",
        ),
        // The end of the sessions.
        (
            "CREATE TRIGGER refuse BEFORE UPDATE ON session_fence \
             FOR EACH ROW EXECUTE FUNCTION refuse()",
            "DROP TRIGGER refuse ON session_fence",
        ),
    ] {
        server.sql(refuse).await;
        let change = server.put("/me/password", session.bearer(), json!({ "password": NEW }));
        change.await.assert_refused(500, "INTERNAL");
        server.sql(allow).await;
        server.assert_live(session.bearer(), true).await;
        let old = server.log_in("ada@example.org", PASSWORD).await;
        assert_eq!(old.status, StatusCode::OK, "{refuse}: {old:?}");
    }
    let change = server.put("/me/password", session.bearer(), json!({ "password": NEW }));
    change.await.assert_done();
    server.assert_live(session.bearer(), false).await;
}

/// A request whose member was read before a change must not do anything after it.
#[tokio::test]
async fn the_later_of_two_changes_at_once_is_refused_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let password = json!({ "password": NEW });
    let email = json!({ "email": "ada@new.example" });
    for (path, body) in [("/me/email", email), ("/me/password", password)] {
        for first in [
            "UPDATE member SET password_hash = 'changed by ' || txid_current()",
            "UPDATE member SET is_active = false",
        ] {
            server.sql("UPDATE member SET is_active = true").await;
            let session = server.session(ada).await;
            let second = server.put_during(first, path, session.bearer(), body.clone());
            second.await.assert_refused(401, "AUTHENTICATION_FAILED");
            let row = sqlx::query_as("SELECT email, password_hash FROM member");
            let (email, hash): (String, String) = row.fetch_one(&server.pool).await.unwrap();
            assert_eq!(email, "ada@example.org", "{path} during {first}");
            assert!(hash.starts_with("changed by "), "{path} during {first}");
        }
    }
}
