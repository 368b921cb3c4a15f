//! Deletion of expired rows, in bounded batches.
//!
//! A [`Sweeper`] deletes expired tokens, unused fences, expired denylist entries and old counts of
//! failed logins from the database. [`Sweeper::run`] does so in the background of a server;
//! `countersign cleanup` calls [`Sweeper::batch`] itself. Data on Redis isn't swept: it expires by
//! itself there.
//!
//! Several servers may sweep the same database at once, and a server may stop in the middle of a
//! batch: rows that were deleted stay deleted, and the next round goes on from there. Because rows
//! are deleted by their age, each round first compares this host's clock with the store's
//! ([`StoreClock`]).
//!
//! Authentication never depends on a sweep. An expired row is refused whether or not it is still
//! there.

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::clock::Clock;
use countersign::denylist::DenylistStore;
use countersign::store::{SweepLimit, SweepPace, Swept, TokenStore};
use countersign::{Failure, Lifetimes, Timestamp};
use tokio::time::MissedTickBehavior;

use crate::accounts::Throttle;
use crate::deployment::StoreClock;
use crate::error::Skew;
use crate::shutdown::{Phase, Stop};

/// The largest number of rows of each kind in one batch of a server.
const BATCH: u32 = 1000;

/// The parts of the store that hold rows which expire.
///
/// Clones share the same stores.
#[derive(Clone)]
pub struct Sweeper {
    /// The token store in the database. Tokens on Redis expire by themselves.
    pub tokens: Arc<dyn TokenStore>,
    /// The denylist of signed tokens in the database.
    pub denylist: Arc<dyn DenylistStore>,
    /// The counts of failed logins.
    pub throttle: Throttle,
    /// The configured lifetimes, which [`endless`](Self::endless) may apply to rows without
    /// `expires_at`.
    pub lifetimes: Lifetimes,
    /// The rule for tokens without `expires_at`.
    pub endless: Endless,
    /// The clock that decides which rows have expired.
    pub clock: Arc<dyn Clock>,
    /// The comparison of this host's clock with the store's, made before each round.
    pub store_clock: StoreClock,
}

/// The rule for token rows that have no `expires_at`.
///
/// This server's own profile always writes `expires_at`. Rows without it come from litestar-auth,
/// or were written in its profile. `expires_at` decides for all other rows, whatever the rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endless {
    /// Rows in the profile of litestar-auth, deleted when older than the configured lifetimes.
    Ours,
    /// Rows of litestar-auth with an unknown lifetime. They are never deleted.
    Kept,
    /// Rows of litestar-auth that live for this long.
    ///
    /// Access tokens are deleted after this time, and refresh tokens after this time or the
    /// configured refresh lifetime, whichever is longer.
    Adopted(Duration),
}

/// The numbers of rows that a sweep deleted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Removed {
    /// The number of access tokens.
    pub access: u64,
    /// The number of refresh tokens.
    pub refresh: u64,
    /// The number of users' fences that had not been used for a day.
    pub fences: u64,
    /// The number of denylist entries.
    pub denied: u64,
    /// The number of counts of failed logins.
    pub failures: u64,
    /// `true` if the batch was full, so that more rows may have expired.
    pub more: bool,
}

impl Removed {
    /// Returns the number of deleted rows of all kinds.
    pub fn rows(&self) -> u64 {
        [
            self.access,
            self.refresh,
            self.fences,
            self.denied,
            self.failures,
        ]
        .into_iter()
        .fold(0, u64::saturating_add)
    }

    /// Adds the numbers of the batch that followed. `more` becomes that of the later batch.
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
    /// Deletes one batch, and returns the numbers of deleted rows.
    ///
    /// `pace` sets the size of the batch and learns from the time that it took. If there is more to
    /// delete, this function then pauses for as long as the batch took, at most 50 milliseconds, so
    /// that requests get the store in between. Call it again with the same `pace` while
    /// [`Removed::more`] is `true`.
    ///
    /// # Errors
    /// Returns [`Failure`] if the database can't be reached or refuses a statement. Rows that were
    /// deleted before the failure stay deleted. It is safe to call this function again.
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

