//! Behind a real nginx and a real Caddy, over TLS and below a path, with the configurations that docs/PROXIES.md prints.

use bytes::Bytes;
use futures_util::{SinkExt, StreamExt};
use reqwest::StatusCode;
use serde_json::{Value, json};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;

use crate::gateway::{Answer, Gateway, HOST, Kind};
use crate::harness::{PASSWORD, Place};

const ADA: &str = "ada@example.org";
const OURS: (&str, &str) = ("origin", "https://app.example.com");
const EVIL: (&str, &str) = ("origin", "https://evil.example.com");
const JSON: (&str, &str) = ("content-type", "application/json");

fn credentials() -> String {
    json!({ "identifier": ADA, "password": PASSWORD }).to_string()
}

/// Somebody who has an account and is logged in, all of it through the proxy.
struct Person {
    id: String,
    bearer: String,
    refresh: String,
    cookies: String,
}

async fn person(gateway: &Gateway) -> Person {
    let account = json!({ "email": ADA, "password": PASSWORD }).to_string();
    gateway
        .ask("POST", "/accounts/auth/register", &[JSON], &account)
        .await
        .expect(201);
    let login = gateway
        .ask("POST", "/accounts/auth/login", &[JSON], &credentials())
        .await
        .expect(200)
        .json();
    let bearer = format!("Bearer {}", login["access_token"].as_str().unwrap());
    let me = gateway
        .ask(
            "GET",
            "/accounts/users/me",
            &[("authorization", &bearer)],
            "",
        )
        .await
        .expect(200)
        .json();
    // An older browser, which sends no `Sec-Fetch-Site`.
    let cookies = gateway
        .ask(
            "POST",
            "/accounts/auth/cookie/login",
            &[JSON, OURS],
            &credentials(),
        )
        .await
        .expect(204);
    Person {
        id: me["id"].as_str().unwrap().to_owned(),
        bearer,
        refresh: login["refresh_token"].as_str().unwrap().to_owned(),
        cookies: cookies.jar(),
    }
}

#[track_caller]
fn is_named(answer: &Answer, id: &str) {
    assert_eq!(answer.reached("x-auth-user-id"), [id], "{}", answer.text);
    assert_eq!(answer.reached("x-auth-session-id").len(), 1);
    // nginx leaves out what is empty, Caddy hands it on.
    assert_eq!(
        answer.reached("x-auth-email").concat(),
        "",
        "{}",
        answer.text
    );
}

