//! Mounts the public suites on every backend: one module, and one line in each list.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "test code"
)]

mod memory;
#[cfg(all(feature = "postgres", feature = "mysql"))]
mod servers;
mod sqlite;

use countersign::testing::SuiteReport;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_token_store_keeps_the_contract() {
    let reports = vec![memory::tokens().await, sqlite::tokens_in_a_file().await, sqlite::tokens_in_memory().await];
    all_passed(reports);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_denylist_keeps_the_contract() {
    let reports = vec![memory::denylist().await, sqlite::denylist().await];
    all_passed(reports);
}

fn all_passed(reports: Vec<SuiteReport>) {
    println!("{}", SuiteReport::table(&reports));
    let failed: Vec<_> = reports.into_iter().filter_map(|report| report.into_result().err()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}
