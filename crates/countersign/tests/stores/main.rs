//! Mounts the public suites on every backend: one module and one line each.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::print_stdout,
    missing_docs,
    reason = "test code"
)]

mod memory;

use countersign::testing::SuiteReport;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_token_store_keeps_the_contract() {
    let reports = vec![memory::tokens().await];
    all_passed(reports);
}

fn all_passed(reports: Vec<SuiteReport>) {
    println!("{}", SuiteReport::table(&reports));
    let passed: Vec<_> = reports.into_iter().map(|report| report.into_result().unwrap()).collect();
    println!("passed: {passed:?}");
}
