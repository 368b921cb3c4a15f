//! Each request has an id, which its log lines and its answer share.

use reqwest::header::HeaderValue;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::harness::{Place, Reply, Server};

const NAME: &str = "x-request-id";

/// Asks for the own account with a token that nobody has issued, and with these ids.
async fn refused(server: &Server, ids: &[&[u8]]) -> Reply {
    let mut request = server
        .request(Method::GET, "/users/me")
        .bearer_auth("junk-that-nobody-issued");
    for id in ids {
        request = request.header(NAME, HeaderValue::from_bytes(id).unwrap());
    }
    let reply = Reply::of(request).await;
    reply.expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED")
}

/// The ids of the requests of which the log tells this event, in their order.
fn ids_of(log: &str, event: &str) -> Vec<String> {
    let lines = log
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    lines
        .filter(|line| line["event"] == event)
        .map(|line| {
            let spans = line["spans"].as_array().unwrap();
            let request = spans.iter().find(|span| span["name"] == "request").unwrap();
            request["id"].as_str().unwrap().to_owned()
        })
        .collect()
}

#[tokio::test]
async fn the_line_of_a_refusal_and_the_answer_have_one_id() {
    // At the level of warnings alone the lines have it too; a bad token is no warning.
    for (level, is_told) in [("info", true), ("warn", false)] {
        let server = Place::new(Vec::new())
            .with("LOG_FORMAT", "json")
            .with("LOG", level)
            .start();
        let mut ids = Vec::new();
        for _ in 0..2 {
            ids.push(refused(&server, &[]).await.header(NAME).to_owned());
        }
        let body = json!({ "identifier": "nobody@example.org", "password": "wrong password" });
        let failed = server.post("/auth/login", body).await;
        let failed = failed.expect(StatusCode::UNAUTHORIZED);
        server.says("login_failed", 1);

        let log = server.stop().1;
        let told: &[String] = if is_told { &ids } else { &[] };
        assert_eq!(ids_of(&log, "refused"), told, "{level}");
        assert_eq!(ids_of(&log, "login_failed"), [failed.header(NAME)]);
        assert!(ids[0] != ids[1] && ids.iter().all(|id| id.len() == 32));
    }
}

/// Also on answers without a handler, and for health checks.
#[tokio::test]
async fn every_answer_has_an_id() {
    let server = Place::new(Vec::new()).with("LOG_FORMAT", "json").start();
    for (method, path) in [
        (Method::GET, "/healthz"),
        (Method::GET, "/readyz"),
        (Method::GET, "/check/any/where"),
        (Method::GET, "/nowhere"),
        (Method::DELETE, "/users/me"),
        (Method::POST, "/auth/refresh"),
    ] {
        let reply = Reply::of(server.request(method, path)).await;
        assert_eq!(reply.header(NAME).len(), 32, "{path}");
    }
}

#[tokio::test]
async fn a_trusted_proxy_gives_the_id() {
    let server = Place::new(Vec::new())
        .with("LOG_FORMAT", "json")
        .with("TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let longest = "7".repeat(128);
    let given = [
        "0190b6a2-7f5e-7c3a-9f51-2d7e3c4b5a60",
        "Root=1-67891233-abcdef012345678912345678",
        "a",
        longest.as_str(),
    ];
    for id in given {
        let reply = refused(&server, &[id.as_bytes()]).await;
        assert_eq!(reply.header(NAME), id);
    }
    server.says("refused", given.len());
    assert_eq!(ids_of(&server.stop().1, "refused"), given);
}

#[tokio::test]
async fn a_hostile_id_is_not_taken() {
    let trusting = Place::new(Vec::new())
        .with("LOG_FORMAT", "json")
        .with("TRUSTED_PROXIES", "127.0.0.1")
        .start();
    let too_long = "7".repeat(129);
    let hostile: [&[&[u8]]; 9] = [
        &[too_long.as_bytes()],
        &[b""],
        &[b"two words"],
        &[b"tab\there"],
        &[b"caf\xc3\xa9"],
        &[b"\xff\xfe"],
        &[b"quoted\"text"],
        &[b"<script>"],
        &[b"first", b"second"],
    ];
    for ids in hostile {
        let reply = refused(&trusting, ids).await;
        let answered = reply.headers.get_all(NAME).iter().collect::<Vec<_>>();
        assert_eq!(answered.len(), 1, "{ids:?}");
        assert_eq!(answered[0].len(), 32, "{ids:?}");
        assert!(ids.iter().all(|id| answered[0].as_bytes() != *id));
    }
    trusting.says("refused", hostile.len());
    let log = trusting.stop().1;
    let logged = ids_of(&log, "refused");
    assert_eq!(logged.len(), hostile.len());
    assert!(logged.iter().all(|id| id.len() == 32), "{logged:?}");
    for text in [too_long.as_str(), "two words", "script", "second"] {
        assert!(!log.contains(text), "{text}");
    }

    // From anybody else no id is taken, as good as it may look.
    let server = Place::new(Vec::new()).start();
    let reply = refused(&server, &[b"0190b6a2-7f5e-7c3a-9f51-2d7e3c4b5a60"]).await;
    assert_eq!(reply.header(NAME).len(), 32);
}
