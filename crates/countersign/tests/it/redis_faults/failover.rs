//! Masters of a cluster that are replaced, killed, or all killed at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

use countersign::clock::{Clock, SystemClock};
use countersign::denylist::{DenylistStore, RedisDenylist};
use countersign::error::FailureKind;
use countersign::redis::Redis;
use countersign::strategy::TokenControl;
use countersign::{Failure, PlainToken, Timestamp};
use testbed::{RedisCluster, wait_until};
use tokio::task::JoinSet;

use crate::fixture::users::Account;
use crate::redis_faults::entry::{MINUTE, key_of};
use crate::redis_faults::ground::{
    Ground, LONG, SHORT, connect, eventually, patiently, story, unavailable,
};
use crate::redis_faults::load::{Load, Manner};

/// Enough to have some on every master.
const ELDERS: usize = 12;

/// What was there long before, replicas included.
struct Elders {
    ground: Ground,
    /// What is set up and taken down isn't asked in a hurry.
    patient: Ground,
    denylist: RedisDenylist,
    live: Vec<(Account, PlainToken, PlainToken)>,
    ended: Vec<PlainToken>,
    denied: Vec<String>,
    now: Timestamp,
}

impl Elders {
    async fn new(
        cluster: &RedisCluster,
        ground: &Ground,
        denylist: RedisDenylist,
        prefix: &str,
    ) -> Arc<Self> {
        let now = SystemClock.now();
        let (patient, denials) = reached(&connect(&cluster.url(), LONG), prefix);
        let mut elders = Self {
            ground: ground.clone(),
            patient: patient.clone(),
            denylist,
            live: Vec::new(),
            ended: Vec::new(),
            denied: (0..ELDERS)
                .map(|number| format!("denied {number}"))
                .collect(),
            now,
        };
        for number in 0..ELDERS {
            // Accounts that the load doesn't have.
            let account = Account::new(1000 + number as u128);
            let [live, ended] = [
                patient.open(&account).await.unwrap(),
                patient.open(&account).await.unwrap(),
            ];
            patient
                .refreshable()
                .end_session(ended.session, &account.key())
                .await
                .unwrap();
            elders.live.push((account, live.access, live.refresh));
            elders.ended.push(ended.access);
            denials
                .deny(&elders.denied[number], now.saturating_add(60 * MINUTE), now)
                .await
                .unwrap();
        }
        are_replicated(cluster);
        elders.are_all_there().await;
        Arc::new(elders)
    }

    /// The same through another handle.
    fn through(&self, redis: &Redis, prefix: &str) -> Self {
        let (ground, denylist) = reached(redis, prefix);
        let (live, ended, denied) = (self.live.clone(), self.ended.clone(), self.denied.clone());
        Self {
            ground,
            patient: self.patient.clone(),
            denylist,
            live,
            ended,
            denied,
            now: self.now,
        }
    }

    /// Asks for all of them at once: each answer is the truth, or that it can't be told. How often it couldn't be.
    async fn ask(&self) -> usize {
        let asked = (0..ELDERS).map(|number| async move { self.ask_one(number).await });
        let denied: Vec<&str> = self.denied.iter().map(String::as_str).collect();
        let all = truth(
            "denied ids",
            &self.denylist.is_any_denied(&denied, self.now).await,
            true,
        );
        futures_util::future::join_all(asked)
            .await
            .into_iter()
            .sum::<usize>()
            + all
    }

    async fn ask_one(&self, number: usize) -> usize {
        let (_, access, refresh) = &self.live[number];
        let others: Vec<String> = (0..ELDERS)
            .map(|number| format!("not denied {number}"))
            .collect();
        let others: Vec<&str> = others.iter().map(String::as_str).collect();
        let among: Vec<&str> = others
            .iter()
            .copied()
            .chain([&*self.denied[number]])
            .collect();
        let denied = |ids| self.denylist.is_any_denied(ids, self.now);
        truth("an access token", &self.ground.accepts(access).await, true)
            + truth(
                "a refresh token",
                &self.ground.would_refresh(refresh).await,
                true,
            )
            + truth(
                "a token of an ended session",
                &self.ground.accepts(&self.ended[number]).await,
                false,
            )
            + truth("a denied id among others", &denied(&among).await, true)
            + truth("ids that aren't denied", &denied(&others).await, false)
    }

    async fn are_all_there(&self) {
        eventually("every question about them is answered", || async {
            self.ask().await == 0
        })
        .await;
    }
}

