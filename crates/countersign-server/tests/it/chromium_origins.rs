//! A real browser: pages of an allowed origin, of another one, and behind real proxies below a path.

use std::sync::{Arc, Mutex};

use reqwest::StatusCode;
use serde_json::{Value, json};
use tempfile::TempDir;
use thirtyfour::prelude::*;

use crate::chromium::{Answer, acceptor, call, listen};
use crate::gateway::{Gateway, HOST, Kind};
use crate::harness::{PASSWORD, Place};

const ADA: &str = "ada@example.org";

fn credentials() -> Value {
    json!({ "identifier": ADA, "password": PASSWORD })
}

async fn start(browser: &testbed::Browser, hosts: &[(&str, u16)]) -> WebDriver {
    let mut wanted = DesiredCapabilities::chrome();
    for argument in browser.arguments(hosts) {
        wanted.add_arg(&argument).unwrap();
    }
    wanted
        .set_binary(browser.program().to_str().unwrap())
        .unwrap();
    wanted.accept_insecure_certs(true).unwrap();
    // Without its own block of other sites' cookies, so that what the cookies say counts.
    let preferences =
        json!({ "profile.block_third_party_cookies": false, "profile.cookie_controls_mode": 0 });
    wanted
        .add_experimental_option("prefs", preferences)
        .unwrap();
    WebDriver::new(browser.url(), wanted).await.unwrap()
}

/// What a script of the open page reads of a failure: status and two headers; all nothing when it may read nothing.
async fn failure(browser: &WebDriver, url: &str) -> Value {
    let script = "const [url, done] = arguments;
        fetch(url, {credentials: 'include'}).then(
            answer => done([answer.status, answer.headers.get('www-authenticate'), answer.headers.get('content-type')]),
            () => done([0, null, null]));";
    browser
        .execute_async(script, vec![json!(url)])
        .await
        .unwrap()
        .json()
        .clone()
}

