//! The cost of writing and reading a signed token, for each kind of algorithm.
//!
//! `cargo bench -p countersign --bench jwt` prints nanoseconds, the median of several runs. The
//! denylist is in memory, so this is the cost of cryptography and claims alone.

#![allow(
    clippy::unwrap_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    missing_docs,
    reason = "a benchmark"
)]

use std::future::Future;
use std::hint::black_box;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Instant;

use countersign::denylist::MemoryDenylist;
use countersign::jwt::{Algorithm, KeyRing, SigningKey, generate_secret};
use countersign::strategy::JwtStrategy;
use countersign::strategy::Strategy;
use countersign::{Failure, PlainToken, SystemEntropy, User};

/// A user with the fields that a signed token depends on.
#[derive(Clone)]
struct Account {
    id: i64,
}

impl User for Account {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }

    fn email(&self) -> Option<&str> {
        Some("alice@example.com")
    }

    fn password_hash(&self) -> Option<&str> {
        Some("$argon2id$v=19$m=19456,t=2,p=1$c2FsdHNhbHRzYWx0$0bC6bQv8b0J7w3ZpQ5x1dA")
    }
}

/// Returns the output of a future that never waits, after a single poll.
fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(value) => value,
        Poll::Pending => unreachable!("nothing here waits"),
    }
}

/// Returns the time of one call of `work` in nanoseconds, the median of nine runs.
fn median_ns(mut work: impl FnMut()) -> f64 {
    let mut round = |count: u32| {
        let start = Instant::now();
        (0..count).for_each(|_| work());
        start.elapsed().as_nanos() as f64 / f64::from(count)
    };
    let count = (20_000_000.0 / round(100)).clamp(50.0, 100_000.0);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "between 50 and 100,000"
    )]
    let mut rounds: Vec<f64> = (0..9).map(|_| round(count as u32)).collect();
    rounds.sort_by(f64::total_cmp);
    rounds.swap_remove(4)
}

fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    println!("{:<8} {:>12} {:>12}", "", "write_token", "read_token");
    for algorithm in [
        Algorithm::Hs256,
        Algorithm::Rs256,
        Algorithm::Es256,
        Algorithm::EdDsa,
    ] {
        let secret = generate_secret(algorithm, &SystemEntropy).unwrap();
        let strategy = JwtStrategy::builder()
            .keys(KeyRing::new(
                SigningKey::from_secret(algorithm, &secret).unwrap(),
            ))
            .denylist_store(Arc::new(MemoryDenylist::default()))
            .build()
            .unwrap();
        let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
        let account = Account { id: 7 };
        let token: PlainToken = now(strategy.write_token(&account)).unwrap().token;
        let write = median_ns(|| drop(black_box(now(strategy.write_token(&account)).unwrap())));
        let read = median_ns(|| {
            assert!(
                now(strategy.read_token(Some(black_box(&token)), &users))
                    .unwrap()
                    .accepted()
                    .is_some()
            );
        });
        println!("{:<8} {write:>9.0} ns {read:>9.0} ns", algorithm.as_str());
    }
}
