//! Content types, sizes and shapes of bodies.

use axum::body::{Body, Bytes};
use http::StatusCode;
use proptest::prelude::*;
use serde_json::json;

use crate::http::{App, JSON};

fn login() -> String {
    json!({"identifier": "me", "password": "password of 1"}).to_string()
}

#[tokio::test]
async fn content_types() {
    let app = App::new();
    let cases: [(&[&str], bool); 12] = [
        (&["application/json"], true),
        (&["application/json; charset=utf-8"], true),
        (&["APPLICATION/JSON"], true),
        (&["application/json ;x=y"], true),
        (&[], false),
        (&[""], false),
        (&["text/plain"], false),
        (&["application/x-www-form-urlencoded"], false),
        (&["multipart/form-data; boundary=x"], false),
        (&["application/jsonx"], false),
        (&["text/plain; application/json"], false),
        (&["application/json", "text/plain"], false),
    ];
    for (types, accepted) in cases {
        let headers: Vec<(&str, &str)> =
            types.iter().map(|value| ("content-type", *value)).collect();
        for path in ["/auth/login", "/auth/refresh"] {
            let body =
                json!({"identifier": "me", "password": "password of 1", "refresh_token": "x"})
                    .to_string();
            let reply = app.post(path, &headers, body).await;
            if accepted {
                assert_ne!(reply.code(), "UNSUPPORTED_MEDIA_TYPE", "{types:?}");
            } else {
                reply.is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
            }
        }
    }
    let form = ("content-type", "application/x-www-form-urlencoded");
    let own = ("sec-fetch-site", "same-origin");
    for path in ["/auth/cookie/login", "/auth/cookie/refresh"] {
        app.post(path, &[form, own], "a=b")
            .await
            .is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
    }
    app.post("/auth/logout", &[form], "refresh_token=x")
        .await
        .is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
}

#[tokio::test]
async fn shapes() {
    let app = App::new();
    let cases = [
        String::new(),
        "null".to_owned(),
        "[]".to_owned(),
        r#"["me","password of 1"]"#.to_owned(),
        "{".to_owned(),
        r#"{"identifier":"me"}"#.to_owned(),
        r#"{"identifier":null,"password":"password of 1"}"#.to_owned(),
        r#"{"identifier":7,"password":"password of 1"}"#.to_owned(),
        r#"{"identifier":["me"],"password":"password of 1"}"#.to_owned(),
        r#"{"identifier":"me","identifier":"me","password":"password of 1"}"#.to_owned(),
        r#"{"identifier":"me","password":"x","password":"password of 1"}"#.to_owned(),
        format!("{} trailing", login()),
        format!("{}{}", login(), login()),
        format!("\u{feff}{}", login()),
        r#"{"identifier":"\ud800","password":"password of 1"}"#.to_owned(),
    ];
    for body in cases {
        let reply = app.post("/auth/login", &[JSON], body.clone()).await;
        assert_eq!(reply.status.as_u16(), 422, "{body}");
        reply.is_problem(422, "REQUEST_BODY_INVALID", None);
        assert!(!reply.body.contains("line") && !reply.body.contains("expected"));
    }
    let rest = br#","identifier":"me","password":"password of 1"}"#;
    let not_text: [&[u8]; 7] = [
        b"{\"identifier\":\"\xff\",\"password\":\"x\"}",
        &[b"{\"x\":\"\xff\"".as_slice(), rest].concat(),
        &[b"{\"\xc3\":1".as_slice(), rest].concat(),
        &[b"{\"x\":[{\"y\":\"\xed\xa0\x80\"}]".as_slice(), rest].concat(),
        &[b"{\"x\":\"\xc0\xaf\"".as_slice(), rest].concat(),
        &[b"{\"x\":\"\xf4\x90\x80\x80\"".as_slice(), rest].concat(),
        b"\xff\xfe{\x00}\x00",
    ];
    for body in not_text {
        let reply = app.post("/auth/login", &[JSON], body.to_vec()).await;
        assert_eq!(reply.status, 422, "{}", String::from_utf8_lossy(body));
        reply.is_problem(422, "REQUEST_BODY_INVALID", None);
    }
    // What is ignored is skipped without recursion.
    let deep = format!(
        r#"{{"x":{}1{},{}"#,
        "[".repeat(5000),
        "]".repeat(5000),
        &login()[1..]
    );
    assert_eq!(
        app.post("/auth/login", &[JSON], deep).await.status,
        StatusCode::OK
    );
    let more = r#" {"identifier":"me","password":"password of 1","remember":true}"#;
    assert_eq!(
        app.post("/auth/login", &[JSON], more).await.status,
        StatusCode::OK
    );
}

