//! Settings and the mark: what nobody told is taken, what contradicts is refused. Nothing is written here.

use std::path::Path;

use countersign::ConfigError;
use countersign::redis::{Redis, RedisMark};
use countersign::store::sql::Database;

use super::Purpose;
use super::mark::{Mark, check_value, key_id};
use super::record::Ground;
use crate::compose::{self, keys};
use crate::config::{
    Config, DatabaseUrl, JWT_PRIVATE_KEY, JWT_SECRET, REDIS_URL, Redis as RedisSettings, STRATEGY, Sources,
    StrategyKind, TOKEN_HASH_SECRET,
};
use crate::error::Error;

/// The command that changes what is recorded.
pub(super) const CHANGE: &str = "`countersign deployment change`";

/// Settings that agree with what is recorded.
#[derive(Debug)]
pub(super) struct Agreed {
    pub(super) config: Config,
    /// `None` when it is an SQLite file that isn't there yet.
    pub(super) database: Option<Database>,
    pub(super) ground: Ground,
}

/// Reads the mark and weighs the settings against it.
pub(super) async fn agree(config: &Config, purpose: Purpose) -> Result<Agreed, Error> {
    // Files first: whoever makes them has made the tables before, so that a first start beside this one shows both.
    let files = keys::generated_files(config);
    let database = existing(config)?;
    let ground = look(config, database.as_ref()).await?.readable(&config.store)?;
    if !ground.has_history
        && let Some(file) = files.first()
    {
        return Err(orphaned(config, file));
    }
    if let Some(mark) = ground.mark() {
        refuse_contradictions(&config.sources, mark)?;
    }
    let config = match purpose {
        Purpose::Migrate => config.clone(),
        _ => settled(config, &ground, purpose)?,
    };
    check_secret(&config, &ground, purpose)?;
    if purpose != Purpose::Migrate {
        check_key(&config, &ground, purpose)?;
    }
    Ok(Agreed { config, database, ground })
}

/// The database, unless it is a file that isn't there or has nothing in it: to look at that would make one.
pub(super) fn existing(config: &Config) -> Result<Option<Database>, Error> {
    match &config.store.database {
        DatabaseUrl::Sqlite(path) if is_empty(path) => Ok(None),
        _ => compose::connect(&config.store).map(Some),
    }
}

/// Whether there is no such file, or nothing in it.
pub(super) fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() == 0) || !path.exists()
}

pub(super) async fn look(config: &Config, database: Option<&Database>) -> Result<Ground, Error> {
    let Some(database) = database else { return Ok(Ground::default()) };
    let unreachable = |failure| compose::unreachable(&config.store, failure);
    let newer = compose::migrator(database).unknown().await.map_err(unreachable)?;
    if let Some((set, version)) = newer.first() {
        return Err(Error::Mismatch(format!(
            "the database at {} was made by a newer version: this one doesn't know its migration {set}/{version}; run that \
             version, or a newer one",
            config.store.shown()
        )));
    }
    Ground::read(database).await.map_err(unreachable)
}

/// The settings, with what nobody gave as the mark has it.
fn settled(config: &Config, ground: &Ground, purpose: Purpose) -> Result<Config, Error> {
    let sources = match ground.mark() {
        Some(mark) => config.sources.agreed(taken(mark)),
        None => config.sources.settled(),
    };
    if purpose == Purpose::EndSessions
        && ground.recorded.is_none()
        && ground.has_rows
        && !config.sources.is_told(&STRATEGY)
    {
        let problem = "must be given: nothing in the database says yet how this deployment makes tokens, so that what is \
                       ended might not end";
        let cure = "give it, with everything else that its servers are given, or start one of this version first";
        return Err(ConfigError::new(STRATEGY.env(), problem, cure).into());
    }
    let config = Config::read(&sources)?;
    match ground.mark() {
        Some(mark) if mark.is_settled() => check_place(&config, mark)?,
        _ => {}
    }
    Ok(config)
}

/// What can be taken from a mark.
pub(super) fn taken(mark: &Mark) -> impl Iterator<Item = (&'static crate::config::Setting, &str)> {
    mark.settings().into_iter().filter_map(|(setting, value)| Some((setting, value?)))
}

fn refuse_contradictions(sources: &Sources, mark: &Mark) -> Result<(), Error> {
    let contradiction = |(setting, recorded): (_, Option<&str>)| {
        let told = sources.get(setting)?;
        let is = |text: &str| if text.is_empty() { "none".to_owned() } else { text.to_owned() };
        let (told_text, recorded) = (told.text(), recorded.unwrap_or_default());
        (told_text != recorded)
            .then(|| format!("{} is {told_text}, and this deployment's is {}", told.spelled, is(recorded)))
    };
    let found: Vec<String> = mark.settings().into_iter().filter_map(contradiction).collect();
    if found.is_empty() { Ok(()) } else { Err(contradicts(&found.join("; "))) }
}

fn contradicts(found: &str) -> Error {
    Error::Mismatch(format!(
        "{found}; leave that out or give what the deployment has, and if the deployment is to change, run {CHANGE} first"
    ))
}

