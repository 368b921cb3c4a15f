//! The device list, and changes of an account that end sessions, on every database and every strategy.

use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, everywhere};

const ANOTHER: &str = "another long password";

async fn call(server: &Server, method: Method, path: &str, tokens: &Tokens) -> Reply {
    Reply::of(server.request(method, path).bearer_auth(&tokens.access)).await
}

async fn sessions(server: &Server, tokens: &Tokens) -> Vec<Value> {
    let listed = call(server, Method::GET, "/auth/sessions", tokens)
        .await
        .expect(StatusCode::OK)
        .json();
    listed["sessions"].as_array().unwrap().clone()
}

async fn change(server: &Server, tokens: &Tokens, body: Value) -> Reply {
    Reply::of(
        server
            .request(Method::PATCH, "/users/me")
            .bearer_auth(&tokens.access)
            .json(&body),
    )
    .await
}

async fn is_dead(server: &Server, tokens: &Tokens) {
    server
        .me(&tokens.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    server
        .refresh(&tokens.refresh)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test]
async fn sessions_are_listed_and_ended() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let ada = server.newcomer("ada@example.org").await;
        let login =
            json!({ "identifier": "ada@example.org", "password": PASSWORD, "label": "the tablet" });
        let tablet = Tokens::of(&server.post("/auth/login", login).await);
        let bob = server.newcomer("bob@example.org").await;
        let listed = sessions(&server, &tablet).await;
        assert_eq!(listed.len(), 2, "{listed:?}");
        let current = listed
            .iter()
            .find(|session| session["current"] == true)
            .unwrap();
        assert_eq!(current["client"]["label"], "the tablet");
        assert_eq!(current["client"]["ip"], "127.0.0.1");
        let id = current["id"].as_str().unwrap();
        assert_eq!(sessions(&server, &bob).await.len(), 1);

        let path = format!("/auth/sessions/{id}");
        call(&server, Method::DELETE, &path, &bob)
            .await
            .expect_problem(StatusCode::NOT_FOUND, "SESSION_NOT_FOUND");
        call(&server, Method::DELETE, &path, &ada)
            .await
            .expect(StatusCode::NO_CONTENT);
        is_dead(&server, &tablet).await;
        call(&server, Method::DELETE, &path, &ada)
            .await
            .expect_problem(StatusCode::NOT_FOUND, "SESSION_NOT_FOUND");

        let [first, second] = [
            server.login("ada@example.org").await,
            server.login("ada@example.org").await,
        ];
        let others = call(
            &server,
            Method::POST,
            "/auth/sessions/revoke-others",
            &second,
        )
        .await;
        assert_eq!(
            others.expect(StatusCode::OK).json(),
            json!({ "revoked": 2 }),
            "{name}"
        );
        for tokens in [&ada, &first] {
            is_dead(&server, tokens).await;
        }
        server.me(&second.access).await.expect(StatusCode::OK);
        server.refresh(&second.refresh).await.expect(StatusCode::OK);
        server.me(&bob.access).await.expect(StatusCode::OK);
    }
}

/// A request writes nothing; what was used is told in one write, at the latest when the server stops.
#[tokio::test]
async fn use_is_written_down_when_the_server_stops() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let place = place.with("USE_INTERVAL", "1h");
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        let list = || place.json(&["session", "list", "ada@example.org"])["sessions"][0].clone();
        let before = list();
        assert_eq!(before["last_used_at"], before["created_at"], "{before}");
        server.me(&tokens.access).await.expect(StatusCode::OK);
        server.stop();
        let after = list();
        assert!(
            after["last_used_at"].as_str().unwrap() > after["created_at"].as_str().unwrap(),
            "{after}"
        );
        assert_eq!(after["created_at"], before["created_at"]);
    }
}

