//! The change of a deployment: replaces the mark by what the given settings come to.
//!
//! This is the only way to change what is recorded, and it takes two steps, so that the operator
//! can confirm: [`plan`] finds what would change, and [`Change::make`] changes it. Servers that are
//! running go on with their settings and warn ([`Watch`](super::Watch)); restart them with the new
//! ones.

use countersign::ConfigError;
use countersign::jwt::KeyRing;
use countersign::redis::{Redis, RedisMark};
use countersign::store::sql::Database;

use super::agree::{existing, look, taken, unread_on_redis};
use super::join::new_name;
use super::mark::{Fault, Mark, check_value, key_id};
use super::record::{Ground, Replaced, replace};
use crate::config::{
    Config, JWT_AUDIENCE, JWT_ISSUER, PROFILE, REDIS_URL, Setting, StrategyKind, all_settings,
};
use crate::data_dir::DataDir;
use crate::error::Error;
use crate::foundation::{self, keys};

/// The placeholder for a value that doesn't exist yet, in what is shown to the operator.
const NEW: &str = "(new)";

/// A planned change. Nothing is written before [`make`](Self::make).
#[derive(Debug)]
pub struct Change {
    config: Config,
    database: Option<Database>,
    redis: Option<Redis>,
    ground: Ground,
    wanted: Mark,
    /// The facts that change. Empty if the mark already has what the settings come to.
    pub rows: Vec<Row>,
}

/// A fact that changes.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Row {
    /// The name of the fact, as `strategy` or `key`.
    pub what: &'static str,
    /// The recorded value, or `None` if nothing is recorded.
    pub from: Option<String>,
    /// The value after the change, or `None` if there is none.
    pub to: Option<String>,
}

/// Returns the change that makes the mark agree with the settings. Writes nothing.
///
/// Settings that aren't given keep their recorded values, except for those named in `unset`, which
/// return to their defaults. A damaged mark is replaced as a whole.
///
/// # Errors
/// Returns [`Error::Usage`] for a setting that can't be unset; [`Error::Config`] if a setting can't
/// work or Redis must be named; [`Error::Mark`] if a newer version wrote the mark; and
/// [`Error::Store`] if a store can't be used.
pub async fn plan(config: &Config, unset: &[String]) -> Result<Change, Error> {
    let unset: Vec<&Setting> = unset
        .iter()
        .map(|name| to_unset(config, name))
        .collect::<Result<_, _>>()?;

    let database = existing(config)?;
    let mut ground = look(config, database.as_ref()).await?;
    // A damaged mark may be replaced. One of a newer version may not: it could say anything.
    ground
        .fault
        .take_if(|fault| matches!(fault, Fault::Garbage(_)));
    let ground = ground.readable(&config.store)?;
    let recorded = ground.mark();

    let kept = recorded
        .into_iter()
        .flat_map(taken)
        .filter(|(setting, _)| !unset.contains(setting));
    let config = Config::read(&config.sources.agreed(kept))?;

    let redis = foundation::redis_handle(&config)?;
    let keeps_redis =
        recorded.is_some_and(|mark| mark.redis.is_some()) && !unset.contains(&&REDIS_URL);
    if config.tokens.strategy == StrategyKind::Jwt && redis.is_none() && keeps_redis {
        let problem = "is required: this deployment stores revoked ids on Redis";
        let cure = "set the URL of that Redis, or pass `--unset redis_url` to store them in the \
             database";
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
    Ok(Change {
        config,
        database,
        redis,
        ground,
        wanted,
        rows,
    })
}

/// Returns the setting of this name, if it may be unset and isn't given at the same time.
fn to_unset(config: &Config, name: &str) -> Result<&'static Setting, Error> {
    let key = name.replace('-', "_");
    let may_be = [&PROFILE, &JWT_ISSUER, &JWT_AUDIENCE, &REDIS_URL];
    let setting = all_settings()
        .find(|setting| setting.key == key && may_be.contains(setting))
        .ok_or_else(|| {
            let names: Vec<&str> = may_be.iter().map(|setting| setting.key).collect();
            Error::Usage(format!(
                "--unset: {name:?} can't be unset; use one of {}",
                names.join(", ")
            ))
        })?;

    match config.sources.get(setting) {
        Some(given) => Err(Error::Usage(format!(
            "--unset: {key} is also set by {}; use one or the other",
            given.spelled
        ))),
        None => Ok(setting),
    }
}