/// Whether Redis is used where it must be.
fn check_place(config: &Config, mark: &Mark) -> Result<(), Error> {
    match (&config.redis, &mark.redis) {
        (None, Some(_)) => {
            let problem = "must be given: this deployment keeps revoked ids on Redis";
            let cure = format!("name that Redis, or take it out of the deployment with {CHANGE}");
            Err(ConfigError::new(REDIS_URL.env(), problem, cure).into())
        }
        (Some(redis), None) => Err(contradicts(&format!(
            "{} names a Redis, and this deployment keeps revoked ids in the database",
            redis.spelled
        ))),
        _ => Ok(()),
    }
}

/// Whether the Redis that the settings name is the deployment's.
pub(super) async fn check_redis(config: &Config, mark: Option<&Mark>, redis: Option<&Redis>) -> Result<(), Error> {
    let (Some(redis), Some(settings)) = (redis, &config.redis) else { return Ok(()) };
    let Some(name) = mark.and_then(|mark| mark.redis.as_deref()) else { return Ok(()) };
    match redis.mark(name).await.map_err(|failure| compose::redis_unreachable(settings, failure))? {
        RedisMark::Present => Ok(()),
        RedisMark::Missing => Err(Error::Mismatch(format!(
            "{}: Redis at {} isn't the one of this deployment, or has lost what it held (it has no key \
             countersign:deployment:{name}); name the right one, or, if this is to be it, run {CHANGE}",
            settings.spelled,
            settings.shown()
        ))),
        unread => Err(unread_on_redis(settings, name, unread)),
    }
}

/// The error for a mark on Redis that can't be read.
pub(super) fn unread_on_redis(settings: &RedisSettings, name: &str, mark: RedisMark) -> Error {
    let place = format!("the deployment's mark (key countersign:deployment:{name}) on Redis at {}", settings.shown());
    let (fault, cure) = match mark {
        RedisMark::Newer => ("was left by a newer version", "run that version, or a newer one".to_owned()),
        _ => ("can't be read", format!("put it back from a backup, or, if this is the right Redis, run {CHANGE}")),
    };
    Error::Mark(format!("{}: {place} {fault}; {cure}", settings.spelled))
}

fn check_secret(config: &Config, ground: &Ground, purpose: Purpose) -> Result<(), Error> {
    let recorded = ground.mark().and_then(|mark| mark.secret.as_deref());
    match (keys::known_secret(config)?, recorded) {
        (Some((secret, spelled)), Some(recorded)) if check_value(&secret)? != recorded => {
            Err(contradicts(&format!("{spelled} is not the secret of this deployment")))
        }
        (None, Some(_)) if purpose != Purpose::Migrate => Err(lost_secret(config)),
        // A version from before marks leaves no check value, and always made the secret.
        (None, None) if purpose != Purpose::Migrate && is_unrecorded(ground) => Err(lost_secret(config)),
        _ => Ok(()),
    }
}

/// Whether an earlier version has served this database.
const fn is_unrecorded(ground: &Ground) -> bool {
    ground.recorded.is_none() && ground.has_history && ground.has_rows
}

fn lost_secret(config: &Config) -> Error {
    let file = keys::secret_file(&config.store.data_dir);
    let problem = format!(
        "must be given: this database has a secret, and {} isn't there; with another one every token is unknown",
        file.display()
    );
    let cure = format!("put the file back or give the secret; to begin with a new one, run {CHANGE}");
    ConfigError::new(TOKEN_HASH_SECRET.env(), problem, cure).into()
}

/// A server needs the key; a command signs nothing, so that it may be without.
fn check_key(config: &Config, ground: &Ground, purpose: Purpose) -> Result<(), Error> {
    if config.tokens.strategy != StrategyKind::Jwt {
        return Ok(());
    }
    let known = keys::known_ring(config)?;
    let recorded = ground.mark().and_then(|mark| mark.key.as_deref());
    match (known, recorded) {
        (Some((ring, spelled)), Some(recorded)) if key_id(&ring).as_deref() != Some(recorded) => {
            let found = key_id(&ring).unwrap_or_default();
            Err(contradicts(&format!("{spelled} is the key {found}, and this deployment signs with {recorded}")))
        }
        (None, Some(recorded)) if purpose == Purpose::Serve => Err(lost_key(config, recorded)),
        (None, None) if purpose == Purpose::Serve => Ok(keys::check(config)?),
        _ => Ok(()),
    }
}

fn lost_key(config: &Config, recorded: &str) -> Error {
    let symmetric = config.keys.jwt.algorithm.starts_with("HS");
    let setting = if symmetric { JWT_SECRET } else { JWT_PRIVATE_KEY };
    let file = keys::key_file(&config.store.data_dir);
    let mut problem = format!("must be given: this deployment signs with the key {recorded}");
    if !symmetric {
        problem = format!("{problem}, and {} isn't there", file.display());
    }
    let cure =
        format!("give the key that its servers have, or put the file back; to begin with a new one, run {CHANGE}");
    ConfigError::new(setting.env(), problem, cure).into()
}

/// Secrets that belong to another database than the one that is named.
fn orphaned(config: &Config, file: &Path) -> Error {
    Error::Mismatch(format!(
        "{} is the secret of a deployment, and the database at {} has none: it was not restored, or is another one; put the \
         right database there (a copy of an SQLite file in use may be empty), or name a new data directory; to begin a new \
         deployment with these secrets, run {CHANGE}",
        file.display(),
        config.store.shown()
    ))
}
