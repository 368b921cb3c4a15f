//! One refresh token, presented thousands of times through two servers: one successor (promise P1), and one report when
//! it is presented once too often (promise P3).

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Instant;

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::harness::{Database, Place, Reply, Server, Tokens, on_redis};

const PRESENTATIONS: usize = 10_000;
const CONNECTIONS: usize = 200;
const THIEVES: usize = 64;

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_presentations_to_two_servers_on_postgres_have_one_successor() {
    presented("PostgreSQL", Place::new(Database::Postgres.fresh())).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_presentations_to_two_servers_on_redis_have_one_successor() {
    presented(
        "Redis",
        Place::new(on_redis(testbed::Redis::shared().url())).with("STRATEGY", "redis"),
    )
    .await;
}

async fn presented(name: &str, place: Place) {
    // The window has to hold all of them, on a machine however slow.
    let place = place
        .with("REUSE_GRACE", "5m")
        .with("STORE_TIMEOUT", "50s")
        .with("REQUEST_TIMEOUT", "55s");
    // Both in one data directory: with tokens on Redis, the accounts are there.
    let servers = [Arc::new(place.start()), Arc::new(place.start())];
    let first = servers[0].newcomer("ada@example.org").await;

    let begun = Instant::now();
    let replies = storm(&servers, &first.refresh).await;
    eprintln!(
        "{name}: {} presentations in {:?}",
        replies.len(),
        begun.elapsed()
    );
    assert_eq!(replies.len(), PRESENTATIONS);
    let refused: Vec<_> = replies
        .iter()
        .filter(|reply| reply.status != StatusCode::OK)
        .take(5)
        .collect();
    assert!(refused.is_empty(), "each one came in time: {refused:?}");
    let answers: BTreeSet<(String, String)> = replies
        .iter()
        .map(Tokens::of)
        .map(|t| (t.refresh, t.access))
        .collect();
    assert_eq!(answers.len(), 1, "all are told the same successor");
    let (refresh, access) = answers.into_iter().next().unwrap();
    assert_ne!(refresh, first.refresh);
    for server in &servers {
        server.me(&access).await.expect(StatusCode::OK);
    }

    let newest = Tokens::of(&servers[1].refresh(&refresh).await);
    assert_ne!(newest.refresh, refresh);
    let thefts = join_all((0..THIEVES).map(|at| servers[at % 2].refresh(&first.refresh))).await;
    for theft in thefts {
        theft.expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
    }
    for server in &servers {
        for access in [&first.access, &access, &newest.access] {
            server.me(access).await.expect(StatusCode::UNAUTHORIZED);
        }
        for refresh in [&newest.refresh, &refresh, &first.refresh] {
            server
                .refresh(refresh)
                .await
                .expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
        }
    }

    let logs = servers
        .map(|server| Arc::into_inner(server).unwrap().stop().1)
        .join("");
    let events = |name| {
        let event = format!(r#"event="{name}""#);
        logs.lines()
            .filter(|line| line.contains(&event))
            .collect::<Vec<_>>()
    };
    let ended = events("refresh_token_reused");
    assert_eq!(ended.len(), 1, "{ended:?}");
    for part in [
        r#"outcome="session_ended""#,
        r#"cause="after_confirmation""#,
    ] {
        assert!(ended[0].contains(part), "{}", ended[0]);
    }
    assert_eq!(
        events("refresh_token_repeated").len(),
        PRESENTATIONS - 1,
        "all but the one that was exchanged"
    );
}

/// Presents one token over keep-alive connections, half of them to either server.
async fn storm(servers: &[Arc<Server>; 2], token: &str) -> Vec<Reply> {
    let connections = (0..CONNECTIONS).map(|at| {
        let (server, token) = (Arc::clone(&servers[at % 2]), token.to_owned());
        tokio::spawn(async move {
            let mut replies = Vec::new();
            for _ in 0..PRESENTATIONS / CONNECTIONS {
                replies.push(server.refresh(&token).await);
            }
            replies
        })
    });
    join_all(connections)
        .await
        .into_iter()
        .flat_map(Result::unwrap)
        .collect()
}