/// 1 when the question stays open, and 0 when it is answered.
fn truth(what: &str, answer: &Result<bool, Failure>, expected: bool) -> usize {
    match answer {
        Ok(answer) => assert_eq!(*answer, expected, "{what}"),
        Err(failure) => assert_eq!(
            failure.kind(),
            FailureKind::Unavailable,
            "{what}: {}",
            story(failure)
        ),
    }
    usize::from(answer.is_err())
}

/// Tasks that ask for the elders all the time.
struct Readers {
    stop: Arc<AtomicBool>,
    rounds: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

impl Readers {
    fn start(elders: &Arc<Elders>) -> Self {
        let elders = Arc::clone(elders);
        Self::asking(2, move || {
            let elders = Arc::clone(&elders);
            async move { elders.ask().await }
        })
    }

    /// Tasks that each ask again once they have an answer.
    fn asking<F: Future<Output = usize> + Send + 'static>(
        readers: usize,
        ask: impl Fn() -> F + Clone + Send + 'static,
    ) -> Self {
        let (stop, rounds) = (
            Arc::new(AtomicBool::new(false)),
            Arc::new(AtomicUsize::new(0)),
        );
        let mut tasks = JoinSet::new();
        for _ in 0..readers {
            let (ask, stop, rounds) = (ask.clone(), Arc::clone(&stop), Arc::clone(&rounds));
            tasks.spawn(async move {
                while !stop.load(SeqCst) {
                    ask().await;
                    rounds.fetch_add(1, SeqCst);
                }
            });
        }
        Self {
            stop,
            rounds,
            tasks,
        }
    }

    async fn rounds(&self, more: usize) {
        let enough = self.rounds.load(SeqCst) + more;
        eventually("readers are answered", || {
            std::future::ready(self.rounds.load(SeqCst) > enough)
        })
        .await;
    }

    async fn stop(mut self) {
        self.stop.store(true, SeqCst);
        while let Some(task) = self.tasks.join_next().await {
            task.expect("a reader is told the truth");
        }
    }
}

/// Waits until replicas have everything that masters had when this was called.
fn are_replicated(cluster: &RedisCluster) {
    let number = |info: &str, name: &str| -> Option<u64> {
        let rest = info.split(name).nth(1)?;
        rest.split(|c: char| !c.is_ascii_digit())
            .next()?
            .parse()
            .ok()
    };
    for master in cluster.masters() {
        let info = || cluster.command(master, &["INFO", "replication"]);
        let offset = number(&info(), "master_repl_offset:").unwrap();
        wait_until("the replica has everything", || {
            number(&info(), "offset=").is_some_and(|at| at >= offset)
        });
    }
}

fn ground(cluster: &RedisCluster, timeout: std::time::Duration) -> (Ground, RedisDenylist, String) {
    let prefix = cluster.prefix();
    let (ground, denylist) = reached(&connect(&cluster.url(), timeout), &prefix);
    (ground, denylist, prefix)
}

fn reached(redis: &Redis, prefix: &str) -> (Ground, RedisDenylist) {
    let denylist = RedisDenylist::new(redis)
        .with_key_prefix(&format!("{prefix}denied:"))
        .unwrap();
    (Ground::new(redis, prefix), denylist)
}

/// An orderly change of masters loses nothing, and nobody is told anything wrong.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_orderly_failover_loses_nothing() {
    let cluster = RedisCluster::dedicated();
    let (ground, denylist, prefix) = ground(&cluster, 5 * SHORT);
    let elders = Elders::new(&cluster, &ground, denylist, &prefix).await;
    let readers = Readers::start(&elders);
    let mut load = Load::start(
        &ground,
        Manner {
            clients: 6,
            accounts: 6,
            keeps: true,
        },
    );
    for master in cluster.masters() {
        load.turns(20).await;
        let replica = cluster.fail_over(master);
        load.turns(20).await;
        cluster.wait_until_ok();
        cluster.fail_over(replica);
    }
    load.turns(20).await;
    readers.stop().await;
    elders.are_all_there().await;
    let outcome = load.stop().await;
    outcome.holds().await;
    outcome.ends().await;
}

