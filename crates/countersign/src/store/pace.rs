//! How much a sweep removes at a time.

use std::time::Duration;

/// How many rows of each kind a sweep removes at a time: fewer where that takes long. SQLite has one writer, and whoever writes
/// waits for the batch that is under way; so a batch should take about 50 milliseconds, and after it others get their turn.
///
/// ```
/// use std::time::Duration;
/// use countersign::store::SweepPace;
///
/// let mut pace = SweepPace::new(1000);
/// let first = pace.rows();
/// pace.learn(Duration::from_millis(3));
/// assert!(first < pace.rows() && pace.rows() <= 1000);
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SweepPace {
    rows: u32,
    most: u32,
}

impl SweepPace {
    /// What a batch should take.
    pub const TARGET: Duration = Duration::from_millis(50);

    const FIRST: u32 = 100;
    const LEAST: u32 = 20;

    /// A pace that never takes more than `most` rows of each kind, and always one.
    pub fn new(most: u32) -> Self {
        let most = most.max(1);
        Self { rows: most.min(Self::FIRST), most }
    }

    /// How many rows of each kind the next batch may remove.
    pub const fn rows(&self) -> u32 {
        self.rows
    }

    /// Takes note of how long the last batch took.
    pub fn learn(&mut self, took: Duration) {
        let rows = if took > Self::TARGET {
            self.rows / 2
        } else if took < Self::TARGET / 2 {
            self.rows.saturating_mul(2)
        } else {
            self.rows
        };
        self.rows = rows.clamp(self.most.min(Self::LEAST), self.most);
    }

    /// Leaves the store to others for as long as the last batch took, [`TARGET`](Self::TARGET) at most. Another process on the
    /// same SQLite file asks again and again until it is free. It needs tokio's timer, as the drivers do.
    pub async fn rest(took: Duration) {
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
        assert_eq!(after(1000, &[SweepPace::TARGET, SweepPace::TARGET / 2]), 100);
    }
}