/// Opens a WebSocket from the open page: what it says first, or that it failed.
async fn socket(browser: &WebDriver, url: &str) -> String {
    let script = "const [url, done] = arguments;
        const socket = new WebSocket(url);
        socket.onmessage = message => { done(message.data); socket.close(); };
        socket.onerror = () => done('failed');";
    browser
        .execute_async(script, vec![json!(url)])
        .await
        .unwrap()
        .json()
        .as_str()
        .unwrap()
        .to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_pages_of_allowed_origins_alone_use_cookies_and_read_answers() {
    const AUTH: &str = "https://auth.example.com/accounts";
    let place = Place::new(Vec::new())
        .with("PUBLIC_URL", AUTH)
        .with("ALLOWED_ORIGINS", "https://front.example.com");
    let server = place.start();
    server.register(ADA).await.expect(StatusCode::CREATED);
    let folder = TempDir::new().unwrap();
    testbed::certificate(
        folder.path(),
        "DNS:auth.example.com,DNS:front.example.com,DNS:evil.example.com",
    );
    let tls = acceptor(folder.path());
    let page = || Answer::Plant(Arc::new(Mutex::new(Vec::new())));
    let hosts = [
        (
            "auth.example.com",
            listen(tls.clone(), Answer::Forward(server.address())).await,
        ),
        ("front.example.com", listen(tls.clone(), page()).await),
        ("evil.example.com", listen(tls, page()).await),
    ];
    let chromium = testbed::Browser::start();
    let browser = start(&chromium, &hosts).await;
    let url = |path: &str| format!("{AUTH}{path}");

    // A page of nobody's: it can neither log in nor read.
    browser.goto("https://evil.example.com/").await.unwrap();
    assert_eq!(
        call(
            &browser,
            "POST",
            &url("/auth/cookie/login"),
            Some(credentials())
        )
        .await
        .0,
        0
    );
    assert_eq!(
        failure(&browser, &url("/users/me")).await,
        json!([0, null, null])
    );

    browser.goto("https://front.example.com/").await.unwrap();
    let challenge = failure(&browser, &url("/users/me")).await;
    assert_eq!(
        challenge,
        json!([401, "Bearer", "application/problem+json"]),
        "evil's login left nothing behind"
    );
    let (status, text) = call(
        &browser,
        "POST",
        &url("/auth/cookie/login"),
        Some(json!({ "identifier": 7 })),
    )
    .await;
    assert!(
        status == 422 && text.contains("REQUEST_BODY_INVALID"),
        "{status} {text}"
    );
    assert_eq!(
        call(
            &browser,
            "POST",
            &url("/auth/cookie/login"),
            Some(credentials())
        )
        .await
        .0,
        204
    );
    for _ in 0..2 {
        let (status, text) = call(&browser, "GET", &url("/users/me"), None).await;
        assert!(status == 200 && text.contains(ADA), "{status} {text}");
        assert_eq!(
            call(&browser, "POST", &url("/auth/cookie/refresh"), None)
                .await
                .0,
            204
        );
    }

    // With the victim's cookies in the same browser: it reads nothing, and nothing that it asks for is done.
    browser.goto("https://evil.example.com/").await.unwrap();
    for path in ["/users/me", "/auth/sessions", "/healthz"] {
        assert_eq!(call(&browser, "GET", &url(path), None).await.0, 0, "{path}");
    }
    for path in [
        "/auth/cookie/logout",
        "/auth/logout",
        "/auth/logout/all",
        "/auth/cookie/refresh",
    ] {
        assert_eq!(
            call(&browser, "POST", &url(path), None).await.0,
            0,
            "{path}"
        );
    }

    browser.goto("https://front.example.com/").await.unwrap();
    assert_eq!(
        call(&browser, "GET", &url("/users/me"), None).await.0,
        200,
        "still logged in"
    );
    let change = json!({ "current_password": PASSWORD, "password": format!("{PASSWORD}!") });
    let (status, text) = call(&browser, "PATCH", &url("/users/me"), Some(change)).await;
    assert_eq!(status, 200, "{text}");
    assert_eq!(
        call(&browser, "POST", &url("/auth/cookie/logout"), None)
            .await
            .0,
        204
    );
    assert_eq!(call(&browser, "GET", &url("/users/me"), None).await.0, 401);
    browser.quit().await.unwrap();
}

/// Another site is no other host of this one: `SameSite=Lax` keeps its pages from the cookies, whatever origins are allowed.
#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_pages_of_another_site_have_cookies_where_they_are_let() {
    for (samesite, works) in [("lax", false), ("none", true)] {
        let place = Place::new(Vec::new()).with("PUBLIC_URL", "https://auth.example.com");
        let place = place
            .with("ALLOWED_ORIGINS", "https://front.example.net")
            .with("COOKIE_SAMESITE", samesite);
        let server = place.start();
        server.register(ADA).await.expect(StatusCode::CREATED);
        let folder = TempDir::new().unwrap();
        testbed::certificate(
            folder.path(),
            "DNS:auth.example.com,DNS:front.example.net,DNS:evil.example.org",
        );
        let tls = acceptor(folder.path());
        let page = || Answer::Plant(Arc::new(Mutex::new(Vec::new())));
        let hosts = [
            (
                "auth.example.com",
                listen(tls.clone(), Answer::Forward(server.address())).await,
            ),
            ("front.example.net", listen(tls.clone(), page()).await),
            ("evil.example.org", listen(tls, page()).await),
        ];
        let chromium = testbed::Browser::start();
        let browser = start(&chromium, &hosts).await;
        let url = |path: &str| format!("https://auth.example.com{path}");

        browser.goto("https://front.example.net/").await.unwrap();
        assert_eq!(
            call(
                &browser,
                "POST",
                &url("/auth/cookie/login"),
                Some(credentials())
            )
            .await
            .0,
            204,
            "{samesite}"
        );
        let status = if works { 200 } else { 401 };
        assert_eq!(
            call(&browser, "GET", &url("/users/me"), None).await.0,
            status,
            "{samesite}"
        );

        browser.goto("https://evil.example.org/").await.unwrap();
        assert_eq!(
            call(&browser, "GET", &url("/users/me"), None).await.0,
            0,
            "{samesite}"
        );
        assert_eq!(
            call(&browser, "POST", &url("/auth/logout/all"), None)
                .await
                .0,
            0,
            "{samesite}"
        );
        browser.goto("https://front.example.net/").await.unwrap();
        assert_eq!(
            call(&browser, "GET", &url("/users/me"), None).await.0,
            status,
            "{samesite}"
        );
        browser.quit().await.unwrap();
    }
}

