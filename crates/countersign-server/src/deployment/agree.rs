//! The comparison of the settings with the mark. Nothing is written here.
//!
//! [`agree`] takes from the mark what the settings leave open, and refuses what contradicts it.
//! Each error names the setting as it was typed, what the deployment has instead, and the cure.
//!
//! The checks that need no store but the database come first. Redis is compared by [`check_redis`],
//! which [`join`](super::join()) calls once it has a handle on the Redis of the completed settings.

use std::path::Path;

use countersign::ConfigError;
use countersign::redis::{Redis, RedisMark};
use countersign::store::sql::Database;

use super::Purpose;
use super::mark::{Mark, check_value, key_id};
use super::record::{CHANGE, Ground};
use crate::config::{
    Config, DatabaseUrl, JWT_PRIVATE_KEY, JWT_SECRET, REDIS_URL, Redis as RedisSettings, STRATEGY,
    Setting, Sources, StrategyKind, TOKEN_HASH_SECRET,
};
use crate::error::Error;
use crate::foundation::{self, keys};

/// The settings after they were found to agree with the mark.
#[derive(Debug)]
pub(super) struct Agreed {
    /// The settings, completed from the mark. With [`Purpose::Migrate`] they are as they were
    /// given.
    pub(super) config: Config,
    /// The database, or `None` if it is an SQLite file that doesn't exist or is empty.
    pub(super) database: Option<Database>,
    /// The state of the database before anything was written.
    pub(super) ground: Ground,
}

/// Reads the mark and compares the settings with it.
///
/// # Errors
/// Returns [`Error::Mismatch`] if a setting contradicts the mark, the database was migrated by a
/// newer version, or generated secrets are there but their database isn't; [`Error::Mark`] if the
/// mark can't be read; [`Error::Config`] if a setting must be given that is missing; and
/// [`Error::Store`] if the database can't be used.
pub(super) async fn agree(config: &Config, purpose: Purpose) -> Result<Agreed, Error> {
    // The files are looked at before the database. A first start that runs beside this one creates
    // the tables first and the files later, so whoever sees its files sees its tables too.
    let files = keys::generated_files(config);
    let database = existing(config)?;
    let ground = look(config, database.as_ref())
        .await?
        .readable(&config.store)?;

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

    Ok(Agreed {
        config,
        database,
        ground,
    })
}

/// Returns a handle on the database, unless it is an SQLite file that doesn't exist or is empty.
///
/// Connecting to such a file would create it.
pub(super) fn existing(config: &Config) -> Result<Option<Database>, Error> {
    match &config.store.database {
        DatabaseUrl::Sqlite(path) if is_empty(path) => Ok(None),
        _ => foundation::connect(&config.store).map(Some),
    }
}

/// Returns `true` if there is no file at `path`, or nothing in it.
pub(super) fn is_empty(path: &Path) -> bool {
    std::fs::metadata(path).is_ok_and(|file| file.len() == 0) || !path.exists()
}

/// Reads the state of the database, and refuses one that a newer version has migrated.
///
/// Without a database, the state is that of an empty one.
///
/// # Errors
/// Returns [`Error::Mismatch`] if there is a migration that this version doesn't know, and
/// [`Error::Store`] if the database can't be used.
pub(super) async fn look(config: &Config, database: Option<&Database>) -> Result<Ground, Error> {
    let Some(database) = database else {
        return Ok(Ground::default());
    };

    let newer = foundation::migrator(database)
        .unknown()
        .await
        .map_err(|failure| foundation::unreachable(&config.store, failure))?;
    if let Some((set, version)) = newer.first() {
        return Err(Error::Mismatch(format!(
            "the database at {} was migrated by a newer version: this version does not know \
             migration {set}/{version}; run that version or a newer one",
            config.store.shown()
        )));
    }

    Ground::read(database)
        .await
        .map_err(|failure| foundation::unreachable(&config.store, failure))
}

/// Returns the settings, completed from the mark.
///
/// If there is no mark, they are complete as they are: no deployment adds anything to them.
///
/// # Errors
/// Returns [`Error::Config`] if a setting can't work, if Redis isn't configured although the
/// deployment needs it, or if sessions are to be ended in a database with tokens whose strategy
/// nobody has recorded or given. Returns [`Error::Mismatch`] if Redis is configured although the
/// deployment has none.
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
        let problem = "is required: the database does not record yet how this deployment makes tokens, \
             so sessions might not be ended";
        let cure = "set it together with all other settings of the servers, or start a server of this \
             version first";
        return Err(ConfigError::new(STRATEGY.env(), problem, cure).into());
    }

    let config = Config::read(&sources)?;
    match ground.mark() {
        Some(mark) if mark.is_settled() => check_place(&config, mark)?,
        _ => {}
    }
    Ok(config)
}

