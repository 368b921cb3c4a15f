//! A proxy that nobody told the server of.

use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{PASSWORD, Place, Reply, Server, Tokens};

async fn attempt(server: &Server, email: &str, password: &str, header: (&str, &str)) -> Reply {
    let request = server
        .request(Method::POST, "/auth/login")
        .header(header.0, header.1);
    Reply::of(request.json(&json!({ "identifier": email, "password": password }))).await
}

#[tokio::test]
async fn behind_an_unknown_proxy_strangers_lock_nobody_out() {
    for header in [
        ("x-forwarded-for", "203.0.113.7"),
        ("forwarded", "for=203.0.113.7"),
    ] {
        let server = Place::new(Vec::new())
            .with("LOGIN_LIMIT", "2/1h")
            .with("REGISTRATION", "2/1h")
            .start();
        server
            .register("ada@example.org")
            .await
            .expect(StatusCode::CREATED);
        for number in 0..30 {
            let email = format!("{number}@example.org");
            attempt(&server, &email, "wrong password", header)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        Tokens::of(&attempt(&server, "ada@example.org", PASSWORD, header).await);
        // Each account is guarded all the same.
        for _ in 0..2 {
            attempt(&server, "ada@example.org", "wrong password", header)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        attempt(&server, "ada@example.org", PASSWORD, header)
            .await
            .expect(StatusCode::TOO_MANY_REQUESTS);
        for number in 0..4 {
            let body = json!({ "email": format!("{number}@example.org"), "password": PASSWORD });
            let request = server
                .request(Method::POST, "/auth/register")
                .header(header.0, header.1)
                .json(&body);
            Reply::of(request).await.expect(StatusCode::CREATED);
        }
        let log = server.stop().1;
        assert_eq!(
            log.matches("proxy_not_trusted").count(),
            1,
            "said once: {log}"
        );
        assert!(log.contains("COUNTERSIGN_TRUSTED_PROXIES"), "{log}");
        assert!(!log.contains("203.0.113.7"), "headers aren't logged: {log}");
    }
}

#[tokio::test]
async fn without_a_proxy_an_address_is_counted() {
    let server = Place::new(Vec::new()).with("LOGIN_LIMIT", "2/1h").start();
    let mut answers = Vec::new();
    for number in 0..30 {
        let body =
            json!({ "identifier": format!("{number}@example.org"), "password": "wrong password" });
        answers.push(server.post("/auth/login", body).await.status);
    }
    assert_eq!(
        answers
            .iter()
            .filter(|status| **status == StatusCode::UNAUTHORIZED)
            .count(),
        20
    );
    let log = server.stop().1;
    assert!(!log.contains("proxy_not_trusted"), "{log}");
}
