//! Waiting for stores that don't answer yet, as when everything starts at once.
//!
//! A start waits only while the fault may pass by itself ([`Symptom::may_pass`]): a host that
//! refuses connections, an unknown name, a store that is starting, silent or busy. A wrong password
//! or a missing database ends the start at once.

use std::pin::pin;
use std::time::Duration;

use countersign::Failure;
use countersign::error::Symptom;
use countersign::redis::Redis;
use countersign::store::sql::{Database, Driver, Statement};
use tokio::time::{Instant, timeout};

use crate::config::{Config, DatabaseUrl, WAIT_FOR_STORES};
use crate::error::Error;
use crate::foundation::named::{Named, database_store, redis_store};
use crate::foundation::{database, redis};

/// The first and the longest pause between two attempts. Each pause is twice as long as the one
/// before.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// The time after which an unfinished attempt is logged.
const NOTICE: Duration = Duration::from_secs(1);

/// The moment until which a start may wait for stores.
///
/// All stores share it: the time that one store has used up is gone for the others.
#[derive(Clone, Copy, Debug)]
pub struct Patience(Instant);

impl Patience {
    /// Returns the moment that lies the setting `wait_for_stores` after now.
    ///
    /// Call it once per start, and wait for all stores with the same value.
    pub fn of(config: &Config) -> Self {
        Self(Instant::now() + config.store.wait)
    }

    /// Waits until the configured database answers.
    ///
    /// An SQLite file isn't waited for, since it is there or it isn't.
    ///
    /// # Errors
    /// Returns [`Error::Store`] with the setting, the symptom and the cure if the database can't be
    /// used, or if the time ran out. Also returns [`Error::Config`] if the URL can't work.
    pub async fn for_database(self, config: &Config) -> Result<(), Error> {
        // Nothing starts an SQLite file, so waiting can't help.
        if matches!(config.store.database, DatabaseUrl::Shared(_)) {
            let database = database::connect(&config.store)?;
            database_store(&config.store)
                .wait(config, self.0, &Asked::Database(database))
                .await?;
        }
        Ok(())
    }

    /// Waits until the configured Redis answers. Returns at once if none is configured.
    ///
    /// # Errors
    /// Returns the errors of [`for_database`](Self::for_database), for Redis.
    pub async fn for_redis(self, config: &Config) -> Result<(), Error> {
        if let (Some(redis), Some(settings)) = (redis::handle(config)?, &config.redis) {
            redis_store(settings)
                .wait(config, self.0, &Asked::Redis(redis))
                .await?;
        }
        Ok(())
    }
}

/// The store that is waited for.
enum Asked {
    Redis(Redis),
    Database(Database),
}

impl Asked {
    /// Checks for a fault of the settings that looks like a store that doesn't answer.
    async fn check(&self, config: &Config) -> Result<(), Error> {
        match (self, &config.redis) {
            (Self::Redis(_), Some(settings)) => Ok(redis::check_nodes(config, settings).await?),
            _ => Ok(()),
        }
    }

    /// Asks the store for any answer.
    async fn ask(&self) -> Result<(), Failure> {
        match self {
            Self::Redis(redis) => redis.ping().await,
            Self::Database(database) => {
                let question = Statement::new(database.dialect(), "SELECT 1");
                database.fetch(&question, &[]).await.map(drop)
            }
        }
    }
}

impl Named {
    /// Asks again and again until the store answers, the fault can't pass, or the time runs out.
    ///
    /// Pauses double from one attempt to the next, within [`PAUSE`]. Every failed attempt is logged
    /// (`waiting_for_store`) with the time that is left.
    async fn wait(self, config: &Config, deadline: Instant, asked: &Asked) -> Result<(), Error> {
        let mut pause = PAUSE.0;
        let mut is_first = true;

        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            let bound = bound(config.store.wait, config.store.timeout, left, is_first);
            let Err(failure) = self.attempt(bound, deadline, asked).await else {
                return Ok(());
            };
            is_first = false;

            let left = deadline.saturating_duration_since(Instant::now());
            // A cluster client reports a server of the wrong kind as one that doesn't answer.
            // Waiting can't cure that, so it is looked for after each failed attempt.
            if let Ok(checked) = timeout(left.max(NOTICE), asked.check(config)).await {
                checked?;
            }

            let left = deadline.saturating_duration_since(Instant::now());
            match failure.symptom() {
                Some(symptom) if symptom.may_pass() && !left.is_zero() => self.say(symptom, left),
                Some(symptom) if symptom.may_pass() => {
                    return Err(self.too_late(config, symptom, failure));
                }
                _ => return Err(self.failed(failure)),
            }

            let _ = timeout(pause.min(left), std::future::pending::<()>()).await;
            pause = pause.saturating_mul(2).min(PAUSE.1);
        }
    }

    /// Asks once, at most for `bound`, and logs if that takes long.
    async fn attempt(
        &self,
        bound: Duration,
        deadline: Instant,
        asked: &Asked,
    ) -> Result<(), Failure> {
        let mut asking = pin!(timeout(bound, asked.ask()));
        let answer = if let Ok(answer) = timeout(NOTICE, &mut asking).await {
            answer
        } else {
            self.say(
                Symptom::Silent,
                deadline.saturating_duration_since(Instant::now()),
            );
            asking.await
        };

        answer.unwrap_or_else(|_| {
            let silent = Failure::unavailable("store", format!("no answer within {bound:?}"));
            Err(silent.with_symptom(Symptom::Silent))
        })
    }

    /// Logs that the start waits.
    fn say(&self, symptom: Symptom, left: Duration) {
        let (store, left) = (self.store.as_str(), format!("{:.1}s", left.as_secs_f64()));
        tracing::warn!(event = "waiting_for_store", store, %symptom, left, "waiting for the store before starting");
    }

    /// Returns the error for a wait that ran out of time.
    fn too_late(self, config: &Config, symptom: Symptom, failure: Failure) -> Error {
        let waited = humantime::format_duration(config.store.wait);
        let cure = format!(
            "{}, or set {} to more than {waited}",
            symptom.cure(),
            WAIT_FOR_STORES.env()
        );
        Error::Store {
            setting: self.setting,
            store: self.store,
            failure,
            cure: Some(cure),
        }
    }
}

/// Returns the time that an attempt may take, of which `left` remains until the deadline.
///
/// The first attempt at each store has the timeout of stores, even if another store has used up the
/// wait. It never has more than the whole wait, unless that is zero: then there is one attempt.
fn bound(wait: Duration, timeout: Duration, left: Duration, is_first: bool) -> Duration {
    if wait.is_zero() {
        return timeout;
    }
    if is_first {
        left.max(timeout.min(wait))
    } else {
        left
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_store_is_asked_once_whatever_the_others_took() {
        let seconds = Duration::from_secs;
        for (wait, timeout, left, is_first, expected) in [
            (10, 2, 10, true, 10),
            (10, 2, 0, true, 2), // the database has used up the wait
            (10, 2, 0, false, 0),
            (1, 3600, 0, true, 1), // the wait bounds what is silent
            (0, 3600, 0, true, 3600),
        ] {
            let found = bound(seconds(wait), seconds(timeout), seconds(left), is_first);
            assert_eq!(
                found,
                seconds(expected),
                "{wait} {timeout} {left} {is_first}"
            );
        }
    }
}
