//! What is counted of refresh tokens, cause by cause.

#![allow(
    clippy::unwrap_used,
    clippy::panic,
    clippy::expect_used,
    missing_docs,
    reason = "test code"
)]
#![cfg(all(feature = "metrics", feature = "testing"))]

use std::collections::BTreeMap;
use std::time::Duration;

use countersign::store::{MemoryStore, Observed, TokenStore};
use countersign::{PlainToken, Refusal, UserKey};
use metrics_util::debugging::{DebugValue, DebuggingRecorder};

use crate::fixture::web::World;

/// A session that nobody has opened.
const NIL: &str = "00000000-0000-0000-0000-000000000000";

#[test]
fn each_cause_is_counted() {
    let expected = [
        ("after_confirmation", 1),
        ("long_stale", 1),
        ("retry", 2),
        ("unknown", 3),
    ];
    assert_eq!(
        counted(present()),
        expected
            .map(|(cause, count)| (cause.to_owned(), count))
            .into()
    );
}

/// A thief who hangs up as soon as the session has ended leaves a trace.
#[test]
fn a_reuse_whose_caller_hangs_up_is_counted() {
    let expected = [("after_confirmation", 1), ("unknown", 1)];
    assert_eq!(
        counted(hang_up()),
        expected
            .map(|(cause, count)| (cause.to_owned(), count))
            .into()
    );
}

#[test]
fn each_operation_of_an_observed_store_is_timed() {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || {
        runtime.block_on(async {
            let store = Observed::new(MemoryStore::new());
            for _ in 0..3 {
                store.ping().await.unwrap();
            }
            let nobody = store.find_session(NIL.parse().unwrap(), &UserKey::Int(7));
            assert!(nobody.await.unwrap().is_none());
        });
    });
    let timed: Vec<_> = snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .map(|(key, _, _, value)| {
            let key = key.key();
            assert_eq!(key.name(), "countersign_store_seconds");
            let labels: Vec<_> = key.labels().map(|label| label.value().to_owned()).collect();
            let DebugValue::Histogram(values) = value else {
                panic!("no histogram")
            };
            (labels, values.len())
        })
        .collect();
    let expected = [("find_session", "absent", 1), ("ping", "done", 3)];
    let expected = expected
        .map(|(operation, outcome, count)| (vec![operation.to_owned(), outcome.to_owned()], count));
    assert_eq!(BTreeMap::from_iter(timed), BTreeMap::from(expected));
}

/// What is counted meanwhile, by cause.
fn counted(meanwhile: impl Future<Output = ()>) -> BTreeMap<String, u64> {
    let recorder = DebuggingRecorder::new();
    let snapshots = recorder.snapshotter();
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .unwrap();
    metrics::with_local_recorder(&recorder, || runtime.block_on(meanwhile));
    snapshots
        .snapshot()
        .into_vec()
        .into_iter()
        .filter(|(key, ..)| key.key().name() == "countersign_refresh_reuse_total")
        .map(|(key, _, _, value)| {
            let cause = key.key().labels().next().unwrap().value().to_owned();
            let DebugValue::Counter(count) = value else {
                panic!("no counter")
            };
            (cause, count)
        })
        .collect()
}

/// One theft, by somebody who doesn't wait for the answer, and a look at what has become of the session.
async fn hang_up() {
    let world = World::new();
    let refreshable = world.strategy.as_refreshable().unwrap();
    let refresh =
        async |token: &PlainToken| refreshable.refresh_session(token, &*world.members).await;
    let first = refreshable
        .open_session(&world.members.find(1).unwrap())
        .await
        .unwrap()
        .refresh
        .unwrap()
        .token;
    let second = refresh(&first).await.unwrap().issued.refresh.unwrap().token;
    refresh(&second).await.unwrap();
    world.store.mute();
    let calls = world.store.calls();
    tokio::select! {
        biased;
        _ = refresh(&first) => panic!("nobody is told that the session has ended"),
        () = std::future::ready(()) => {}
    }
    assert!(world.store.calls() > calls);
    assert_eq!(
        refresh(&second).await.unwrap_err().refusal(),
        Some(Refusal::Unknown)
    );
}

/// Two retries, one theft of each kind, and three tokens that nobody knows, or knows any more.
async fn present() {
    let world = World::new();
    let member = world.members.find(1).unwrap();
    let refreshable = world.strategy.as_refreshable().unwrap();
    let refresh =
        async |token: &PlainToken| refreshable.refresh_session(token, &*world.members).await;
    let opened = async || {
        refreshable
            .open_session(&member)
            .await
            .unwrap()
            .refresh
            .unwrap()
            .token
    };
    let next =
        async |token: &PlainToken| refresh(token).await.unwrap().issued.refresh.unwrap().token;
    let refused = async |token: &PlainToken| refresh(token).await.unwrap_err().refusal().unwrap();
    let first = opened().await;
    let second = next(&first).await;
    assert!(next(&first).await == second && next(&first).await == second);
    next(&second).await;
    assert_eq!(refused(&first).await, Refusal::Reused);
    assert_eq!(refused(&first).await, Refusal::Unknown);
    assert_eq!(refused(&second).await, Refusal::Unknown);
    let third = opened().await;
    next(&third).await;
    world.clock.advance(Duration::from_mins(1));
    assert_eq!(refused(&third).await, Refusal::Reused);
    assert_eq!(refused(&third).await, Refusal::Unknown);
}
