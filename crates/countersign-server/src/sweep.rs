//! Removes what has expired, in bounded batches (promise P9). A failure is logged and the next round tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::denylist::DenylistStore;
use countersign::store::{SweepLimit, SweepPace, Swept, TokenStore};
use countersign::{Clock, Failure, Lifetimes};
use tokio::time::MissedTickBehavior;

use crate::accounts::Throttle;
use crate::shutdown::{Phase, Stop};

/// The most rows of each kind that the server removes at a time.
const BATCH: u32 = 1000;

/// Knows everything that expires.
#[derive(Clone)]
pub struct Sweeper {
    /// The tokens in the database. What is on Redis leaves by itself.
    pub tokens: Arc<dyn TokenStore>,
    /// Revoked ids of signed tokens.
    pub denylist: Arc<dyn DenylistStore>,
    /// Failed logins.
    pub throttle: Throttle,
    /// By which tokens without an end of their own age.
    pub lifetimes: Lifetimes,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
}

/// What a sweep removed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// Access tokens.
    pub access: u64,
    /// Refresh tokens.
    pub refresh: u64,
    /// Users' fences that nobody uses.
    pub fences: u64,
    /// Revoked ids of signed tokens.
    pub denied: u64,
    /// Counts of failed logins.
    pub failures: u64,
    /// Whether there is more to remove.
    pub more: bool,
}

impl Removed {
    /// Rows in all.
    pub fn rows(&self) -> u64 {
        [self.access, self.refresh, self.fences, self.denied, self.failures].into_iter().fold(0, u64::saturating_add)
    }

    /// Adds what another batch removed.
    pub fn add(&mut self, other: Self) {
        self.access = self.access.saturating_add(other.access);
        self.refresh = self.refresh.saturating_add(other.refresh);
        self.fences = self.fences.saturating_add(other.fences);
        self.denied = self.denied.saturating_add(other.denied);
        self.failures = self.failures.saturating_add(other.failures);
        self.more = other.more;
    }
}

impl Sweeper {
    /// Removes one batch, and when there is more to remove, lets others have their turn.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked; what was removed before that is gone.
    pub async fn batch(&self, pace: &mut SweepPace) -> Result<Removed, Failure> {
        let start = Instant::now();
        let removed = self.remove(pace.rows()).await?;
        let took = start.elapsed();
        pace.learn(took);
        if removed.more {
            SweepPace::rest(took).await;
        }
        Ok(removed)
    }

    async fn remove(&self, rows: u32) -> Result<Removed, Failure> {
        let now = self.clock.now();
        let limit = SweepLimit::new(now, &self.lifetimes, rows);
        let tokens = self.tokens.sweep(&limit).await?;
        let denied = self.denylist.sweep(now, rows).await?;
        let failures = self.throttle.sweep(now, rows).await?;
        let full = |count: u64| count >= u64::from(rows);
        let more = tokens.more || full(denied) || full(failures);
        let Swept { access, refresh, fences, .. } = tokens;
        Ok(Removed { access, refresh, fences, denied, failures, more })
    }

    /// Sweeps at every interval until told to stop.
    pub async fn run(self, interval: Duration, stop: Stop) {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let rounds = async {
            loop {
                interval.tick().await;
                self.round().await;
            }
        };
        // Those who are still to be answered get the store to themselves. A batch is whole or not at all.
        tokio::select! {
            () = rounds => {}
            () = stop.reached(Phase::Drain) => {}
        }
    }

    async fn round(&self) {
        let mut total = Removed::default();
        let mut pace = SweepPace::new(BATCH);
        loop {
            match self.batch(&mut pace).await {
                Ok(removed) => total.add(removed),
                Err(failure) => {
                    let cause = std::error::Error::source(&failure).map(tracing::field::display);
                    tracing::warn!(event = "sweep_failed", %failure, cause, "the next round tries again");
                    return;
                }
            }
            if !total.more {
                break;
            }
        }
        if total.rows() > 0 {
            tracing::info!(event = "swept", rows = total.rows());
        }
    }
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweeper").finish_non_exhaustive()
    }
}
