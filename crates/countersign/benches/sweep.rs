//! The effect of a sweep on readers and writers, on SQLite, PostgreSQL and MariaDB.
//!
//! Expired rows are deleted in batches of at most 1000 rows. Four readers ask for live access
//! tokens, each 500 times per second, and one writer issues 20 tokens per second: first beside
//! nothing, then beside one sweeper, and then, with as many expired rows again, beside two.
//!
//! `cargo bench -p countersign --all-features --bench sweep -- sqlite` measures one database;
//! without a name, all three. `COUNTERSIGN_BENCH_ROWS` is the number of expired rows, half of them
//! access tokens and half refresh tokens. It defaults to 100,000.

#![allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Dialect, Driver, Migrator, Script, SqlStore,
};
use countersign::store::{SweepPace, TokenStore, Value};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::token::{Digest, DigestKeyRing};
use countersign::user::UserKeyKind;
use countersign::{Secret, SystemEntropy, Timestamp, User};
use testbed::{MariaDb, Postgres};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

/// The number of readers.
const READERS: usize = 4;
/// The interval of each reader.
const PACE: Duration = Duration::from_millis(2);
/// The interval of the writer.
const WRITER_PACE: Duration = Duration::from_millis(50);
/// The time for which readers and writer are measured without a sweep.
const QUIET: Duration = Duration::from_secs(10);
/// The number of live access tokens.
const LIVE: usize = 10_000;
/// The largest number of rows of each kind in one batch.
const BATCH: u32 = 1000;

/// A user with an integer id.
#[derive(Debug)]
struct Account(i64);

impl User for Account {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.0
    }
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if !arguments.iter().any(|argument| argument == "--bench") {
        return;
    }
    let asked =
        |name: &&str| arguments.len() == 1 || arguments.iter().any(|argument| argument == name);
    for name in ["sqlite", "postgres", "mariadb"]
        .iter()
        .filter(|name| asked(name))
    {
        measure(name).await;
    }
}

/// Returns the number of expired rows.
fn rows() -> u64 {
    std::env::var("COUNTERSIGN_BENCH_ROWS").map_or(100_000, |text| text.parse().expect("a number"))
}

/// Measures one database and prints the figures.
async fn measure(name: &str) {
    let folder = tempfile::tempdir().unwrap();
    let url = match name {
        "sqlite" => format!("sqlite://{}", folder.path().join("tokens.sqlite").display()),
        "postgres" => Postgres::shared().database(),
        _ => MariaDb::shared().database(),
    };
    let site = Site::prepare(&url).await;
    site.expire(rows()).await;
    let (quiet, ()) = site.busy_during(pass(QUIET)).await;
    println!("{name}: {} expired rows; alone: {}", rows(), quiet.told());
    for sweepers in [1, 2] {
        if sweepers > 1 {
            site.expire(rows()).await;
        }
        let start = Instant::now();
        let (beside, sweeps) = site.busy_during(site.sweep(sweepers)).await;
        let seconds = start.elapsed().as_secs_f64();
        let removed: u64 = sweeps.iter().map(|sweep| sweep.removed).sum();
        assert_eq!(removed, rows(), "each row once, and none left");
        let mut batches: Vec<Duration> =
            sweeps.into_iter().flat_map(|sweep| sweep.batches).collect();
        batches.sort_unstable();
        println!(
            "  beside {sweepers}: {removed} rows in {} batches and {seconds:.0} s; a batch {:.1} ms, the slowest {:.1} ms; \
             {}, readers' p99 {:.1} times, the writer's {:.1}",
            batches.len(),
            millis(batches[batches.len() / 2]),
            millis(batches[batches.len() - 1]),
            beside.told(),
            beside.reads.at(0.99) / quiet.reads.at(0.99),
            beside.writes.at(0.99) / quiet.writes.at(0.99),
        );
    }
}

/// Waits for this time.
async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}

