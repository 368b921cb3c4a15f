//! Input of every wrong form on every route: a 4xx, quickly, and never a 5xx or a hang (SECURITY rows D-02, F-24).

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use reqwest::header::{AUTHORIZATION, CONTENT_TYPE, COOKIE};
use reqwest::{Method, StatusCode};

use crate::harness::{Place, Reply, Server};

const POSTS: [&str; 8] = [
    "/auth/register",
    "/auth/login",
    "/auth/refresh",
    "/auth/logout",
    "/auth/logout/all",
    "/auth/cookie/login",
    "/auth/cookie/refresh",
    "/auth/cookie/logout",
];

fn bodies() -> Vec<Vec<u8>> {
    let deep = "[".repeat(10_000);
    let nested = format!("{{\"refresh_token\":{deep}");
    let long = format!(r#"{{"refresh_token":"{}"}}"#, "x".repeat(15_000));
    let texts = [
        "",
        "{",
        "null",
        "[]",
        "\"text\"",
        "7",
        "{}",
        r#"{"email":1,"password":2}"#,
        r#"{"email":"ada@example.org"}"#,
        r#"{"email":"ada@example.org","password":null}"#,
        r#"{"email":"a\u0000@example.org","password":"12345678"}"#,
        r#"{"email":"' OR 1=1 --@x.y","password":"12345678' OR '1'='1"}"#,
        r#"{"identifier":"","password":""}"#,
        r#"{"identifier":"a","identifier":"b","password":"c"}"#,
        r#"{"identifier":{"$ne":null},"password":["x"]}"#,
        r#"{"identifier":"\ud800","password":"x"}"#,
        r#"{"identifier":"ada\u0000@example.org","password":"x\u0000y"}"#,
        r#"{"refresh_token":""}"#,
        r#"{"refresh_token":"csr_"}"#,
        r#"{"refresh_token":"\u0000"}"#,
        r#"{"refresh_token":"' OR 1=1 --"}"#,
        r#"{"refresh_token":9e999}"#,
        "\u{feff}{}",
        deep.as_str(),
        nested.as_str(),
        long.as_str(),
    ];
    let mut bodies: Vec<Vec<u8>> = texts.iter().map(|text| text.as_bytes().to_vec()).collect();
    bodies.push(b"{\"identifier\":\"\xff\xfe\",\"password\":\"x\"}".to_vec());
    bodies.push(vec![0; 100]);
    bodies
}

#[tokio::test]
async fn bodies_of_every_wrong_form() {
    for strategy in ["database", "jwt"] {
        let server = Place::new(Vec::new())
            .with("STRATEGY", strategy)
            .with("LOGIN_LIMIT", "off")
            .start();
        for path in POSTS {
            for body in bodies() {
                for content_type in [
                    "application/json",
                    "text/plain",
                    "application/x-www-form-urlencoded",
                    "",
                ] {
                    let request = server
                        .request(Method::POST, path)
                        .header("sec-fetch-site", "same-origin");
                    let request = if content_type.is_empty() {
                        request
                    } else {
                        request.header(CONTENT_TYPE, content_type)
                    };
                    let reply = Reply::of(request.body(body.clone())).await;
                    let shown = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
                    assert!(
                        !reply.status.is_server_error(),
                        "{path} {shown}: {} {}",
                        reply.status,
                        reply.text
                    );
                    if reply.status.is_client_error() {
                        assert_eq!(
                            reply.header("content-type"),
                            "application/problem+json",
                            "{path} {shown}"
                        );
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn credentials_of_every_wrong_form() {
    for strategy in ["database", "jwt"] {
        let server = Place::new(Vec::new()).with("STRATEGY", strategy).start();
        let long = format!("Bearer {}", "x".repeat(9000));
        let wrong = [
            "",
            "Bearer",
            "Bearer ",
            "bearer x",
            "Bearer x y",
            "Basic YTpi",
            "Bearer csa_",
            "Bearer ..",
            "Bearer a.b.c",
            "Bearer eyJhbGciOiJub25lIn0.e30.",
            "Bearer \u{7f}",
            "Bearer ü",
            "Token x",
            long.as_str(),
        ];
        for path in ["/users/me", "/auth/logout", "/auth/logout/all"] {
            let method = if path == "/users/me" {
                Method::GET
            } else {
                Method::POST
            };
            for value in wrong {
                let Ok(value) = reqwest::header::HeaderValue::from_bytes(value.as_bytes()) else {
                    continue;
                };
                let reply = Reply::of(
                    server
                        .request(method.clone(), path)
                        .header(AUTHORIZATION, value.clone()),
                )
                .await;
                assert!(
                    matches!(reply.status.as_u16(), 400 | 401),
                    "{path} {value:?}: {} {}",
                    reply.status,
                    reply.text
                );
                let cookie = [b"__Host-countersign_access=".as_slice(), value.as_bytes()].concat();
                let cookie = reqwest::header::HeaderValue::from_bytes(&cookie).unwrap();
                let request = server.request(method.clone(), path).header(COOKIE, cookie);
                let reply = Reply::of(request.header("sec-fetch-site", "same-origin")).await;
                assert!(
                    matches!(reply.status.as_u16(), 400 | 401),
                    "{path} cookie {value:?}: {}",
                    reply.status
                );
            }
        }
    }
}

#[tokio::test]
async fn two_credentials_are_none() {
    let server = Place::new(Vec::new()).start();
    let tokens = server.newcomer("ada@example.org").await;
    let bearer = || {
        server
            .request(Method::GET, "/users/me")
            .bearer_auth(&tokens.access)
    };
    let cookie = format!("__Host-countersign_access={}", tokens.access);
    Reply::of(bearer().bearer_auth(&tokens.access))
        .await
        .expect(StatusCode::BAD_REQUEST);
    Reply::of(bearer().header(COOKIE, &cookie))
        .await
        .expect(StatusCode::BAD_REQUEST);
    Reply::of(bearer()).await.expect(StatusCode::OK);
}

#[test]
fn raw_nonsense_is_answered_or_cut_off() {
    let server = Place::new(Vec::new())
        .with("BODY_TIMEOUT", "1s")
        .with("HEADER_TIMEOUT", "1s")
        .start();
    let huge = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\nx: {}\r\n\r\n",
        "y".repeat(4 * 1024 * 1024)
    );
    let many = format!(
        "GET /healthz HTTP/1.1\r\nhost: x\r\n{}\r\n",
        "a: b\r\n".repeat(1000)
    );
    let post = "POST /auth/login HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n";
    let announced = format!("{post}content-length: 100000000000\r\n\r\n{{");
    let over = format!("{post}content-length: 70000\r\n\r\n{}", "x".repeat(70_000));
    let unfinished = format!("{post}content-length: 100\r\n\r\n{{");
    let bad_length = format!("{post}content-length: many\r\n\r\n");
    let two_lengths = format!("{post}content-length: 2\r\ncontent-length: 3\r\n\r\n{{}}");
    let both = format!("{post}content-length: 2\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n");
    let bad_chunk = format!("{post}transfer-encoding: chunked\r\n\r\nzz\r\n");
    let cases: &[(&[u8], &[&str])] = &[
        (b"\r\n\r\n\r\n", &["", "400"]),
        (b"\0\0\0\0", &["", "400"]),
        (b"GET / HTTP/9.9\r\n\r\n", &["", "400"]),
        (b"GET /healthz\r\n\r\n", &["", "400"]),
        (huge.as_bytes(), &["", "431"]),
        (many.as_bytes(), &["", "431"]),
        (announced.as_bytes(), &["413"]),
        (over.as_bytes(), &["413"]),
        (unfinished.as_bytes(), &["408"]),
        (bad_length.as_bytes(), &["400"]),
        (two_lengths.as_bytes(), &["400"]),
        (both.as_bytes(), &["400", "422"]),
        (bad_chunk.as_bytes(), &["400"]),
        (b"GET /healthz HTTP/1.1\r\nhost: x\r\n", &["", "408"]),
        (b"", &[""]),
        (
            b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\nnonsense nonsense",
            &["", "\0"],
        ),
    ];
    for (request, expected) in cases {
        let status = exchange(&server, request);
        let shown = String::from_utf8_lossy(&request[..request.len().min(120)]).into_owned();
        assert!(
            expected
                .iter()
                .any(|status_or_none| status.starts_with(status_or_none)
                    && (status_or_none.is_empty() == status.is_empty())),
            "{shown:?}: {status:?}"
        );
    }
    assert!(
        exchange(
            &server,
            b"GET /healthz HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n"
        )
        .starts_with("200")
    );
}

/// The status that comes back, or nothing when the connection is closed without one.
fn exchange(server: &Server, request: &[u8]) -> String {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    // The server may have heard enough before everything is said.
    let _ = connection.write_all(request);
    let mut answer = Vec::new();
    match connection.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => {}
        Err(error) => panic!("the server neither answers nor hangs up: {error}"),
    }
    let answer = String::from_utf8_lossy(&answer);
    answer.strip_prefix("HTTP/1.1 ").map_or_else(
        || answer.chars().take(1).collect(),
        |rest| rest.chars().take(3).collect(),
    )
}
