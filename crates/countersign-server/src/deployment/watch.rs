//! A running server looks at the record again.

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

/// The longest time between two looks. An SQLite file is told in each that it is being served.
const LONGEST: Duration = Duration::from_mins(10);

/// Says when the deployment has changed since this server started, and marks a Redis again that has lost its mark.
#[derive(Clone)]
pub struct Watch {
    database: Arc<dyn Driver>,
    redis: Option<Redis>,
    mark: Mark,
    has_warned: Arc<AtomicBool>,
    clock: StoreClock,
}

impl Watch {
    pub(super) fn new(database: &Database, redis: Option<&Redis>, mark: Mark) -> Self {
        let driver = database.driver();
        let clock = StoreClock::new(Arc::clone(&driver));
        Self { database: driver, redis: redis.cloned(), mark, has_warned: Arc::default(), clock }
    }

    /// What compares this host's clock with the store's.
    pub const fn clock(&self) -> &StoreClock {
        &self.clock
    }

    /// Looks at every interval, or more often, until told to stop.
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

    async fn look(&self) -> Result<(), Failure> {
        // What is wrong with the clock is said by the sweep that doesn't take place.
        let _ = self.clock.check().await?;
        let recorded = match recorded(&*self.database).await {
            Ok(recorded) => recorded.map(|recorded| recorded.mark),
            Err(Unread::Store(failure)) => return Err(failure),
            Err(Unread::Mark(_)) => {
                self.warn_of_unreadable("row `mark` of the table countersign_deployment");
                return Ok(());
            }
        };
        // A key that was open may have been recorded since.
        let as_started = recorded.as_ref().is_some_and(|mark| self.mark.clone().filled(mark.clone()) == *mark);
        if !as_started {
            if !self.has_warned.swap(true, Ordering::Relaxed) {
                let why =
                    "servers that start now are told something else; start this one again with what they are told";
                tracing::warn!(event = "deployment_changed", "{why}");
            }
            return Ok(());
        }
        self.mark_again().await
    }

    /// Says once that there is a mark that the next start won't be able to read.
    fn warn_of_unreadable(&self, mark: &str) {
        if !self.has_warned.swap(true, Ordering::Relaxed) {
            let why =
                "the deployment's mark can't be read any more; this server goes on, and the next start says what to do";
            tracing::warn!(event = "deployment_unreadable", mark, "{why}");
        }
    }

    /// What this server uses is the deployment's Redis, whatever that has lost.
    async fn mark_again(&self) -> Result<(), Failure> {
        let (Some(redis), Some(name)) = (&self.redis, &self.mark.redis) else { return Ok(()) };
        match redis.mark(name).await? {
            RedisMark::Missing => {}
            RedisMark::Present => return Ok(()),
            _ => {
                self.warn_of_unreadable(&format!("key countersign:deployment:{name} on Redis"));
                return Ok(());
            }
        }
        redis.leave_mark(name).await?;
        let why = "Redis has lost what it held, the deployment's mark included, which is there again";
        tracing::warn!(event = "redis_mark_lost", "{why}");
        Ok(())
    }
}

impl std::fmt::Debug for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Watch").field("mark", &self.mark).finish_non_exhaustive()
    }
}
