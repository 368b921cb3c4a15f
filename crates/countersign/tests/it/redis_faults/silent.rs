//! A server that doesn't answer, or isn't there.

use testbed::Redis;

use crate::fixture::users::Account;
use crate::redis_faults::ground::{
    Ground, LONG, SHORT, connect, eventually, left, patiently, story, unavailable,
};
use countersign::error::FailureKind;

type Step = fn(&Redis);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_away_and_back() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), SHORT), &server.prefix());
    let account = Account::new(1);
    let pair = patiently(|| ground.open(&account)).await;
    let outages: [(&str, Step, Step); 3] = [
        ("killed", Redis::kill, Redis::start),
        ("stopped", Redis::stop, Redis::start),
        ("frozen", Redis::freeze, Redis::thaw),
    ];
    for (name, leave, come_back) in outages {
        leave(&server);
        ground.reads_are_unavailable(&pair).await;
        unavailable(
            name,
            countersign::strategy::Strategy::write_token(ground.strategy(), &account).await,
        );
        unavailable(name, ground.open(&account).await);
        if name != "frozen" {
            ground.is_unavailable(&account, &pair).await;
        }
        come_back(&server);
        ground.goes_on(&account, &pair).await;
    }
}

/// What a frozen server had been sent is done when it thaws, or never: the session is refreshed or as it was, and
/// afterwards whole.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_frozen_in_every_operation() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), SHORT), &server.prefix());
    let accounts: Vec<Account> = (0..5).map(Account::new).collect();
    let mut pairs = Vec::new();
    for account in &accounts {
        pairs.push(patiently(|| ground.open(account)).await);
    }
    server.freeze();
    let (strategy, refreshable) = (ground.strategy(), ground.refreshable());
    let users = &crate::fixture::users::users;
    unavailable(
        "refresh_session",
        crate::redis_faults::ground::answered(
            refreshable.refresh_session(&pairs[0].refresh, users).await,
        ),
    );
    unavailable(
        "end_session",
        refreshable
            .end_session(pairs[1].session, &accounts[1].key())
            .await,
    );
    unavailable(
        "destroy_token",
        countersign::strategy::Strategy::destroy_token(strategy, &pairs[2].access, &accounts[2])
            .await,
    );
    unavailable(
        "invalidate_all",
        countersign::strategy::TokenControl::invalidate_all(strategy, &accounts[3].key()).await,
    );
    server.thaw();
    ground.goes_on(&accounts[4], &pairs[4]).await;
    for (account, pair) in accounts.iter().zip(&pairs) {
        let refresh = patiently(|| ground.would_refresh(&pair.refresh)).await;
        let access = patiently(|| ground.accepts(&pair.access)).await;
        assert!(
            access || account != &accounts[0],
            "a refresh ended an access token"
        );
        assert!(
            refresh || account != &accounts[2],
            "the end of an access token ended its session"
        );
        let key = account.key();
        patiently(|| countersign::strategy::TokenControl::invalidate_all(strategy, &key)).await;
    }
    assert!(
        left(&server, "*").is_empty(),
        "something of the freeze is left"
    );
}

/// A server that is down doesn't stop a start, and the handle works once it is up.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_refused_at_start() {
    let server = Redis::dedicated();
    server.stop();
    let redis = connect(server.url(), SHORT);
    let ground = Ground::new(&redis, &server.prefix());
    let account = Account::new(1);
    unavailable("open_session", ground.open(&account).await);
    unavailable("ping", redis.ping().await);
    unavailable("inspect", redis.inspect().await);
    server.start();
    let pair = patiently(|| ground.open(&account)).await;
    ground.goes_on(&account, &pair).await;
    patiently(|| redis.ping()).await;
}

/// A crowd on one connection, a freeze and a thaw: each caller is told the truth or that the question stays open.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_crowd_in_a_freeze() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), SHORT), &server.prefix());
    let account = Account::new(1);
    let pair = patiently(|| ground.open(&account)).await;
    server.freeze();
    let mut crowd = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let (ground, pair) = (ground.clone(), pair.clone());
        crowd.spawn(async move { ground.accepts(&pair.access).await });
    }
    eventually("somebody is told", || {
        std::future::ready(crowd.try_join_next().is_some())
    })
    .await;
    server.thaw();
    for result in crowd.join_all().await {
        match result {
            Ok(good) => assert!(good, "a live token is refused"),
            Err(failure) => assert_eq!(
                failure.kind(),
                FailureKind::Unavailable,
                "{}",
                story(&failure)
            ),
        }
    }
    eventually("the server answers", || async {
        ground.accepts(&pair.access).await.is_ok()
    })
    .await;
    assert!(patiently(|| ground.accepts(&pair.access)).await);
}

/// The first operation after a restart that nobody noticed goes through: a connection that is dead is replaced.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_restart_goes_unnoticed() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), LONG), &server.prefix());
    let account = Account::new(1);
    let mut pairs = Vec::new();
    for restart in 0..4 {
        if restart % 2 == 0 {
            server.restart();
        } else {
            server.kill();
            server.start();
        }
        pairs.push(ground.open(&account).await.unwrap());
        for pair in &pairs {
            assert!(ground.accepts(&pair.access).await.unwrap());
        }
    }
}
