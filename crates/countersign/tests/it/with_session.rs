//! Tokens inside the caller's transaction, on PostgreSQL and MariaDB (promise P12; conformance cases 026 and 027).

#![cfg(all(
    feature = "postgres",
    feature = "mysql",
    feature = "sqlx-postgres",
    feature = "sqlx-mysql"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::time::Duration;

use countersign::store::sql::sqlx::{MySqlPool, PgPool};
use countersign::store::sql::{
    Driver, MysqlSession, PostgresSession, SqlStore, SqlxDriver, SqlxSession,
};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy, TokenControl};
use countersign::token::{Invalidated, TokenStatus};
use countersign::{PlainToken, Refusal, TokenPair};
use mysql_async::TxOpts;

use crate::fixture::databases::{Kind, Place, strategy};
use crate::fixture::users::{Account, users};

async fn is_good<D: Driver>(
    strategy: &DatabaseTokenStrategy<SqlStore<D>>,
    token: &PlainToken,
) -> bool {
    let answer: TokenStatus<Account> = strategy.read_token(Some(token), &users).await.unwrap();
    answer.accepted().is_some()
}

/// A session whose refresh token has been exchanged twice, and that token.
async fn stolen(outside: &DatabaseTokenStrategy<SqlStore>) -> (TokenPair, PlainToken) {
    let mut pair = outside.open_session(&Account::new(1)).await.unwrap();
    let stale = pair.refresh.clone().expect("a refresh token").token;
    for _ in 0..2 {
        let current = &pair.refresh.as_ref().expect("a refresh token").token;
        pair = outside
            .refresh_session(current, &users)
            .await
            .unwrap()
            .issued;
    }
    (pair, stale)
}

/// Conformance case 055: reuse that is noticed inside the caller's transaction ends the session although that is rolled back.
async fn ends_at_once<D: Driver>(inside: &DatabaseTokenStrategy<SqlStore<D>>, stale: &PlainToken) {
    let reused = inside.refresh_session(stale, &users).await.unwrap_err();
    assert_eq!(reused.refusal(), Some(Refusal::Reused));
}

async fn is_over(outside: &DatabaseTokenStrategy<SqlStore>, pair: &TokenPair) {
    assert!(
        !is_good(outside, &pair.access.token).await,
        "a rollback brought a stolen session back"
    );
    let refresh = &pair.refresh.as_ref().expect("a refresh token").token;
    let refused = outside.refresh_session(refresh, &users).await.unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Unknown));
}

/// Logs in and refreshes, with a retry, all inside the caller's transaction.
async fn log_in<D: Driver>(inside: &DatabaseTokenStrategy<SqlStore<D>>) -> TokenPair {
    let pair = inside.open_session(&Account::new(1)).await.unwrap();
    let refresh = pair.refresh.expect("a refresh token").token;
    let issued = inside
        .refresh_session(&refresh, &users)
        .await
        .unwrap()
        .issued;
    let again = inside
        .refresh_session(&refresh, &users)
        .await
        .unwrap()
        .issued;
    assert!(
        again.access.token == issued.access.token,
        "a lost answer is told again"
    );
    assert!(
        is_good(inside, &issued.access.token).await,
        "the transaction sees its own work"
    );
    issued
}

async fn outside_after(
    outside: &DatabaseTokenStrategy<SqlStore>,
    pair: &TokenPair,
    committed: bool,
) {
    assert_eq!(is_good(outside, &pair.access.token).await, committed);
    let refresh = pair.refresh.as_ref().expect("a refresh token");
    let refreshed = outside
        .refresh_session(&refresh.token, &users)
        .await
        .map(drop)
        .map_err(|error| error.refusal());
    assert_eq!(
        refreshed,
        if committed {
            Ok(())
        } else {
            Err(Some(Refusal::Unknown))
        }
    );
    // One session; or nothing at all.
    let all = outside
        .invalidate_all(&Account::new(1).key())
        .await
        .unwrap();
    assert_eq!(all, Invalidated::All(u64::from(committed)));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_postgres() {
    let place = Place::new(Kind::Postgres);
    let outside = strategy(&place.migrated().await);
    let (mut client, connection) = tokio_postgres::connect(&place.url, tokio_postgres::NoTls)
        .await
        .unwrap();
    tokio::spawn(connection);
    for commit in [false, true] {
        let transaction = client.transaction().await.unwrap();
        let pair = log_in(&outside.with_session(PostgresSession::new(&transaction))).await;
        assert!(
            !is_good(&outside, &pair.access.token).await,
            "nobody else sees it before the commit"
        );
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        outside_after(&outside, &pair, commit).await;
    }
    let (pair, stale) = stolen(&outside).await;
    let transaction = client.transaction().await.unwrap();
    ends_at_once(
        &outside.with_session(PostgresSession::new(&transaction)),
        &stale,
    )
    .await;
    transaction.rollback().await.unwrap();
    is_over(&outside, &pair).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_mariadb() {
    let place = Place::new(Kind::MariaDb);
    let outside = strategy(&place.migrated().await);
    let mut connection = mysql_async::Conn::from_url(&place.url).await.unwrap();
    for commit in [false, true] {
        let mut transaction = connection
            .start_transaction(TxOpts::default())
            .await
            .unwrap();
        let pair = log_in(&outside.with_session(MysqlSession::new(&mut transaction))).await;
        assert!(
            !is_good(&outside, &pair.access.token).await,
            "nobody else sees it before the commit"
        );
        if commit {
            transaction.commit().await.unwrap();
        } else {
            transaction.rollback().await.unwrap();
        }
        outside_after(&outside, &pair, commit).await;
    }
    let (pair, stale) = stolen(&outside).await;
    let mut transaction = connection
        .start_transaction(TxOpts::default())
        .await
        .unwrap();
    ends_at_once(
        &outside.with_session(MysqlSession::new(&mut transaction)),
        &stale,
    )
    .await;
    transaction.rollback().await.unwrap();
    is_over(&outside, &pair).await;
}

/// The same in a transaction of an application's sqlx pool, which the strategy outside works on too.
macro_rules! on_sqlx {
    ($pool:ty, $kind:expr) => {{
        let place = Place::new($kind);
        place.migrated().await;
        let pool = <$pool>::connect(&place.url).await.unwrap();
        let driver = SqlxDriver::new(pool.clone()).timeout(Duration::from_secs(30));
        let outside = strategy(&driver.into());
        for commit in [false, true] {
            let mut transaction = pool.begin().await.unwrap();
            let session = SqlxSession::new(&mut transaction).timeout(Duration::from_secs(30));
            let pair = log_in(&outside.with_session(session)).await;
            assert!(
                !is_good(&outside, &pair.access.token).await,
                "nobody else sees it before the commit"
            );
            if commit {
                transaction.commit().await.unwrap();
            } else {
                transaction.rollback().await.unwrap();
            }
            outside_after(&outside, &pair, commit).await;
        }
        let (pair, stale) = stolen(&outside).await;
        let mut transaction = pool.begin().await.unwrap();
        let session = SqlxSession::new(&mut transaction).timeout(Duration::from_secs(30));
        ends_at_once(&outside.with_session(session), &stale).await;
        transaction.rollback().await.unwrap();
        is_over(&outside, &pair).await;
    }};
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlx_with_postgres() {
    on_sqlx!(PgPool, Kind::Postgres);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn on_sqlx_with_mariadb() {
    on_sqlx!(MySqlPool, Kind::MariaDb);
}
