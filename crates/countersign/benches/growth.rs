//! The rows and bytes that a session leaves behind when it is refreshed very often.
//!
//! `cargo bench -p countersign --all-features --bench growth -- sqlite` prints them at ten points,
//! for one store; without a name, for SQLite, PostgreSQL, MariaDB and Redis.
//! `COUNTERSIGN_BENCH_REFRESHES` is the number of refreshes. It defaults to 20,000. One minute of
//! the session's life lies between two refreshes, access tokens live for 15 minutes, and expired
//! rows are swept in batches of 1000 as the server does.

#![allow(
    clippy::cast_precision_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::redis::{Redis, RedisOptions};
use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Driver, Migrator, SqlStore, Statement,
};
use countersign::store::{RedisTokenStore, TokenStore};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::RefreshableStrategy;
use countersign::testing::ManualClock;
use countersign::token::DigestKeyRing;
use countersign::user::UserKeyKind;
use countersign::{Failure, Secret, SystemEntropy, User};
use testbed::{MariaDb, Postgres};

/// The number of refreshes between two sweeps.
const SWEEP: u64 = 1000;

/// A user with an integer id.
#[derive(Debug)]
struct Account(i64);

impl User for Account {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.0
    }
}

/// Returns the user of an id. Every id has one.
async fn users(id: i64) -> Result<Option<Account>, Failure> {
    Ok(Some(Account(id)))
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let names = ["sqlite", "postgres", "mariadb", "redis"];
    let asked =
        |name: &&str| arguments.len() == 1 || arguments.iter().any(|argument| argument == name);
    for name in names.iter().filter(|name| asked(name)) {
        println!("{name}: refreshes, refresh tokens, access tokens, KiB");
        match *name {
            "redis" => on_redis().await,
            name => on_sql(name).await,
        }
    }
}

/// Returns the number of refreshes.
fn refreshes() -> u64 {
    std::env::var("COUNTERSIGN_BENCH_REFRESHES")
        .map_or(20_000, |text| text.parse().expect("a number"))
}

/// Refreshes one session, sweeps now and then, and prints the figures of `kept` at ten points.
///
/// These are the numbers of refresh tokens and of access tokens, and the size in bytes.
async fn grow<S: TokenStore>(store: S, digests: DigestKeyRing, kept: impl AsyncFn() -> [u64; 3]) {
    let (clock, number) = (Arc::new(ManualClock::default()), refreshes());
    let strategy = DatabaseTokenStrategy::builder(store)
        .digest_keys(digests)
        .clock(clock.clone())
        .max_age(Duration::from_mins(15))
        .session_lifetime(None)
        .build()
        .unwrap();
    let mut token = strategy
        .open_session(&Account(1))
        .await
        .unwrap()
        .refresh
        .unwrap()
        .token;
    let start = Instant::now();
    for refresh in 1..=number {
        clock.advance(Duration::from_mins(1));
        let refreshed = strategy.refresh_session(&token, &users).await;
        let refreshed = refreshed.unwrap_or_else(|error| panic!("{error} after {refresh}"));
        token = refreshed.issued.refresh.unwrap().token;
        if refresh % SWEEP == 0 {
            strategy.cleanup_expired(1000, &mut |_| ()).await.unwrap();
        }
        if refresh % (number / 10).max(1) == 0 {
            let [refresh_tokens, access_tokens, bytes] = kept().await;
            println!(
                "{refresh:>9} {refresh_tokens:>3} {access_tokens:>5} {:>8}",
                bytes / 1024
            );
        }
    }
    println!(
        "{:>9.0} refreshes a second",
        number as f64 / start.elapsed().as_secs_f64()
    );
}

/// Returns a key ring with a random key.
fn digests() -> DigestKeyRing {
    DigestKeyRing::new("bench", &Secret::generate(&SystemEntropy).unwrap()).unwrap()
}

/// Measures the database of this name.
async fn on_sql(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("tokens.sqlite");
    let (url, size) = match name {
        "sqlite" => (
            format!("sqlite://{}", file.display()),
            "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()",
        ),
        "postgres" => (
            Postgres::shared().database(),
            "SELECT pg_total_relation_size('refresh_token') + pg_total_relation_size('access_token')",
        ),
        _ => (
            MariaDb::shared().database(),
            "SELECT CAST(SUM(file_size) AS SIGNED) FROM information_schema.innodb_sys_tablespaces \
             WHERE name LIKE CONCAT(DATABASE(), '/%token')",
        ),
    };
    let options = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
    let database = Database::connect(&url, options).unwrap();
    Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap();
    let store = SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Int),
    );
    let number = async |question: &str| -> u64 {
        let statement = Statement::new(database.dialect(), question);
        let rows = database.fetch(&statement, &[]).await.unwrap();
        rows[0].int(0).unwrap().unwrap().try_into().unwrap()
    };
    let log = file.with_extension("sqlite-wal");
    grow(store, digests(), async || {
        let counts = [
            number("SELECT count(*) FROM refresh_token").await,
            number("SELECT count(*) FROM access_token").await,
        ];
        // SQLite's write-ahead log is a file of its own.
        let beside = std::fs::metadata(&log).map_or(0, |found| found.len());
        [counts[0], counts[1], number(size).await + beside]
    })
    .await;
}

/// Measures Redis.
async fn on_redis() {
    let server = testbed::Redis::shared();
    let (prefix, digests) = (server.prefix(), digests());
    let redis = Redis::connect(
        server.url(),
        RedisOptions::default().with_timeout(Duration::from_secs(30)),
    )
    .unwrap();
    let store = RedisTokenStore::new(&redis, &digests)
        .with_key_prefix(&prefix)
        .unwrap();
    let command = |arguments: &[&str]| server.command(arguments).trim().to_owned();
    grow(store, digests, async || {
        let key = command(&["KEYS", &format!("{prefix}*")]);
        let fields = command(&["HKEYS", &key]);
        let of_kind = |kind| {
            fields
                .lines()
                .filter(|field| field.len() > 1 && field.starts_with(kind))
                .count() as u64
        };
        let bytes = command(&["MEMORY", "USAGE", &key, "SAMPLES", "0"]);
        [of_kind('s'), of_kind('a'), bytes.parse().unwrap()]
    })
    .await;
}
