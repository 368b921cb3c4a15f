//! A master that Sentinels watch, and what is told while another one takes its place.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use reqwest::StatusCode;
use serde_json::json;
use testbed::{Redis, RedisSentinel, wait_until};

use crate::flows::logout;
use crate::harness::{PASSWORD, Place, Server, Tokens, on_redis, patiently};

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
    let place = place(&group, "redis");
    place
        .start()
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    let [first, second, _] = group.sentinels() else {
        panic!("three Sentinels")
    };
    first.freeze();
    second.kill();
    let server = hasty(place);
    let login = json!({ "identifier": "ada@example.org", "password": PASSWORD });
    let tokens = Tokens::of(&patiently(|| server.post("/auth/login", login.clone())).await);
    patiently(|| server.me(&tokens.access))
        .await
        .expect(StatusCode::OK);
    first.thaw();
}

#[test]
fn a_server_that_takes_no_writes_is_refused_by_name_with_redis_sentinel() {
    let group = RedisSentinel::dedicated();
    let (sentinel, replica) = (group.sentinels()[0].url(), group.servers()[1].url());
    for (url, kind) in [(sentinel, "is a Sentinel"), (replica, "is a replica")] {
        let output = Place::new(on_redis(url))
            .with("STRATEGY", "redis")
            .run(&["--listen", "127.0.0.1:0"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(
            said.contains("COUNTERSIGN_REDIS_URL") && said.contains(kind),
            "{said}"
        );
    }
    let nobody = group.url().replace("/main", "/other");
    let output = Place::new(on_redis(&nobody))
        .with("STRATEGY", "redis")
        .run(&["--listen", "127.0.0.1:0"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(said.contains("no master of that name"), "{said}");
}

fn place(group: &RedisSentinel, strategy: &str) -> Place {
    Place::new(on_redis(&group.url())).with("STRATEGY", strategy)
}

/// A server that soon gives up whoever is silent.
fn hasty(place: Place) -> Server {
    place.with("STORE_TIMEOUT", "1s").start()
}

/// What callers were told meanwhile.
#[derive(Default)]
struct Told {
    stop: AtomicBool,
    answers: AtomicUsize,
    outages: AtomicUsize,
}

async fn fails_over(
    group: &RedisSentinel,
    strategy: &str,
    stop: impl Fn(&Redis),
    start: impl Fn(&Redis),
) {
    // What has to be there before is done by a server that a busy machine keeps from nothing.
    let place = place(group, strategy);
    let patient = place.start();
    let tokens = patient.newcomer("ada@example.org").await;
    let ended = patient.login("ada@example.org").await;
    logout(&patient, &ended.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    let server = Arc::new(hasty(place));
    patiently(|| server.me(&tokens.access))
        .await
        .expect(StatusCode::OK);
    let master = group.master();
    // What both replicas have outlives the master.
    assert_eq!(master.command(&["WAIT", "2", "0"]), "2");

    let told = Arc::new(Told::default());
    let asking = tokio::spawn(ask(
        Arc::clone(&server),
        tokens.access.clone(),
        ended.access.clone(),
        Arc::clone(&told),
    ));
    stop(master);
    wait_until("the Sentinels name another master", || {
        group.master().url() != master.url()
    });
    while server.get("/readyz", "").await.status != StatusCode::OK {}
    let answered = told.answers.load(SeqCst);
    while told.answers.load(SeqCst) < answered + 10 && !asking.is_finished() {
        tokio::task::yield_now().await;
    }
    told.stop.store(true, SeqCst);
    asking.await.unwrap();
    eprintln!(
        "{strategy}: {} answers, {} outages",
        told.answers.load(SeqCst),
        told.outages.load(SeqCst)
    );

    patiently(|| server.me(&tokens.access))
        .await
        .expect(StatusCode::OK);
    let next = Tokens::of(&patiently(|| server.refresh(&tokens.refresh)).await);
    patiently(|| server.me(&ended.access))
        .await
        .expect(StatusCode::UNAUTHORIZED);
    // The former master comes back as a replica, and nobody asks it.
    start(master);
    group.wait_until_whole();
    assert_ne!(group.master().url(), master.url());
    patiently(|| server.me(&next.access))
        .await
        .expect(StatusCode::OK);
    let logged_out = patiently(|| logout(&server, &next.access)).await;
    // It may have been done the first time, unheard.
    assert!(
        matches!(
            logged_out.status,
            StatusCode::NO_CONTENT | StatusCode::UNAUTHORIZED
        ),
        "{logged_out:?}"
    );
    patiently(|| server.me(&next.access))
        .await
        .expect(StatusCode::UNAUTHORIZED);
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