/// Returns `true` if this Redis has the mark of that name.
///
/// A Redis whose mark is damaged gets a new one, under another name.
async fn has_mark(config: &Config, redis: &Redis, name: &str) -> Result<bool, Error> {
    match (&config.redis, redis.mark(name).await) {
        (Some(settings), Ok(mark @ RedisMark::Newer)) => Err(unread_on_redis(settings, name, mark)),
        (_, Ok(mark)) => Ok(mark == RedisMark::Present),
        (Some(settings), Err(failure)) => Err(foundation::redis_unreachable(settings, failure)),
        (None, Err(failure)) => Err(failure.into()),
    }
}

/// Returns the id of the signing key to record on a machine that doesn't have the key.
///
/// On a shared deployment that still signs with the same algorithm, the recorded id is kept: its
/// servers have the key.
fn key_without_ring(
    config: &Config,
    recorded: Option<&Mark>,
    wanted: &Mark,
) -> Result<Option<String>, Error> {
    let kept = recorded
        .filter(|mark| mark.is_signed() && mark.algorithm == wanted.algorithm)
        .and_then(|mark| mark.key.clone());
    if config.is_shared() && kept.is_some() {
        // The servers have this key. Here something else changes.
        return Ok(kept);
    }
    keys::check(config)?;
    // On a shared database, the next server that starts records its own key.
    Ok((!config.is_shared()).then(|| NEW.to_owned()))
}

/// Returns the facts that differ between the two marks.
fn rows(recorded: Option<&Mark>, wanted: &Mark) -> Vec<Row> {
    let before = recorded.cloned().unwrap_or_else(|| Mark::open(None));
    let pairs = before.facts().into_iter().zip(wanted.facts());
    pairs
        .filter(|((_, from), (_, to))| from != to)
        .map(|((what, from), (_, to))| Row {
            what,
            from: from.map(str::to_owned),
            to: to.map(str::to_owned),
        })
        .collect()
}

/// Returns `true` if the value has still to be generated.
fn is_new(value: Option<&str>) -> bool {
    value == Some(NEW)
}

impl Change {
    /// Makes the change: brings the tables up to date, generates what is missing, and replaces the
    /// mark.
    ///
    /// The mark is replaced last, in one statement. If this fails before that, a generated secret
    /// or a mark on Redis may be left over. Neither does any harm, and planning and making the
    /// change again is safe.
    ///
    /// # Errors
    /// Returns [`Error::Refused`] if somebody else changed the mark since [`plan`], and otherwise
    /// the errors of [`plan`].
    pub async fn make(mut self) -> Result<(), Error> {
        let data_dir = DataDir::at(&self.config.store.data_dir);
        let database = self
            .database
            .take()
            .map_or_else(|| foundation::connect(&self.config.store), Ok)?;
        foundation::bring_up_to_date(&database, &self.config).await?;

        if is_new(self.wanted.secret.as_deref()) {
            self.wanted.secret = Some(check_value(&keys::token_hash_secret(
                &self.config,
                &data_dir,
            )?)?);
        }
        if is_new(self.wanted.key.as_deref()) {
            let ring: KeyRing = keys::signing(&self.config, &data_dir)?;
            self.wanted.key = key_id(&ring);
        }

        if let (true, Some(redis), Some(settings)) = (
            is_new(self.wanted.redis.as_deref()),
            &self.redis,
            &self.config.redis,
        ) {
            // Redis first: a mark there that no database names does no harm.
            let name = new_name()?;
            redis
                .leave_mark(&name)
                .await
                .map_err(|failure| foundation::redis_unreachable(settings, failure))?;
            self.wanted.redis = Some(name);
        }

        let replaced = replace(&database, self.ground.recorded.as_ref(), &self.wanted).await;
        if replaced.map_err(|unread| unread.told(&self.config.store))? != Replaced::Not {
            return Ok(());
        }

        Err(Error::Refused(
            "the deployment was changed by someone else in the meantime; check it and try again"
                .to_owned(),
        ))
    }
}
