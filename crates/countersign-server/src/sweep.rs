//! Removes what has expired, in bounded batches (promise P9). A failure is logged and the next round tries again.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::denylist::DenylistStore;
use countersign::store::{SweepLimit, SweepPace, Swept, TokenStore};
use countersign::{Clock, Failure, Lifetimes, Timestamp};
use tokio::time::MissedTickBehavior;

use crate::accounts::Throttle;
use crate::deployment::{Skew, StoreClock};
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
    /// By which tokens without an end of their own age, where we wrote them.
    pub lifetimes: Lifetimes,
    /// What becomes of tokens without an end of their own.
    pub endless: Endless,
    /// What tells the time.
    pub clock: Arc<dyn Clock>,
    /// Whether the store's time is the same.
    pub store_clock: StoreClock,
}

/// What becomes of tokens whose rows state no end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// We wrote them, in the original's profile: they age by our lifetimes.
    Ours,
    /// The original wrote them, and how long they live isn't known: they stay.
    Kept,
    /// The original wrote them, and they live so long.
    Adopted(Duration),
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
        let limit = self.limit(now, rows);
        let tokens = self.tokens.sweep(&limit).await?;
        let denied = self.denylist.sweep(now, rows).await?;
        let failures = self.throttle.sweep(now, rows).await?;
        let full = |count: u64| count >= u64::from(rows);
        let more = tokens.more || full(denied) || full(failures);
        let Swept { access, refresh, fences, .. } = tokens;
        Ok(Removed { access, refresh, fences, denied, failures, more })
    }

    fn limit(&self, now: Timestamp, rows: u32) -> SweepLimit {
        let limit = SweepLimit::new(now, &self.lifetimes, rows);
        let never = Timestamp::from_unix_seconds(0);
        match self.endless {
            Endless::Ours => limit,
            Endless::Kept => SweepLimit { access_created: never, refresh_created: never, ..limit },
            Endless::Adopted(lifetime) => SweepLimit {
                access_created: now.saturating_sub(lifetime),
                refresh_created: now.saturating_sub(lifetime.max(self.lifetimes.refresh())),
                ..limit
            },
        }
    }

    /// Sweeps at every interval until told to stop.
    pub async fn run(self, interval: Duration, stop: Stop) {
        let mut interval = tokio::time::interval(interval);
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let rounds = async {
            let mut is_refused = false;
            loop {
                interval.tick().await;
                match self.store_clock.check().await {
                    Ok(None) => {
                        is_refused = false;
                        self.round().await;
                    }
                    Ok(Some(skew)) => {
                        let Skew { host, store, .. } = skew;
                        if !std::mem::replace(&mut is_refused, true) {
                            tracing::warn!(event = "sweep_refused", %host, %store, "{skew}");
                        }
                    }
                    Err(failure) => failed(&failure),
                }
            }
        };
        // Those who are still to be answered get the store to themselves. A batch is whole or not at all.
        tokio::select! {
            () = rounds => {}
            () = stop.reached(Phase::Leave) => {}
        }
    }

    async fn round(&self) {
        let mut total = Removed::default();
        let mut pace = SweepPace::new(BATCH);
        loop {
            match self.batch(&mut pace).await {
                Ok(removed) => total.add(removed),
                Err(failure) => return failed(&failure),
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

fn failed(failure: &Failure) {
    let cause = std::error::Error::source(failure).map(tracing::field::display);
    tracing::warn!(event = "sweep_failed", %failure, cause, "the next round tries again");
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweeper").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use countersign::denylist::MemoryDenylist;
    use countersign::store::Value;
    use countersign::store::sql::{
        Database, DatabaseOptions, DatabaseTokenModels, Dialect, Driver, Migrator, Script, SqlStore,
    };
    use countersign::{Secret, SystemClock, SystemEntropy, UserKeyKind};
    use uuid::Uuid;

    use super::*;
    use crate::compose::ACCOUNTS;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A token that the original wrote 20 minutes ago, which lives for an hour on its side.
    async fn swept(endless: Endless) -> u64 {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid).add(ACCOUNTS).run().await.unwrap();
        let insert = "INSERT INTO access_token (token, created_at, user_id) VALUES (?1, ?2, ?3)";
        let written = SystemClock.now().saturating_sub(20 * MINUTE);
        let row = [Value::from("0f".repeat(32)), Value::from(written), Value::from(Uuid::nil())];
        database.run(&Script::new(Dialect::Sqlite, &[insert]), &row).await.unwrap();
        let secret = Secret::generate(&SystemEntropy).unwrap();
        let sweeper = Sweeper {
            tokens: Arc::new(SqlStore::new(database.clone(), DatabaseTokenModels::bundled(UserKeyKind::Uuid))),
            denylist: Arc::new(MemoryDenylist::default()),
            throttle: Throttle::new(database.driver(), &secret, None).unwrap(),
            lifetimes: Lifetimes::new(15 * MINUTE, 24 * 60 * MINUTE).unwrap(),
            endless,
            clock: Arc::new(SystemClock),
            store_clock: StoreClock::new(database.driver()),
        };
        sweeper.batch(&mut SweepPace::new(100)).await.unwrap().access
    }

    #[tokio::test]
    async fn rows_of_the_original_stay_until_their_life_is_known() {
        assert_eq!(swept(Endless::Kept).await, 0);
        assert_eq!(swept(Endless::Adopted(60 * MINUTE)).await, 0);
        assert_eq!(swept(Endless::Adopted(10 * MINUTE)).await, 1);
        assert_eq!(swept(Endless::Ours).await, 1);
    }
}
