//! `GET /check`: 200 with headers, 401 or 503, whatever is asked.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use countersign::store::Value;
use reqwest::header::{AUTHORIZATION, CONTENT_LENGTH, COOKIE, HeaderValue, ORIGIN};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::flows::{cookie_post, jar};
use crate::harness::{PASSWORD, Place, Reply, Server, everywhere};
use crate::rows::Rows;

const ADA: &str = "ada@example.org";
const TOLD: [&str; 3] = ["x-auth-user-id", "x-auth-session-id", "x-auth-email"];
const PATHS: [&str; 8] = [
    "/check",
    "/check/",
    "/check?a=b",
    "/check/x",
    "/check//x/../y",
    "/check/%ff%00",
    "/check/users/me",
    "/check/check",
];

fn ask(server: &Server) -> RequestBuilder {
    server.request(Method::GET, "/check")
}

/// What a proxy reads out of an answer: each header once, whatever it is.
#[track_caller]
fn told(reply: &Reply) -> [String; 3] {
    assert_eq!(reply.status, StatusCode::OK, "{}", reply.text);
    assert_eq!(reply.header("cache-control"), "no-store");
    assert_eq!(reply.headers.get_all("set-cookie").iter().count(), 0);
    TOLD.map(|name| {
        assert_eq!(
            reply.headers.get_all(name).iter().count(),
            1,
            "{name}: {:?}",
            reply.headers
        );
        let value = reply.header(name).to_owned();
        assert!(
            value.bytes().all(|byte| byte.is_ascii_graphic()),
            "{value:?}"
        );
        value
    })
}

#[track_caller]
fn refused(reply: Reply, code: &str) {
    let reply = reply.expect_problem(StatusCode::UNAUTHORIZED, code);
    assert!(
        reply.header("www-authenticate").starts_with("Bearer"),
        "{:?}",
        reply.headers
    );
    assert_eq!(reply.header("cache-control"), "no-store");
    assert!(
        TOLD.iter().all(|name| !reply.headers.contains_key(*name)),
        "{:?}",
        reply.headers
    );
}

async fn cookies(server: &Server) -> String {
    let body = json!({ "identifier": ADA, "password": PASSWORD });
    jar(
        &Reply::of(cookie_post(server, "/auth/cookie/login", "").json(&body))
            .await
            .expect(StatusCode::NO_CONTENT),
    )
}

#[tokio::test]
async fn a_good_credential_is_told_to_the_proxy_on_every_store() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let tokens = server.newcomer(ADA).await;
        let id = server.me(&tokens.access).await.json()["id"]
            .as_str()
            .unwrap()
            .to_owned();
        let sessions = server.get("/auth/sessions", &tokens.access).await.json();
        let session = sessions["sessions"][0]["id"].as_str().unwrap().to_owned();
        for (header, value) in [
            ("x-unused", "1"),
            (TOLD[0], "mallory"),
            (TOLD[1], "\u{e9}"),
            (TOLD[2], "root@x.y"),
        ] {
            let reply = Reply::of(
                ask(&server)
                    .bearer_auth(&tokens.access)
                    .header(header, value),
            )
            .await;
            assert_eq!(told(&reply), [id.clone(), session.clone(), String::new()]);
        }
        refused(Reply::of(ask(&server)).await, "AUTHENTICATION_REQUIRED");
        refused(
            Reply::of(ask(&server).bearer_auth(&tokens.refresh)).await,
            "AUTHENTICATION_FAILED",
        );
        let cookies = cookies(&server).await;
        assert_eq!(
            told(&Reply::of(ask(&server).header(COOKIE, &cookies)).await)[0],
            id
        );
        Reply::of(
            server
                .request(Method::POST, "/auth/logout")
                .bearer_auth(&tokens.access),
        )
        .await
        .expect(StatusCode::NO_CONTENT);
        refused(
            Reply::of(ask(&server).bearer_auth(&tokens.access)).await,
            "AUTHENTICATION_FAILED",
        );
        assert_eq!(
            told(&Reply::of(ask(&server).header(COOKIE, &cookies)).await)[0],
            id,
            "another session"
        );
    }
}

