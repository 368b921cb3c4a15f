//! Mounts the public suites on every backend: one module, and one line in each list.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "test code"
)]

#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))]
mod denials;
mod memory;
#[cfg(feature = "postgres")]
mod observed;
#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))]
mod redis;
#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))]
mod servers;
mod small;
mod sqlite;

use std::io::Write;

use countersign::testing::{DenylistSuite, SuiteReport};

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_token_stores_keep_the_contract() {
    all_passed(vec![
        memory::tokens().await,
        small::tokens().await,
        sqlite::tokens_in_a_file().await,
        sqlite::tokens_in_memory().await,
    ]);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn embedded_denylists_keep_the_contract() {
    all_passed(vec![
        memory::denylist(None).await,
        sqlite::denylist(None).await,
    ]);
}

/// One list of cases on six backends, side by side.
#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_token_stores_with_postgres_mariadb_and_redis_keep_the_contract() {
    all_passed(vec![
        memory::tokens().await,
        sqlite::tokens_in_a_file().await,
        servers::postgres_tokens().await,
        servers::mariadb_tokens().await,
        redis::tokens("Redis", redis::single()).await,
        redis::tokens("Redis Cluster", redis::cluster()).await,
    ]);
}

#[cfg(all(feature = "postgres", feature = "mysql", feature = "redis"))]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn six_denylists_with_postgres_mariadb_and_redis_keep_the_contract() {
    all_passed(vec![
        memory::denylist(None).await,
        sqlite::denylist(None).await,
        servers::postgres_denylist(None).await,
        servers::mariadb_denylist(None).await,
        redis::denylist("Redis", redis::single(), None).await,
        redis::denylist("Redis Cluster", redis::cluster(), None).await,
    ]);
}

/// The same lists on an application's own pools.
#[cfg(all(
    feature = "postgres",
    feature = "mysql",
    feature = "redis",
    feature = "sqlx-postgres",
    feature = "sqlx-mysql"
))]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn token_stores_on_sqlx_with_postgres_and_mariadb_keep_the_contract() {
    all_passed(vec![
        servers::by_sqlx::postgres_tokens().await,
        servers::by_sqlx::mariadb_tokens().await,
    ]);
}

#[cfg(all(
    feature = "postgres",
    feature = "mysql",
    feature = "redis",
    feature = "sqlx-postgres",
    feature = "sqlx-mysql"
))]
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denylists_on_sqlx_with_postgres_and_mariadb_keep_the_contract() {
    all_passed(vec![
        servers::by_sqlx::postgres_denylist().await,
        servers::by_sqlx::mariadb_denylist().await,
    ]);
}

/// The whole suite, or the cases whose names begin so.
fn cases<F>(suite: DenylistSuite<F>, only: Option<&str>) -> DenylistSuite<F> {
    match only {
        None => suite,
        Some(only) => suite.denials(2_000).only(only),
    }
}

/// Prints the table past the test runner, which keeps what passing tests print to itself.
fn all_passed(reports: Vec<SuiteReport>) {
    let table = format!("\n{}", SuiteReport::table(&reports));
    std::io::stdout().write_all(table.as_bytes()).unwrap();
    let failed: Vec<_> = reports
        .into_iter()
        .filter_map(|report| report.into_result().err())
        .collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
