//! A store that is observed keeps the contract, and its spans tell what was done and nothing about whom.

use std::collections::BTreeSet;
use std::time::Duration;

use countersign::store::sql::{DatabaseOptions, DatabaseTokenModels, PostgresDriver, SqlStore};
use countersign::store::{MemoryStore, Observed, SweepLimit, TokenStore};
use countersign::testing::{SuiteReport, TokenStoreSuite};
use countersign::user::UserKeyKind;
use countersign::{Failure, Lifetimes, Timestamp, UserKey};

use crate::fixture::spans::Spans;

pub(crate) async fn tokens() -> SuiteReport {
    TokenStoreSuite::new("memory, observed", |_user_ids| async {
        Ok::<_, Failure>(Observed::new(MemoryStore::new()))
    })
    .run()
    .await
}

/// The names of the trait's asynchronous methods, as its source has them.
fn operations() -> BTreeSet<&'static str> {
    let source = include_str!("../../../src/store/mod.rs");
    let methods = source.lines().filter_map(|line| {
        let method = line.strip_prefix("    async fn ")?;
        method.split('(').next()
    });
    methods.collect()
}

/// The whole suite runs, so every operation, with every outcome, and all that tests know of users and tokens.
async fn observe() {
    crate::stores::all_passed(vec![tokens().await]);
    let store = Observed::new(MemoryStore::new());
    let day = Duration::from_hours(24);
    let lifetimes = Lifetimes::new(day, day).unwrap();
    let limit = SweepLimit::new(Timestamp::from_micros(0), &lifetimes, 1);
    store.ping().await.unwrap();
    store
        .survey_part(&UserKey::Int(7), &limit, None)
        .await
        .unwrap();
    let url = "postgres://nobody@127.0.0.1:1/nothing";
    let driver = PostgresDriver::connect(url, &DatabaseOptions::default()).unwrap();
    let models = DatabaseTokenModels::bundled(UserKeyKind::Int);
    let absent = Observed::new(SqlStore::new(driver, models));
    absent.ping().await.unwrap_err();
}

#[test]
fn spans_have_the_operation_and_its_outcome_and_nothing_else() {
    let spans = Spans::default();
    spans.runtime().block_on(observe());

    let spans = spans.ended();
    let (mut seen, mut outcomes) = (BTreeSet::new(), BTreeSet::new());
    for span in &spans {
        let names: Vec<_> = span.keys().copied().collect();
        // Without an outcome: a case of the suite drops its calls half-way.
        assert!(
            names == ["micros", "operation", "outcome"] || names == ["operation"],
            "{span:?}"
        );
        seen.insert(span["operation"].as_str());
        if let Some(micros) = span.get("micros") {
            micros.parse::<u64>().unwrap();
            outcomes.insert(span["outcome"].as_str());
        }
    }
    assert_eq!(seen, operations());
    let expected = [
        "absent",
        "done",
        "fenced",
        "found",
        "gone",
        "internal",
        "unavailable",
    ];
    assert_eq!(outcomes, expected.into());
}
