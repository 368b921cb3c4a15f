//! Both services over TCP: tokens of the one at the other, and tokens that must be refused.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::net::SocketAddr;
use std::sync::{Arc, LazyLock};

use axum::Router;
use countersign::jwt::{Algorithm, generate_secret};
use countersign::testing::{ManualClock, SeededEntropy};
use countersign::{Auth, Secret, SystemEntropy, Timestamp};
use example_services::login::Member;
use example_services::{AUDIENCE, ISSUER, login, orders};
use jsonwebtoken::{EncodingKey, Header, encode, get_current_timestamp};
use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::net::TcpListener;

/// The private key of every test here.
static PRIVATE_KEY: LazyLock<Secret> =
    LazyLock::new(|| generate_secret(Algorithm::Es256, &SystemEntropy).unwrap());

fn public_key() -> String {
    login::signing_key(&PRIVATE_KEY)
        .unwrap()
        .verifying_key()
        .to_jwk()
        .unwrap()
}

async fn serve(app: Router) -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    tokio::spawn(async move { axum::serve(listener, app).await });
    address
}

async fn auth(clock: Option<ManualClock>) -> Auth<Member> {
    let key = login::signing_key(&PRIVATE_KEY).unwrap();
    let secret = Secret::generate(&SeededEntropy::new(2)).unwrap();
    let mut auth = login::auth(key, &secret).unwrap();
    if let Some(clock) = clock {
        auth = auth.clock(Arc::new(clock));
    }
    auth.build().await.unwrap()
}

/// Asks for a page with a token.
async fn ask(at: SocketAddr, path: &str, token: &str) -> (StatusCode, String) {
    let request = Client::new()
        .get(format!("http://{at}{path}"))
        .bearer_auth(token);
    let response = request.send().await.unwrap();
    (response.status(), response.text().await.unwrap())
}

/// Posts to the login service, and returns the answer's body.
async fn post(at: SocketAddr, path: &str, body: Value) -> Value {
    let request = Client::new().post(format!("http://{at}{path}")).json(&body);
    let response = request.send().await.unwrap().error_for_status().unwrap();
    response.json().await.unwrap()
}

#[tokio::test]
async fn a_token_of_the_login_service_is_good_at_the_other() {
    let login = serve(login::app(&auth(None).await)).await;
    let orders = serve(orders::app(&public_key()).unwrap()).await;
    let body = json!({ "identifier": "ada", "password": "correct horse battery" });
    let tokens = post(login, "/auth/login", body).await;
    let answer = ask(orders, "/orders", tokens["access_token"].as_str().unwrap()).await;
    assert_eq!(
        answer,
        (StatusCode::OK, "the orders of member 7\n".to_owned())
    );

    let body = json!({ "refresh_token": tokens["refresh_token"] });
    let refreshed = post(login, "/auth/refresh", body).await;
    let answer = ask(
        orders,
        "/orders",
        refreshed["access_token"].as_str().unwrap(),
    )
    .await;
    assert_eq!(answer.0, StatusCode::OK);

    let anonymous = Client::new()
        .get(format!("http://{orders}/orders"))
        .send()
        .await
        .unwrap();
    assert_eq!(anonymous.status(), StatusCode::UNAUTHORIZED);
    assert_eq!(anonymous.headers()["www-authenticate"], "Bearer");
}

#[tokio::test]
async fn a_logout_is_seen_by_the_login_service_alone_until_the_token_expires() {
    let auth = auth(None).await;
    let login = serve(login::app(&auth)).await;
    let orders = serve(orders::app(&public_key()).unwrap()).await;
    let session = auth.test_session(&Member { id: 7 }).await.unwrap();
    let token = session.tokens().access.token.expose();
    assert_eq!(ask(login, "/me", token).await.0, StatusCode::OK);

    let logout = Client::new()
        .post(format!("http://{login}/auth/logout"))
        .headers(session.bearer());
    assert_eq!(
        logout.send().await.unwrap().status(),
        StatusCode::NO_CONTENT
    );
    assert_eq!(ask(login, "/me", token).await.0, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(orders, "/orders", token).await.0, StatusCode::OK);
}

#[tokio::test]
async fn an_expired_token_is_refused() {
    // Issued long ago, when the clock of the login service showed 2001.
    let auth = auth(Some(ManualClock::new(Timestamp::from_unix_seconds(
        1_000_000_000,
    ))))
    .await;
    let orders = serve(orders::app(&public_key()).unwrap()).await;
    let session = auth.test_session(&Member { id: 7 }).await.unwrap();
    let token = session.tokens().access.token.expose();
    assert_eq!(
        ask(orders, "/orders", token).await.0,
        StatusCode::UNAUTHORIZED
    );
}

/// Signs claims as they are, with the private key of the login service.
fn signed(header: Value, claims: &Value) -> String {
    let header: Header = serde_json::from_value(header).unwrap();
    let key = EncodingKey::from_ec_pem(PRIVATE_KEY.expose().as_bytes()).unwrap();
    encode(&header, claims, &key).unwrap()
}

/// Returns the object with one member replaced, or removed by `null`.
fn with(mut object: Value, name: &str, value: Value) -> Value {
    if value.is_null() {
        object.as_object_mut().unwrap().remove(name);
    } else {
        object
            .as_object_mut()
            .unwrap()
            .insert(name.to_owned(), value);
    }
    object
}

#[tokio::test]
async fn tokens_with_one_thing_wrong_are_refused() {
    let orders = serve(orders::app(&public_key()).unwrap()).await;
    let now = get_current_timestamp();
    let header = json!({ "alg": "ES256", "typ": "at+jwt", "kid": "2026-11" });
    let claims =
        json!({ "iss": ISSUER, "aud": AUDIENCE, "sub": "7", "nbf": now, "exp": now + 300 });
    let good = ask(orders, "/orders", &signed(header.clone(), &claims)).await;
    assert_eq!(good.0, StatusCode::OK);

    let mut bad = Vec::new();
    for (name, value) in [
        ("typ", json!("JWT")),
        ("typ", json!(null)),
        ("kid", json!("2025-01")),
        ("kid", json!(null)),
    ] {
        let token = signed(with(header.clone(), name, value.clone()), &claims);
        bad.push((format!("{name} {value}"), token));
    }
    for (name, value) in [
        ("iss", json!("https://other.example")),
        ("aud", json!("https://other.example")),
        ("exp", json!(now - 300)),
        ("nbf", json!(now + 300)),
        ("iss", json!(null)),
        ("aud", json!(null)),
        ("exp", json!(null)),
        ("nbf", json!(null)),
        ("sub", json!(null)),
    ] {
        let token = signed(header.clone(), &with(claims.clone(), name, value.clone()));
        bad.push((format!("{name} {value}"), token));
    }
    // The public key as a shared secret.
    let hs256 = serde_json::from_value(with(header, "alg", json!("HS256"))).unwrap();
    let shared = EncodingKey::from_secret(public_key().as_bytes()).unwrap();
    bad.push((
        "HS256".to_owned(),
        encode(&hs256, &claims, &shared).unwrap(),
    ));
    for (fault, token) in bad {
        let answer = ask(orders, "/orders", &token).await;
        assert_eq!(answer.0, StatusCode::UNAUTHORIZED, "{fault}");
    }
}