#[tokio::test]
async fn sessions_are_managed_beside_a_running_server() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let [first, second] = [
            server.newcomer("ada@example.org").await,
            server.login("ada@example.org").await,
        ];
        let listed = place.json(&["session", "list", "Ada@example.org"]);
        assert_eq!(listed["sessions"].as_array().unwrap().len(), 2);
        let id = sessions(&server, &second)
            .await
            .iter()
            .find(|s| s["current"] == false)
            .unwrap()["id"]
            .clone();
        let id = id.as_str().unwrap();
        assert!(
            listed["sessions"]
                .as_array()
                .unwrap()
                .iter()
                .any(|session| session["id"] == id)
        );
        let text =
            String::from_utf8(place.run(&["session", "list", "ada@example.org"]).stdout).unwrap();
        assert!(text.starts_with("SESSION") && text.contains(id), "{text}");

        assert_eq!(
            place.json(&["session", "revoke", "ada@example.org", id])["revoked"],
            json!([id])
        );
        is_dead(&server, &first).await;
        server.me(&second.access).await.expect(StatusCode::OK);
        assert_eq!(
            place
                .run(&["session", "revoke", "ada@example.org", id])
                .status
                .code(),
            Some(1),
            "there is none"
        );
        for mistake in [
            &["session", "revoke", "ada@example.org"][..],
            &["session", "revoke", "ada@example.org", "x"],
        ] {
            assert_eq!(place.run(mistake).status.code(), Some(2), "{mistake:?}");
        }
        place.json(&["session", "revoke", "ada@example.org", "--all"]);
        is_dead(&server, &second).await;
        assert_eq!(
            place.json(&["session", "list", "ada@example.org"])["sessions"],
            json!([])
        );
    }
}

#[tokio::test]
async fn a_changed_password_ends_all_other_sessions() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let [here, there] = [
            server.newcomer("ada@example.org").await,
            server.login("ada@example.org").await,
        ];
        let wrong = json!({ "current_password": "wrong", "password": ANOTHER });
        change(&server, &here, wrong)
            .await
            .expect_problem(StatusCode::FORBIDDEN, "CURRENT_PASSWORD_INVALID");
        server.me(&there.access).await.expect(StatusCode::OK);

        let right = json!({ "current_password": PASSWORD, "password": ANOTHER });
        let answer = change(&server, &here, right.clone())
            .await
            .expect(StatusCode::OK)
            .json();
        assert_eq!(answer["email"], "ada@example.org");
        is_dead(&server, &there).await;
        goes_on(&server, &place, &here).await;
        let login = |password| json!({ "identifier": "ada@example.org", "password": password });
        server
            .post("/auth/login", login(PASSWORD))
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server
            .post("/auth/login", login(ANOTHER))
            .await
            .expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_changed_address_ends_all_other_sessions() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let [here, there] = [
            server.newcomer("ada@example.org").await,
            server.login("ada@example.org").await,
        ];
        server
            .register("bob@example.org")
            .await
            .expect(StatusCode::CREATED);
        for (email, status, code) in [
            (
                "bob@example.org",
                StatusCode::CONFLICT,
                "ACCOUNT_EMAIL_TAKEN",
            ),
            (
                "nobody",
                StatusCode::UNPROCESSABLE_ENTITY,
                "ACCOUNT_EMAIL_INVALID",
            ),
        ] {
            let body = json!({ "current_password": PASSWORD, "email": email });
            change(&server, &here, body)
                .await
                .expect_problem(status, code);
        }
        server.me(&there.access).await.expect(StatusCode::OK);
        let body = json!({ "current_password": PASSWORD, "email": "Countess@Example.org" });
        let answer = change(&server, &here, body)
            .await
            .expect(StatusCode::OK)
            .json();
        assert_eq!(
            (&answer["email"], &answer["is_verified"]),
            (&json!("countess@example.org"), &json!(false))
        );
        is_dead(&server, &there).await;
        goes_on(&server, &place, &here).await;
        server.login("countess@example.org").await;
    }
}

