//! Joining a deployment: the steps between reading the settings and building the services.
//!
//! An attempt [agrees](agree) with the mark, opens the stores, brings the tables up to date, makes
//! secrets, and records what isn't recorded yet. If another process records something in between,
//! the attempt is repeated from the beginning, because that record may contradict these settings.

use countersign::entropy::Entropy;
use countersign::jwt::KeyRing;
use countersign::redis::Redis;
use countersign::store::sql::{Applied, Database, DatabaseOptions, Planned, Progress};
use countersign::{Failure, Secret, SystemEntropy};
use uuid::Uuid;

use super::agree::{Agreed, agree, check_redis};
use super::mark::{Mark, check_value};
use super::record::{Replaced, replace};
use super::{Purpose, Watch};
use crate::config::{Config, StrategyKind};
use crate::data_dir::DataDir;
use crate::error::Error;
use crate::foundation::{self, Patience, keys};

/// The number of attempts before a record that keeps changing counts as a fault.
const ATTEMPTS: u32 = 5;

/// The parts that services are built from.
#[derive(Debug)]
pub struct Joined {
    /// The settings, completed from the mark.
    pub config: Config,
    /// The database, with its tables up to date.
    pub database: Database,
    /// Redis, if one is configured.
    pub redis: Option<Redis>,
    /// The secret that digests tokens.
    pub secret: Secret,
    /// The keys of signed tokens, with strategy `jwt`.
    ///
    /// In a command on a machine without the key, this is a new key that nobody knows.
    pub signing: Option<KeyRing>,
    /// The watch over the mark.
    pub watch: Watch,
}

/// Joins the deployment, and returns the parts that services are built from.
///
/// Settings are compared with the mark first. Only then are tables brought up to date and secrets
/// made. Several processes may join at once, also for the first time: one of them records the mark,
/// and the others agree with it or are refused.
///
/// # Errors
/// Returns [`Error::Mismatch`] if a setting contradicts the mark; nothing has been written then.
/// Returns [`Error::Mark`] if the mark can't be read, [`Error::Config`] or [`Error::Store`] if a
/// setting can't work or a store can't be used, and [`Error::Refused`] if others keep changing the
/// record. It is safe to call this function again after any error.
pub async fn join(config: &Config, purpose: Purpose) -> Result<Joined, Error> {
    for _ in 0..ATTEMPTS {
        if let Some(joined) = attempt(config, purpose).await? {
            return Ok(joined);
        }
    }
    Err(Error::Refused(
        "other servers keep recording the deployment at the same time".to_owned(),
    ))
}

/// Returns the settings, completed from the mark. Writes nothing.
///
/// # Errors
/// Returns the errors of [`join`].
pub async fn settled(config: &Config, purpose: Purpose) -> Result<Config, Error> {
    Ok(agree(config, purpose).await?.config)
}

/// Brings the tables up to date, reports the progress to `tell`, and returns the applied
/// migrations.
///
/// Waits for the database for as long as the setting `wait_for_stores` says. On a database without
/// tables, a mark is recorded too, which says that no server has come yet.
///
/// # Errors
/// Returns the errors of [`join`].
pub async fn migrate(
    config: &Config,
    tell: impl Fn(Progress) + Send + Sync + 'static,
) -> Result<Vec<Applied>, Error> {
    Patience::of(config).for_database(config).await?;
    let agreed = agree(config, Purpose::Migrate).await?;
    let database = opened(&agreed)?;
    let applied = foundation::bring_up_to_date_telling(&database, config, tell).await?;

    if !agreed.ground.has_history {
        let secret = keys::known_secret(config)?
            .map(|(secret, _)| check_value(&secret))
            .transpose()?;
        replace(&database, None, &Mark::open(secret))
            .await
            .map_err(|unread| unread.told(&config.store))?;
    }

    Ok(applied)
}

/// Returns the statements that [`migrate`] would run. Writes nothing and creates no file.
///
/// # Errors
/// Returns the errors of [`join`].
pub async fn planned(config: &Config) -> Result<Vec<Planned>, Error> {
    Patience::of(config).for_database(config).await?;
    let agreed = agree(config, Purpose::Migrate).await?;
    let database = match agreed.database {
        Some(database) => database,
        // There is no file, so the plan is that of an empty database.
        None => Database::connect("sqlite::memory:", DatabaseOptions::default())?,
    };
    foundation::planned(&database, config).await
}

/// Returns the database that was looked at, or creates it.
fn opened(agreed: &Agreed) -> Result<Database, Error> {
    agreed
        .database
        .clone()
        .map_or_else(|| foundation::connect(&agreed.config.store), Ok)
}

