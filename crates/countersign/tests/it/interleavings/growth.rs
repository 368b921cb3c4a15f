//! What is kept of a session that is refreshed over and over, and what two sweepers make of the same rows.

use std::sync::Arc;
use std::time::Duration;

use countersign::store::TokenStore;
use countersign::store::sql::{Database, Driver, Script, Statement};
use countersign::strategy::RefreshableStrategy;
use countersign::strategy::{DatabaseTokenStrategy, DatabaseTokenStrategyBuilder};
use countersign::testing::ManualClock;
use tokio::sync::Barrier;
use tokio::task::JoinSet;

use crate::fixture::databases::{Kind, Place};
use crate::fixture::users::{Account, users};
use crate::interleavings::site::{digests, store};

const REFRESHES: u64 = 2000;
const EVERY: Duration = Duration::from_mins(1);
const ACCESS: Duration = Duration::from_mins(15);

/// How many refreshes there are between two sweeps.
const SWEEP: u64 = 100;

/// Access tokens that are good at a time, and those that have ended since the last sweep.
const BOUND: u64 = 15 + SWEEP + 1;

fn builder<S: TokenStore>(store: S, clock: &Arc<ManualClock>) -> DatabaseTokenStrategyBuilder<S> {
    let builder = DatabaseTokenStrategy::builder(store)
        .digest_keys(digests())
        .clock(clock.clone());
    builder.max_age(ACCESS).session_lifetime(None)
}

async fn rows(database: &Database, table: &str) -> u64 {
    let count = Statement::new(database.dialect(), &format!("SELECT count(*) FROM {table}"));
    database.fetch(&count, &[]).await.unwrap()[0]
        .int(0)
        .unwrap()
        .unwrap()
        .try_into()
        .unwrap()
}

/// One session, a refresh a minute, and a sweep now and then: one refresh token is kept throughout, and no access token
/// that ended before the last sweep.
async fn stays_small(kind: Kind) {
    let place = Place::new(kind);
    let database = place.migrated().await;
    let clock = Arc::new(ManualClock::default());
    let strategy = builder(store(&database), &clock).build().unwrap();
    let pair = strategy.open_session(&Account::new(1)).await.unwrap();
    let mut token = pair.refresh.unwrap().token;
    for refresh in 1..=REFRESHES {
        clock.advance(EVERY);
        let refreshed = strategy.refresh_session(&token, &users).await;
        let refreshed = refreshed.unwrap_or_else(|error| panic!("{error} after {refresh}"));
        token = refreshed.issued.refresh.unwrap().token;
        if refresh % SWEEP == 0 {
            let kept = rows(&database, "access_token").await;
            assert!(kept <= BOUND, "{kept} after {refresh}");
            strategy.cleanup_expired(10, &mut |_| ()).await.unwrap();
            let kept = (
                rows(&database, "refresh_token").await,
                rows(&database, "access_token").await,
            );
            assert_eq!(kept, (1, 15), "after {refresh}");
        }
    }
}

#[cfg(feature = "redis")]
#[tokio::test]
async fn a_session_on_redis_stays_small() {
    let (server, clock) = (testbed::Redis::shared(), Arc::new(ManualClock::default()));
    let prefix = server.prefix();
    let strategy = builder(
        crate::interleavings::site::on_redis(server.url(), &prefix),
        &clock,
    )
    .build()
    .unwrap();
    let mut token = strategy
        .open_session(&Account::new(1))
        .await
        .unwrap()
        .refresh
        .unwrap()
        .token;
    let key = server.command(&["KEYS", &format!("{prefix}*")]);
    for refresh in 1..=REFRESHES {
        clock.advance(EVERY);
        let refreshed = strategy.refresh_session(&token, &users).await;
        let refreshed = refreshed.unwrap_or_else(|error| panic!("{error} after {refresh}"));
        token = refreshed.issued.refresh.unwrap().token;
        if refresh % SWEEP == 0 {
            let fields = server.command(&["HKEYS", key.trim()]);
            let (access, others): (Vec<&str>, Vec<&str>) =
                fields.lines().partition(|field| field.starts_with('a'));
            // Access tokens end by themselves, a minute after their end at the latest.
            assert!(
                access.len() <= 16,
                "{} access tokens after {refresh}",
                access.len()
            );
            let mut others: Vec<_> = others.iter().map(|field| field.split_at(1).0).collect();
            others.sort_unstable();
            // The user's fence, that nothing behind none is left, the session, the user, and the time of the next look.
            assert_eq!(others, ["e", "o", "s", "u", "x"], "after {refresh}");
        }
    }
}

const EXPIRED: u64 = 4000;

/// Sweepers of several processes share the work: none fails, and each row is counted by one of them.
async fn sweepers_share(kind: Kind) {
    let place = Place::new(kind);
    let database = place.migrated().await;
    let clock = Arc::new(ManualClock::default());
    let strategy = builder(store(&database), &clock).build().unwrap();
    let live = strategy.open_session(&Account::new(1)).await.unwrap();
    for round in 0..5 {
        expire(&database).await;
        let (mut sweepers, barrier) = (JoinSet::new(), Arc::new(Barrier::new(2)));
        for _ in 0..2 {
            let strategy = builder(store(&place.database()), &clock).build().unwrap();
            let barrier = Arc::clone(&barrier);
            sweepers.spawn(async move {
                strategy.sessions().store().ping().await.unwrap();
                barrier.wait().await;
                strategy.cleanup_expired(500, &mut |_| ()).await.unwrap()
            });
        }
        let removed: u64 = sweepers.join_all().await.into_iter().sum();
        assert_eq!(
            removed,
            2 * EXPIRED,
            "in round {round}, nobody stops while rows are left"
        );
        assert_eq!(
            (
                rows(&database, "access_token").await,
                rows(&database, "refresh_token").await
            ),
            (1, 1)
        );
    }
    let refreshed = strategy
        .refresh_session(&live.refresh.unwrap().token, &users)
        .await;
    assert!(refreshed.is_ok());
}

