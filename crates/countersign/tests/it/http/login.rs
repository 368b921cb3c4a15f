//! `/login` and `/refresh`: exact answers, and what each verdict becomes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use countersign::Failure;
use countersign::axum::{CredentialVerifier, LoginAttempt, LoginVerdict};
use http::StatusCode;
use serde_json::{Value, json};

use crate::fixture::stores::SECRET_CAUSE;
use crate::fixture::web;
use crate::fixture::web::Member;
use crate::http::{App, JSON};

fn credentials(identifier: &str, password: &str) -> Value {
    json!({"identifier": identifier, "password": password})
}

#[tokio::test]
async fn login_answers_with_four_members() {
    let app = App::new();
    let reply = app
        .post_json("/auth/login", &credentials("me", "password of 1"))
        .await;
    assert_eq!(reply.status, StatusCode::OK);
    assert_eq!(reply.header("content-type"), Some("application/json"));
    assert_eq!(reply.header("cache-control"), Some("no-store"));
    assert!(reply.set_cookies().is_empty());
    let body: Value = serde_json::from_str(&reply.body).unwrap();
    let mut members: Vec<&String> = body.as_object().unwrap().keys().collect();
    members.sort_unstable();
    assert_eq!(
        members,
        ["access_token", "expires_in", "refresh_token", "token_type"]
    );
    assert_eq!(
        (&body["token_type"], &body["expires_in"]),
        (&json!("bearer"), &json!(900))
    );
    assert!(app.is_live(&reply.tokens().access).await);
}

#[tokio::test]
async fn each_verdict_has_its_answer() {
    let app = App::new();
    app.world.members.put(3, false);
    let bad = app
        .post_json("/auth/login", &credentials("me", "wrong"))
        .await;
    bad.is_problem(401, "LOGIN_BAD_CREDENTIALS", Some("Bearer"));
    let inactive = app
        .post_json("/auth/login", &credentials("me", "password of 3"))
        .await;
    assert_eq!(
        (inactive.status, &inactive.headers, &inactive.body),
        (bad.status, &bad.headers, &bad.body)
    );

    let limited = app
        .post_json("/auth/login", &credentials("limited", "x"))
        .await;
    limited.is_problem(429, "RATE_LIMITED", None);
    assert_eq!(limited.header("retry-after"), Some("42"));
    let busy = app
        .post_json("/auth/login", &credentials("busy", "x"))
        .await;
    busy.is_problem(503, "OVERLOADED", None);
    assert_eq!(busy.header("retry-after"), Some("42"));
    let down = app
        .post_json("/auth/login", &credentials("down", "x"))
        .await;
    down.is_problem(503, "STORE_UNAVAILABLE", None);
    assert_eq!(down.header("retry-after"), Some("5"));
}

/// Says that the account has changed since it was judged, as often as it is told to.
struct Changing {
    changes: AtomicUsize,
    judged: Arc<AtomicUsize>,
    members: Arc<web::Members>,
}

#[async_trait::async_trait]
impl CredentialVerifier<Member> for Changing {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        self.judged.fetch_add(1, Ordering::Relaxed);
        let right = login.password() == "right";
        Ok(self
            .members
            .find(1)
            .filter(|_| right)
            .map_or(LoginVerdict::Rejected, LoginVerdict::Accepted))
    }

    async fn still_holds(&self, _: &LoginAttempt, _: &Member) -> Result<bool, Failure> {
        Ok(self
            .changes
            .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                left.checked_sub(1)
            })
            .is_err())
    }
}

/// Whoever knows the password is let in, also when its hash is renewed meanwhile: judged anew behind the fence.
#[tokio::test]
async fn an_account_that_changes_is_judged_again() {
    for (changes, password, status, judgements) in [
        (0, "right", 200, 1),
        (1, "right", 200, 2),
        (3, "right", 200, 2),
        (1, "wrong", 401, 1),
    ] {
        let world = web::World::new();
        let judged = Arc::new(AtomicUsize::new(0));
        let members = world.members.clone();
        let verifier = Changing {
            changes: AtomicUsize::new(changes),
            judged: judged.clone(),
            members,
        };
        let app = App::with(world, verifier);
        let reply = app
            .post_json("/auth/login", &credentials("me", password))
            .await;
        assert_eq!(
            (reply.status.as_u16(), judged.load(Ordering::Relaxed)),
            (status, judgements),
            "{changes} changes"
        );
    }
}

#[tokio::test]
async fn the_clients_address_reaches_the_verifier() {
    let app = App::new();
    let body = credentials("from 192.0.2.7", "password of 1").to_string();
    let plain = app.post("/auth/login", &[JSON], body.clone()).await;
    plain.is_problem(401, "LOGIN_BAD_CREDENTIALS", Some("Bearer"));
    let mut peer = crate::http::request("POST", "/auth/login", &[JSON], body.clone());
    peer.extensions_mut()
        .insert(axum::extract::ConnectInfo(std::net::SocketAddr::from((
            [192, 0, 2, 7],
            4711,
        ))));
    assert_eq!(app.call(peer).await.status, StatusCode::OK);
    let mut told = crate::http::request("POST", "/auth/login", &[JSON], body);
    told.extensions_mut()
        .insert(axum::extract::ConnectInfo(std::net::SocketAddr::from((
            [10, 0, 0, 1],
            4711,
        ))));
    told.extensions_mut()
        .insert(countersign::axum::ClientAddress([192, 0, 2, 7].into()));
    assert_eq!(app.call(told).await.status, StatusCode::OK);
}