/// Joins once. Returns `None` if another process recorded something meanwhile.
async fn attempt(config: &Config, purpose: Purpose) -> Result<Option<Joined>, Error> {
    let agreed = agree(config, purpose).await?;
    if purpose == Purpose::Serve {
        foundation::examine_redis(&agreed.config).await?;
    }
    let redis = foundation::redis_handle(&agreed.config)?;
    check_redis(&agreed.config, agreed.ground.mark(), redis.as_ref()).await?;

    let data_dir = DataDir::at(&agreed.config.store.data_dir);
    let database = opened(&agreed)?;
    foundation::bring_up_to_date(&database, &agreed.config).await?;

    let secret = keys::token_hash_secret(&agreed.config, &data_dir)?;
    let signing = signing(&agreed.config, &data_dir, purpose)?;
    let found = Found {
        config: &agreed.config,
        secret: &secret,
        signing: signing.as_ref(),
        redis: redis.as_ref(),
    };
    let Some(mark) = found.record(&agreed, purpose, &database).await? else {
        return Ok(None);
    };

    let watch = Watch::new(&database, redis.as_ref(), mark);
    Ok(Some(Joined {
        config: agreed.config,
        database,
        redis,
        secret,
        signing,
        watch,
    }))
}

/// Returns the keys of signed tokens.
///
/// A command signs nothing, so on a machine without the key it gets one that is used for nothing.
fn signing(
    config: &Config,
    data_dir: &DataDir,
    purpose: Purpose,
) -> Result<Option<KeyRing>, Error> {
    if config.tokens.strategy != StrategyKind::Jwt {
        return Ok(None);
    }
    if purpose == Purpose::Serve {
        return keys::signing(config, data_dir).map(Some);
    }
    match keys::known_ring(config)? {
        Some((ring, _)) => Ok(Some(ring)),
        None => keys::throwaway().map(Some),
    }
}

/// The facts that this process would record.
struct Found<'a> {
    config: &'a Config,
    secret: &'a Secret,
    signing: Option<&'a KeyRing>,
    redis: Option<&'a Redis>,
}

impl Found<'_> {
    /// Records what is still open, and returns the mark as it is then.
    ///
    /// Returns `None` if another process recorded something else first.
    async fn record(
        &self,
        agreed: &Agreed,
        purpose: Purpose,
        database: &Database,
    ) -> Result<Option<Mark>, Error> {
        let known = agreed.ground.mark();
        let secret = Some(check_value(self.secret)?);
        let wanted = match (purpose, known) {
            (Purpose::Serve, known) => {
                let redis = match known {
                    Some(mark) if mark.is_settled() => None,
                    _ => self.redis.map(|_| new_name()).transpose()?,
                };
                let found = Mark::of(self.config, self.signing, redis, secret);
                known
                    .cloned()
                    .unwrap_or_else(|| Mark::open(None))
                    .filled(found)
            }
            // A command that creates the tables knows that no server has served here. How tokens
            // are made is left to the first server, since a command may be told anything.
            (_, None) if !agreed.ground.has_history => Mark::open(secret),
            (_, Some(mark)) if !mark.is_settled() => mark.clone().filled(Mark::open(secret)),
            (_, known) => return Ok(Some(known.cloned().unwrap_or_else(|| Mark::open(None)))),
        };

        if known == Some(&wanted) {
            return Ok(Some(wanted));
        }

        self.write(agreed, &wanted, database).await
    }

    /// Writes the mark to Redis, where that is new, and then to the database.
    async fn write(
        &self,
        agreed: &Agreed,
        wanted: &Mark,
        database: &Database,
    ) -> Result<Option<Mark>, Error> {
        let known = agreed.ground.mark();
        let is_new = known.and_then(|mark| mark.redis.as_ref()) != wanted.redis.as_ref();
        let marked = self.redis.zip(wanted.redis.as_deref()).filter(|_| is_new);

        // Redis first: a mark there that no database names does no harm.
        if let (Some((redis, name)), Some(settings)) = (marked, &self.config.redis) {
            redis
                .leave_mark(name)
                .await
                .map_err(|failure| foundation::redis_unreachable(settings, failure))?;
        }

        let replaced = replace(database, agreed.ground.recorded.as_ref(), wanted).await;
        let replaced = replaced.map_err(|unread| unread.told(&self.config.store))?;
        if replaced == Replaced::Not {
            if let Some((redis, name)) = marked {
                redis.remove_mark(name).await?;
            }
            return Ok(None);
        }

        if let (Replaced::Now, Some(strategy), Some(profile)) =
            (replaced, &wanted.strategy, &wanted.profile)
        {
            let adopted = known.is_none() && agreed.ground.has_rows;
            tracing::info!(event = "deployment_recorded", strategy, profile, adopted);
        }

        Ok(Some(wanted.clone()))
    }
}

/// Returns a random name for a mark on Redis: 32 hexadecimal digits.
pub(super) fn new_name() -> Result<String, Failure> {
    let mut bytes = [0; 16];
    SystemEntropy.fill(&mut bytes)?;
    Ok(Uuid::from_bytes(bytes).simple().to_string())
}
