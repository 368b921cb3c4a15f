//! A server that is busy with something else: loading its data, or a script; and one that forgot ours.

use std::sync::Arc;

use countersign::strategy::{Strategy, TokenControl};
use testbed::Redis;

use crate::fixture::users::Account;
use crate::redis_faults::ground::{
    Ground, LONG, SHORT, connect, eventually, patiently, story, unavailable,
};

/// While it loads its data it knows some tokens and not others, and says nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_loading_is_no_answer() {
    // Each key takes its time, and between some of them the server looks at its connections.
    let server = Arc::new(Redis::with_settings(&["key-load-delay=100"]));
    let ground = Ground::new(&connect(server.url(), LONG), &server.prefix());
    let account = Account::new(1);
    let fill = "for i = 1, 10000 do redis.call('SET', 'filler' .. i, i) end";
    server.command(&["EVAL", fill, "0"]);
    let pair = ground.open(&account).await.unwrap();
    server.kill();
    let starting = tokio::task::spawn_blocking({
        let server = Arc::clone(&server);
        move || server.start()
    });
    assert!(
        answers_while_it_starts(&ground, &account, &pair).await > 0,
        "nobody asked while it was loading"
    );
    starting.await.unwrap();
    ground.goes_on(&account, &pair).await;
}

/// Asks until it is up; how often it said that it was loading.
async fn answers_while_it_starts(
    ground: &Ground,
    account: &Account,
    pair: &crate::redis_faults::ground::Pair,
) -> usize {
    let mut loading = 0;
    loop {
        match ground.accepts(&pair.access).await {
            Ok(good) => {
                assert!(good, "a live token is refused by a server that starts");
                return loading;
            }
            failed => {
                let failure = unavailable("read_token", failed);
                if story(&failure).contains("LOADING") {
                    loading += 1;
                    let _ = ground
                        .open(account)
                        .await
                        .map_err(|failure| unavailable("open", Err::<(), _>(failure)));
                }
            }
        }
    }
}

/// A script that never ends keeps everybody waiting, and then the server says that it is busy.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_busy_is_no_answer() {
    let server = Arc::new(Redis::with_settings(&["busy-reply-threshold=50"]));
    let ground = Ground::new(&connect(server.url(), SHORT), &server.prefix());
    let account = Account::new(1);
    let pair = patiently(|| ground.open(&account)).await;
    let script = tokio::task::spawn_blocking({
        let server = Arc::clone(&server);
        move || server.command(&["EVAL", "while true do end", "0"])
    });
    let busy = async || {
        ground
            .accepts(&pair.access)
            .await
            .is_err_and(|failure| story(&failure).contains("BUSY"))
    };
    eventually("the server says that it is busy", busy).await;
    ground.is_unavailable(&account, &pair).await;
    server.command(&["SCRIPT", "KILL"]);
    assert!(script.await.is_err(), "the script was to be killed");
    ground.goes_on(&account, &pair).await;
}

/// Scripts that Redis forgot are sent again, and nobody notices.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_script_flush_goes_unnoticed() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), LONG), &server.prefix());
    let account = Account::new(1);
    for _ in 0..3 {
        let flush = || server.command(&["SCRIPT", "FLUSH"]);
        flush();
        let pair = ground.open(&account).await.unwrap();
        flush();
        ground
            .refreshable()
            .refresh_session(&pair.refresh, &crate::fixture::users::users)
            .await
            .unwrap();
        flush();
        ground.strategy().write_token(&account).await.unwrap();
        flush();
        ground
            .goes_on(&account, &ground.open(&account).await.unwrap())
            .await;
        flush();
        ground
            .strategy()
            .invalidate_all(&account.key())
            .await
            .unwrap();
        assert!(!ground.accepts(&pair.access).await.unwrap());
    }
}
