//! Logout ends the session of a good access token whatever the body is, and whatever a stranger has planted beside it.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::flows::{cookie_post, jar, me_by_cookie};
use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, on_redis};

/// Longer than any body that is read.
const LONG: &[u8] = &[b' '; 20 * 1024];

/// One server for each strategy.
fn servers() -> Vec<(&'static str, Server)> {
    let in_sqlite = ["database", "jwt"]
        .map(|strategy| (strategy, Place::new(Vec::new()).with("STRATEGY", strategy)));
    let redis = Place::new(on_redis(testbed::Redis::shared().url())).with("STRATEGY", "redis");
    in_sqlite
        .into_iter()
        .chain([("redis", redis)])
        .map(|(name, place)| (name, place.start()))
        .collect()
}

async fn is_over(server: &Server, tokens: &Tokens) -> bool {
    let refresh = server.refresh(&tokens.refresh).await;
    server.me(&tokens.access).await.status == StatusCode::UNAUTHORIZED
        && refresh.status == StatusCode::UNAUTHORIZED
}

/// A request whose body is longer than it is let in, or never comes: its head is answered.
fn raw(server: &Server, path: &str, head: &str, body: &[u8], then_end: bool) -> String {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let head = format!("POST {path} HTTP/1.1\r\nhost: x\r\n{head}\r\n\r\n");
    connection.write_all(head.as_bytes()).unwrap();
    connection.write_all(body).unwrap();
    if then_end {
        connection.shutdown(Shutdown::Write).unwrap();
    }
    let mut answer = vec![0; 4096];
    let length = connection.read(&mut answer).unwrap();
    String::from_utf8_lossy(&answer[..length]).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_logged_out_whatever_the_body_is() {
    let bodies: [(&str, &[u8]); 12] = [
        ("application/json", b""),
        ("application/json", b"{}"),
        ("application/json", b"null"),
        ("application/json", br#"{"refresh_token": null}"#),
        ("application/json", br#"{"refresh_token": ""}"#),
        ("application/json", br#"{"refresh_token": 7}"#),
        ("application/json", br#"{"refresh_token": "#),
        ("application/json", b"{\"x\":\"\xff\"}"),
        ("application/x-www-form-urlencoded", b"a=b"),
        ("text/plain", b"bye"),
        ("", b"{}"),
        ("application/json", LONG),
    ];
    for (strategy, server) in servers() {
        server.register("ada@example.org").await;
        for (content_type, body) in bodies {
            let tokens = server.login("ada@example.org").await;
            let shown = String::from_utf8_lossy(&body[..body.len().min(30)]).into_owned();
            let request = server
                .request(Method::POST, "/auth/logout")
                .bearer_auth(&tokens.access)
                .body(body);
            let request = if content_type.is_empty() {
                request
            } else {
                request.header(CONTENT_TYPE, content_type)
            };
            let reply = Reply::of(request).await;
            assert_eq!(
                reply.status,
                StatusCode::NO_CONTENT,
                "{strategy} {content_type} {shown}: {}",
                reply.text
            );
            assert!(
                is_over(&server, &tokens).await,
                "{strategy} {content_type} {shown}"
            );
        }
        for path in ["/auth/logout", "/auth/logout/all"] {
            for (framing, body, ends) in [
                ("content-length: 100000000000", "{", false),
                ("content-length: 100000", "{", false),
                ("content-length: 100", "{\"refresh_to", true),
                ("transfer-encoding: chunked", "zz\r\n", false),
            ] {
                let tokens = server.login("ada@example.org").await;
                let head = format!(
                    "authorization: Bearer {}\r\ncontent-type: application/json\r\n{framing}",
                    tokens.access
                );
                let answer = raw(&server, path, &head, body.as_bytes(), ends);
                assert!(
                    answer.starts_with("HTTP/1.1 204"),
                    "{strategy} {path} {framing}: {answer}"
                );
                assert!(
                    is_over(&server, &tokens).await,
                    "{strategy} {path} {framing}"
                );
                let nobody = raw(&server, path, framing, body.as_bytes(), ends);
                assert!(
                    nobody.starts_with("HTTP/1.1 4"),
                    "{strategy} {path} {framing}: {nobody}"
                );
            }
        }
        let [one, other] = [
            server.login("ada@example.org").await,
            server.login("ada@example.org").await,
        ];
        let both = server
            .request(Method::POST, "/auth/logout")
            .bearer_auth(&one.access);
        Reply::of(both.json(&json!({ "refresh_token": other.refresh })))
            .await
            .expect(StatusCode::NO_CONTENT);
        assert!(is_over(&server, &one).await && is_over(&server, &other).await);
    }
}

/// A body that doesn't come: the head counts when its time is over.
#[tokio::test(flavor = "multi_thread")]
async fn a_good_token_is_logged_out_though_the_body_never_comes() {
    let server = Place::new(Vec::new()).with("BODY_TIMEOUT", "1s").start();
    let tokens = server.newcomer("ada@example.org").await;
    let head = format!(
        "authorization: Bearer {}\r\ncontent-length: 10",
        tokens.access
    );
    let answer = raw(&server, "/auth/logout", &head, b"", false);
    assert!(answer.starts_with("HTTP/1.1 204"), "{answer}");
    assert!(is_over(&server, &tokens).await);
    let nobody = raw(&server, "/auth/logout", "content-length: 10", b"", false);
    assert!(nobody.starts_with("HTTP/1.1 408"), "{nobody}");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_planted_cookie_lets_nobody_in_and_keeps_nobody_from_logging_out() {
    for (strategy, profile, insecure) in [
        ("database", "countersign", "false"),
        ("jwt", "countersign", "true"),
        ("database", "litestar-auth", "false"),
        ("jwt", "litestar-auth", "true"),
    ] {
        let place = Place::new(Vec::new())
            .with("STRATEGY", strategy)
            .with("PROFILE", profile);
        let server = place.with("INSECURE_COOKIES", insecure).start();
        let log_in = async |email: &str| {
            let credentials = json!({ "identifier": email, "password": PASSWORD });
            let login = cookie_post(&server, "/auth/cookie/login", "").json(&credentials);
            jar(&Reply::of(login).await.expect(StatusCode::NO_CONTENT))
        };
        for email in ["ada@example.org", "mallory@example.org"] {
            server.register(email).await.expect(StatusCode::CREATED);
        }
        let thief = log_in("mallory@example.org").await;
        // White space that isn't HTTP's makes another name.
        for blank in ["\u{a0}", "\u{85}", "\u{2000}", "\u{3000}", "\u{feff}"] {
            let planted: Vec<String> = thief
                .split("; ")
                .map(|pair| format!("{blank}{pair}"))
                .collect();
            let planted = planted.join("; ");
            me_by_cookie(&server, &planted)
                .await
                .expect(StatusCode::UNAUTHORIZED);
            let victim = log_in("ada@example.org").await;
            let me = me_by_cookie(&server, &format!("{planted}; {victim}"))
                .await
                .expect(StatusCode::OK);
            assert_eq!(
                me.json()["email"],
                "ada@example.org",
                "{strategy} {profile} {blank:?}"
            );
        }
        for path in ["/auth/cookie/logout", "/auth/logout"] {
            let victim = log_in("ada@example.org").await;
            let empty: Vec<String> = victim
                .split("; ")
                .map(|pair| format!("{}=", pair.split('=').next().unwrap()))
                .collect();
            for cookies in [
                format!("{thief}; {victim}"),
                format!("{victim}; {victim}"),
                format!("{}; {victim}", empty.join("; ")),
            ] {
                let victim_again = log_in("ada@example.org").await;
                let cookies = cookies.replace(&victim, &victim_again);
                let me = me_by_cookie(&server, &cookies).await;
                me.expect_problem(StatusCode::BAD_REQUEST, "CREDENTIALS_MALFORMED");
                let form = ("content-type", "application/x-www-form-urlencoded");
                let logout = cookie_post(&server, path, &cookies)
                    .header(form.0, form.1)
                    .body("a=b");
                Reply::of(logout).await.expect(StatusCode::NO_CONTENT);
                me_by_cookie(&server, &victim_again)
                    .await
                    .expect(StatusCode::UNAUTHORIZED);
                let refresh =
                    Reply::of(cookie_post(&server, "/auth/cookie/refresh", &victim_again)).await;
                refresh.expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
                let forged = server
                    .request(Method::POST, path)
                    .header(COOKIE, &victim)
                    .header("sec-fetch-site", "same-site");
                Reply::of(forged)
                    .await
                    .expect_problem(StatusCode::FORBIDDEN, "CSRF_FAILED");
            }
            me_by_cookie(&server, &victim).await.expect(StatusCode::OK);
        }
    }
}