#[tokio::test]
async fn any_method_and_any_path_below() {
    let place = Place::new(Vec::new()).with("PUBLIC_URL", "https://app.example/accounts");
    let server = place
        .with("ALLOWED_ORIGINS", "https://front.example")
        .start();
    let tokens = server.newcomer(ADA).await;
    for prefix in ["", "/accounts"] {
        for path in PATHS {
            for method in [
                "GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "PROPFIND",
            ] {
                let path = format!("{prefix}{path}");
                let request =
                    || server.request(Method::from_bytes(method.as_bytes()).unwrap(), &path);
                told(&Reply::of(request().bearer_auth(&tokens.access)).await);
                let nobody = Reply::of(request()).await;
                assert_eq!(nobody.status, StatusCode::UNAUTHORIZED, "{method} {path}");
                // A preflight that a proxy hands on as it came: 200 would let the client's own headers through.
                let preflight = request().header(ORIGIN, "https://front.example");
                let preflight =
                    Reply::of(preflight.header("access-control-request-method", "POST")).await;
                assert_eq!(
                    preflight.status,
                    StatusCode::UNAUTHORIZED,
                    "{method} {path}"
                );
            }
        }
    }
    Reply::of(server.request(Method::GET, "/checks"))
        .await
        .expect(StatusCode::NOT_FOUND);
}

#[tokio::test]
async fn whatever_is_no_good_credential_is_401() {
    for strategy in ["database", "jwt"] {
        let server = Place::new(Vec::new()).with("STRATEGY", strategy).start();
        let good = server.newcomer(ADA).await.access;
        let bearer = format!("Bearer {good}");
        let cookie = format!("__Host-countersign_access={good}");
        let long = format!("Bearer {}", "x".repeat(20_000));
        let two = format!("{cookie}; {cookie}");
        let wrong: Vec<Vec<(&str, &[u8])>> = vec![
            vec![("authorization", b"Bearer")],
            vec![("authorization", b"Bearer ")],
            vec![("authorization", b"Bearer a b")],
            vec![("authorization", b"Bearer \xff\xfe")],
            vec![("authorization", b"\xff")],
            vec![("authorization", b"Bearer\tx")],
            vec![("authorization", b"Basic YTpi")],
            vec![("authorization", b"")],
            vec![("authorization", long.as_bytes())],
            vec![("authorization", b"Bearer eyJhbGciOiJub25lIn0.e30.")],
            vec![
                ("authorization", bearer.as_bytes()),
                ("authorization", bearer.as_bytes()),
            ],
            vec![
                ("authorization", bearer.as_bytes()),
                ("cookie", cookie.as_bytes()),
            ],
            vec![("cookie", two.as_bytes())],
            vec![("cookie", cookie.as_bytes()), ("cookie", cookie.as_bytes())],
            vec![("cookie", b"__Host-countersign_access=")],
            vec![("cookie", b"__Host-countersign_access=\xff\xfe")],
            vec![("cookie", b"__Host-countersign_access=\"x\"")],
            vec![("cookie", b";;;=\xff;\x80=")],
            vec![("x-auth-user-id", b"root")],
        ];
        for headers in wrong {
            let request = headers.iter().fold(ask(&server), |request, (name, value)| {
                request.header(*name, HeaderValue::from_bytes(value).unwrap())
            });
            let reply = Reply::of(request).await;
            let is_nothing = reply.text.contains("AUTHENTICATION_REQUIRED");
            refused(
                reply,
                if is_nothing {
                    "AUTHENTICATION_REQUIRED"
                } else {
                    "AUTHENTICATION_FAILED"
                },
            );
        }
        let many = (0..50).fold(ask(&server), |request, number| {
            request.header(format!("x-{number}"), "y")
        });
        refused(Reply::of(many).await, "AUTHENTICATION_REQUIRED");
    }
}