async fn the_application_is_told_who_asks(kind: Kind) {
    let gateway = Gateway::open(kind, Place::new(Vec::new())).await;
    let person = person(&gateway).await;
    let forged = [
        ("x-auth-user-id", "mallory"),
        ("X-AUTH-SESSION-ID", "mallory"),
        ("x-auth-email", "mallory@example.org"),
        ("x-auth-email", "root@example.org"),
        ("x_auth_user_id", "mallory"),
        ("X-Auth_Email", "mallory@example.org"),
    ];
    let before = gateway.asked();
    for credential in [
        ("authorization", person.bearer.as_str()),
        ("cookie", person.cookies.as_str()),
    ] {
        for path in [
            "/",
            "/page?a=b",
            "/check",
            "/.countersign-check/x",
            "/%2e/a%20b",
            "/accountsx",
        ] {
            let plain = gateway.ask("GET", path, &[credential], "").await;
            is_named(&plain, &person.id);
            for extra in &forged[..5] {
                is_named(
                    &gateway.ask("GET", path, &[credential, *extra], "").await,
                    &person.id,
                );
            }
        }
        let all: Vec<_> = forged[..5].iter().copied().chain([credential]).collect();
        is_named(&gateway.ask("GET", "/", &all, "").await, &person.id);
    }
    let asked = gateway.asked();
    assert!(asked > before, "{before} {asked}");
    for headers in [
        vec![],
        forged.to_vec(),
        vec![("authorization", "Bearer nonsense")],
        vec![("authorization", "Bearer a b")],
        vec![("authorization", "Basic YTpi")],
        vec![(
            "cookie",
            "__Host-countersign_access=x; __Host-countersign_access=y",
        )],
        vec![("cookie", "__Host-countersign_access=")],
        vec![("cookie", "__Host-countersign_access=\u{fffd}")],
        vec![
            ("authorization", person.bearer.as_str()),
            ("cookie", person.cookies.as_str()),
        ],
    ] {
        let answer = gateway.ask("GET", "/", &headers, "").await.expect(401);
        assert!(
            answer.header("www-authenticate").starts_with("Bearer"),
            "{answer:?}"
        );
    }
    let many: Vec<(String, &str)> = (0..80).map(|number| (format!("x-{number}"), "y")).collect();
    if matches!(kind, Kind::Nginx) {
        let many: Vec<(&str, &str)> = many
            .iter()
            .map(|(name, value)| (name.as_str(), *value))
            .collect();
        gateway.ask("GET", "/", &many, "").await.expect(401);
    }
    assert_eq!(
        gateway.asked(),
        asked,
        "nobody else reached the application"
    );

    // What is renewed and ended through the proxy is renewed and ended.
    let body = json!({ "refresh_token": person.refresh }).to_string();
    gateway
        .ask("POST", "/accounts/auth/refresh", &[JSON], &body)
        .await
        .expect(200);
    let cookies = [("cookie", person.cookies.as_str()), OURS];
    let renewed = gateway
        .ask("POST", "/accounts/auth/cookie/refresh", &cookies, "")
        .await
        .expect(204)
        .jar();
    is_named(
        &gateway.ask("GET", "/", &[("cookie", &renewed)], "").await,
        &person.id,
    );
    gateway
        .ask(
            "POST",
            "/accounts/auth/cookie/logout",
            &[("cookie", &renewed), OURS],
            "",
        )
        .await
        .expect(204);
    gateway
        .ask("GET", "/", &[("cookie", &renewed)], "")
        .await
        .expect(401);
    is_named(
        &gateway
            .ask("GET", "/", &[("authorization", &person.bearer)], "")
            .await,
        &person.id,
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_the_application_is_told_who_asks() {
    the_application_is_told_who_asks(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_the_application_is_told_who_asks() {
    the_application_is_told_who_asks(Kind::Caddy).await;
}

/// A page of another site makes the browser send the cookie; the proxy tells what was asked.
async fn forged_requests_stay_out(kind: Kind) {
    let gateway = Gateway::open(kind, Place::new(Vec::new())).await;
    let person = person(&gateway).await;
    let cookie = ("cookie", person.cookies.as_str());
    let cross = ("sec-fetch-site", "cross-site");
    let large = "x".repeat(20_000_000);
    for (method, headers, body, status) in [
        ("POST", vec![cookie, OURS], large.as_str(), 200),
        (
            "PUT",
            vec![cookie, ("sec-fetch-site", "same-origin")],
            "small",
            200,
        ),
        (
            "POST",
            vec![("authorization", person.bearer.as_str()), EVIL, cross],
            large.as_str(),
            200,
        ),
        ("GET", vec![cookie, cross], "", 200),
        ("POST", vec![cookie, EVIL], "small", 401),
        ("POST", vec![cookie, EVIL], large.as_str(), 401),
        ("POST", vec![cookie, EVIL, cross], "small", 401),
        ("POST", vec![cookie], "small", 401),
        ("DELETE", vec![cookie, cross], "", 401),
        (
            "POST",
            vec![cookie, EVIL, ("x-original-method", "GET")],
            "small",
            401,
        ),
        (
            "POST",
            vec![
                cookie,
                ("x-original-method", "GET"),
                ("x-forwarded-method", "GET"),
            ],
            "small",
            401,
        ),
        ("GET", vec![cookie, EVIL], "", 401),
    ] {
        let before = gateway.asked();
        let answer = gateway
            .ask(method, "/form", &headers, body)
            .await
            .expect(status);
        assert_eq!(
            gateway.asked() - before,
            usize::from(status == 200),
            "{method} {headers:?}"
        );
        if status == 200 {
            is_named(&answer, &person.id);
            let seen = answer.json();
            assert_eq!(
                (&seen["method"], &seen["length"]),
                (&json!(method), &json!(body.len()))
            );
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_forged_requests_stay_out() {
    forged_requests_stay_out(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_forged_requests_stay_out() {
    forged_requests_stay_out(Kind::Caddy).await;
}

async fn sockets_open_for_our_pages_alone(kind: Kind) {
    let gateway = Gateway::open(kind, Place::new(Vec::new())).await;
    let person = person(&gateway).await;
    let cookie = ("cookie", person.cookies.as_str());
    let bearer = ("authorization", person.bearer.as_str());
    for (headers, opens) in [
        (vec![cookie, OURS], true),
        (vec![bearer, EVIL], true),
        (vec![bearer, ("x-auth-user-id", "mallory")], true),
        (vec![cookie, EVIL], false),
        (vec![cookie, EVIL, ("sec-fetch-site", "cross-site")], false),
        (vec![cookie], false),
        (vec![OURS], false),
    ] {
        let mut request = format!("wss://{HOST}/ws").into_client_request().unwrap();
        for (name, value) in &headers {
            request.headers_mut().append(*name, value.parse().unwrap());
        }
        let stream = gateway.connect_from("127.0.0.1").await;
        let before = gateway.asked();
        let opened = tokio_tungstenite::client_async(request, stream).await;
        assert_eq!(
            opened.is_ok(),
            opens,
            "{headers:?}: {:?}",
            opened.as_ref().err()
        );
        assert_eq!(gateway.asked() - before, usize::from(opens), "{headers:?}");
        let Ok((mut socket, _)) = opened else {
            continue;
        };
        let told = socket.next().await.unwrap().unwrap().into_text().unwrap();
        let told: Value = serde_json::from_str(&told).unwrap();
        assert_eq!(told["headers"]["x-auth-user-id"], json!([person.id]));
        socket.send(Message::text("hello")).await.unwrap();
        assert_eq!(
            socket
                .next()
                .await
                .unwrap()
                .unwrap()
                .into_text()
                .unwrap()
                .as_str(),
            "hello"
        );
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_sockets_open_for_our_pages_alone() {
    sockets_open_for_our_pages_alone(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_sockets_open_for_our_pages_alone() {
    sockets_open_for_our_pages_alone(Kind::Caddy).await;
}

/// Clients are told apart by their own addresses, and not by what they say.
async fn clients_have_their_own_addresses(kind: Kind) {
    let gateway = Gateway::open(kind, Place::new(Vec::new())).await;
    let person = person(&gateway).await;
    let headers: [(&str, &[u8]); 2] = [
        ("content-type", b"application/json"),
        ("x-forwarded-for", b"203.0.113.9"),
    ];
    let body = Bytes::from(credentials());
    gateway
        .ask_from("127.0.0.2", "POST", "/accounts/auth/login", &headers, body)
        .await
        .expect(200);
    let listed = gateway
        .ask(
            "GET",
            "/accounts/auth/sessions",
            &[("authorization", &person.bearer)],
            "",
        )
        .await;
    let listed = listed.expect(200).json();
    let sessions = listed["sessions"].as_array().unwrap();
    let mut addresses: Vec<&str> = sessions
        .iter()
        .map(|session| session["client"]["ip"].as_str().unwrap())
        .collect();
    addresses.sort_unstable();
    assert_eq!(addresses, ["127.0.0.1", "127.0.0.1", "127.0.0.2"]);
    assert!(
        !gateway.server.log().contains("proxy_not_trusted"),
        "{}",
        gateway.server.log()
    );
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_clients_have_their_own_addresses() {
    clients_have_their_own_addresses(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_clients_have_their_own_addresses() {
    clients_have_their_own_addresses(Kind::Caddy).await;
}

/// A store that is down is 503 for the client too, and never 200, 401 or 500.
async fn an_outage_is_told_as_one(kind: Kind) {
    let gateway = Gateway::open(kind, Place::new(Vec::new())).await;
    let person = person(&gateway).await;
    std::fs::remove_file(gateway.place.data_dir().join("countersign.sqlite")).unwrap();
    let before = gateway.asked();
    for credential in [
        ("authorization", person.bearer.as_str()),
        ("cookie", person.cookies.as_str()),
    ] {
        let answer = gateway
            .ask("GET", "/page", &[credential], "")
            .await
            .expect(503);
        assert_eq!(answer.header("retry-after"), "5");
    }
    gateway.ask("GET", "/page", &[], "").await.expect(401);
    assert_eq!(gateway.asked(), before);
    let readyz = gateway
        .server
        .request(reqwest::Method::GET, "/readyz")
        .send()
        .await
        .unwrap();
    assert_eq!(readyz.status(), StatusCode::SERVICE_UNAVAILABLE);

    // Nobody is let in either when there is nobody to ask.
    gateway.server.signal("-KILL");
    for credential in [vec![("authorization", person.bearer.as_str())], vec![]] {
        let status = gateway.ask("GET", "/page", &credential, "").await.status;
        assert!(
            status == 503 || (status == 502 && matches!(kind, Kind::Caddy)),
            "{status}"
        );
    }
    assert_eq!(gateway.asked(), before);
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_nginx_an_outage_is_told_as_one() {
    an_outage_is_told_as_one(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn behind_caddy_an_outage_is_told_as_one() {
    an_outage_is_told_as_one(Kind::Caddy).await;
}
