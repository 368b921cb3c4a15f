//! The suites are worth what they catch: each fault here breaks one clause of a contract in an otherwise good store,
//! and the case that checks this clause must say so.

#![allow(
    clippy::cast_possible_truncation,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

mod authentication;
mod denylist;
mod endings;
mod faults;
mod rotation;
mod store;

use countersign::Failure;
use countersign::denylist::MemoryDenylist;
use countersign::store::MemoryStore;
use countersign::testing::{DenylistSuite, SuiteReport, TokenStoreSuite};

use denylist::{BrokenDenylist, DenylistFault};
use faults::{FAULTS, Fault};
use store::BrokenStore;

fn failed(report: &SuiteReport) -> Vec<&str> {
    report.failed().map(|case| case.name.as_str()).collect()
}

/// Runs the cases whose names begin with `only`.
async fn run(fault: Fault, only: &str) -> SuiteReport {
    let fresh = |_| async move { Ok::<_, Failure>(BrokenStore::new(MemoryStore::new(), fault)) };
    TokenStoreSuite::new(format!("{fault:?}"), fresh)
        .crowd(2_000)
        .only(only)
        .run()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_of_a_token_store_is_caught_by_name() {
    let sound = run(Fault::None, "").await;
    assert_eq!(
        failed(&sound),
        Vec::<&str>::new(),
        "the wrapper itself must be sound"
    );
    let reports = FAULTS
        .iter()
        .map(|(fault, case)| async move { (fault, case, run(*fault, case).await) });
    let mut missed = Vec::new();
    for (fault, case, report) in futures_util::future::join_all(reports).await {
        if !failed(&report).contains(case) {
            missed.push(format!("{fault:?} passes {case}"));
        }
    }
    assert!(missed.is_empty(), "{missed:#?}");
}

/// Each case is shown to fail for some fault: a case that can't fail checks nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_case_of_the_token_suite_can_fail() {
    let sound = run(Fault::None, "").await;
    let claimed: Vec<_> = FAULTS.iter().map(|(_, case)| *case).collect();
    let mut never: Vec<_> = sound.cases.iter().map(|case| case.name.as_str()).collect();
    // Per-kind cases are the same functions for each kind.
    never.retain(|name| {
        !claimed
            .iter()
            .any(|case| case.split(" (").next() == name.split(" (").next())
    });
    assert!(never.is_empty(), "no fault is caught by: {never:#?}");
}

async fn run_denylist(fault: DenylistFault) -> SuiteReport {
    let fresh =
        || async move { MemoryDenylist::new(300).map(|inner| BrokenDenylist::new(inner, fault)) };
    DenylistSuite::new(format!("{fault:?}"), fresh)
        .capacity(300)
        .run()
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn every_fault_of_a_denylist_is_caught_by_name() {
    let sound = run_denylist(DenylistFault::None).await;
    assert_eq!(
        failed(&sound),
        Vec::<&str>::new(),
        "the wrapper itself must be sound"
    );
    let mut missed = Vec::new();
    let mut never = failed(&sound);
    never.extend(sound.cases.iter().map(|case| case.name.as_str()));
    for (fault, case) in denylist::FAULTS {
        let report = run_denylist(*fault).await;
        if !failed(&report).contains(case) {
            missed.push(format!(
                "{fault:?} passes {case}; failed: {:?}",
                failed(&report)
            ));
        }
        never.retain(|name| name != case);
    }
    assert!(missed.is_empty(), "{missed:#?}");
    assert!(never.is_empty(), "no fault is caught by: {never:#?}");
}

/// A store that panics, hangs at the start or can't be made is a failed case, not a dead run.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_ends_badly_is_reported() {
    let panicking = run(Fault::Panics, "access::ping").await;
    let ping = panicking
        .cases
        .iter()
        .find(|case| case.name == "access::ping_answers")
        .unwrap();
    assert_eq!(
        ping.violation.as_ref().unwrap().to_string(),
        "panicked: a bug in the store"
    );

    let no_store =
        |_| async { Err::<MemoryStore, _>(Failure::unavailable("token store", "no server")) };
    let report = TokenStoreSuite::new("none", no_store)
        .only("access::ping")
        .run()
        .await;
    let text = report.to_string();
    assert!(text.contains("access::ping_answers  FAIL"), "{text}");
    assert!(
        text.contains("no fresh store: token store is unavailable"),
        "{text}"
    );
    let failed = report.into_result().unwrap_err().to_string();
    assert!(
        failed.starts_with("none: 1 of 1 cases failed\naccess::ping_answers: no fresh store"),
        "{failed}"
    );

    let nothing = TokenStoreSuite::new("none", no_store)
        .only("no such case")
        .run()
        .await;
    assert!(
        nothing.into_result().is_err(),
        "a run without cases proves nothing"
    );
}

/// On one thread a race can't show, so the suite says that it didn't take place.
#[tokio::test(flavor = "current_thread")]
async fn one_thread_is_not_enough() {
    let fresh = |_| async { Ok::<_, Failure>(MemoryStore::new()) };
    let report = TokenStoreSuite::new("memory", fresh)
        .only("race::has_one_winner")
        .run()
        .await;
    assert!(
        report
            .into_result()
            .unwrap_err()
            .to_string()
            .contains("multi-thread runtime")
    );
}
