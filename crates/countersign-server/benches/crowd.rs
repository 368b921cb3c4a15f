//! The effect of two hundred concurrent logins to one account on the other users.
//!
//! `cargo bench -p countersign-server --all-features --bench crowd -- postgres mariadb` prints the
//! median and the 99th percentile of the other users' logins and refreshes, without the crowd and
//! with it, and the ratios. Everything runs in this process, with the server's own strategy and
//! settings. Passwords aren't checked: hashing is limited by processors, and this benchmark is
//! about locks.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    clippy::print_stderr,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

#[allow(dead_code, reason = "other benches and tests use more of it")]
#[path = "endings/ground.rs"]
mod ground;
#[allow(dead_code, reason = "the tests use more of it")]
#[path = "../tests/it/harness.rs"]
mod harness;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use clap::{Parser, ValueEnum};
use countersign_server::accounts::{Account, Lookup};
use countersign_server::compose::Services;
use reqwest::StatusCode;
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use ground::{Backend, Ground};

/// The number of callers that log in to one account, each again as soon as it is in.
const CROWD: usize = 200;
/// The number of other users.
const OTHERS: usize = 8;
/// The interval at which each other user logs in, followed by a refresh.
const EVERY: Duration = Duration::from_millis(200);
/// The time for which the other users are watched, without the crowd and with it.
const WATCHED: Duration = Duration::from_secs(10);

#[derive(Parser)]
struct Arguments {
    /// The stores; all of them unless some are named
    backends: Vec<Backend>,
    /// What `cargo bench` passes
    #[arg(long = "bench", hide = true)]
    _bench: bool,
}

#[tokio::main(worker_threads = 2)]
async fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let arguments = Arguments::parse();
    let all = Backend::value_variants();
    let backends = if arguments.backends.is_empty() {
        all
    } else {
        &arguments.backends
    };
    for backend in backends {
        measure(&Ground::start(*backend)).await;
    }
}

/// Measures one store, and prints the figures.
async fn measure(ground: &Ground) {
    let accounts = register(ground).await;
    let services = Arc::new(ground.services_with(&[]).await);
    let mut found = Vec::new();
    for email in &accounts {
        let account = services
            .accounts()
            .by_address(&Lookup::of(email).unwrap())
            .await
            .unwrap()
            .unwrap();
        found.push(Arc::new(account));
    }
    let (one, others) = found.split_first().unwrap();
    let alone = watch(&services, others).await;
    let (crowd, logins) = crowd(&services, one);
    let start = Instant::now();
    let beside = watch(&services, others).await;
    drop(crowd);
    let entered = logins.load(Relaxed) as u64 / start.elapsed().as_secs().max(1);
    println!(
        "{}: {CROWD} at once on one account, {} of its logins a second",
        ground.name(),
        entered
    );
    for (what, alone, beside) in [
        ("logins", &alone.logins, &beside.logins),
        ("refreshes", &alone.refreshes, &beside.refreshes),
    ] {
        let [(p50, p99), (p50_beside, p99_beside)] =
            [alone, beside].map(|times| (at(times, 0.5), at(times, 0.99)));
        println!(
            "{what:<10} {:>5} alone: p50 {p50:>7.2} ms, p99 {p99:>7.2} ms; {:>5} beside: p50 {p50_beside:>7.2} ms, \
             p99 {p99_beside:>7.2} ms; ratios {:.1} and {:.1}",
            alone.len(),
            beside.len(),
            p50_beside / p50,
            p99_beside / p99
        );
    }
    println!(
        "others' failures: {} alone, {} beside",
        alone.failed, beside.failed
    );
}

/// Registers the account for the crowd and those of the others, in this order. Returns their
/// addresses.
async fn register(ground: &Ground) -> Vec<String> {
    let server = ground.place.start();
    let emails: Vec<String> = (0..=OTHERS)
        .map(|at| format!("account-{at}@example.org"))
        .collect();
    for email in &emails {
        server.register(email).await.expect(StatusCode::CREATED);
    }
    server.stop();
    emails
}

/// Starts the crowd, which goes on until the set is dropped, and returns the count of its logins
/// too.
fn crowd(services: &Arc<Services>, account: &Arc<Account>) -> (JoinSet<()>, Arc<AtomicUsize>) {
    let (mut crowd, logins) = (JoinSet::new(), Arc::<AtomicUsize>::default());
    for _ in 0..CROWD {
        let (services, account, logins) = (
            Arc::clone(services),
            Arc::clone(account),
            Arc::clone(&logins),
        );
        crowd.spawn(async move {
            loop {
                let strategy = services.strategy.as_refreshable().unwrap();
                if strategy.open_session(&account).await.is_ok() {
                    logins.fetch_add(1, Relaxed);
                }
            }
        });
    }
    (crowd, logins)
}

/// The times of the other users' logins and refreshes, and the number of their failures.
#[derive(Default)]
struct Seen {
    logins: Vec<Duration>,
    refreshes: Vec<Duration>,
    failed: usize,
}

/// Lets the other users log in and refresh for [`WATCHED`].
///
/// A login's time counts from the moment at which it was due, and a user who was held up catches
/// up. So a pause counts as often as the logins that it delayed.
async fn watch(services: &Arc<Services>, others: &[Arc<Account>]) -> Seen {
    let (seen, end) = (Arc::<Mutex<Seen>>::default(), Instant::now() + WATCHED);
    let mut callers = JoinSet::new();
    for account in others {
        let (services, account, seen) =
            (Arc::clone(services), Arc::clone(account), Arc::clone(&seen));
        callers.spawn(async move {
            let mut pace = tokio::time::interval(EVERY);
            pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
            loop {
                let due = pace.tick().await.into_std();
                if due > end {
                    break;
                }
                let strategy = services.strategy.as_refreshable().unwrap();
                let opened = strategy.open_session(&account).await;
                let login = due.elapsed();
                let asked = Instant::now();
                let refreshed = match opened.as_ref().ok().and_then(|pair| pair.refresh.as_ref()) {
                    Some(refresh) => strategy
                        .refresh_session(&refresh.token, services.accounts())
                        .await
                        .is_ok(),
                    None => false,
                };
                let mut seen = seen.lock().unwrap();
                seen.logins.push(login);
                seen.refreshes.push(asked.elapsed());
                seen.failed += usize::from(opened.is_err() || !refreshed);
            }
        });
    }
    while callers.join_next().await.is_some() {}
    std::mem::take(&mut *seen.lock().unwrap())
}

/// Returns the time within which this share of the requests was done, in milliseconds.
fn at(times: &[Duration], share: f64) -> f64 {
    let mut times = times.to_vec();
    times.sort_unstable();
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "an index"
    )]
    let index = (times.len().saturating_sub(1) as f64 * share).round() as usize;
    times.get(index).copied().unwrap_or_default().as_secs_f64() * 1000.0
}
