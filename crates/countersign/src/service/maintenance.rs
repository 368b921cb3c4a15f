//! The work beside requests: deleting expired rows, recording use, watching sessions.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::time::MissedTickBehavior;

use crate::denylist::DenylistStore;
use crate::error::Failure;
use crate::store::{SweepPace, TokenStore};
use crate::strategy::Sessions;

/// The highest number of rows of each kind that one batch deletes.
const BATCH: u32 = 1000;

/// The intervals of the work beside requests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Intervals {
    pub(super) sweep: Duration,
    pub(super) record_use: Duration,
    pub(super) watch: Duration,
}

impl Default for Intervals {
    fn default() -> Self {
        Self {
            sweep: Duration::from_hours(1),
            record_use: Duration::from_mins(1),
            watch: Duration::from_secs(5),
        }
    }
}

/// Deletes what has expired, in the token store and in the denylist.
#[derive(Clone)]
pub(super) struct Sweeper {
    pub(super) sessions: Sessions<Arc<dyn TokenStore>>,
    pub(super) denylist: Option<Arc<dyn DenylistStore>>,
}

impl Sweeper {
    /// Sweeps at once and then once per `interval`, without ever returning.
    ///
    /// A failure is logged as `sweep_failed`. The rows that were deleted before stay deleted, and
    /// the next round goes on from there.
    pub(super) async fn run(self, interval: Duration) {
        let mut interval = tokio::time::interval(interval.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);

        loop {
            interval.tick().await;
            match self.sweep().await {
                Ok(0) => {}
                Ok(rows) => tracing::info!(event = "swept", rows, "expired rows were deleted"),
                Err(failure) => {
                    let cause = std::error::Error::source(&failure).map(tracing::field::display);
                    tracing::warn!(event = "sweep_failed", %failure, cause, "expired rows were not deleted; the next round tries again");
                }
            }
        }
    }

    /// Deletes all expired rows in batches, and returns how many there were.
    async fn sweep(&self) -> Result<u64, Failure> {
        let rows = self.sessions.sweep_all(BATCH, &mut |_| {}).await?;
        match &self.denylist {
            Some(denylist) => Ok(rows.saturating_add(self.sweep_denials(&**denylist).await?)),
            None => Ok(rows),
        }
    }

    /// Deletes the denials whose tokens have expired.
    async fn sweep_denials(&self, denylist: &dyn DenylistStore) -> Result<u64, Failure> {
        let mut removed: u64 = 0;
        loop {
            let start = Instant::now();
            let batch = denylist.sweep(self.sessions.now(), BATCH).await?;
            removed = removed.saturating_add(batch);
            if batch < u64::from(BATCH) {
                return Ok(removed);
            }
            SweepPace::rest(start.elapsed()).await;
        }
    }
}
