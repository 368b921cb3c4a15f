//! One refresh token, presented by many at once: exactly one successor (promise P1).

use futures_util::future::join_all;
use reqwest::StatusCode;

use crate::harness::{Database, Place, Server, Tokens, on_redis};

const AT_ONCE: usize = 64;
const RUNS: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn one_successor_on_sqlite() {
    storm(&[Place::new(Database::Sqlite.fresh()).start()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_successor_from_two_servers_on_postgres() {
    storm(&two_servers(Database::Postgres)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_successor_from_two_servers_on_mariadb() {
    storm(&two_servers(Database::MariaDb)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_successor_from_two_servers_with_signed_tokens() {
    let place = Place::new(Database::Postgres.fresh()).with("STRATEGY", "jwt");
    storm(&[place.start(), place.start()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_successor_from_two_servers_on_redis() {
    let place = Place::new(on_redis(testbed::Redis::shared().url())).with("STRATEGY", "redis");
    storm(&[place.start(), place.start()]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_successor_from_two_servers_on_a_redis_cluster() {
    let place =
        Place::new(on_redis(&testbed::RedisCluster::shared().url())).with("STRATEGY", "redis");
    storm(&[place.start(), place.start()]).await;
}

/// Two processes on one database, each with a data directory of its own.
fn two_servers(database: Database) -> Vec<Server> {
    let place = Place::new(database.fresh());
    vec![place.start(), place.sibling().start()]
}

async fn storm(servers: &[Server]) {
    let mut tokens = servers[0].newcomer("ada@example.org").await;
    for run in 0..RUNS {
        let replies = (0..AT_ONCE).map(|at| servers[at % servers.len()].refresh(&tokens.refresh));
        let replies = join_all(replies).await;
        let failed: Vec<_> = replies
            .iter()
            .filter(|reply| reply.status.is_server_error())
            .collect();
        assert!(failed.is_empty(), "run {run}: {failed:?}");
        let answers: Vec<_> = replies.iter().map(Tokens::of).collect();
        assert!(
            answers
                .iter()
                .all(|answer| answer.refresh == answers[0].refresh),
            "run {run}: two successors"
        );
        tokens = Tokens::of(&replies[0]);
    }
    for server in servers {
        server.me(&tokens.access).await.expect(StatusCode::OK);
    }
}