/// A master that dies may take with it what its replica hadn't been sent; what had been is there, and the rest is told as
/// it is. Then all masters die at once.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_masters_are_killed() {
    let cluster = RedisCluster::dedicated();
    let (ground, denylist, prefix) = ground(&cluster, SHORT);
    let elders = Elders::new(&cluster, &ground, denylist, &prefix).await;
    let mut load = Load::start(
        &ground,
        Manner {
            clients: 6,
            accounts: 6,
            keeps: false,
        },
    );
    for round in 0..2 {
        let readers = Readers::start(&elders);
        load.turns(20).await;
        let (failures, victim) = (
            load.failures(),
            cluster.node_of_key(&key_of(&prefix, &Account::new(round).key())),
        );
        cluster.kill(victim);
        eventually("the load meets the outage", || {
            std::future::ready(load.failures() > failures)
        })
        .await;
        wait_until("its replica has taken over", || {
            cluster.masters().len() == 3
        });
        readers.rounds(2).await;
        elders.are_all_there().await;
        load.turns(50).await;
        // It comes back as a replica, and its old data is no answer.
        cluster.start(victim);
        cluster.wait_until_ok();
        readers.rounds(2).await;
        readers.stop().await;
        elders.are_all_there().await;
    }
    is_frozen(&cluster, &elders).await;
    load.turns(20).await;
    load.stop().await;
    all_at_once(&cluster, &elders).await;
}

/// A silent master is left for its successor also while all others answer: this cluster doesn't stop for it, so nothing but
/// the silence tells of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_silent_master_is_left_for_its_successor() {
    let cluster = RedisCluster::dedicated();
    for node in 0..cluster.urls().len() {
        cluster.command(
            node,
            &["CONFIG", "SET", "cluster-require-full-coverage", "no"],
        );
    }
    let (ground, denylist, prefix) = ground(&cluster, SHORT);
    let elders = Elders::new(&cluster, &ground, denylist, &prefix).await;
    let node_of =
        |number: usize| cluster.node_of_key(&key_of(&prefix, &elders.live[number].0.key()));
    let (on_victim, victim) = (0, node_of(0));
    let elsewhere = (1..ELDERS)
        .find(|&number| node_of(number) != victim)
        .unwrap();
    let others = {
        let elders = Arc::clone(&elders);
        Readers::asking(4, move || {
            let elders = Arc::clone(&elders);
            async move {
                truth(
                    "a token elsewhere",
                    &elders.ground.accepts(&elders.live[elsewhere].1).await,
                    true,
                )
            }
        })
    };
    cluster.freeze(victim);
    // A handle whose first connection finds the master silent, and one that has been connected before.
    let redis = connect(&cluster.url(), SHORT);
    let late = elders.through(&redis, &prefix);
    eventually("the late one is connected", || async {
        late.ground.accepts(&late.live[elsewhere].1).await.is_ok()
    })
    .await;
    wait_until("its replica has taken over", || {
        cluster.masters().len() == 3
    });
    // One question by itself: many fill the silent one's buffers until the kernel gives up the connection.
    eventually("the successor answers", || async {
        elders.ask_one(on_victim).await == 0
    })
    .await;
    elders.are_all_there().await;
    late.are_all_there().await;
    eventually("a ping is answered", || async {
        redis.ping().await.is_ok()
    })
    .await;
    assert_eq!(patiently(|| redis.inspect()).await.len(), 3);
    // Nobody is left for the slots of the silent one.
    cluster.kill(node_of(on_victim));
    unavailable("ping", redis.ping().await);
    unavailable("inspect", redis.inspect().await);
    others.stop().await;
}

/// A master that is silent is replaced like one that died, and nobody waits for it any more.
async fn is_frozen(cluster: &RedisCluster, elders: &Arc<Elders>) {
    let readers = Readers::start(elders);
    let victim = cluster.masters()[0];
    cluster.freeze(victim);
    wait_until("its replica has taken over", || {
        cluster.masters().len() == 3
    });
    elders.are_all_there().await;
    cluster.thaw(victim);
    cluster.wait_until_ok();
    readers.rounds(2).await;
    readers.stop().await;
    elders.are_all_there().await;
}

/// Nothing is answered until the masters are back, and then everything.
async fn all_at_once(cluster: &RedisCluster, elders: &Arc<Elders>) {
    let readers = Readers::start(elders);
    let masters = cluster.masters();
    for master in &masters {
        cluster.kill(*master);
    }
    readers.rounds(2).await;
    for master in &masters {
        cluster.start(*master);
    }
    cluster.wait_until_ok();
    readers.rounds(2).await;
    readers.stop().await;
    elders.are_all_there().await;
    let patient = &elders.patient;
    for (account, access, refresh) in &elders.live {
        patient
            .refreshable()
            .refresh_session(refresh, &crate::fixture::users::users)
            .await
            .unwrap();
        patient
            .strategy()
            .invalidate_all(&account.key())
            .await
            .unwrap();
        assert!(
            !patiently(|| elders.ground.accepts(access)).await,
            "a token outlives its user's removal"
        );
    }
}