/// Whoever got no answer asks again: the change has been made, and what ends with it is ended anew.
#[tokio::test]
async fn a_change_may_be_asked_for_again() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let signed = place.settings.iter().any(|(_, value)| value == "jwt");
        let server = place.start();
        let mut here = server.newcomer("ada@example.org").await;
        for body in [
            json!({ "current_password": PASSWORD, "email": "countess@example.org" }),
            json!({ "current_password": PASSWORD, "password": ANOTHER, "email": "ada@example.org" }),
            json!({ "current_password": ANOTHER, "password": PASSWORD }),
        ] {
            for _ in 0..3 {
                let answer = change(&server, &here, body.clone())
                    .await
                    .expect(StatusCode::OK)
                    .json();
                assert!(answer["email"].is_string());
                if signed {
                    here = Tokens::of(&server.refresh(&here.refresh).await);
                }
                let now = body.get("password").unwrap_or(&body["current_password"]);
                let login = json!({ "identifier": answer["email"], "password": now });
                let there = Tokens::of(&server.post("/auth/login", login).await);
                change(&server, &here, body.clone())
                    .await
                    .expect(StatusCode::OK);
                is_dead(&server, &there).await;
                if signed {
                    here = Tokens::of(&server.refresh(&here.refresh).await);
                }
                server.me(&here.access).await.expect(StatusCode::OK);
            }
        }
        // The new password alone is no key to another change.
        for body in [
            json!({ "current_password": "wrong", "password": PASSWORD, "email": "eve@example.org" }),
            json!({ "current_password": "wrong", "password": ANOTHER }),
        ] {
            let refused = change(&server, &here, body).await;
            refused.expect_problem(StatusCode::FORBIDDEN, "CURRENT_PASSWORD_INVALID");
        }
    }
}

#[tokio::test]
async fn changes_that_cannot_be_made_change_nothing() {
    let place = Place::new(Vec::new());
    let server = place.start();
    let [here, there] = [
        server.newcomer("ada@example.org").await,
        server.login("ada@example.org").await,
    ];
    let invalid = StatusCode::UNPROCESSABLE_ENTITY;
    for (body, code) in [
        (json!({}), "REQUEST_BODY_INVALID"),
        (
            json!({ "current_password": PASSWORD }),
            "REQUEST_BODY_INVALID",
        ),
        (json!({ "password": ANOTHER }), "REQUEST_BODY_INVALID"),
        (
            json!({ "current_password": PASSWORD, "password": 7 }),
            "REQUEST_BODY_INVALID",
        ),
        (
            json!({ "current_password": PASSWORD, "password": "short" }),
            "ACCOUNT_PASSWORD_INVALID",
        ),
        (
            json!({ "current_password": PASSWORD, "password": "x".repeat(1025) }),
            "ACCOUNT_PASSWORD_INVALID",
        ),
        (
            json!({ "current_password": PASSWORD, "password": ANOTHER, "email": "@" }),
            "ACCOUNT_EMAIL_INVALID",
        ),
    ] {
        change(&server, &here, body)
            .await
            .expect_problem(invalid, code);
    }
    let nobody = Reply::of(server.request(Method::PATCH, "/users/me").json(&json!({}))).await;
    nobody.expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_REQUIRED");
    server.me(&there.access).await.expect(StatusCode::OK);
    let mut throttled = false;
    for _ in 0..20 {
        let wrong = json!({ "current_password": "wrong", "password": ANOTHER });
        throttled |= change(&server, &here, wrong).await.status == StatusCode::TOO_MANY_REQUESTS;
    }
    assert!(throttled, "guesses at the current password are counted");
}

/// The session that made the change. A signed access token carries a fingerprint of password and address, so that it has to be
/// refreshed first.
async fn goes_on(server: &Server, place: &Place, tokens: &Tokens) {
    let signed = place.settings.iter().any(|(_, value)| value == "jwt");
    server.me(&tokens.access).await.expect(if signed {
        StatusCode::UNAUTHORIZED
    } else {
        StatusCode::OK
    });
    let next = Tokens::of(&server.refresh(&tokens.refresh).await);
    server.me(&next.access).await.expect(StatusCode::OK);
}
