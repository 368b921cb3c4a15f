//! The work beside requests, outages, and the end of the process.

use std::time::Duration;

use countersign::Timestamp;
use countersign::clock::{Clock, SystemClock};
use reqwest::StatusCode;
use sqlx::postgres::PgPoolOptions;
use testbed::Postgres;

use crate::support::{PASSWORD, Server, wait_until};

#[tokio::test]
async fn maintenance_deletes_what_has_expired_on_postgres() {
    let database = Postgres::shared().database();
    // Sessions of 2001, which have expired long ago by the clock of the second start.
    let past = Server::start_on(&database, Timestamp::from_unix_seconds(1_000_000_000)).await;
    past.member("ada@example.org").await;
    wait_until(&past.pool, "SELECT count(*) = 1 FROM refresh_token").await;
    past.stop().await;

    let server = Server::start_on(&database, SystemClock.now()).await;
    let gone = "SELECT NOT EXISTS (SELECT 1 FROM refresh_token)";
    wait_until(&server.pool, gone).await;
}

#[tokio::test]
async fn two_processes_may_start_at_once_on_postgres() {
    let database = Postgres::shared().database();
    let start = || Server::start_on(&database, SystemClock.now());
    let (one, other) = tokio::join!(start(), start());
    let ada = one.member("ada@example.org").await;
    let session = one.session(ada).await;
    other.is_live(session.bearer(), true).await;
}

/// The last use is written in batches, and the last batch at the end.
#[tokio::test]
async fn the_end_of_the_process_records_the_last_use_on_postgres() {
    let server = Server::start().await;
    let ada = server.member("ada@example.org").await;
    let session = server.session(ada).await;
    let pool = server.pool.clone();
    server.clock.advance(Duration::from_mins(10));
    let used = server.clock.now().as_micros();
    server.is_live(session.bearer(), true).await;
    server.stop().await;
    let last = sqlx::query_scalar("SELECT last_used_at FROM refresh_token WHERE session_id = $1");
    let last = last.bind(session.id().unwrap().to_string());
    let last: Option<i64> = last.fetch_one(&pool).await.unwrap();
    assert_eq!(last, Some(used));
}

/// Clients keep their tokens: an outage says nothing about them.
#[tokio::test]
async fn an_outage_is_503_and_ends_no_session_on_postgres() {
    let postgres = Postgres::dedicated();
    let pool = PgPoolOptions::new()
        .acquire_timeout(Duration::from_secs(1))
        .connect(&postgres.database())
        .await
        .unwrap();
    let server = Server::start_with(pool, SystemClock.now()).await;
    let ada = server.member("ada@example.org").await;
    let session = server.session(ada).await;

    postgres.kill();
    let me = server.me(session.bearer()).await;
    me.is_refused(503, "STORE_UNAVAILABLE");
    let login = server.log_in("ada@example.org", PASSWORD).await;
    login.is_refused(503, "STORE_UNAVAILABLE");
    let registered = server.register("eve@example.org", PASSWORD).await;
    registered.is_refused(503, "STORE_UNAVAILABLE");

    postgres.start();
    let login = server.log_in("ada@example.org", PASSWORD).await;
    assert_eq!(login.status, StatusCode::OK, "{login:?}");
    server.is_live(session.bearer(), true).await;
}