/// A page of the application that the proxy protects.
async fn behind_a_proxy(kind: Kind) {
    let gateway = Gateway::open(kind, Place::new(Vec::new())).await;
    gateway
        .server
        .register(ADA)
        .await
        .expect(StatusCode::CREATED);
    let folder = TempDir::new().unwrap();
    testbed::certificate(folder.path(), "DNS:evil.example.com");
    let evil = listen(
        acceptor(folder.path()),
        Answer::Plant(Arc::new(Mutex::new(Vec::new()))),
    )
    .await;
    let chromium = testbed::Browser::start();
    let browser = start(
        &chromium,
        &[(HOST, gateway.port()), ("evil.example.com", evil)],
    )
    .await;
    let app = format!("https://{HOST}");

    browser
        .goto(format!("{app}/accounts/healthz"))
        .await
        .unwrap();
    assert_eq!(call(&browser, "GET", "/page", None).await.0, 401);
    assert_eq!(
        socket(&browser, &format!("wss://{HOST}/ws")).await,
        "failed"
    );
    assert_eq!(
        call(
            &browser,
            "POST",
            "/accounts/auth/cookie/login",
            Some(credentials())
        )
        .await
        .0,
        204
    );
    let (status, me) = call(&browser, "GET", "/accounts/users/me", None).await;
    assert_eq!(status, 200, "{me}");
    let id = serde_json::from_str::<Value>(&me).unwrap()["id"].clone();
    for (method, body) in [
        ("GET", None),
        ("POST", Some(json!({ "large": "x".repeat(2_000_000) }))),
    ] {
        let (status, seen) = call(&browser, method, "/page", body).await;
        assert_eq!(status, 200, "{seen}");
        assert_eq!(
            serde_json::from_str::<Value>(&seen).unwrap()["headers"]["x-auth-user-id"],
            json!([id])
        );
    }
    assert!(
        socket(&browser, &format!("wss://{HOST}/ws"))
            .await
            .contains(id.as_str().unwrap())
    );
    for _ in 0..2 {
        assert_eq!(
            call(&browser, "POST", "/accounts/auth/cookie/refresh", None)
                .await
                .0,
            204
        );
        assert_eq!(call(&browser, "GET", "/page", None).await.0, 200);
    }
    // A page of the application itself, and a link from elsewhere to it.
    browser.goto(format!("{app}/page")).await.unwrap();
    assert_eq!(
        call(&browser, "POST", "/page", Some(json!({}))).await.0,
        200
    );

    // A sibling's page, with the victim's cookies in the same browser.
    browser.goto("https://evil.example.com/").await.unwrap();
    let before = gateway.asked();
    assert_eq!(
        socket(&browser, &format!("wss://{HOST}/ws")).await,
        "failed"
    );
    assert_eq!(
        call(&browser, "POST", &format!("{app}/page"), None).await.0,
        0
    );
    assert_eq!(
        call(&browser, "GET", &format!("{app}/page"), None).await.0,
        0
    );
    assert_eq!(
        gateway.asked(),
        before,
        "nothing of it reached the application"
    );
    call(
        &browser,
        "POST",
        &format!("{app}/accounts/auth/cookie/logout"),
        None,
    )
    .await;

    browser.goto(format!("{app}/page")).await.unwrap();
    assert_eq!(
        call(&browser, "POST", "/accounts/auth/cookie/logout", None)
            .await
            .0,
        204
    );
    assert_eq!(call(&browser, "GET", "/page", None).await.0, 401);
    browser.quit().await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_page_behind_nginx_logs_in_refreshes_and_logs_out() {
    behind_a_proxy(Kind::Nginx).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn in_chromium_a_page_behind_caddy_logs_in_refreshes_and_logs_out() {
    behind_a_proxy(Kind::Caddy).await;
}
