//! `/logout` with a good access token: its session ends, whatever the body is. Clients' wrappers send `{}` with every request,
//! and nobody reads a logout's answer.

use std::sync::Arc;

use axum::body::{Body, Bytes};
use countersign::Profile;
use countersign::redis::{Redis, RedisOptions};
use countersign::strategy::RedisTokenStrategy;
use serde_json::json;

use crate::fixture::web::{World, opaque};
use crate::http::stores::{signed, sqlite};
use crate::http::{App, JSON, Tokens};

const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const TEXT: (&str, &str) = ("content-type", "text/plain");

/// What it is called, its headers, its bytes, and what it is answered with where there is no good access token.
type Sent = (
    &'static str,
    Vec<(&'static str, &'static str)>,
    Vec<u8>,
    u16,
);

/// Bodies that name no refresh token.
fn bodies() -> Vec<Sent> {
    let long = |length: usize| format!(r#"{{"x":"{}"}}"#, "x".repeat(length)).into_bytes();
    vec![
        ("nothing", vec![], vec![], 401),
        ("nothing, as JSON", vec![JSON], vec![], 401),
        ("nothing, as a form", vec![FORM], vec![], 401),
        ("{}", vec![JSON], b"{}".to_vec(), 422),
        ("null", vec![JSON], b"null".to_vec(), 422),
        (
            "a null token",
            vec![JSON],
            br#"{"refresh_token": null}"#.to_vec(),
            422,
        ),
        (
            "an empty token",
            vec![JSON],
            br#"{"refresh_token": ""}"#.to_vec(),
            422,
        ),
        (
            "a token of another type",
            vec![JSON],
            br#"{"refresh_token": 7}"#.to_vec(),
            422,
        ),
        (
            "two tokens",
            vec![JSON],
            br#"{"refresh_token": "a", "refresh_token": "b"}"#.to_vec(),
            422,
        ),
        ("a list", vec![JSON], b"[]".to_vec(), 422),
        (
            "broken JSON",
            vec![JSON],
            br#"{"refresh_token": "#.to_vec(),
            422,
        ),
        (
            "broken UTF-8",
            vec![JSON],
            b"{\"refresh_token\": \"\xff\"}".to_vec(),
            422,
        ),
        ("{} without a type", vec![], b"{}".to_vec(), 415),
        ("a form", vec![FORM], b"refresh_token=x&y=z".to_vec(), 415),
        ("text", vec![TEXT], b"bye".to_vec(), 415),
        ("two types", vec![JSON, TEXT], b"{}".to_vec(), 415),
        (
            "an encoding",
            vec![JSON, ("content-encoding", "gzip")],
            b"\x1f\x8b".to_vec(),
            415,
        ),
        ("too much", vec![JSON], long(16 * 1024), 413),
        ("far too much", vec![JSON], long(1024 * 1024), 413),
        (
            "too much, announced",
            vec![JSON, ("content-length", "99999999999999999999")],
            b"{}".to_vec(),
            413,
        ),
    ]
}

async fn log_out(app: &App, headers: &[(&str, &str)], body: impl Into<Body>) -> crate::http::Reply {
    app.post("/auth/logout", headers, body).await
}

async fn is_over(app: &App, tokens: &Tokens) -> bool {
    let refresh = app
        .post_json("/auth/refresh", &json!({"refresh_token": tokens.refresh}))
        .await;
    !app.is_live(&tokens.access).await && refresh.code() == "REFRESH_TOKEN_INVALID"
}

/// Each body, with a good access token, without one, with one that is unknown, and beside a refresh token.
async fn whatever_the_body_is(app: App) {
    let bystander = app.tokens(1).await;
    for (name, headers, body, without) in bodies() {
        let tokens = app.tokens(1).await;
        let bearer = tokens.bearer();
        let authorized: Vec<_> = headers
            .iter()
            .copied()
            .chain([("authorization", &*bearer)])
            .collect();
        let reply = log_out(&app, &authorized, body.clone()).await;
        assert_eq!(reply.status.as_u16(), 204, "{name}: {}", reply.body);
        assert!(is_over(&app, &tokens).await, "{name}");

        let reply = log_out(&app, &headers, body.clone()).await;
        assert_eq!(
            reply.status.as_u16(),
            without,
            "{name}, no token: {}",
            reply.body
        );
        let unknown: Vec<_> = headers
            .iter()
            .copied()
            .chain([("authorization", "Bearer csa_nonsense")])
            .collect();
        let reply = log_out(&app, &unknown, body.clone()).await;
        assert!(
            matches!(reply.status.as_u16(), 401 | 413 | 415 | 422 | 204),
            "{name}, junk: {}",
            reply.body
        );

        let cookies = app.tokens(1).await;
        let sent = cookies.cookies();
        let by_cookie = [("cookie", &*sent), ("sec-fetch-site", "same-origin")];
        let by_cookie: Vec<_> = headers.iter().copied().chain(by_cookie).collect();
        let reply = log_out(&app, &by_cookie, body.clone()).await;
        assert_eq!(
            reply.status.as_u16(),
            204,
            "{name}, by cookie: {}",
            reply.body
        );
        assert_eq!(reply.set_cookies().len(), 2, "{name}");
        assert!(is_over(&app, &cookies).await, "{name}, by cookie");
    }
    assert!(app.is_live(&bystander.access).await);

    // A refresh token in the body ends its own session too, whosever it is: its holder could end it in any case.
    let [one, other] = [app.tokens(1).await, app.tokens(2).await];
    let bearer = one.bearer();
    let reply = log_out(
        &app,
        &[JSON, ("authorization", &bearer)],
        json!({"refresh_token": other.refresh}).to_string(),
    )
    .await;
    reply.is_empty_204();
    assert!(is_over(&app, &one).await && is_over(&app, &other).await);

    // Where the access token is bad, a good refresh token is enough.
    for bad in ["Bearer csa_nonsense", "Bearer", "Bearer a b"] {
        let tokens = app.tokens(1).await;
        let body = json!({"refresh_token": tokens.refresh}).to_string();
        log_out(&app, &[JSON, ("authorization", bad)], body)
            .await
            .is_empty_204();
        assert!(is_over(&app, &tokens).await, "{bad}");
    }
}

#[tokio::test]
async fn of_opaque_tokens() {
    whatever_the_body_is(App::new()).await;
}

#[tokio::test]
async fn of_opaque_tokens_in_sqlite() {
    let mut world = World::new();
    world.strategy = opaque(Profile::Countersign, sqlite().await, world.clock.clone());
    whatever_the_body_is(App::over(world)).await;
}

#[tokio::test]
async fn of_original_tokens_in_sqlite() {
    let mut world = World::new();
    world.strategy = opaque(Profile::LitestarAuth, sqlite().await, world.clock.clone());
    whatever_the_body_is(App::over(world)).await;
}

#[tokio::test]
async fn of_signed_tokens_with_sessions() {
    let mut world = World::new();
    world.strategy = signed(&world, Some(sqlite().await));
    whatever_the_body_is(App::over(world)).await;
}

#[tokio::test]
async fn of_tokens_on_redis() {
    crate::fixture::log::listen();
    let server = testbed::Redis::shared();
    let redis = Redis::connect(server.url(), RedisOptions::default()).unwrap();
    let mut world = World::new();
    let secret =
        countersign::Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let tokens = RedisTokenStrategy::builder(&redis)
        .token_hash_secret(&secret)
        .key_prefix(server.prefix());
    world.strategy = Arc::new(tokens.clock(world.clock.clone()).build().unwrap());
    whatever_the_body_is(App::over(world)).await;
}

/// A body that breaks off, or that never ends: the session is over before it is read.
#[tokio::test]
async fn the_session_ends_before_the_body_is_read() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let bearer = tokens.bearer();
    let broken = futures_util::stream::iter([Err::<Bytes, _>(std::io::Error::other("reset"))]);
    log_out(
        &app,
        &[JSON, ("authorization", &bearer)],
        Body::from_stream(broken),
    )
    .await
    .is_empty_204();
    assert!(is_over(&app, &tokens).await);

    let tokens = app.tokens(1).await;
    let bearer = tokens.bearer();
    let endless =
        Body::from_stream(futures_util::stream::pending::<Result<Bytes, std::io::Error>>());
    let headers = [JSON, ("authorization", &*bearer)];
    let mut waiting = Box::pin(log_out(&app, &headers, endless));
    while !is_over(&app, &tokens).await {
        assert!(futures_util::poll!(&mut waiting).is_pending());
        tokio::task::yield_now().await;
    }
}

/// What was asked for can't be recorded: nobody is told that it was (SECURITY row R-09).
#[tokio::test]
async fn a_store_that_is_down_is_an_honest_503_whatever_the_body_is() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let bearer = tokens.bearer();
    for (name, headers, body, _) in bodies() {
        app.world.store.switch(false);
        let headers: Vec<_> = headers
            .into_iter()
            .chain([("authorization", &*bearer)])
            .collect();
        let reply = log_out(&app, &headers, body).await;
        assert_eq!(reply.status.as_u16(), 503, "{name}: {}", reply.body);
        app.world.store.switch(true);
        assert!(app.is_live(&tokens.access).await);
    }
}