/// Returns a time in milliseconds.
fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// A database with live tokens, and the keys that they were digested with.
struct Site {
    url: String,
    digests: DigestKeyRing,
    store: SqlStore,
    live: Arc<[Digest]>,
}

/// The times of requests, the shortest first.
struct Times(Vec<Duration>);

/// The times of reads and writes.
struct Felt {
    reads: Times,
    writes: Times,
}

impl Felt {
    /// Returns the figures as text.
    fn told(&self) -> String {
        format!(
            "{} reads, {}; {} writes, {}",
            self.reads.0.len(),
            self.reads.told(),
            self.writes.0.len(),
            self.writes.told()
        )
    }
}

impl Times {
    /// Sorts the times.
    fn of(mut times: Vec<Duration>) -> Self {
        times.sort_unstable();
        Self(times)
    }

    /// Returns the time within which this part of the requests was done, in milliseconds.
    fn at(&self, part: f64) -> f64 {
        let place = (self.0.len() as f64 * part) as usize;
        millis(self.0[place.min(self.0.len() - 1)])
    }

    /// Returns the figures as text.
    fn told(&self) -> String {
        let [p50, p99, all] = [0.5, 0.99, 1.0].map(|part| self.at(part));
        format!("p50 {p50:.2} ms, p99 {p99:.2} ms, slowest {all:.1} ms")
    }
}

/// The outcome of one sweeper: the number of deleted rows, and the time of each batch.
#[derive(Default)]
struct Sweep {
    removed: u64,
    batches: Vec<Duration>,
}

/// Returns a handle on the database, with a long timeout.
fn connect(url: &str) -> Database {
    Database::connect(
        url,
        DatabaseOptions::default().with_timeout(Duration::from_secs(30)),
    )
    .unwrap()
}

/// Returns a store of its own on the database.
fn store(database: &Database) -> SqlStore {
    SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Int),
    )
}

impl Site {
    /// Creates the tables and the live tokens.
    async fn prepare(url: &str) -> Self {
        let database = connect(url);
        Migrator::new(&database, UserKeyKind::Int)
            .run()
            .await
            .unwrap();
        let digests =
            DigestKeyRing::new("bench", &Secret::generate(&SystemEntropy).unwrap()).unwrap();
        let strategy = DatabaseTokenStrategy::builder(store(&database))
            .digest_keys(digests.clone())
            .build()
            .unwrap();
        let mut live = Vec::with_capacity(LIVE);
        for user in (0..LIVE).map(|number| Account(i64::try_from(number).unwrap())) {
            live.push(digests.digest(&strategy.write_token(&user).await.unwrap().token));
        }
        Self {
            url: url.to_owned(),
            digests,
            store: store(&database),
            live: live.into(),
        }
    }

    /// Adds this number of expired rows, half of them to each table, with one statement for each.
    async fn expire(&self, rows: u64) {
        let database = connect(&self.url);
        let (numbers, token) = match database.dialect() {
            Dialect::Sqlite => (
                "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?3) SELECT",
                "lower(hex(randomblob(32)))",
            ),
            Dialect::Postgres => (
                "WITH s (n) AS (SELECT generate_series(1, ?3)) SELECT",
                "md5(random()::text) || md5(n::text)",
            ),
            Dialect::Mysql => (
                "WITH RECURSIVE s (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM s WHERE n < ?3) SELECT",
                "SHA2(CONCAT(RAND(), n), 256)",
            ),
        };
        let mut steps = vec![];
        if database.dialect() == Dialect::Mysql {
            steps.push("SET max_recursive_iterations = 100000000".to_owned());
        }
        for table in ["access_token", "refresh_token"] {
            let columns = "token, created_at, user_id, session_id, expires_at";
            let (user, end) = ("CAST(1000000 + n AS {int})", "CAST(1000000 + n AS {int})");
            let int = if database.dialect() == Dialect::Mysql {
                "SIGNED"
            } else {
                "BIGINT"
            };
            let values = format!("{token}, ?1, {user}, ?2, {end}").replace("{int}", int);
            steps.push(format!(
                "INSERT INTO {table} ({columns}) {numbers} {values} FROM s"
            ));
        }
        let params = [
            Timestamp::from_unix_seconds(1).into(),
            Value::Text("11111111-2222-4333-8444-555555555555".to_owned()),
            i64::try_from(rows / 2).unwrap().into(),
        ];
        let patient = database.patient_driver().unwrap();
        for step in &steps {
            patient
                .run(
                    &Script::new(database.dialect(), &["SELECT 1", step]),
                    &params,
                )
                .await
                .unwrap();
        }
    }