/// A body in an encoding that isn't undone here would be read as something that it isn't.
#[tokio::test]
async fn content_encodings() {
    let app = App::new();
    for (encodings, accepted) in [
        (&["identity"][..], true),
        (&["IDENTITY", "identity"], true),
        (&["gzip"], false),
        (&["br"], false),
        (&["deflate, identity"], false),
        (&["identity", "gzip"], false),
        (&[""], false),
        (&["utf-8"], false),
    ] {
        let headers: Vec<(&str, &str)> = encodings
            .iter()
            .map(|value| ("content-encoding", *value))
            .chain([JSON])
            .collect();
        let reply = app.post("/auth/login", &headers, login()).await;
        if accepted {
            assert_eq!(reply.status, StatusCode::OK, "{encodings:?}");
            continue;
        }
        assert_eq!(reply.status, 415, "{encodings:?} {}", reply.body);
        for path in ["/auth/login", "/auth/refresh", "/auth/logout"] {
            app.post(path, &headers, login())
                .await
                .is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
        }
        let site = ("sec-fetch-site", "same-origin");
        let headers: Vec<_> = headers.iter().copied().chain([site]).collect();
        app.post("/auth/cookie/login", &headers, login())
            .await
            .is_problem(415, "UNSUPPORTED_MEDIA_TYPE", None);
    }
}

#[tokio::test]
async fn sizes() {
    let app = App::new();
    let pad = |length: usize| format!("{}{}", login(), " ".repeat(length - login().len()));
    assert_eq!(
        app.post("/auth/login", &[JSON], pad(16 * 1024))
            .await
            .status,
        StatusCode::OK
    );
    app.post("/auth/login", &[JSON], pad(16 * 1024 + 1))
        .await
        .is_problem(413, "REQUEST_TOO_LARGE", None);
    for path in ["/auth/login", "/auth/refresh", "/auth/logout"] {
        let announced = [JSON, ("content-length", "99999999999999999999")];
        // This body never ends: an answer shows that the announced length was enough.
        let endless =
            Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
        app.post(path, &announced, endless)
            .await
            .is_problem(413, "REQUEST_TOO_LARGE", None);
        let chunks = futures_util::stream::repeat_with(|| {
            Ok::<_, std::io::Error>(Bytes::from_static(&[b' '; 1024]))
        });
        app.post(path, &[JSON], Body::from_stream(chunks))
            .await
            .is_problem(413, "REQUEST_TOO_LARGE", None);
    }
    let broken =
        futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset by 10.1.2.3"))]);
    let reply = app
        .post("/auth/login", &[JSON], Body::from_stream(broken))
        .await;
    reply.is_problem(422, "REQUEST_BODY_INVALID", None);
}

#[tokio::test]
async fn other_methods_are_405() {
    let app = App::new();
    for path in ["/auth/login", "/auth/logout", "/auth/cookie/refresh"] {
        let reply = app.get(path, &[]).await;
        reply.is_problem(405, "METHOD_NOT_ALLOWED", None);
        assert_eq!(reply.header("allow"), Some("POST"));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    /// No body gets anything but an answer of the table.
    #[test]
    fn no_body_is_a_500(bytes in prop::collection::vec(any::<u8>(), 0..300), json_like in "[\\{\\}\\[\\]\",:a-z0-9\\\\]{0,80}") {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        runtime.block_on(async {
            let app = App::new();
            for body in [bytes.clone(), json_like.clone().into_bytes(), [b"{".as_slice(), json_like.as_bytes()].concat()] {
                let reply = app.post("/auth/login", &[JSON], body).await;
                assert!(matches!(reply.status.as_u16(), 401 | 422), "{}", reply.body);
            }
        });
    }
}
