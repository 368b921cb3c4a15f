//! The wire to the store breaks, or the server dies, at every message of a refresh, a login, a logout and a change of the
//! password. Whoever tries again finds the session, and nobody finds an ended one.

use std::fmt::Write as _;
use std::net::SocketAddr;

use url::Url;

use crate::aftermath::{Harm, STEPS, Step, World};
use crate::harness::{Place, Reply, on_redis, shared};
use crate::wire::{Cut, Then, Wire};

/// Messages beyond which a step isn't believed to be getting anywhere.
const MOST: usize = 100;

#[tokio::test(flavor = "multi_thread")]
async fn no_failpoint_loses_or_forks_a_session_on_postgres() {
    let (url, wire) = wired(&testbed::Postgres::shared().database()).await;
    survey("PostgreSQL", Place::new(shared(&url)), &wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failpoint_loses_or_forks_a_session_with_signed_tokens_on_postgres() {
    let (url, wire) = wired(&testbed::Postgres::shared().database()).await;
    survey(
        "PostgreSQL",
        Place::new(shared(&url)).with("STRATEGY", "jwt"),
        &wire,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failpoint_loses_or_forks_a_session_on_mariadb() {
    let (url, wire) = wired(&testbed::MariaDb::shared().database()).await;
    survey("MariaDB", Place::new(shared(&url)), &wire).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failpoint_loses_or_forks_a_session_on_redis() {
    let (url, wire) = wired(testbed::Redis::shared().url()).await;
    survey(
        "Redis",
        Place::new(on_redis(&url)).with("STRATEGY", "redis"),
        &wire,
    )
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_failpoint_loses_or_forks_a_session_on_a_redis_cluster() {
    let cluster = testbed::RedisCluster::masters_only();
    let denying = [Step::Logout, Step::LogoutEverywhere, Step::NewPassword];
    for (strategy, steps) in [("redis", &STEPS[..]), ("jwt", &denying)] {
        let (urls, wire) = wired(&cluster.url()).await;
        // Clients ask the nodes for their addresses.
        for (node, address) in wire.addresses().iter().enumerate() {
            cluster.announce(node, address.port());
        }
        survey_of(
            steps,
            "cluster",
            Place::new(on_redis(&urls)).with("STRATEGY", strategy),
            &wire,
        )
        .await;
    }
}

/// A wire to what `urls` name, with commas between them, and the URLs of its near ends.
async fn wired(urls: &str) -> (String, Wire) {
    let mut urls: Vec<Url> = urls
        .split(',')
        .map(|url| Url::parse(url).unwrap())
        .collect();
    let address = |url: &Url| {
        SocketAddr::new(
            url.host_str().unwrap().parse().unwrap(),
            url.port().unwrap(),
        )
    };
    let wire = Wire::to(&urls.iter().map(address).collect::<Vec<_>>()).await;
    for (url, near) in urls.iter_mut().zip(wire.addresses()) {
        url.set_port(Some(near.port())).unwrap();
    }
    (
        urls.iter().map(Url::as_str).collect::<Vec<_>>().join(","),
        wire,
    )
}

async fn survey(name: &str, place: Place, wire: &Wire) {
    survey_of(&STEPS, name, place, wire).await;
}

async fn survey_of(steps: &[Step], name: &str, place: Place, wire: &Wire) {
    let mut world = World::new(place).await;
    let mut table = format!(
        "{:<10} {:<16} {:<44} {:>6} lost forks resurrections\n",
        "store", "step", "failure", "points"
    );
    for &step in steps {
        for then in [Then::Close, Then::Hold] {
            for cut in [Cut::Before, Cut::Meanwhile, Cut::After] {
                world.harm = Harm::default();
                let points = every_message(&mut world, wire, step, cut, then).await;
                let what = format!("{} {}", named(then), placed(cut));
                let step = format!("{step:?}");
                writeln!(
                    table,
                    "{name:<10} {step:<16} {what:<44} {points:>6} {}",
                    world.harm
                )
                .unwrap();
                assert!(points > 1, "a step needs the store:\n{table}");
                assert_eq!(world.harm, Harm::default(), "\n{table}");
            }
        }
    }
    eprintln!("{table}");
    assert_eq!(world.finish().await, Harm::default());
}

const fn named(then: Then) -> &'static str {
    match then {
        Then::Close => "connection cut",
        Then::Hold => "server killed",
    }
}

const fn placed(cut: Cut) -> &'static str {
    match cut {
        Cut::Before => "before the n-th message",
        Cut::Meanwhile => "after the n-th message",
        Cut::After => "before the n-th message's answer",
    }
}

/// Breaks at the first message, then at the second, until the step ends before anything breaks; then the server dies
/// right after its answer. How many breaks there were.
async fn every_message(world: &mut World, wire: &Wire, step: Step, cut: Cut, then: Then) -> usize {
    for messages in 0..MOST {
        let request = world.request(step).await;
        let cut_now = wire.arm(messages, cut, then);
        let mut sending =
            tokio::spawn(async { Some(Reply::read(request.send().await.ok()?).await) });
        let early: Option<Option<Reply>> = tokio::select! {
            answer = &mut sending => Some(answer.unwrap()),
            () = cut_now.notified() => None,
        };
        let whole = wire.disarm();
        if whole || then == Then::Hold {
            world.kill_and_start();
        }
        let answer = match early {
            Some(answer) => answer,
            None => sending.await.unwrap(),
        };
        if whole {
            assert!(
                answer
                    .as_ref()
                    .is_some_and(|reply| reply.status.is_success()),
                "{step:?}: {answer:?}"
            );
        }
        world.settle(step, answer).await;
        if whole {
            return messages + 1;
        }
    }
    panic!("{step:?} doesn't end");
}