    /// Deletes at most `rows` expired rows of each kind.
    async fn remove(&self, rows: u32) -> Result<Removed, Failure> {
        let now = self.clock.now();
        let limit = self.limit(now, rows);
        let tokens = self.tokens.sweep(&limit).await?;
        let denied = self.denylist.sweep(now, rows).await?;
        let failures = self.throttle.sweep(now, rows).await?;

        let full = u64::from(rows);
        let more = tokens.more || denied >= full || failures >= full;
        let Swept {
            access,
            refresh,
            fences,
            ..
        } = tokens;

        Ok(Removed {
            access,
            refresh,
            fences,
            denied,
            failures,
            more,
        })
    }

    /// Returns the bounds of a batch, with the rule of [`Endless`] applied.
    fn limit(&self, now: Timestamp, rows: u32) -> SweepLimit {
        let limit = SweepLimit::new(now, &self.lifetimes, rows);
        // No row is older than the epoch, so this bound deletes nothing.
        let never = Timestamp::from_unix_seconds(0);
        match self.endless {
            Endless::Ours => limit,
            Endless::Kept => limit.with_access_created(never).with_refresh_created(never),
            Endless::Adopted(lifetime) => limit
                .with_access_created(now.saturating_sub(lifetime))
                .with_refresh_created(now.saturating_sub(lifetime.max(self.lifetimes.refresh()))),
        }
    }

    /// Sweeps once per `interval` until `stop` reaches [`Phase::Leave`].
    ///
    /// The first round begins at once. A round lasts until a batch isn't full. If the clocks are
    /// too far apart, no row is deleted and `sweep_refused` is logged once, until the clocks agree
    /// again. A failure is logged (`sweep_failed`), and the next round tries again.
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

        // From the announcement of the stop on, the store is left to requests. Dropping a round in
        // the middle is safe: rows that are left are deleted by the next one.
        tokio::select! {
            () = rounds => {}
            () = stop.reached(Phase::Leave) => {}
        }
    }

    /// Deletes batches until nothing is left, and logs the total.
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
    tracing::warn!(event = "sweep_failed", %failure, cause, "expired rows were not deleted; the next sweep tries again");
}

impl std::fmt::Debug for Sweeper {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sweeper").finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use countersign::clock::SystemClock;
    use countersign::denylist::MemoryDenylist;
    use countersign::store::Value;
    use countersign::store::sql::{
        Database, DatabaseOptions, DatabaseTokenModels, Dialect, Driver, Migrator, Script, SqlStore,
    };
    use countersign::user::UserKeyKind;
    use countersign::{Secret, SystemEntropy};
    use uuid::Uuid;

    use super::*;
    use crate::foundation::ACCOUNTS;

    const MINUTE: Duration = Duration::from_mins(1);

    /// A token that the original wrote 20 minutes ago, which lives for an hour on its side.
    async fn swept(endless: Endless) -> u64 {
        let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
        Migrator::new(&database, UserKeyKind::Uuid)
            .add(ACCOUNTS)
            .run()
            .await
            .unwrap();
        let insert = "INSERT INTO access_token (token, created_at, user_id) VALUES (?1, ?2, ?3)";
        let written = SystemClock.now().saturating_sub(20 * MINUTE);
        let row = [
            Value::from("0f".repeat(32)),
            Value::from(written),
            Value::from(Uuid::nil()),
        ];
        database
            .run(&Script::new(Dialect::Sqlite, &[insert]), &row)
            .await
            .unwrap();
        let secret = Secret::generate(&SystemEntropy).unwrap();
        let sweeper = Sweeper {
            tokens: Arc::new(SqlStore::new(
                database.clone(),
                DatabaseTokenModels::bundled(UserKeyKind::Uuid),
            )),
            denylist: Arc::new(MemoryDenylist::default()),
            throttle: Throttle::new(database.driver(), &secret, None).unwrap(),
            lifetimes: Lifetimes::new(15 * MINUTE, 24 * 60 * MINUTE).unwrap(),
            endless,
            clock: Arc::new(SystemClock),
            store_clock: StoreClock::new(database.driver()),
        };
        sweeper
            .batch(&mut SweepPace::new(100))
            .await
            .unwrap()
            .access
    }

    #[tokio::test]
    async fn rows_of_the_original_stay_until_their_life_is_known() {
        assert_eq!(swept(Endless::Kept).await, 0);
        assert_eq!(swept(Endless::Adopted(60 * MINUTE)).await, 0);
        assert_eq!(swept(Endless::Adopted(10 * MINUTE)).await, 1);
        assert_eq!(swept(Endless::Ours).await, 1);
    }
}
