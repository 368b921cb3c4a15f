//! The guide's service on an application's own sqlx pool, as it is printed there, on PostgreSQL.

#![cfg(all(feature = "axum", feature = "sqlx-postgres"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    missing_docs,
    missing_debug_implementations,
    unreachable_pub,
    reason = "test code"
)]

mod shown;

use argon2::{Argon2, PasswordHasher};
use axum::Router;
use axum::body::Body;
use countersign::store::sql::sqlx::{self, PgPool};
use countersign::{Secret, SystemEntropy};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use testbed::Postgres;
use tower::ServiceExt;
use uuid::Uuid;

/// The code of the guide without what it hides.
#[test]
fn the_guide_prints_what_runs_here() {
    let guide = include_str!("../../../src/guide/sqlx.md");
    let block = guide
        .split("```rust\n")
        .nth(1)
        .and_then(|rest| rest.split("```").next())
        .expect("the guide has an example");
    let printed: Vec<_> = block
        .lines()
        .filter(|line| !line.starts_with("# "))
        .collect();
    let runs: Vec<_> = include_str!("shown.rs").lines().collect();
    assert_eq!(printed, runs);
}

/// The part that isn't about the application's own types has at most 60 lines.
#[test]
fn it_stays_short() {
    let asked = include_str!("shown.rs")
        .split("// What follows is all that the library asks for.")
        .nth(1)
        .expect("the example says where its own part begins");
    let lines = asked.lines().filter(|line| !line.trim().is_empty()).count();
    assert!(lines <= 60, "{lines} lines");
}

async fn send(
    app: &Router,
    method: &str,
    path: &str,
    bearer: Option<&str>,
    body: Option<Value>,
) -> (StatusCode, String) {
    let mut request = Request::builder().method(method).uri(path);
    if let Some(token) = bearer {
        request = request.header(header::AUTHORIZATION, format!("Bearer {token}"));
    }
    let body = body.map_or_else(Body::empty, |body| {
        request
            .headers_mut()
            .unwrap()
            .insert(header::CONTENT_TYPE, "application/json".parse().unwrap());
        Body::from(body.to_string())
    });
    let response = app
        .clone()
        .oneshot(request.body(body).unwrap())
        .await
        .unwrap();
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

fn text(answer: &str, name: &str) -> String {
    let answer: Value = serde_json::from_str(answer).unwrap();
    answer.get(name).unwrap().as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn login_refresh_logout_and_a_protected_route_on_postgres() {
    let pool = PgPool::connect(&Postgres::shared().database())
        .await
        .unwrap();
    let table = "CREATE TABLE member (id uuid PRIMARY KEY, email text UNIQUE, password_hash text)";
    sqlx::query(table).execute(&pool).await.unwrap();
    let hash = Argon2::default()
        .hash_password_with_salt(b"correct horse", b"salt of sixteen.")
        .unwrap()
        .to_string();
    sqlx::query("INSERT INTO member VALUES ($1, 'ada@example.org', $2)")
        .bind(Uuid::from_u128(7))
        .bind(hash)
        .execute(&pool)
        .await
        .unwrap();
    let secret = Secret::generate(&SystemEntropy).unwrap();
    let app = shown::service(pool.clone(), &secret).await.unwrap();

    for (identifier, password) in [
        ("ada@example.org", "wrong"),
        ("eve@example.org", "correct horse"),
    ] {
        let wrong = json!({ "identifier": identifier, "password": password });
        let (status, _) = send(&app, "POST", "/auth/login", None, Some(wrong)).await;
        assert_eq!(status, StatusCode::UNAUTHORIZED);
    }
    let right = json!({ "identifier": "ada@example.org", "password": "correct horse" });
    let (status, answer) = send(&app, "POST", "/auth/login", None, Some(right)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let (access, refresh) = (
        text(&answer, "access_token"),
        text(&answer, "refresh_token"),
    );

    let (status, told) = send(&app, "GET", "/me", Some(&access), None).await;
    assert_eq!((status, &*told), (StatusCode::OK, "ada@example.org"));
    let (status, _) = send(&app, "GET", "/me", None, None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    let body = json!({ "refresh_token": refresh });
    let (status, answer) = send(&app, "POST", "/auth/refresh", None, Some(body)).await;
    assert_eq!(status, StatusCode::OK, "{answer}");
    let renewed = text(&answer, "access_token");
    let (status, _) = send(&app, "POST", "/auth/logout", Some(&renewed), None).await;
    assert!(status.is_success(), "{status}");
    let (status, _) = send(&app, "GET", "/me", Some(&renewed), None).await;
    assert_eq!(status, StatusCode::UNAUTHORIZED);

    // The application's own connections see the tables, and the id is a `uuid` in them.
    let kind = "SELECT data_type::text FROM information_schema.columns \
                WHERE table_name = 'refresh_token' AND column_name = 'user_id'";
    let kind: (String,) = sqlx::query_as(kind).fetch_one(&pool).await.unwrap();
    assert_eq!(kind.0, "uuid");
}