#[tokio::test]
async fn bounds_of_identifier_and_password() {
    let app = App::new();
    let cases = [
        ("", "password of 1", 422),
        (&*"ä".repeat(320), "password of 1", 200),
        (&*"a".repeat(321), "password of 1", 422),
        ("me", "", 422),
        ("me", &*"x".repeat(1024), 401),
        ("me", &*"x".repeat(1025), 422),
        ("me", &*"ä".repeat(513), 422),
    ];
    for (identifier, password, status) in cases {
        let reply = app
            .post_json("/auth/login", &credentials(identifier, password))
            .await;
        assert_eq!(
            reply.status.as_u16(),
            status,
            "{} {}",
            identifier.len(),
            password.len()
        );
    }
}

#[tokio::test]
async fn refresh_exchanges_once() {
    let app = App::new();
    let first = app.tokens(1).await;
    let body = json!({"refresh_token": first.refresh});
    let second = app.post_json("/auth/refresh", &body).await;
    assert_eq!(second.header("cache-control"), Some("no-store"));
    let second = second.tokens();
    assert_ne!(first.refresh, second.refresh);
    assert!(app.is_live(&second.access).await);
    let retry = app.post_json("/auth/refresh", &body).await.tokens();
    assert_eq!(
        (&retry.refresh, &retry.access),
        (&second.refresh, &second.access),
        "a lost answer is told again"
    );
    for bad in [second.access.as_str(), "nonsense", "csr_nonsense"] {
        let reply = app
            .post_json("/auth/refresh", &json!({"refresh_token": bad}))
            .await;
        reply.is_problem(
            401,
            "REFRESH_TOKEN_INVALID",
            Some(r#"Bearer error="invalid_token""#),
        );
    }
    // An access token that has expired commonly still comes along; it is not looked at.
    let body = json!({"refresh_token": second.refresh}).to_string();
    let reply = app
        .post(
            "/auth/refresh",
            &[JSON, ("authorization", "Bearer nonsense")],
            body,
        )
        .await;
    assert_eq!(reply.status, StatusCode::OK);

    // A thief's answer says no more than any other; the session is dead for both.
    let third = reply.tokens();
    let stolen = app
        .post_json("/auth/refresh", &json!({"refresh_token": first.refresh}))
        .await;
    stolen.is_problem(
        401,
        "REFRESH_TOKEN_INVALID",
        Some(r#"Bearer error="invalid_token""#),
    );
    let theirs = app
        .post_json("/auth/refresh", &json!({"refresh_token": third.refresh}))
        .await;
    assert_eq!(theirs.body, stolen.body);
    assert!(!app.is_live(&third.access).await && !app.is_live(&second.access).await);
}

#[tokio::test]
async fn refresh_tokens_have_bounds_and_users() {
    let app = App::new();
    for body in [
        json!({}),
        json!({"refresh_token": ""}),
        json!({"refresh_token": 7}),
    ] {
        app.post_json("/auth/refresh", &body)
            .await
            .is_problem(422, "REQUEST_BODY_INVALID", None);
    }
    let long = json!({"refresh_token": "a".repeat(8193)});
    app.post_json("/auth/refresh", &long)
        .await
        .is_problem(422, "REQUEST_BODY_INVALID", None);

    let tokens = app.tokens(1).await;
    app.world.members.put(1, false);
    let body = json!({"refresh_token": tokens.refresh});
    let challenge = Some(r#"Bearer error="invalid_token""#);
    app.post_json("/auth/refresh", &body)
        .await
        .is_problem(401, "REFRESH_TOKEN_INVALID", challenge);
    app.world.members.remove(1);
    app.post_json("/auth/refresh", &body)
        .await
        .is_problem(401, "REFRESH_TOKEN_INVALID", challenge);
}

#[tokio::test]
async fn a_store_that_is_down_is_503_everywhere_and_loses_nothing() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let bearer = tokens.bearer();
    let refresh = json!({"refresh_token": tokens.refresh});
    app.world.store.switch(false);
    for reply in [
        app.post_json("/auth/login", &credentials("me", "password of 1"))
            .await,
        app.post_json("/auth/refresh", &refresh).await,
        app.post_json("/auth/logout", &refresh).await,
        app.post("/auth/logout", &[("authorization", &bearer)], "")
            .await,
        app.post("/auth/logout/all", &[("authorization", &bearer)], "")
            .await,
        app.get("/me", &[("authorization", &bearer)]).await,
        app.get("/greet", &[("authorization", &bearer)]).await,
        app.post(
            "/auth/cookie/logout",
            &[("cookie", &tokens.cookies()), JSON],
            "",
        )
        .await,
    ] {
        reply.is_problem(503, "STORE_UNAVAILABLE", None);
        assert_eq!(reply.header("retry-after"), Some("5"));
        assert!(reply.set_cookies().is_empty());
        assert!(!reply.body.contains(SECRET_CAUSE));
    }
    assert_eq!(app.get("/greet", &[]).await.body, "nobody");
    app.world.store.switch(true);
    assert!(app.is_live(&tokens.access).await);
    assert_eq!(
        app.post_json("/auth/refresh", &refresh).await.status,
        StatusCode::OK
    );
}
