//! What Redis does to us, and what we do to our clients meanwhile. Accounts are on SQLite and stay in reach.

use reqwest::{Method, StatusCode};
use serde_json::json;
use testbed::Redis;

use crate::flows::logout;
use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, on_redis, patiently};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_redis_is_an_honest_503() {
    for strategy in ["redis", "jwt"] {
        let redis = Redis::dedicated();
        outage(&redis, strategy, || redis.kill(), || redis.start()).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_frozen_redis_is_an_honest_503() {
    for strategy in ["redis", "jwt"] {
        let redis = Redis::dedicated();
        outage(&redis, strategy, || redis.freeze(), || redis.thaw()).await;
    }
}

async fn outage(redis: &Redis, strategy: &str, stop: impl Fn(), start: impl Fn()) {
    eprintln!("{strategy}");
    // What has to be there before is done by a server that a busy machine keeps from nothing.
    let place = place(redis, strategy);
    let patient = place.start();
    let tokens = patient.newcomer("ada@example.org").await;
    let ended = patient.login("ada@example.org").await;
    logout(&patient, &ended.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    let server = place.with("STORE_TIMEOUT", "2s").start();
    patiently(|| server.me(&tokens.access))
        .await
        .expect(StatusCode::OK);
    patiently(|| ready(&server)).await.expect(StatusCode::OK);

    stop();
    let mut replies = vec![
        server.me(&tokens.access).await,
        server.me(&ended.access).await,
        unready(&server).await,
        logout(&server, &tokens.access).await,
        server
            .post("/auth/logout", json!({ "refresh_token": tokens.refresh }))
            .await,
        logout_everywhere(&server, &tokens.access).await,
    ];
    if strategy == "redis" {
        replies.push(server.refresh(&tokens.refresh).await);
        replies.push(login(&server).await);
    }
    for reply in replies {
        let reply = reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE");
        assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
    }
    server.get("/healthz", "").await.expect(StatusCode::OK);

    start();
    while ready(&server).await.status != StatusCode::OK {}
    patiently(|| server.me(&tokens.access))
        .await
        .expect(StatusCode::OK);
    let next = Tokens::of(&patiently(|| server.refresh(&tokens.refresh)).await);
    patiently(|| server.me(&next.access))
        .await
        .expect(StatusCode::OK);
    patiently(|| server.me(&ended.access))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    patiently(|| server.refresh(&ended.refresh))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let logged_out = patiently(|| logout(&server, &next.access)).await;
    // It may have been done the first time, unheard.
    assert!(
        matches!(
            logged_out.status,
            StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED
        ),
        "{logged_out:?}"
    );
    patiently(|| server.me(&next.access))
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_became_a_replica_is_an_honest_503() {
    for strategy in ["redis", "jwt"] {
        eprintln!("{strategy}");
        let redis = Redis::dedicated();
        let server = place(&redis, strategy).start();
        let tokens = server.newcomer("ada@example.org").await;
        redis.command(&["REPLICAOF", "127.0.0.1", &testbed::free_port().to_string()]);
        unavailable(logout(&server, &tokens.access).await);
        unavailable(logout_everywhere(&server, &tokens.access).await);
        if strategy == "redis" {
            unavailable(login(&server).await);
            unavailable(server.refresh(&tokens.refresh).await);
        }
        server.me(&tokens.access).await.expect(StatusCode::OK);

        redis.command(&["REPLICAOF", "NO", "ONE"]);
        let next = if strategy == "redis" {
            Tokens::of(&server.refresh(&tokens.refresh).await)
        } else {
            // The sessions in the database had ended before the denial could not be written; asking again writes it.
            logout_everywhere(&server, &tokens.access)
                .await
                .expect(StatusCode::NO_CONTENT);
            server
                .me(&tokens.access)
                .await
                .expect(StatusCode::UNAUTHORIZED);
            server.login("ada@example.org").await
        };
        Tokens::of(&login(&server).await);
        logout(&server, &next.access)
            .await
            .expect(StatusCode::NO_CONTENT);
        server
            .me(&next.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_lets_nobody_in_and_everybody_out() {
    let redis = Redis::dedicated();
    let server = place(&redis, "redis").start();
    let tokens = server.newcomer("ada@example.org").await;
    let ended = server.login("ada@example.org").await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    unavailable(login(&server).await);
    unavailable(server.refresh(&tokens.refresh).await);
    server.me(&tokens.access).await.expect(StatusCode::OK);
    logout(&server, &ended.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .me(&ended.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    server.me(&tokens.access).await.expect(StatusCode::OK);
    logout_everywhere(&server, &tokens.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .me(&tokens.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);

    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    let tokens = server.login("ada@example.org").await;
    server.refresh(&tokens.refresh).await.expect(StatusCode::OK);
}

/// A memory that is full keeps nobody from logging out: denials are written beyond its bound.
#[tokio::test(flavor = "multi_thread")]
async fn a_full_redis_lets_holders_of_signed_tokens_out() {
    let redis = Redis::dedicated();
    let server = place(&redis, "jwt").start();
    let one = server.newcomer("ada@example.org").await;
    let other = server.login("ada@example.org").await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    server.me(&one.access).await.expect(StatusCode::OK);
    logout(&server, &one.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .me(&one.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    server.me(&other.access).await.expect(StatusCode::OK);
    logout_everywhere(&server, &other.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    server
        .me(&other.access)
        .await
        .expect(StatusCode::UNAUTHORIZED);
}

/// Accounts stay in the database, so a Redis that answers isn't enough.
#[tokio::test]
async fn readiness_asks_the_database_as_well_as_redis() {
    let place = place(Redis::shared(), "redis");
    let server = place.start();
    ready(&server).await.expect(StatusCode::OK);
    std::fs::remove_file(place.data_dir().join("countersign.sqlite")).unwrap();
    unavailable(unready(&server).await);
}

fn place(redis: &Redis, strategy: &str) -> Place {
    Place::new(on_redis(redis.url())).with("STRATEGY", strategy)
}

#[track_caller]
fn unavailable(reply: Reply) {
    let reply = reply.expect_problem(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE");
    assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
}

async fn login(server: &Server) -> Reply {
    server
        .post(
            "/auth/login",
            json!({ "identifier": "ada@example.org", "password": PASSWORD }),
        )
        .await
}

async fn logout_everywhere(server: &Server, access: &str) -> Reply {
    Reply::of(
        server
            .request(Method::POST, "/auth/logout/all")
            .bearer_auth(access),
    )
    .await
}

/// A good answer may be a second old.
async fn unready(server: &Server) -> Reply {
    loop {
        let reply = ready(server).await;
        if reply.status != StatusCode::OK {
            return reply;
        }
    }
}

async fn ready(server: &Server) -> Reply {
    Reply::of(server.request(Method::GET, "/readyz")).await
}
