//! The application on a real actix server, spoken to over TCP.

#![allow(clippy::unwrap_used, clippy::indexing_slicing, reason = "test code")]

use std::net::SocketAddr;
use std::sync::Arc;

use actix_web::{App, HttpServer};
use countersign::Secret;
use countersign::testing::{SeededEntropy, TestCookies, TestSession};
use example_actix::{Member, Site, routes};
use reqwest::header::{AUTHORIZATION, HeaderMap, HeaderValue};
use reqwest::{Client, Response, StatusCode};
use serde_json::{Value, json};

struct Server {
    site: Arc<Site>,
    address: SocketAddr,
    client: Client,
}

impl Server {
    async fn start() -> Self {
        let secret = Secret::generate(&SeededEntropy::new(1)).unwrap();
        let site = Arc::new(Site::open("sqlite::memory:", &secret).await.unwrap());
        let shared = Arc::clone(&site);
        let app = move || App::new().configure(|config| routes(config, Arc::clone(&shared)));
        let server = HttpServer::new(app).workers(1).disable_signals();
        let server = server.bind(("127.0.0.1", 0)).unwrap();
        let address = server.addrs()[0];
        tokio::spawn(server.run());
        Self {
            site,
            address,
            client: Client::new(),
        }
    }

    async fn session(&self) -> TestSession {
        TestSession::open(self.site.authenticator(), &Member { id: 7 })
            .await
            .unwrap()
    }

    async fn get(&self, path: &str, headers: HeaderMap) -> Response {
        let request = self.client.get(format!("http://{}{path}", self.address));
        request.headers(headers).send().await.unwrap()
    }

    async fn post(&self, path: &str, headers: HeaderMap, body: Option<Value>) -> Response {
        let request = self
            .client
            .post(format!("http://{}{path}", self.address))
            .headers(headers);
        let request = match body {
            Some(body) => request.json(&body),
            None => request,
        };
        request.send().await.unwrap()
    }
}

fn credentials(password: &str) -> Value {
    json!({ "identifier": "ada", "password": password })
}

fn bearer(tokens: &Value) -> HeaderMap {
    let token = tokens["access_token"].as_str().unwrap();
    let value = HeaderValue::try_from(format!("Bearer {token}")).unwrap();
    HeaderMap::from_iter([(AUTHORIZATION, value)])
}

async fn code(response: Response) -> (StatusCode, String) {
    let status = response.status();
    let body: Value = response.json().await.unwrap();
    (status, body["code"].as_str().unwrap().to_owned())
}

#[tokio::test]
async fn bearer_tokens_are_issued_exchanged_and_ended() {
    let server = Server::start().await;
    let login = server
        .post(
            "/login",
            HeaderMap::new(),
            Some(credentials("correct horse battery")),
        )
        .await;
    assert_eq!(login.headers()["cache-control"], "no-store");
    let tokens: Value = login.json().await.unwrap();
    assert_eq!(
        server
            .get("/me", bearer(&tokens))
            .await
            .text()
            .await
            .unwrap(),
        "member 7\n"
    );

    let body = json!({ "refresh_token": tokens["refresh_token"] });
    let refreshed = server
        .post("/refresh", HeaderMap::new(), Some(body.clone()))
        .await;
    let tokens: Value = refreshed.json().await.unwrap();
    assert_eq!(
        server.get("/me", bearer(&tokens)).await.status(),
        StatusCode::OK
    );

    let logout = server.post("/logout", bearer(&tokens), None).await;
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    let after = server.get("/me", bearer(&tokens)).await;
    assert_eq!(
        after.headers()["www-authenticate"],
        "Bearer error=\"invalid_token\""
    );
    assert_eq!(
        code(after).await,
        (StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED".to_owned())
    );
    let refresh = server.post("/refresh", HeaderMap::new(), Some(body)).await;
    assert_eq!(code(refresh).await.1, "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn cookies_are_set_exchanged_and_cleared() {
    let server = Server::start().await;
    let mut page = TestCookies::new();
    let login = server
        .post(
            "/cookie/login",
            page.to_headers(),
            Some(credentials("correct horse battery")),
        )
        .await;
    assert_eq!(login.status(), StatusCode::NO_CONTENT);
    page.update(login.headers());
    let me = server.get("/me", page.to_headers()).await;
    assert_eq!(me.text().await.unwrap(), "member 7\n");

    let before = page.clone();
    let refresh = server
        .post("/cookie/refresh", page.to_headers(), None)
        .await;
    page.update(refresh.headers());
    let name = "__Host-countersign_access";
    assert!(page.get(name).is_some() && page.get(name) != before.get(name));

    let logout = server.post("/logout", page.to_headers(), None).await;
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    let left = page.to_headers();
    page.update(logout.headers());
    assert!(page.is_empty(), "{page:?}");
    assert_eq!(
        server.get("/me", left).await.status(),
        StatusCode::UNAUTHORIZED
    );
}

#[tokio::test]
async fn pages_of_other_sites_are_refused() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut foreign = session.cookie();
    foreign.insert("sec-fetch-site", HeaderValue::from_static("cross-site"));
    let logout = server.post("/logout", foreign.clone(), None).await;
    assert_eq!(
        code(logout).await,
        (StatusCode::FORBIDDEN, "CSRF_FAILED".to_owned())
    );
    for path in ["/cookie/login", "/cookie/refresh"] {
        let response = server
            .post(
                path,
                foreign.clone(),
                Some(credentials("correct horse battery")),
            )
            .await;
        assert_eq!(code(response).await.1, "CSRF_FAILED", "{path}");
    }
    assert_eq!(
        server.get("/me", session.cookie()).await.status(),
        StatusCode::OK
    );
}

#[tokio::test]
async fn bad_requests_are_answered_as_such() {
    let server = Server::start().await;
    let none = server.get("/me", HeaderMap::new()).await;
    assert_eq!(code(none).await.1, "AUTHENTICATION_REQUIRED");
    let login = server
        .post("/login", HeaderMap::new(), Some(credentials("guessed")))
        .await;
    assert_eq!(
        code(login).await,
        (StatusCode::UNAUTHORIZED, "LOGIN_BAD_CREDENTIALS".to_owned())
    );
    let login = server
        .post("/login", HeaderMap::new(), Some(json!({})))
        .await;
    assert_eq!(code(login).await.1, "REQUEST_BODY_INVALID");
}

#[tokio::test]
async fn a_second_credential_is_not_lost_on_the_way() {
    let server = Server::start().await;
    let session = server.session().await;
    let mut both = session.bearer();
    both.extend(session.cookie());
    let mut twice = session.bearer();
    twice.append(AUTHORIZATION, twice[AUTHORIZATION].clone());
    for headers in [both, twice] {
        let response = server.get("/me", headers).await;
        assert_eq!(
            code(response).await,
            (StatusCode::BAD_REQUEST, "CREDENTIALS_MALFORMED".to_owned())
        );
    }
}
