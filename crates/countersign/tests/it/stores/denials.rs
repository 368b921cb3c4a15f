//! 10,000 denials beside sweeps on each denylist: none is lost to a sweep that takes away what has just been extended.

use std::io::Write;

use countersign::testing::SuiteReport;

use crate::stores::{memory, redis, servers, sqlite};

const CASE: Option<&str> = Some("race::denials_beside_sweeps");

/// Five times 2,000, since a case may take two minutes and machines are busy.
async fn none_is_lost(run: impl AsyncFn() -> SuiteReport) {
    for part in 1..=5 {
        let report = run().await;
        let found = report
            .failed()
            .next()
            .and_then(|case| case.violation.as_ref());
        let found = found.map_or_else(|| "lost: 0".to_owned(), ToString::to_string);
        let line = format!(
            "\n{}: {} denials beside sweeps, {found}\n",
            report.backend,
            part * 2_000
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        report.into_result().unwrap();
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denials_beside_sweeps_in_memory() {
    none_is_lost(async || memory::denylist(CASE).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denials_beside_sweeps_on_sqlite() {
    none_is_lost(async || sqlite::denylist(CASE).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denials_beside_sweeps_on_postgres() {
    none_is_lost(async || servers::postgres_denylist(CASE).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denials_beside_sweeps_on_mariadb() {
    none_is_lost(async || servers::mariadb_denylist(CASE).await).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn denials_beside_sweeps_on_redis() {
    none_is_lost(async || redis::denylist("Redis", redis::single(), CASE).await).await;
    none_is_lost(async || redis::denylist("Redis Cluster", redis::cluster(), CASE).await).await;
}
