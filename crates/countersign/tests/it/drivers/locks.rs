//! One account's row is held by a stranger's transaction: its own logins wait, and nobody else does.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use countersign::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Dialect, Migrator, SqlStore,
};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::RefreshableStrategy;
use countersign::user::UserKeyKind;
use countersign::{Failure, Secret, SystemEntropy, TokenPair};
use tokio::task::JoinSet;

use crate::drivers::place::{Place, eventually, on_both, through_pgbouncer};
use crate::fixture::users::{Account, numbered_users};

on_both!(
    one_accounts_lock_holds_up_nobody_else,
    many_accounts_locks_hold_up_nobody_else
);
through_pgbouncer!(one_accounts_lock_holds_up_nobody_else);

/// The account whose row is held.
const HELD: i64 = 1;
/// How many log in to it at once.
const AT_ONCE: usize = 200;
/// How many logins and refreshes of others are waited for.
const OTHERS: usize = 400;

type Member = Account<i64>;
type Members = DatabaseTokenStrategy<SqlStore>;

async fn strategy(place: &Place) -> Arc<Members> {
    // Long enough for whoever waits to wait all the time.
    let options = DatabaseOptions::default().with_timeout(Duration::from_secs(6));
    let database = Database::connect(&place.url, options).unwrap();
    Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap();
    let store = SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Int),
    );
    let secret = Secret::generate(&SystemEntropy).unwrap();
    Arc::new(
        DatabaseTokenStrategy::builder(store)
            .token_hash_secret(&secret)
            .build()
            .unwrap(),
    )
}

async fn log_in(strategy: &Members, member: &Member) -> Result<TokenPair, Failure> {
    strategy.open_session(member).await
}

/// Logins and refreshes of others, by eight at once, until `enough` of them are done; how long it took.
async fn others(strategy: &Arc<Members>, first: i64, enough: usize) -> Duration {
    let done = Arc::new(AtomicUsize::new(0));
    let start = Instant::now();
    let mut crowd = JoinSet::new();
    for caller in 0..8 {
        let (strategy, done) = (Arc::clone(strategy), Arc::clone(&done));
        crowd.spawn(async move {
            let member = Member::of(first + caller);
            while done.load(Ordering::Relaxed) < enough {
                let issued = log_in(&strategy, &member)
                    .await
                    .expect("a login of another account");
                let refreshed = strategy
                    .refresh_session(&issued.refresh.unwrap().token, &numbered_users)
                    .await;
                refreshed.expect("a refresh of another account");
                done.fetch_add(2, Ordering::Relaxed);
            }
        });
    }
    while let Some(result) = crowd.join_next().await {
        result.unwrap();
    }
    start.elapsed()
}

/// A stranger's transaction that holds the fences of the accounts from 1 to `last`, until it is dropped.
async fn hold(place: &Place, last: i64) -> Box<dyn std::any::Any + Send> {
    // One by one: MariaDB would lock every row that it looks at on the way.
    let hold = (1..=last)
        .map(|account| format!("SELECT * FROM session_fence WHERE user_id = {account} FOR UPDATE"));
    match place.dialect {
        Dialect::Postgres => {
            let (client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
                .await
                .unwrap();
            tokio::spawn(connection);
            client.batch_execute("BEGIN").await.unwrap();
            for hold in hold {
                client.batch_execute(&hold).await.unwrap();
            }
            Box::new(client)
        }
        _ => {
            use mysql_async::prelude::Queryable;
            let mut connection = mysql_async::Conn::from_url(&place.url).await.unwrap();
            connection.query_drop("BEGIN").await.unwrap();
            for hold in hold {
                connection.query_drop(hold).await.unwrap();
            }
            Box::new(connection)
        }
    }
}

async fn one_accounts_lock_holds_up_nobody_else(place: Place) {
    let strategy = strategy(&place).await;
    log_in(&strategy, &Member::of(HELD)).await.unwrap();
    let alone = others(&strategy, 100, OTHERS).await;
    let lock = hold(&place, HELD).await;
    let is_held = Arc::new(AtomicBool::new(true));
    let mut logins = JoinSet::new();
    for _ in 0..AT_ONCE {
        let (strategy, is_held) = (Arc::clone(&strategy), Arc::clone(&is_held));
        logins.spawn(async move {
            let result = log_in(&strategy, &Member::of(HELD)).await;
            assert!(
                result.is_err() || !is_held.load(Ordering::SeqCst),
                "a login went past the lock"
            );
        });
    }
    let beside = others(&strategy, 100, OTHERS).await;
    eprintln!(
        "others took {:.2} times as long beside the lock",
        beside.as_secs_f64() / alone.as_secs_f64()
    );
    is_held.store(false, Ordering::SeqCst);
    drop(lock);
    while let Some(login) = logins.join_next().await {
        login.unwrap();
    }
    eventually("the account may log in again", || async {
        log_in(&strategy, &Member::of(HELD)).await.is_ok()
    })
    .await;
}

/// More rows are held, each with its own logins, than there are connections.
async fn many_accounts_locks_hold_up_nobody_else(place: Place) {
    const ACCOUNTS: i64 = 20;
    let strategy = strategy(&place).await;
    for account in 1..=ACCOUNTS {
        log_in(&strategy, &Member::of(account)).await.unwrap();
    }
    let alone = others(&strategy, 100, OTHERS).await;
    let lock = hold(&place, ACCOUNTS).await;
    let mut logins = JoinSet::new();
    for account in (1..=ACCOUNTS).chain(1..=ACCOUNTS) {
        let strategy = Arc::clone(&strategy);
        logins.spawn(async move { drop(log_in(&strategy, &Member::of(account)).await) });
    }
    let beside = others(&strategy, 100, OTHERS).await;
    eprintln!(
        "others took {:.2} times as long beside the locks",
        beside.as_secs_f64() / alone.as_secs_f64()
    );
    drop(lock);
    logins.join_all().await;
}
