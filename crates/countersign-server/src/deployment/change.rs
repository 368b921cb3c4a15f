//! Changes what is recorded to what the settings that are given come to.

use countersign::ConfigError;
use countersign::jwt::KeyRing;
use countersign::redis::{Redis, RedisMark};
use countersign::store::sql::Database;

use super::agree::{existing, look, taken, unread_on_redis};
use super::join::new_name;
use super::mark::{Fault, Mark, check_value, key_id};
use super::record::{Ground, Replaced, replace};
use crate::compose::{self, keys};
use crate::config::{Config, JWT_AUDIENCE, JWT_ISSUER, PROFILE, REDIS_URL, Setting, StrategyKind, all_settings};
use crate::data_dir::DataDir;
use crate::error::Error;

/// What is shown in place of what doesn't exist yet.
const NEW: &str = "(a new one)";

/// A change that was thought through, and isn't made yet.
#[derive(Debug)]
pub struct Change {
    config: Config,
    database: Option<Database>,
    redis: Option<Redis>,
    ground: Ground,
    wanted: Mark,
    /// What changes.
    pub rows: Vec<Row>,
}

/// One fact that changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// Its name.
    pub what: &'static str,
    /// What is recorded; `None` when nothing is.
    pub from: Option<String>,
    /// What will be.
    pub to: Option<String>,
}

/// Returns the change that makes the record what the settings come to. What nobody gives stays as it is recorded, apart
/// from the settings named in `unset`, which go back to their defaults. Nothing is written.
///
/// # Errors
/// [`Error`] that names the setting at fault, or the store that doesn't answer.
pub async fn plan(config: &Config, unset: &[String]) -> Result<Change, Error> {
    let unset: Vec<&Setting> = unset.iter().map(|name| to_unset(config, name)).collect::<Result<_, _>>()?;
    let database = existing(config)?;
    let mut ground = look(config, database.as_ref()).await?;
    // What is no mark is replaced; what a newer version wrote isn't ours to replace.
    ground.fault.take_if(|fault| matches!(fault, Fault::Garbage(_)));
    let ground = ground.readable(&config.store)?;
    let recorded = ground.mark();
    let kept = recorded.into_iter().flat_map(taken).filter(|(setting, _)| !unset.contains(setting));
    let config = Config::read(&config.sources.agreed(kept))?;
    let redis = compose::redis_handle(&config)?;
    let keeps_redis = recorded.is_some_and(|mark| mark.redis.is_some()) && !unset.contains(&&REDIS_URL);
    if config.tokens.strategy == StrategyKind::Jwt && redis.is_none() && keeps_redis {
        let problem = "must be given: this deployment keeps revoked ids on Redis";
        let cure = "name that Redis, or keep them in the database from now on: `--unset redis_url`";
        return Err(ConfigError::new(REDIS_URL.env(), problem, cure).into());
    }
    let name = match (&redis, recorded.and_then(|mark| mark.redis.as_deref())) {
        (None, _) => None,
        (Some(redis), Some(name)) if has_mark(&config, redis, name).await? => Some(name.to_owned()),
        (Some(_), _) => Some(NEW.to_owned()),
    };
    let secret = match keys::known_secret(&config)? {
        Some((secret, _)) => check_value(&secret)?,
        None => NEW.to_owned(),
    };
    let ring = keys::known_ring(&config)?.map(|(ring, _)| ring);
    let mut wanted = Mark::of(&config, ring.as_ref(), name, Some(secret));
    if wanted.is_signed() && wanted.key.is_none() {
        wanted.key = key_without_ring(&config, recorded, &wanted)?;
    }
    let rows = rows(recorded, &wanted);
    Ok(Change { config, database, redis, ground, wanted, rows })
}