/// Returns the settings for which the mark has a value, with that value.
pub(super) fn taken(mark: &Mark) -> impl Iterator<Item = (&'static Setting, &str)> {
    mark.settings()
        .into_iter()
        .filter_map(|(setting, value)| Some((setting, value?)))
}

/// Compares every given setting with the mark.
///
/// # Errors
/// Returns one [`Error::Mismatch`], which names all contradictions.
fn refuse_contradictions(sources: &Sources, mark: &Mark) -> Result<(), Error> {
    let found: Vec<String> = mark
        .settings()
        .into_iter()
        .filter_map(|(setting, recorded)| contradiction(sources, setting, recorded))
        .collect();
    if found.is_empty() {
        Ok(())
    } else {
        Err(contradicts(&found.join("; ")))
    }
}

/// Compares one setting with its value in the mark. Returns the contradiction, if there is one.
fn contradiction(
    sources: &Sources,
    setting: &'static Setting,
    recorded: Option<&str>,
) -> Option<String> {
    let told = sources.get(setting)?;
    let (text, recorded) = (told.text(), recorded.unwrap_or_default());
    if text == recorded {
        return None;
    }

    let uses = if recorded.is_empty() {
        "none"
    } else {
        recorded
    };
    Some(format!(
        "{} is {text}, but this deployment uses {uses}",
        told.spelled
    ))
}

/// Returns the error for contradictions.
fn contradicts(found: &str) -> Error {
    Error::Mismatch(format!(
        "{found}; remove the setting or set it to the deployment's value, or run {CHANGE} \
         first to change the deployment"
    ))
}

/// Checks that Redis is configured exactly if the deployment keeps denied ids or tokens there.
fn check_place(config: &Config, mark: &Mark) -> Result<(), Error> {
    match (&config.redis, &mark.redis) {
        (None, Some(_)) => {
            let problem = "is required: this deployment stores revoked ids on Redis";
            let cure = format!(
                "set the URL of that Redis, or remove it from the deployment with {CHANGE}"
            );
            Err(ConfigError::new(REDIS_URL.env(), problem, cure).into())
        }
        (Some(redis), None) => Err(contradicts(&format!(
            "{} is set, but this deployment stores revoked ids in the database",
            redis.spelled
        ))),
        _ => Ok(()),
    }
}

/// Checks that the configured Redis has the deployment's mark.
///
/// A Redis that has lost all its data can't be told from another Redis, so it is refused as well.
/// Trusting it would make revoked tokens valid again. Does nothing if no Redis is configured, or if
/// the mark in the database names none yet.
///
/// # Errors
/// Returns [`Error::Mismatch`] if the mark is missing, [`Error::Mark`] if it can't be read, and
/// [`Error::Store`] if Redis doesn't answer.
pub(super) async fn check_redis(
    config: &Config,
    mark: Option<&Mark>,
    redis: Option<&Redis>,
) -> Result<(), Error> {
    let (Some(redis), Some(settings)) = (redis, &config.redis) else {
        return Ok(());
    };
    let Some(name) = mark.and_then(|mark| mark.redis.as_deref()) else {
        return Ok(());
    };

    match redis
        .mark(name)
        .await
        .map_err(|failure| foundation::redis_unreachable(settings, failure))?
    {
        RedisMark::Present => Ok(()),
        RedisMark::Missing => Err(Error::Mismatch(format!(
            "{}: Redis at {} is not the one of this deployment, or has lost its data (it has \
             no key countersign:deployment:{name}); set the URL of the right one, or run \
             {CHANGE} to use this one",
            settings.spelled,
            settings.shown()
        ))),
        unread => Err(unread_on_redis(settings, name, unread)),
    }
}

/// Returns the error for a mark on Redis that can't be read.
pub(super) fn unread_on_redis(settings: &RedisSettings, name: &str, mark: RedisMark) -> Error {
    let place = format!(
        "the deployment's mark (key countersign:deployment:{name}) on Redis at {}",
        settings.shown()
    );

    let (fault, cure) = match mark {
        RedisMark::Newer => (
            "was written by a newer version",
            "run that version or a newer one".to_owned(),
        ),
        _ => (
            "can't be read",
            format!("restore it from a backup or, if this is the right Redis, run {CHANGE}"),
        ),
    };

    Error::Mark(format!("{}: {place} {fault}; {cure}", settings.spelled))
}

