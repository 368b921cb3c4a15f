//! `/readyz` does what serving does, `/healthz` and `/readyz` have room of their own, and a stop is announced.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::time::Duration;

use futures_util::future::join_all;
use reqwest::{Method, StatusCode};
use testbed::{MariaDb, Postgres, Redis};

use crate::harness::{DATABASES, Database, Place, Reply, Server, on_redis, shared};

async fn ready(server: &Server) -> Reply {
    Reply::of(server.request(Method::GET, "/readyz")).await
}

/// An answer may be a second old.
async fn becomes(server: &Server, status: StatusCode) {
    while ready(server).await.status != status {}
}

async fn is_not_ready(server: &Server) {
    becomes(server, StatusCode::SERVICE_UNAVAILABLE).await;
    let reply = ready(server)
        .await
        .expect_problem(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE");
    assert!(reply.header("retry-after").parse::<u32>().unwrap() >= 1);
    server.get("/healthz", "").await.expect(StatusCode::OK);
    server.says("event=\"not_ready\"", 1);
}

fn execute(database: Database, url: &str, sql: &str) {
    match database {
        Database::Postgres => drop(Postgres::execute(url, sql)),
        Database::MariaDb => drop(MariaDb::execute(url, sql)),
        Database::Sqlite => {
            let output = Command::new("sqlite3")
                .args(["-cmd", ".timeout 20000", url, sql])
                .output()
                .unwrap();
            assert!(
                output.status.success(),
                "{}",
                String::from_utf8_lossy(&output.stderr)
            );
        }
    }
}

const TABLES: [&str; 5] = [
    "access_token",
    "refresh_token",
    "session_fence",
    "login_failure",
    "denied_token",
];

#[tokio::test(flavor = "multi_thread")]
async fn a_table_that_is_gone_is_told() {
    for database in DATABASES {
        for strategy in ["database", "jwt"] {
            eprintln!("{strategy} on {database:?}");
            let settings = database.fresh();
            let place = Place::new(settings.clone()).with("STRATEGY", strategy);
            let server = place.start();
            becomes(&server, StatusCode::OK).await;
            let url = match settings.first() {
                Some((_, url)) => url.clone(),
                None => place
                    .data_dir()
                    .join("countersign.sqlite")
                    .display()
                    .to_string(),
            };
            let tables = TABLES
                .into_iter()
                .filter(|table| strategy == "jwt" || *table != "denied_token");
            let user = if database == Database::MariaDb {
                "`user`"
            } else {
                "\"user\""
            };
            for table in tables.chain([user]) {
                execute(
                    database,
                    &url,
                    &format!("ALTER TABLE {table} RENAME TO gone"),
                );
                is_not_ready(&server).await;
                execute(
                    database,
                    &url,
                    &format!("ALTER TABLE gone RENAME TO {table}"),
                );
                becomes(&server, StatusCode::OK).await;
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_only_reads_is_told() {
    let postgres = Postgres::shared();
    let url = postgres.database();
    let name = url.rsplit('/').next().unwrap();
    let end =
        format!("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = '{name}'");
    let server = Place::new(shared(&url)).start();
    becomes(&server, StatusCode::OK).await;
    for (mode, status) in [
        ("on", StatusCode::SERVICE_UNAVAILABLE),
        ("off", StatusCode::OK),
    ] {
        let set = format!("ALTER DATABASE {name} SET default_transaction_read_only = {mode}");
        Postgres::execute(
            postgres.url(),
            &format!("SET default_transaction_read_only = off; {set}; {end}"),
        );
        becomes(&server, status).await;
    }
    server.says("is read-only", 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_mariadb_that_only_reads_is_told() {
    let mariadb = MariaDb::dedicated();
    let url = mariadb.database();
    let name = url.rsplit('/').next().unwrap();
    // The super user of the tests writes all the same.
    let user = format!("CREATE USER app@'%' IDENTIFIED BY 'app'; GRANT ALL ON {name}.* TO app@'%'");
    MariaDb::execute(mariadb.url(), &user);
    let server = Place::new(shared(&url.replace("test:test@", "app:app@"))).start();
    becomes(&server, StatusCode::OK).await;
    MariaDb::execute(mariadb.url(), "SET GLOBAL read_only = 1");
    is_not_ready(&server).await;
    MariaDb::execute(mariadb.url(), "SET GLOBAL read_only = 0");
    becomes(&server, StatusCode::OK).await;
}

/// As a full disk does, a limit on the size of files keeps SQLite from writing.
#[tokio::test(flavor = "multi_thread")]
async fn a_disk_that_takes_nothing_more_is_told() {
    let place = Place::new(Vec::new());
    let server = place.start_under("trap '' XFSZ");
    becomes(&server, StatusCode::OK).await;
    let limit = |limit: &str| {
        let arguments = ["--pid", &server.pid(), &format!("--fsize={limit}:")];
        assert!(
            Command::new("prlimit")
                .args(arguments)
                .status()
                .unwrap()
                .success()
        );
    };
    limit("1");
    is_not_ready(&server).await;
    limit("unlimited");
    becomes(&server, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_that_takes_nothing_more_is_told() {
    let redis = Redis::dedicated();
    let server = Place::new(on_redis(redis.url()))
        .with("STRATEGY", "redis")
        .start();
    becomes(&server, StatusCode::OK).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "1"]);
    is_not_ready(&server).await;
    redis.command(&["CONFIG", "SET", "maxmemory", "0"]);
    becomes(&server, StatusCode::OK).await;
    redis.command(&["REPLICAOF", "127.0.0.1", &testbed::free_port().to_string()]);
    is_not_ready(&server).await;
    redis.command(&["REPLICAOF", "NO", "ONE"]);
    becomes(&server, StatusCode::OK).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_redis_user_without_the_rights_is_told() {
    for strategy in ["redis", "jwt"] {
        eprintln!("{strategy}");
        let redis = Redis::dedicated();
        let rights = |rights: &[&str]| {
            redis.command(
                &[
                    &[
                        "ACL", "SETUSER", "app", "on", ">hunter2", "~*", "&*", "+@all",
                    ],
                    rights,
                ]
                .concat(),
            );
        };
        rights(&[]);
        let url = redis.url().replace("//", "//app:hunter2@");
        let server = Place::new(on_redis(&url))
            .with("STRATEGY", strategy)
            .start();
        becomes(&server, StatusCode::OK).await;
        for taken in [&["-@write"][..], &["-@scripting"]] {
            rights(taken);
            is_not_ready(&server).await;
            rights(&[]);
            becomes(&server, StatusCode::OK).await;
        }
    }
}

/// A crowd that asks at once is answered with one look.
#[tokio::test(flavor = "multi_thread")]
async fn a_crowd_of_probes_asks_the_stores_once() {
    let redis = Redis::dedicated();
    let server = Place::new(on_redis(redis.url()))
        .with("STRATEGY", "redis")
        .start();
    becomes(&server, StatusCode::OK).await;
    redis.command(&["CONFIG", "RESETSTAT"]);
    for reply in join_all((0..256).map(|_| ready(&server))).await {
        reply.expect(StatusCode::OK);
    }
    let statistics = redis.command(&["INFO", "commandstats"]);
    let calls = statistics
        .lines()
        .filter_map(|line| line.strip_prefix("cmdstat_")?.split("calls=").nth(1));
    let calls: u64 = calls
        .map(|rest| rest.split(',').next().unwrap().parse::<u64>().unwrap())
        .sum();
    assert!(calls < 256, "{statistics}");
}

fn ask(server: &Server, path: &str) -> String {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    connection
        .set_read_timeout(Some(Duration::from_mins(1)))
        .unwrap();
    let _ = connection.write_all(format!("GET {path} HTTP/1.1\r\nhost: x\r\n\r\n").as_bytes());
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn health_is_told_when_all_connections_are_taken() {
    let place = Place::new(Vec::new()).with("PUBLIC_URL", "http://127.0.0.1/accounts");
    let server = place
        .with("MAX_CONNECTIONS", "8")
        .with("HEADER_TIMEOUT", "10m")
        .start();
    let held: Vec<TcpStream> = (0..8)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    // So many silent ones as no reserve has.
    let silent: Vec<TcpStream> = (0..100)
        .map(|_| TcpStream::connect(server.address()).unwrap())
        .collect();
    for path in [
        "/healthz",
        "/readyz",
        "/accounts/healthz",
        "/accounts/readyz?x=y",
    ] {
        let answer = ask(&server, path);
        assert!(
            answer.starts_with("HTTP/1.1 200") && answer.contains("connection: close"),
            "{path}: {answer}"
        );
    }
    let answer = ask(&server, "/users/me");
    assert!(
        answer.starts_with("HTTP/1.1 503") && answer.contains("OVERLOADED"),
        "{answer}"
    );
    drop((held, silent));
    while !ask_once(&server, "/users/me").starts_with("HTTP/1.1 401") {}
}

fn ask_once(server: &Server, path: &str) -> String {
    let mut connection = TcpStream::connect(server.address()).unwrap();
    let request = format!("GET {path} HTTP/1.1\r\nhost: x\r\nconnection: close\r\n\r\n");
    let _ = connection.write_all(request.as_bytes());
    let mut answer = Vec::new();
    let _ = connection.read_to_end(&mut answer);
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_stop_is_announced_before_the_port_is_closed() {
    let server = Place::new(Vec::new())
        .with("DRAIN_DELAY", "1h")
        .start()
        .with_new_connections();
    let tokens = server.newcomer("ada@example.org").await;
    becomes(&server, StatusCode::OK).await;
    server.signal("-TERM");
    becomes(&server, StatusCode::SERVICE_UNAVAILABLE).await;
    // New connections are still taken, and served.
    ready(&server)
        .await
        .expect_problem(StatusCode::SERVICE_UNAVAILABLE, "DRAINING");
    server.me(&tokens.access).await.expect(StatusCode::OK);
    server.get("/healthz", "").await.expect(StatusCode::OK);
    server.signal("-TERM");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(log.contains("event=\"leaving\""), "{log}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_announcement_ends_by_itself_and_a_person_need_not_wait_for_it() {
    let server = Place::new(Vec::new()).with("DRAIN_DELAY", "1s").start();
    server.get("/healthz", "").await.expect(StatusCode::OK);
    let (status, log) = server.stop();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        log.contains("event=\"leaving\"") && log.contains("event=\"drained\""),
        "{log}"
    );
    let server = Place::new(Vec::new()).with("DRAIN_DELAY", "1h").start();
    server.get("/healthz", "").await.expect(StatusCode::OK);
    server.signal("-INT");
    let (status, log) = server.wait();
    assert_eq!(status.code(), Some(0), "{log}");
    assert!(
        !log.contains("event=\"leaving\"") && log.contains("event=\"drained\""),
        "{log}"
    );
}
