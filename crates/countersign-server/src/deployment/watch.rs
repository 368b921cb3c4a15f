//! The watch over the mark while a server runs.
//!
//! A change of the deployment doesn't stop its servers: they go on with the settings that they
//! started with. The watch tells the operator that they must be restarted.
//!
//! A look also asks the [`StoreClock`]. On SQLite that is how the file learns that it is being
//! served.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use countersign::Failure;
use countersign::redis::{Redis, RedisMark};
use countersign::store::sql::{Database, Driver};
use tokio::time::MissedTickBehavior;

use super::StoreClock;
use super::mark::Mark;
use super::record::{Unread, recorded};
use crate::shutdown::{Phase, Stop};

/// The longest time between two looks. In an SQLite file, each look also notes that it is served.
const LONGEST: Duration = Duration::from_mins(10);

/// The watch over the mark of a running server.
///
/// It warns when the mark no longer agrees with the settings that this server started with, and
/// writes the mark on Redis again if Redis has lost it.
#[derive(Clone)]
pub struct Watch {
    database: Arc<dyn Driver>,
    redis: Option<Redis>,
    mark: Mark,
    has_warned: Arc<AtomicBool>,
    clock: StoreClock,
}

impl Watch {
    /// Creates a watch that compares the record with `mark`.
    pub(super) fn new(database: &Database, redis: Option<&Redis>, mark: Mark) -> Self {
        let driver = database.driver();
        let clock = StoreClock::new(Arc::clone(&driver));
        Self {
            database: driver,
            redis: redis.cloned(),
            mark,
            has_warned: Arc::default(),
            clock,
        }
    }

    /// Returns the comparison of this host's clock with the store's.
    pub const fn clock(&self) -> &StoreClock {
        &self.clock
    }

    /// Looks at the mark until `stop` reaches [`Phase::Drain`].
    ///
    /// It looks once per `interval`, but at least every ten minutes, and at once when it starts. A
    /// changed mark (`deployment_changed`) or an unreadable one (`deployment_unreadable`) is logged
    /// once. A failure is logged at `debug`, and the next look tries again.
    pub async fn run(self, interval: Duration, stop: Stop) {
        let mut interval = tokio::time::interval(interval.min(LONGEST));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);

        let rounds = async {
            loop {
                interval.tick().await;
                if let Err(failure) = self.look().await {
                    tracing::debug!(event = "deployment_not_seen", %failure);
                }
            }
        };

        tokio::select! {
            () = rounds => {}
            () = stop.reached(Phase::Drain) => {}
        }
    }

    /// Looks at the clock, the mark in the database, and the mark on Redis.
    ///
    /// # Errors
    /// Returns [`Failure`] if a store can't be used.
    async fn look(&self) -> Result<(), Failure> {
        // On SQLite this notes that the file is served. A clock that is wrong is reported by the
        // sweep.
        let _ = self.clock.check().await?;

        let recorded = match recorded(&*self.database).await {
            Ok(recorded) => recorded.map(|recorded| recorded.mark),
            Err(Unread::Store(failure)) => return Err(failure),
            Err(Unread::Mark(_)) => {
                self.warn_of_unreadable("row `mark` of the table countersign_deployment");
                return Ok(());
            }
        };

        // Facts that were open at the start may have been recorded since; that isn't a change.
        let as_started = recorded
            .as_ref()
            .is_some_and(|mark| self.mark.clone().filled(mark.clone()) == *mark);
        if !as_started {
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                let why = "the deployment was changed, and new servers start with other settings; \
                     restart this server with the same settings";
                tracing::warn!(event = "deployment_changed", "{why}");
            }
            return Ok(());
        }

        self.mark_again().await
    }

    /// Warns once that the next start won't be able to read the mark.
    fn warn_of_unreadable(&self, mark: &str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let why = "the deployment's mark can no longer be read; this server keeps running, but \
                 the next start will fail and explain what to do";
            tracing::warn!(event = "deployment_unreadable", mark, "{why}");
        }
    }

    /// Writes the mark on Redis again if it is missing there.
    ///
    /// A start would refuse a Redis without the mark, since it can't tell a Redis that lost its
    /// data from another one. A running server knows that it is the right one.
    async fn mark_again(&self) -> Result<(), Failure> {
        let (Some(redis), Some(name)) = (&self.redis, &self.mark.redis) else {
            return Ok(());
        };

        match redis.mark(name).await? {
            RedisMark::Missing => {}
            RedisMark::Present => return Ok(()),
            _ => {
                self.warn_of_unreadable(&format!("key countersign:deployment:{name} on Redis"));
                return Ok(());
            }
        }

        redis.leave_mark(name).await?;
        let why = "Redis has lost its data; the deployment's mark was written again";
        tracing::warn!(event = "redis_mark_lost", "{why}");
        Ok(())
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch")
            .field("mark", &self.mark)
            .finish_non_exhaustive()
    }
}
