//! Concurrent callers, and the comparison of two ways of doing the same.

#![allow(
    clippy::cast_precision_loss,
    clippy::print_stdout,
    clippy::indexing_slicing,
    reason = "a benchmark"
)]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

/// The number of tokens that are asked for in turn.
pub(crate) const TOKENS: usize = 10_000;
/// The number of rounds of each way.
const ROUNDS: usize = 5;
/// The duration of a round.
const ROUND: Duration = Duration::from_secs(2);
/// The numbers of concurrent callers that are measured.
const CALLERS: [usize; 2] = [1, 64];

/// A way of answering the question for a token.
pub(crate) trait Reader: Send + Sync + 'static {
    /// Answers the question for token number `n`.
    fn read(&self, n: usize) -> impl Future<Output = ()> + Send;
}

/// Measures both ways in alternating rounds, and prints their rates and the ratio.
pub(crate) async fn compare<A: Reader, B: Reader>(
    name: &str,
    what: &str,
    ours: &Arc<A>,
    bare: &Arc<B>,
) {
    for callers in CALLERS {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            rates[0].push(rate(bare, callers).await);
            rates[1].push(rate(ours, callers).await);
        }
        let [floor, ours] = rates.each_mut().map(|rates| median(rates));
        println!(
            "{name:<13} {callers:>3} callers   bare {floor:>8.0}/s   {what} {ours:>8.0}/s   {:.2}",
            ours / floor
        );
    }
}

/// Returns the rate of answers per second during one round.
async fn rate<R: Reader>(reader: &Arc<R>, callers: usize) -> f64 {
    let (stop, count) = (
        Arc::new(AtomicBool::new(false)),
        Arc::new(AtomicU64::new(0)),
    );
    let mut crowd = JoinSet::new();
    let start = Instant::now();
    for caller in 0..callers {
        let (reader, stop, count) = (Arc::clone(reader), Arc::clone(&stop), Arc::clone(&count));
        crowd.spawn(async move {
            let mut n = caller * 7919;
            while !stop.load(Ordering::Relaxed) {
                n += 1;
                reader.read(n % TOKENS).await;
                count.fetch_add(1, Ordering::Relaxed);
            }
        });
    }
    let _ = tokio::time::timeout(ROUND, std::future::pending::<()>()).await;
    stop.store(true, Ordering::Relaxed);
    crowd.join_all().await;
    count.load(Ordering::Relaxed) as f64 / start.elapsed().as_secs_f64()
}

/// Returns the median. Sorts the slice.
pub(crate) fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