/// Bodies belong to the application behind the proxy. Nobody looks at one here.
#[tokio::test]
async fn bodies_are_nobodys_business() {
    let server = Place::new(Vec::new()).with("BODY_TIMEOUT", "1s").start();
    let good = server.newcomer(ADA).await.access;
    for body in ["x".repeat(1_000_000), "{".to_owned(), String::new()] {
        for kind in ["application/json", "text/plain", "multipart/form-data"] {
            let request = || {
                server
                    .request(Method::POST, "/check/upload")
                    .header("content-type", kind)
            };
            told(&Reply::of(request().bearer_auth(&good).body(body.clone())).await);
            let encoded = request()
                .header("content-encoding", "gzip")
                .body(body.clone());
            refused(Reply::of(encoded).await, "AUTHENTICATION_REQUIRED");
        }
    }
    let head = server
        .request(Method::HEAD, "/check")
        .header(CONTENT_LENGTH, "0");
    assert_eq!(told(&Reply::of(head.bearer_auth(&good)).await)[2], "");
    let request = format!(
        "POST /check HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {good}\r\nconnection: close\r\n"
    );
    for rest in [
        "content-length: 100000000000\r\n\r\n{",
        "content-length: 100\r\n\r\n",
        "transfer-encoding: chunked\r\n\r\nzz\r\n",
        "transfer-encoding: chunked\r\n\r\n5\r\nab",
    ] {
        let mut connection = TcpStream::connect(server.address()).unwrap();
        connection
            .set_read_timeout(Some(Duration::from_mins(1)))
            .unwrap();
        connection
            .write_all(format!("{request}{rest}").as_bytes())
            .unwrap();
        let mut answer = vec![0; 12];
        connection.read_exact(&mut answer).unwrap();
        assert_eq!(String::from_utf8_lossy(&answer), "HTTP/1.1 200", "{rest}");
    }
}

/// Proof of origin for the request that the proxy asks about.
#[tokio::test]
async fn a_cookie_needs_proof_of_origin_for_what_the_proxy_was_asked() {
    let server = Place::new(Vec::new())
        .with("PUBLIC_URL", "https://app.example/accounts")
        .start();
    server.register(ADA).await.expect(StatusCode::CREATED);
    let cookie = cookies(&server).await;
    let bearer = server.login(ADA).await.access;
    let (ours, evil) = (
        ("origin", "https://app.example"),
        ("origin", "https://evil.example"),
    );
    let (same, cross) = (
        ("sec-fetch-site", "same-origin"),
        ("sec-fetch-site", "cross-site"),
    );
    let json = ("content-type", "application/json");
    let original = |method| ("x-original-method", method);
    let forwarded = |method| ("x-forwarded-method", method);
    for (method, headers, allowed) in [
        ("GET", vec![], true),
        ("GET", vec![cross], true),
        ("GET", vec![original("GET"), cross], true),
        ("GET", vec![forwarded("HEAD"), cross], true),
        ("GET", vec![original("OPTIONS")], true),
        ("GET", vec![original("POST")], false),
        ("GET", vec![original("POST"), ours], true),
        ("GET", vec![original("POST"), same], true),
        ("GET", vec![original("POST"), evil], false),
        ("GET", vec![original("POST"), cross], false),
        ("GET", vec![original("POST"), cross, ours], true),
        ("GET", vec![original("POST"), json], true),
        ("GET", vec![original("POST"), json, evil], false),
        ("GET", vec![forwarded("DELETE")], false),
        ("GET", vec![forwarded("DELETE"), ours], true),
        ("GET", vec![original("get")], false),
        ("GET", vec![original("")], false),
        // One that a client adds takes nothing away.
        ("GET", vec![original("GET"), forwarded("POST"), evil], false),
        ("GET", vec![original("POST"), forwarded("GET"), evil], false),
        ("GET", vec![original("GET"), original("POST"), evil], false),
        ("GET", vec![original("GET, POST"), evil], false),
        ("POST", vec![original("GET"), evil], false),
        ("POST", vec![evil], false),
        ("POST", vec![ours], true),
        ("PROPFIND", vec![], false),
        ("GET", vec![original("CONNECT")], false),
        ("GET", vec![original("TRACE")], false),
        // Browsers name the origin of every form, every script's request and every WebSocket, so a proxy that forgets to tell
        // of method or upgrade opens no door.
        ("GET", vec![evil], false),
        ("GET", vec![original("GET"), evil], false),
        ("GET", vec![("origin", "null")], false),
        ("GET", vec![ours], true),
        (
            "GET",
            vec![original("GET"), ("upgrade", "websocket"), evil],
            false,
        ),
        (
            "GET",
            vec![original("GET"), ("upgrade", "websocket")],
            false,
        ),
        (
            "GET",
            vec![original("GET"), ("upgrade", "websocket"), ours],
            true,
        ),
        (
            "GET",
            vec![original("GET"), ("upgrade", "websocket"), same],
            true,
        ),
        (
            "GET",
            vec![original("POST"), ("origin", "http://app.example")],
            false,
        ),
        (
            "GET",
            vec![original("POST"), ("x-forwarded-host", "evil.example"), evil],
            false,
        ),
    ] {
        let request = || {
            let request = server.request(Method::from_bytes(method.as_bytes()).unwrap(), "/check");
            headers.iter().fold(request, |request, (name, value)| {
                request.header(*name, *value)
            })
        };
        let reply = Reply::of(request().header(COOKIE, &cookie)).await;
        if allowed {
            told(&reply);
        } else {
            assert_eq!(
                reply.status,
                StatusCode::UNAUTHORIZED,
                "{method} {headers:?}"
            );
            refused(reply, "AUTHENTICATION_FAILED");
        }
        // A header that the client sets itself is proof enough.
        told(&Reply::of(request().header(AUTHORIZATION, format!("Bearer {bearer}"))).await);
    }
}

