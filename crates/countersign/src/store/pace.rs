//! The batch size of sweeps, which adapts to the speed of the store.

use std::time::Duration;

/// The number of rows of each kind that a sweep deletes at a time.
///
/// It starts at 100 and doubles while batches are fast, up to a maximum; it halves, down to 20,
/// while they take longer than [`TARGET`](Self::TARGET). SQLite has one writer, and every other
/// write waits for the batch that is running, so a batch should take about 50 milliseconds, with a
/// [rest](Self::rest) after it. Other stores benefit less, but are swept the same way.
///
/// # Examples
///
/// ```
/// use std::time::{Duration, Instant};
///
/// use countersign::store::{MemoryStore, SweepLimit, SweepPace, TokenStore};
/// use countersign::clock::{Clock, SystemClock};
/// use countersign::Lifetimes;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let store = MemoryStore::new();
/// let lifetimes = Lifetimes::new(Duration::from_secs(900), Duration::from_secs(30 * 24 * 3600))?;
/// let mut pace = SweepPace::new(1000);
/// loop {
///     let begun = Instant::now();
///     let limit = SweepLimit::new(SystemClock.now(), &lifetimes, pace.rows());
///     if !store.sweep(&limit).await?.more {
///         break;
///     }
///     let took = begun.elapsed();
///     pace.learn(took);
///     SweepPace::rest(took).await;
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPace {
    rows: u32,
    /// The maximum that [`new`](Self::new) was given.
    most: u32,
}

impl SweepPace {
    /// The time that a batch should take.
    pub const TARGET: Duration = Duration::from_millis(50);

    /// The size of the first batch, unless the maximum is smaller.
    const FIRST: u32 = 100;
    /// The smallest batch, unless the maximum is smaller.
    const LEAST: u32 = 20;

    /// Creates a pace of at most `most` rows of each kind. 0 counts as 1.
    pub fn new(most: u32) -> Self {
        let most = most.max(1);
        Self {
            rows: most.min(Self::FIRST),
            most,
        }
    }

    /// Returns the number of rows of each kind that the next batch may delete.
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// Adapts the size of the next batch to the time that the last one took.
    ///
    /// Above [`TARGET`](Self::TARGET) it halves, below half of that it doubles, and in between it
    /// stays.
    pub fn learn(&mut self, took: Duration) {
        // Two limits lie apart, so that a batch of about the right size stays as it is.
        let rows = if took > Self::TARGET {
            self.rows / 2
        } else if took < Self::TARGET / 2 {
            self.rows.saturating_mul(2)
        } else {
            self.rows
        };
        self.rows = rows.clamp(self.most.min(Self::LEAST), self.most);
    }

    /// Waits for as long as the last batch took, [`TARGET`](Self::TARGET) at most, so that others
    /// reach the store.
    ///
    /// Call it after each batch. Another process that writes to the same SQLite file doesn't queue:
    /// it asks again and again until the file is free. It needs tokio's timer, as the drivers do.
    pub async fn rest(took: Duration) {
        // A future that never completes, under a timeout, is a sleep.
        let _ = tokio::time::timeout(took.min(Self::TARGET), std::future::pending::<()>()).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SLOW: Duration = Duration::from_secs(1);
    const FAST: Duration = Duration::from_millis(1);

    fn after(most: u32, batches: &[Duration]) -> u32 {
        let mut pace = SweepPace::new(most);
        for took in batches {
            pace.learn(*took);
        }
        pace.rows()
    }

    #[test]
    fn fast_batches_grow_up_to_the_most() {
        assert_eq!(after(1000, &[]), 100);
        assert_eq!(after(1000, &[FAST]), 200);
        assert_eq!(after(1000, &[FAST; 9]), 1000);
        assert_eq!(after(u32::MAX, &[FAST; 64]), u32::MAX);
    }

    #[test]
    fn slow_batches_shrink_and_never_stop() {
        assert_eq!(after(1000, &[SLOW]), 50);
        assert_eq!(after(1000, &[SLOW; 9]), 20);
        assert_eq!(after(1000, &[SLOW, SLOW, SLOW, FAST]), 40);
        assert_eq!(after(7, &[SLOW; 9]), 7);
        assert_eq!(after(0, &[SLOW; 9]), 1);
    }

    #[test]
    fn what_is_about_right_stays() {
        assert_eq!(
            after(1000, &[SweepPace::TARGET, SweepPace::TARGET / 2]),
            100
        );
    }
}