fn to_unset(config: &Config, name: &str) -> Result<&'static Setting, Error> {
    let key = name.replace('-', "_");
    let may_be = [&PROFILE, &JWT_ISSUER, &JWT_AUDIENCE, &REDIS_URL];
    let setting = all_settings().find(|setting| setting.key == key && may_be.contains(setting)).ok_or_else(|| {
        let names: Vec<&str> = may_be.iter().map(|setting| setting.key).collect();
        Error::Usage(format!("--unset: {name:?} must be one of {}", names.join(", ")))
    })?;
    match config.sources.get(setting) {
        Some(given) => Err(Error::Usage(format!("--unset: {key} is also given as {}", given.spelled))),
        None => Ok(setting),
    }
}

/// Whether this is the Redis of that name. One whose mark is no mark has another one afterwards.
async fn has_mark(config: &Config, redis: &Redis, name: &str) -> Result<bool, Error> {
    match (&config.redis, redis.mark(name).await) {
        (Some(settings), Ok(mark @ RedisMark::Newer)) => Err(unread_on_redis(settings, name, mark)),
        (_, Ok(mark)) => Ok(mark == RedisMark::Present),
        (Some(settings), Err(failure)) => Err(compose::redis_unreachable(settings, failure)),
        (None, Err(failure)) => Err(failure.into()),
    }
}

/// What becomes of the key where this machine has none.
fn key_without_ring(config: &Config, recorded: Option<&Mark>, wanted: &Mark) -> Result<Option<String>, Error> {
    let same = |mark: &&Mark| mark.is_signed() && mark.algorithm == wanted.algorithm;
    let kept = recorded.filter(same).and_then(|mark| mark.key.clone());
    if config.is_shared() && kept.is_some() {
        // The servers have it; here something else changes.
        return Ok(kept);
    }
    keys::check(config)?;
    // On a shared database the next server records its own.
    Ok((!config.is_shared()).then(|| NEW.to_owned()))
}

fn rows(recorded: Option<&Mark>, wanted: &Mark) -> Vec<Row> {
    let before = recorded.cloned().unwrap_or_else(|| Mark::open(None));
    let pairs = before.facts().into_iter().zip(wanted.facts());
    let owned = |text: Option<&str>| text.map(str::to_owned);
    pairs
        .filter(|((_, from), (_, to))| from != to)
        .map(|((what, from), (_, to))| Row { what, from: owned(from), to: owned(to) })
        .collect()
}

impl Change {
    /// Makes the change. Servers that run go on as they are until they are started again.
    ///
    /// # Errors
    /// [`Error::Refused`] when somebody else changed the record meanwhile; [`Error`] otherwise as for [`plan`].
    pub async fn make(mut self) -> Result<(), Error> {
        let data_dir = DataDir::at(&self.config.store.data_dir);
        let database = self.database.take().map_or_else(|| compose::connect(&self.config.store), Ok)?;
        compose::bring_up_to_date(&database, &self.config).await?;
        let is_new = |value: &Option<String>| value.as_deref() == Some(NEW);
        if is_new(&self.wanted.secret) {
            self.wanted.secret = Some(check_value(&keys::token_hash_secret(&self.config, &data_dir)?)?);
        }
        if is_new(&self.wanted.key) {
            let ring: KeyRing = keys::signing(&self.config, &data_dir)?;
            self.wanted.key = key_id(&ring);
        }
        if let (true, Some(redis), Some(settings)) = (is_new(&self.wanted.redis), &self.redis, &self.config.redis) {
            let name = new_name()?;
            redis.leave_mark(&name).await.map_err(|failure| compose::redis_unreachable(settings, failure))?;
            self.wanted.redis = Some(name);
        }
        let replaced = replace(&database, self.ground.recorded.as_ref(), &self.wanted).await;
        if replaced.map_err(|unread| unread.told(&self.config.store))? != Replaced::Not {
            return Ok(());
        }
        Err(Error::Refused(
            "the deployment was changed by somebody else meanwhile; look at it and begin again".to_owned(),
        ))
    }
}