#[tokio::test]
async fn a_store_that_is_down_is_503_for_those_who_offer_something() {
    for strategy in ["database", "jwt"] {
        let place = Place::new(Vec::new()).with("STRATEGY", strategy);
        let server = place.start();
        let good = server.newcomer(ADA).await.access;
        std::fs::remove_file(place.data_dir().join("countersign.sqlite")).unwrap();
        let reply = Reply::of(ask(&server).bearer_auth(&good)).await;
        let reply = reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE");
        assert_eq!(reply.header("retry-after"), "5");
        assert!(TOLD.iter().all(|name| !reply.headers.contains_key(*name)));
        refused(Reply::of(ask(&server)).await, "AUTHENTICATION_REQUIRED");
        refused(
            Reply::of(ask(&server).header(AUTHORIZATION, "Bearer")).await,
            "AUTHENTICATION_FAILED",
        );
    }
}

/// What a row holds that nobody can read is no 500 either.
#[tokio::test]
async fn a_row_that_makes_no_sense_is_503() {
    let place = Place::new(Vec::new());
    let server = place.start();
    let good = server.newcomer(ADA).await.access;
    Rows::of(&place)
        .run("UPDATE {user} SET is_active = 'perhaps'", &[])
        .await;
    server
        .me(&good)
        .await
        .expect(StatusCode::INTERNAL_SERVER_ERROR);
    let reply = Reply::of(ask(&server).bearer_auth(&good)).await;
    reply.expect(StatusCode::SERVICE_UNAVAILABLE);
}

#[tokio::test]
async fn an_address_is_told_once_it_is_known_to_be_the_users() {
    let place = Place::new(Vec::new());
    let server = place.start();
    let good = server.newcomer("jürgen%@bücher.example").await.access;
    assert_eq!(
        told(&Reply::of(ask(&server).bearer_auth(&good)).await)[2],
        ""
    );
    Rows::of(&place)
        .run("UPDATE {user} SET is_verified = ?1", &[Value::Bool(true)])
        .await;
    let email = told(&Reply::of(ask(&server).bearer_auth(&good)).await)[2].clone();
    assert_eq!(email, "j%C3%BCrgen%25@b%C3%BCcher.example");
}

/// Nothing is renewed, used up or set; the session counts as used.
#[tokio::test]
async fn asking_writes_nothing_but_the_use_of_the_session() {
    let server = Place::new(Vec::new()).with("USE_INTERVAL", "100ms").start();
    server.register(ADA).await.expect(StatusCode::CREATED);
    let cookies = cookies(&server).await;
    let watcher = server.login(ADA).await.access;
    let last_used = async || {
        let listed = server.get("/auth/sessions", &watcher).await.json();
        let sessions = listed["sessions"].as_array().unwrap();
        let other = sessions
            .iter()
            .find(|session| session["current"] == false)
            .unwrap();
        other["last_used_at"].as_str().unwrap().to_owned()
    };
    let before = last_used().await;
    while last_used().await == before {
        assert_eq!(
            told(&Reply::of(ask(&server).header(COOKIE, &cookies)).await)[2],
            ""
        );
    }
    let refresh = Reply::of(cookie_post(&server, "/auth/cookie/refresh", &cookies)).await;
    refresh.expect(StatusCode::NO_CONTENT);
}
