//! The work beside requests, outages, and the end of the process.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::process::Command;
use std::time::Duration;

use countersign::Timestamp;
use countersign::clock::{Clock, SystemClock};
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use sqlx::PgPool;
use sqlx::postgres::PgPoolOptions;
use testbed::Postgres;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::{interval, timeout};

use crate::support::{PASSWORD, Server, wait_until};

const MINUTE: Duration = Duration::from_mins(1);

/// A request whose body doesn't arrive.
const WITHOUT_BODY: &str = "POST /members HTTP/1.1\r\nhost: localhost\r\n\
                            content-type: application/json\r\ncontent-length: 100\r\n\r\n{";

/// Starts the application with a time limit for requests, and a client that sends this much.
async fn held_back(time_limit: Duration, sent: &str) -> (Server, TcpStream) {
    let pool = PgPool::connect(&Postgres::shared().database()).await;
    let server = Server::start_with(pool.unwrap(), SystemClock.now(), time_limit).await;
    let mut client = TcpStream::connect(server.address).await.unwrap();
    client.write_all(sent.as_bytes()).await.unwrap();
    (server, client)
}

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
    other.assert_live(session.bearer(), true).await;
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
    server.assert_live(session.bearer(), true).await;
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
        .acquire_timeout(Duration::from_secs(3))
        .connect(&postgres.database())
        .await
        .unwrap();
    let server = Server::start_with(pool, SystemClock.now(), MINUTE).await;
    let ada = server.member("ada@example.org").await;
    let session = server.session(ada).await;

    postgres.kill();
    let me = server.me(session.bearer()).await;
    me.assert_refused(503, "STORE_UNAVAILABLE");
    let login = server.log_in("ada@example.org", PASSWORD).await;
    login.assert_refused(503, "STORE_UNAVAILABLE");
    let registered = server.register("eve@example.org", PASSWORD).await;
    registered.assert_refused(503, "STORE_UNAVAILABLE");

    postgres.start();
    let back = async {
        let mut pauses = interval(Duration::from_millis(20));
        loop {
            let login = server.log_in("ada@example.org", PASSWORD).await;
            if login.status != StatusCode::SERVICE_UNAVAILABLE {
                return login;
            }
            pauses.tick().await;
        }
    };
    let login = timeout(MINUTE, back).await.expect("the database is back");
    assert_eq!(login.status, StatusCode::OK, "{login:?}");
    server.assert_live(session.bearer(), true).await;
}

#[tokio::test]
async fn a_body_that_does_not_arrive_is_503_on_postgres() {
    let (_server, mut client) = held_back(Duration::from_millis(100), WITHOUT_BODY).await;
    let mut status = [0; 12];
    let answer = timeout(MINUTE, client.read_exact(&mut status)).await;
    answer.expect("an answer").unwrap();
    assert_eq!(&status, b"HTTP/1.1 503");
}

/// A client can send a part of a request, and nothing more.
#[tokio::test]
async fn no_client_holds_back_the_end_of_the_process_on_postgres() {
    for sent in ["POST /members HTTP/1.1\r\nhost:", WITHOUT_BODY] {
        let (server, _client) = held_back(Duration::from_secs(1), sent).await;
        // Connections are taken in turn, so the part was read when this is answered.
        server.me(HeaderMap::new()).await;
        let end = timeout(MINUTE, server.stop()).await;
        end.expect("the end of the process");
    }
}

/// The error of a setting names it, and shows nothing of its value.
#[test]
fn a_secret_that_is_not_utf_8_is_not_shown() {
    let secret = OsStr::from_bytes(b"correct horse battery \xff");
    let started = Command::new(env!("CARGO_BIN_EXE_example-axum-sqlx"))
        .env("TOKEN_HASH_SECRET", secret)
        .output()
        .unwrap();
    let said = [started.stdout, started.stderr].concat();
    let said = String::from_utf8_lossy(&said);
    assert!(said.contains("TOKEN_HASH_SECRET isn't UTF-8"), "{said}");
    assert!(!said.contains("horse"), "{said}");
}
