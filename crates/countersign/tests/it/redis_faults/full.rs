//! A server that takes no writes: full, a replica, or short of replicas.

use countersign::clock::SystemClock;
use countersign::denylist::{DenylistStore, RedisDenylist};
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{EndOutcome, Invalidated};
use testbed::Redis;

use crate::fixture::users::Account;
use crate::redis_faults::entry::MINUTE;
use crate::redis_faults::ground::{Ground, LONG, connect, story, unavailable};

/// Says why, for the log.
async fn writes_fail_with(
    ground: &Ground,
    account: &Account,
    pair: &crate::redis_faults::ground::Pair,
    code: &str,
) {
    ground.writes_are_unavailable(account, pair).await;
    let failure = unavailable(code, ground.open(account).await);
    assert!(story(&failure).contains(code), "{}", story(&failure));
}

/// Reads go on when memory is full, nobody is kept from logging out, and the writes that are refused leave nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_out_of_memory_reads_and_logs_out() {
    let server = Redis::with_settings(&["maxmemory-policy=noeviction"]);
    let redis = connect(server.url(), LONG);
    let ground = Ground::new(&redis, &server.prefix());
    let (strategy, refreshable) = (ground.strategy(), ground.refreshable());
    let account = Account::new(1);
    let pair = ground.open(&account).await.unwrap();
    let (ended, other) = (
        ground.open(&account).await.unwrap(),
        ground.open(&account).await.unwrap(),
    );
    let neighbour = ground.open(&Account::new(2)).await.unwrap();
    let loose = strategy.write_token(&account).await.unwrap().token;
    let denylist = RedisDenylist::new(&redis);
    let now = countersign::clock::Clock::now(&SystemClock);
    denylist
        .deny("denied", now.saturating_add(MINUTE), now)
        .await
        .unwrap();

    server.command(&["CONFIG", "SET", "maxmemory", "100kb"]);
    // A server that was started anew knows no script.
    server.command(&["SCRIPT", "FLUSH"]);
    writes_fail_with(&ground, &account, &pair, "OOM").await;
    // The log-out of a signed token is a denial: a new entry, and the extension of one that is there.
    denylist
        .deny("more", now.saturating_add(MINUTE), now)
        .await
        .unwrap();
    denylist
        .deny("denied", now.saturating_add(2 * MINUTE), now)
        .await
        .unwrap();
    assert!(
        denylist
            .is_any_denied(&["other", "more"], now)
            .await
            .unwrap()
    );
    assert!(
        denylist
            .is_any_denied(&["denied"], now.saturating_add(MINUTE))
            .await
            .unwrap()
    );
    for token in [&pair.access, &ended.access, &loose] {
        assert!(
            ground.accepts(token).await.unwrap(),
            "a live token is refused by a full server"
        );
    }
    assert!(
        ground.would_refresh(&pair.refresh).await.unwrap(),
        "a refused refresh consumed its token"
    );

    assert_eq!(
        strategy.destroy_token(&loose, &account).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(
        refreshable
            .end_session(ended.session, &account.key())
            .await
            .unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(
        refreshable.end_session_of(&other.refresh).await.unwrap(),
        EndOutcome::Ended
    );
    for token in [&loose, &ended.access, &other.access] {
        assert!(
            !ground.accepts(token).await.unwrap(),
            "a token outlives its end on a full server"
        );
    }
    assert!(matches!(
        strategy.invalidate_all(&account.key()).await.unwrap(),
        Invalidated::All(_)
    ));
    assert!(
        !ground.accepts(&pair.access).await.unwrap(),
        "a token outlives its user's removal"
    );
    assert!(ground.accepts(&neighbour.access).await.unwrap());

    server.command(&["CONFIG", "SET", "maxmemory", "0"]);
    ground.goes_on(&Account::new(2), &neighbour).await;
}

/// A replica takes no writes and no removals; the same handle goes on once it is a master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_replica_is_unavailable_to_writes() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), LONG), &server.prefix());
    let account = Account::new(1);
    let pair = ground.open(&account).await.unwrap();
    // Its master can't be reached, so that it keeps what it has.
    let nobody = testbed::free_port().to_string();
    server.command(&["REPLICAOF", "127.0.0.1", &nobody]);
    writes_fail_with(&ground, &account, &pair, "READONLY").await;
    ground.removals_are_unavailable(&account, &pair).await;
    assert!(
        ground.accepts(&pair.access).await.unwrap(),
        "it may answer from what it has"
    );
    server.command(&["CONFIG", "SET", "replica-serve-stale-data", "no"]);
    ground.is_unavailable(&account, &pair).await;
    let failure = unavailable("read_token", ground.accepts(&pair.access).await);
    assert!(
        story(&failure).contains("MASTERDOWN"),
        "{}",
        story(&failure)
    );
    server.command(&["REPLICAOF", "NO", "ONE"]);
    ground.goes_on(&account, &pair).await;
}

/// A master that must have replicas and has none answers reads alone.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_master_without_its_replicas_takes_no_writes() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), LONG), &server.prefix());
    let account = Account::new(1);
    let pair = ground.open(&account).await.unwrap();
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "1"]);
    writes_fail_with(&ground, &account, &pair, "NOREPLICAS").await;
    ground.removals_are_unavailable(&account, &pair).await;
    assert!(ground.accepts(&pair.access).await.unwrap());
    server.command(&["CONFIG", "SET", "min-replicas-to-write", "0"]);
    ground.goes_on(&account, &pair).await;
}
