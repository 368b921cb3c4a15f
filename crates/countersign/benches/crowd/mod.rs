//! Many callers at once, and how two ways of doing the same compare.

#![allow(clippy::cast_precision_loss, clippy::print_stdout, clippy::indexing_slicing, reason = "a benchmark")]

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use tokio::task::JoinSet;

pub(crate) const TOKENS: usize = 10_000;
const ROUNDS: usize = 5;
const ROUND: Duration = Duration::from_secs(2);
const CALLERS: [usize; 2] = [1, 64];

/// Something that answers the question for token number `n`.
pub(crate) trait Reader: Send + Sync + 'static {
    fn read(&self, n: usize) -> impl Future<Output = ()> + Send;
}

pub(crate) async fn compare<A: Reader, B: Reader>(name: &str, what: &str, ours: &Arc<A>, bare: &Arc<B>) {
    for callers in CALLERS {
        let mut rates = [Vec::new(), Vec::new()];
        for _ in 0..ROUNDS {
            rates[0].push(rate(bare, callers).await);
            rates[1].push(rate(ours, callers).await);
        }
        let [floor, ours] = rates.each_mut().map(|rates| median(rates));
        println!("{name:<13} {callers:>3} callers   bare {floor:>8.0}/s   {what} {ours:>8.0}/s   {:.2}", ours / floor);
    }
}

async fn rate<R: Reader>(reader: &Arc<R>, callers: usize) -> f64 {
    let (stop, count) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
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

pub(crate) fn median(rates: &mut [f64]) -> f64 {
    rates.sort_by(f64::total_cmp);
    rates[rates.len() / 2]
}
