//! Waits for stores that don't answer yet, as when everything starts at once.

use std::pin::pin;
use std::time::Duration;

use countersign::redis::Redis;
use countersign::store::sql::{Database, Driver, Statement};
use countersign::{Failure, Symptom};
use tokio::time::{Instant, timeout};

use crate::compose::{database, redis};
use crate::config::{Config, DatabaseUrl, Redis as RedisSettings, Store, WAIT_FOR_STORES};
use crate::error::Error;

/// The first and the longest pause between two attempts.
const PAUSE: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(2));
/// After so long an attempt that isn't over is told.
const NOTICE: Duration = Duration::from_secs(1);

/// Until when a start may wait for stores.
#[derive(Clone, Copy, Debug)]
pub struct Patience(Instant);

impl Patience {
    /// As long as the settings say, from now on.
    pub fn of(config: &Config) -> Self {
        Self(Instant::now() + config.store.wait)
    }

    /// Waits until the database answers. What waiting can't cure ends it at once.
    ///
    /// # Errors
    /// [`Error`] that names the database's setting, what it does, and the cure.
    pub async fn for_database(self, config: &Config) -> Result<(), Error> {
        // A file is there or isn't.
        if matches!(config.store.database, DatabaseUrl::Shared(_)) {
            let database = database::connect(&config.store)?;
            database_store(&config.store).wait(config, self.0, &Asked::Database(database)).await?;
        }
        Ok(())
    }

    /// Waits until Redis answers, where it is used, in the same way.
    ///
    /// # Errors
    /// [`Error`] as for the database.
    pub async fn for_redis(self, config: &Config) -> Result<(), Error> {
        if let (Some(redis), Some(settings)) = (redis::handle(config)?, &config.redis) {
            redis_store(settings).wait(config, self.0, &Asked::Redis(redis)).await?;
        }
        Ok(())
    }
}

/// What is asked whether it answers.
enum Asked {
    Redis(Redis),
    Database(Database),
}

impl Asked {
    /// What can't be right whoever answers, and hides behind a failure.
    async fn check(&self, config: &Config) -> Result<(), Error> {
        match (self, &config.redis) {
            (Self::Redis(_), Some(settings)) => Ok(redis::check_nodes(config, settings).await?),
            _ => Ok(()),
        }
    }

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

/// A store, as errors and log lines name it.
pub(super) struct Named {
    setting: String,
    store: String,
}

/// The database of these settings.
pub(super) fn database_store(store: &Store) -> Named {
    Named { setting: store.database_spelled.clone(), store: format!("the database at {}", store.shown()) }
}

/// The Redis of these settings.
pub(super) fn redis_store(settings: &RedisSettings) -> Named {
    Named { setting: settings.spelled.clone(), store: format!("Redis at {}", settings.shown()) }
}

impl Named {
    /// Its failure as the error of a start.
    pub(super) fn failed(self, failure: Failure) -> Error {
        Error::Store { setting: self.setting, store: self.store, failure, cure: None }
    }

    async fn wait(self, config: &Config, deadline: Instant, asked: &Asked) -> Result<(), Error> {
        let mut pause = PAUSE.0;
        loop {
            let Err(failure) = self.attempt(config, deadline, asked).await else { return Ok(()) };
            let left = deadline.saturating_duration_since(Instant::now());
            if let Ok(checked) = timeout(left.max(NOTICE), asked.check(config)).await {
                checked?;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match failure.symptom() {
                Some(symptom) if symptom.may_pass() && !left.is_zero() => self.say(symptom, left),
                Some(symptom) if symptom.may_pass() => return Err(self.too_late(config, symptom, failure)),
                _ => return Err(self.failed(failure)),
            }
            let _ = timeout(pause.min(left), std::future::pending::<()>()).await;
            pause = pause.saturating_mul(2).min(PAUSE.1);
        }
    }

    /// One attempt, which ends with the wait.
    async fn attempt(&self, config: &Config, deadline: Instant, asked: &Asked) -> Result<(), Failure> {
        let left = deadline.saturating_duration_since(Instant::now());
        // The first attempt has its time in any case; a later one ends with the wait.
        let bound = if config.store.wait.is_zero() { config.store.timeout } else { left };
        let mut asking = pin!(timeout(bound, asked.ask()));
        let answer = if let Ok(answer) = timeout(NOTICE, &mut asking).await {
            answer
        } else {
            self.say(Symptom::Silent, deadline.saturating_duration_since(Instant::now()));
            asking.await
        };
        answer.unwrap_or_else(|_| {
            let silent = Failure::unavailable("store", format!("no answer within {bound:?}"));
            Err(silent.with_symptom(Symptom::Silent))
        })
    }

    fn say(&self, symptom: Symptom, left: Duration) {
        let (store, left) = (self.store.as_str(), format!("{:.1}s", left.as_secs_f64()));
        tracing::warn!(event = "waiting_for_store", store, %symptom, left, "the start waits for it");
    }

    fn too_late(self, config: &Config, symptom: Symptom, failure: Failure) -> Error {
        let waited = humantime::format_duration(config.store.wait);
        let cure = format!("{}, or give {} more than {waited}", symptom.cure(), WAIT_FOR_STORES.env());
        Error::Store { setting: self.setting, store: self.store, failure, cure: Some(cure) }
    }
}