    /// Reads and writes at a steady pace for as long as `meanwhile` takes.
    async fn busy_during<T>(&self, meanwhile: impl Future<Output = T>) -> (Felt, T) {
        let stop = Arc::new(AtomicBool::new(false));
        let mut readers = JoinSet::new();
        for reader in 0..READERS {
            let (store, live, stop) = (
                self.store.clone(),
                Arc::clone(&self.live),
                Arc::clone(&stop),
            );
            readers.spawn(async move {
                let (mut times, mut n) = (Vec::new(), reader * 2503);
                let mut pace = tokio::time::interval(PACE);
                pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
                while !stop.load(Ordering::Relaxed) {
                    pace.tick().await;
                    n += 7919;
                    let start = Instant::now();
                    assert!(
                        store
                            .find_access(&live[n % LIVE].clone().into())
                            .await
                            .unwrap()
                            .is_some()
                    );
                    times.push(start.elapsed());
                }
                times
            });
        }
        let writing = tokio::spawn(write(self.strategy(self.store.clone()), Arc::clone(&stop)));
        let outcome = meanwhile.await;
        stop.store(true, Ordering::Relaxed);
        let reads = Times::of(readers.join_all().await.into_iter().flatten().collect());
        (
            Felt {
                reads,
                writes: Times::of(writing.await.unwrap()),
            },
            outcome,
        )
    }

    /// Returns a strategy on this store, with the keys of the live tokens.
    fn strategy(&self, store: SqlStore) -> DatabaseTokenStrategy<SqlStore> {
        DatabaseTokenStrategy::builder(store)
            .digest_keys(self.digests.clone())
            .build()
            .unwrap()
    }

    /// Sweeps with this number of sweepers at once, each until it finds nothing more.
    async fn sweep(&self, sweepers: usize) -> Vec<Sweep> {
        let mut running = JoinSet::new();
        for _ in 0..sweepers {
            let strategy = self.strategy(store(&connect(&self.url)));
            running.spawn(async move {
                let (mut sweep, mut pace) = (Sweep::default(), SweepPace::new(BATCH));
                loop {
                    let start = Instant::now();
                    let swept = strategy.sessions().sweep(pace.rows()).await.unwrap();
                    let took = start.elapsed();
                    pace.learn(took);
                    sweep.removed += swept.access + swept.refresh;
                    sweep.batches.push(took);
                    if !swept.more {
                        return sweep;
                    }
                    SweepPace::rest(took).await;
                }
            });
        }
        running.join_all().await
    }
}

/// Issues tokens at a steady pace until told to stop, and returns the time of each.
async fn write(strategy: DatabaseTokenStrategy<SqlStore>, stop: Arc<AtomicBool>) -> Vec<Duration> {
    let mut times = Vec::new();
    let mut pace = tokio::time::interval(WRITER_PACE);
    pace.set_missed_tick_behavior(MissedTickBehavior::Delay);
    while !stop.load(Ordering::Relaxed) {
        pace.tick().await;
        let start = Instant::now();
        strategy.write_token(&Account(-1)).await.unwrap();
        times.push(start.elapsed());
    }
    times
}