/// A sweeper takes other rows than those that another one is about to remove, and neither waits nor says that it is done.
#[cfg(feature = "postgres")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sweepers_on_postgres_take_rows_of_their_own() {
    use countersign::store::sql::PostgresSession;

    const BATCH: u32 = 100;
    let (place, database, strategy) = full(Kind::Postgres).await;
    let (mut client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    let transaction = client.transaction().await.unwrap();
    let first = strategy.with_session(PostgresSession::new(&transaction));
    let first = first.sessions().sweep(BATCH).await.unwrap();
    let second = strategy.sessions().sweep(BATCH).await.unwrap();
    for swept in [first, second] {
        assert_eq!(
            (swept.access, swept.refresh, swept.more),
            (BATCH.into(), BATCH.into(), true)
        );
    }
    transaction.commit().await.unwrap();
    let left = EXPIRED - 2 * u64::from(BATCH);
    assert_eq!(
        (
            rows(&database, "access_token").await,
            rows(&database, "refresh_token").await
        ),
        (left, left)
    );
}

/// What a batch costs depends on what it removes, and not on how much there is to remove.
#[cfg(feature = "mysql")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_batch_on_mariadb_reads_little_more_than_it_removes() {
    use countersign::store::sql::MysqlSession;
    use mysql_async::prelude::Queryable;

    const BATCH: u32 = 100;
    let (place, _, strategy) = full(Kind::MariaDb).await;
    let mut connection = mysql_async::Conn::from_url(&place.url).await.unwrap();
    connection.query_drop("FLUSH STATUS").await.unwrap();
    let mut transaction = connection
        .start_transaction(mysql_async::TxOpts::default())
        .await
        .unwrap();
    let inside = strategy.with_session(MysqlSession::new(&mut transaction));
    let swept = inside.sessions().sweep(BATCH).await.unwrap();
    transaction.commit().await.unwrap();
    assert_eq!(
        (swept.access, swept.refresh, swept.more),
        (BATCH.into(), BATCH.into(), true)
    );
    let read: Vec<(String, u64)> = connection
        .query("SHOW SESSION STATUS LIKE 'Handler_read_%'")
        .await
        .unwrap();
    let rows: u64 = read.iter().map(|(_, rows)| rows).sum();
    assert!(
        rows < 10 * u64::from(BATCH),
        "{rows} rows read to remove {} of {}: {read:?}",
        2 * BATCH,
        2 * EXPIRED
    );
}

/// A database whose tables hold nothing but rows that have expired.
#[cfg(any(feature = "postgres", feature = "mysql"))]
async fn full(
    kind: Kind,
) -> (
    Place,
    Database,
    DatabaseTokenStrategy<countersign::store::sql::SqlStore>,
) {
    let place = Place::new(kind);
    let database = place.migrated().await;
    let strategy = builder(store(&database), &Arc::new(ManualClock::default()))
        .build()
        .unwrap();
    expire(&database).await;
    (place, database, strategy)
}

/// Fills both tables with rows that have expired.
async fn expire(database: &Database) {
    expire_in(database, "access_token", "expires_at", "1").await;
    expire_in(
        database,
        "refresh_token",
        "expires_at, family, session_id, opened_at",
        "1, 'f', 's', 1",
    )
    .await;
}

async fn expire_in(database: &Database, table: &str, columns: &str, values: &str) {
    let numbers = format!(
        "n AS (SELECT 1 AS n UNION ALL SELECT n + 1 FROM n WHERE n < {})",
        EXPIRED / 10
    );
    let digits = "d AS (SELECT 0 AS d UNION ALL SELECT d + 1 FROM d WHERE d < 9)";
    let rows = format!(
        "WITH RECURSIVE {numbers}, {digits} SELECT concat_text, ?1, ?2, {values} FROM n, d"
    );
    let text = match database.dialect() {
        countersign::store::sql::Dialect::Mysql => "CONCAT('t', n, '-', d)",
        _ => "'t' || n || '-' || d",
    };
    let rows = rows.replace("concat_text", text);
    let insert = format!("INSERT INTO {table} (token, created_at, user_id, {columns}) {rows}");
    let params = [
        countersign::Timestamp::from_unix_seconds(1).into(),
        countersign::store::Value::Uuid(uuid::Uuid::nil()),
    ];
    database
        .run(&Script::new(database.dialect(), &[&insert]), &params)
        .await
        .unwrap();
}

macro_rules! mount {
    ($feature:literal, $kind:ident, $small:ident, $shared:ident) => {
        #[cfg(feature = $feature)]
        #[tokio::test]
        async fn $small() {
            stays_small(Kind::$kind).await;
        }

        #[cfg(feature = $feature)]
        #[tokio::test(flavor = "multi_thread", worker_threads = 4)]
        async fn $shared() {
            sweepers_share(Kind::$kind).await;
        }
    };
}

mount!(
    "sqlite",
    Sqlite,
    a_session_on_sqlite_stays_small,
    sweepers_on_sqlite_share
);
mount!(
    "postgres",
    Postgres,
    a_session_on_postgres_stays_small,
    sweepers_on_postgres_share
);
mount!(
    "mysql",
    MariaDb,
    a_session_on_mariadb_stays_small,
    sweepers_on_mariadb_share
);