/// Checks that the secret is the deployment's, and that it isn't lost.
///
/// With a new secret every stored token would be unknown, so a missing one is never replaced
/// silently. With [`Purpose::Migrate`] the secret may be missing.
///
/// # Errors
/// Returns [`Error::Mismatch`] if the secret is another one, and [`Error::Config`] if there is none
/// although the database was served before.
fn check_secret(config: &Config, ground: &Ground, purpose: Purpose) -> Result<(), Error> {
    let recorded = ground.mark().and_then(|mark| mark.secret.as_deref());
    match (keys::known_secret(config)?, recorded) {
        (Some((secret, spelled)), Some(recorded)) if check_value(&secret)? != recorded => Err(
            contradicts(&format!("{spelled} is not the secret of this deployment")),
        ),
        (None, Some(_)) if purpose != Purpose::Migrate => Err(lost_secret(config)),
        // Versions without a mark recorded no check value, but they always had a secret.
        (None, None) if purpose != Purpose::Migrate && is_unrecorded(ground) => {
            Err(lost_secret(config))
        }
        _ => Ok(()),
    }
}

/// Returns `true` if a version that recorded no mark has served this database.
const fn is_unrecorded(ground: &Ground) -> bool {
    ground.recorded.is_none() && ground.has_history && ground.has_rows
}

/// Returns the error for a secret that the database has, but that isn't there.
fn lost_secret(config: &Config) -> Error {
    let file = keys::secret_file(&config.store.data_dir);
    let problem = format!(
        "is required: this database was used with a secret, but {} is missing; with another \
         secret, no stored token would be valid",
        file.display()
    );
    let cure =
        format!("restore the file or set the secret, or run {CHANGE} to start with a new one");
    ConfigError::new(TOKEN_HASH_SECRET.env(), problem, cure).into()
}

/// Checks that the signing key is the deployment's, and that a server has it.
///
/// A command signs nothing, so it works without the key. Does nothing if tokens aren't signed.
///
/// # Errors
/// Returns [`Error::Mismatch`] if the key is another one, and [`Error::Config`] if a server has
/// none although one is recorded, or if the settings of keys can't work.
fn check_key(config: &Config, ground: &Ground, purpose: Purpose) -> Result<(), Error> {
    if config.tokens.strategy != StrategyKind::Jwt {
        return Ok(());
    }

    let known = keys::known_ring(config)?;
    let recorded = ground.mark().and_then(|mark| mark.key.as_deref());
    match (known, recorded) {
        (Some((ring, spelled)), Some(recorded)) if key_id(&ring).as_deref() != Some(recorded) => {
            let found = key_id(&ring).unwrap_or_default();
            Err(contradicts(&format!(
                "{spelled} is the key {found}, but this deployment signs with {recorded}"
            )))
        }
        (None, Some(recorded)) if purpose == Purpose::Serve => Err(lost_key(config, recorded)),
        (None, None) if purpose == Purpose::Serve => Ok(keys::check(config)?),
        _ => Ok(()),
    }
}

/// Returns the error for a signing key that the deployment has, but that isn't there.
fn lost_key(config: &Config, recorded: &str) -> Error {
    let symmetric = config.keys.jwt.algorithm.starts_with("HS");
    let setting = if symmetric {
        JWT_SECRET
    } else {
        JWT_PRIVATE_KEY
    };

    let file = keys::key_file(&config.store.data_dir);
    let mut problem = format!("is required: this deployment signs with the key {recorded}");
    if !symmetric {
        problem = format!("{problem}, but {} is missing", file.display());
    }
    let cure = format!(
        "set the key that the other servers use or restore the file, or run {CHANGE} to start \
         with a new one"
    );

    ConfigError::new(setting.env(), problem, cure).into()
}

/// Returns the error for generated secrets whose database is empty or missing.
///
/// This happens after a restore that left the database out, or with the path of another database. A
/// start would otherwise create new tables beside the old secrets.
fn orphaned(config: &Config, file: &Path) -> Error {
    Error::Mismatch(format!(
        "{} is the secret of a deployment, but the database at {} has no deployment: it was \
         not restored, or is the wrong one; restore the database (a copy of an SQLite file in \
         use may be empty) or set a new data directory, or run {CHANGE} to start a new \
         deployment with these secrets",
        file.display(),
        config.store.shown()
    ))
}
