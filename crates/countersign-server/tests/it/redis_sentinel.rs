//! A master that Sentinels watch, and what is told while another one takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use reqwest::StatusCode;
use testbed::{Redis, RedisSentinel, wait_until};

use crate::flows::logout;
use crate::harness::{Place, Server, Tokens, on_redis};

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_master_is_followed_to_its_successor_by_redis_sentinel() {
    for strategy in ["redis", "jwt"] {
        let group = RedisSentinel::dedicated();
        fails_over(&group, strategy, Redis::kill, Redis::start).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_silent_master_is_followed_to_its_successor_by_redis_sentinel() {
    let group = RedisSentinel::dedicated();
    fails_over(&group, "redis", Redis::freeze, Redis::thaw).await;
}

/// One Sentinel that answers is enough, where the others are silent or gone.
#[tokio::test(flavor = "multi_thread")]
async fn a_single_sentinel_that_answers_names_the_master_of_redis_sentinel() {
    let group = RedisSentinel::dedicated();
    let [first, second, _] = group.sentinels() else { panic!("three Sentinels") };
    first.freeze();
    second.kill();
    let server = place(&group, "redis").start();
    let tokens = server.newcomer("ada@example.org").await;
    server.me(&tokens.access).await.expect(StatusCode::OK);
    first.thaw();
}

#[test]
fn a_server_that_takes_no_writes_is_refused_by_name_with_redis_sentinel() {
    let group = RedisSentinel::dedicated();
    let (sentinel, replica) = (group.sentinels()[0].url(), group.servers()[1].url());
    for (url, kind) in [(sentinel, "is a Sentinel"), (replica, "is a replica")] {
        let output = Place::new(on_redis(url)).with("STRATEGY", "redis").run(&["--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains("COUNTERSIGN_REDIS_URL") && said.contains(kind), "{said}");
    }
    let nobody = group.url().replace("/main", "/other");
    let output = Place::new(on_redis(&nobody)).with("STRATEGY", "redis").run(&["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no master of that name"), "{said}");
}

fn place(group: &RedisSentinel, strategy: &str) -> Place {
    Place::new(on_redis(&group.url())).with("STRATEGY", strategy).with("STORE_TIMEOUT", "1s")
}

/// What callers were told meanwhile.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    answers: AtomicUsize,
    outages: AtomicUsize,
}

async fn fails_over(group: &RedisSentinel, strategy: &str, stop: impl Fn(&Redis), start: impl Fn(&Redis)) {
    let server = Arc::new(place(group, strategy).start());
    let tokens = server.newcomer("ada@example.org").await;
    let ended = server.login("ada@example.org").await;
    logout(&server, &ended.access).await.expect(StatusCode::NO_CONTENT);
    let master = group.master();
    // What both replicas have outlives the master.
    assert_eq!(master.command(&["WAIT", "2", "0"]), "2");

    let told = Arc::new(Told::default());
    let asking = tokio::spawn(ask(Arc::clone(&server), tokens.access.clone(), ended.access.clone(), Arc::clone(&told)));
    stop(master);
    wait_until("the Sentinels name another master", || group.master().url() != master.url());
    while server.get("/readyz", "").await.status != StatusCode::OK {}
    let answered = told.answers.load(SeqCst);
    while told.answers.load(SeqCst) < answered + 10 && !asking.is_finished() {
        tokio::task::yield_now().await;
    }
    told.stop.store(true, SeqCst);
    asking.await.unwrap();
    eprintln!("{strategy}: {} answers, {} outages", told.answers.load(SeqCst), told.outages.load(SeqCst));

    server.me(&tokens.access).await.expect(StatusCode::OK);
    let next = Tokens::of(&server.refresh(&tokens.refresh).await);
    server.me(&ended.access).await.expect(StatusCode::UNAUTHORIZED);
    // The former master comes back as a replica, and nobody asks it.
    start(master);
    group.wait_until_whole();
    assert_ne!(group.master().url(), master.url());
    server.me(&next.access).await.expect(StatusCode::OK);
    logout(&server, &next.access).await.expect(StatusCode::NO_CONTENT);
    server.me(&next.access).await.expect(StatusCode::UNAUTHORIZED);
}

/// Every answer is the truth, or that it can't be told now.
async fn ask(server: Arc<Server>, good: String, ended: String, told: Arc<Told>) {
    while !told.stop.load(SeqCst) {
        for (token, truth) in [(&good, StatusCode::OK), (&ended, StatusCode::UNAUTHORIZED)] {
            match server.me(token).await.status {
                StatusCode::SERVICE_UNAVAILABLE => told.outages.fetch_add(1, SeqCst),
                status => {
                    assert_eq!(status, truth, "a wrong answer");
                    told.answers.fetch_add(1, SeqCst)
                }
            };
        }
    }
}
