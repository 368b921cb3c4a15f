//! The composition of the server: it turns settings into objects of the library.
//!
//! [`Services::open`] is the entry point. It joins the deployment ([`crate::deployment`]), which
//! opens the stores, brings their tables up to date and finds the keys. Then it builds, from the
//! bottom up: the token store, the strategy, the accounts, the authenticator, and the background
//! tasks.
//!
//! The parts that it builds on, stores and keys, are opened by [`foundation`]. The submodule
//! `stores` decides whether the server is ready ([`Stores`]).

mod stores;

use std::sync::Arc;

use countersign::auth::UseRecorder;
use countersign::clock::{Clock, SystemClock};
use countersign::denylist::{DenylistStore, RedisDenylist, SqlDenylist};
use countersign::entropy::Entropy;
use countersign::jwt::KeyRing;
use countersign::redis::Redis;
use countersign::store::sql::{Database, DatabaseTokenModels, Driver, SqlStore, UserTable};
use countersign::store::{Observed, TokenStore};
use countersign::strategy::Strategy;
use countersign::strategy::{DatabaseTokenStrategy, JwtStrategy, RedisTokenStrategy, Sessions};
use countersign::token::DigestKeyRing;
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::user::UserKeyKind;
use countersign::{AuthenticationBackend, Authenticator, ConfigError};
use countersign::{Profile, Secret, SystemEntropy};

use crate::accounts::{
    Account, Accounts, COLUMNS, Changes, Hasher, InUse, Logins, ORIGINAL, OURS, Registrar, Survey,
    Throttle,
};
use crate::address::Proxies;
use crate::config::{Config, JWT_ALGORITHM, PROFILE, REDIS_URL, STRATEGY, StrategyKind};
use crate::deployment::{self, Joined, Purpose, Watch};
use crate::error::Error;
use crate::foundation;
use crate::sweep::{Endless, Sweeper};
use stores::Look;

pub use stores::{Readiness, Stores};

/// The objects that routes, background tasks and commands work with.
///
/// Cloning is cheap: clones share all stores. At a reload, a server builds a second set and drops
/// the first one.
#[derive(Clone)]
pub struct Services {
    /// The authenticator of requests, with the backends `bearer` and `cookie`.
    pub authenticator: Arc<Authenticator<Account>>,
    /// The strategy of access tokens. Both backends use it.
    pub strategy: Arc<dyn Strategy<Account>>,
    /// The stores that must work for the server to be ready.
    pub stores: Stores,
    /// The check of passwords, and the accounts behind it.
    pub logins: Logins,
    /// The registration of accounts.
    pub registrar: Registrar,
    /// The changes of accounts that end sessions.
    pub changes: Changes,
    /// The recorder of the last-used times of sessions.
    pub recorder: UseRecorder,
    /// The deletion of expired rows.
    pub sweeper: Sweeper,
    /// The survey of how the stored passwords are hashed.
    pub survey: Survey,
    /// The watch over the deployment's record, which reports a change of it.
    pub watch: Watch,
}

impl Services {
    /// Joins the deployment, brings the tables up to date, and builds everything.
    ///
    /// Use [`join`](Self::join) if you need the completed settings as well.
    ///
    /// # Errors
    /// Returns [`Error::Mismatch`] if a setting contradicts the record of the deployment;
    /// [`Error::Config`], which names the setting, if one can't work; [`Error::Store`] if a store
    /// can't be used; or another error of [`deployment::join()`]. It is safe to call this function
    /// again.
    pub async fn open(config: &Config, purpose: Purpose) -> Result<Self, Error> {
        Ok(Self::join(config, purpose).await?.1)
    }

    /// Like [`open`](Self::open), but also returns the settings as the deployment completes them.
    ///
    /// A setting that nobody gave has the value that the deployment's record has for it, where it
    /// has one.
    ///
    /// # Errors
    /// Returns the errors of [`open`](Self::open).
    pub async fn join(config: &Config, purpose: Purpose) -> Result<(Config, Self), Error> {
        let Joined {
            config,
            database,
            redis,
            secret,
            signing,
            watch,
        } = deployment::join(config, purpose).await?;

        let parts = Parts::new(database, redis, &secret)?;
        let in_sql: Arc<dyn TokenStore> = Arc::new(Observed::new(parts.store.clone()));

        // The last arm also covers strategy `jwt` without keys, which `join` never returns.
        let (strategy, sessions) = match (config.tokens.strategy, signing) {
            (StrategyKind::Jwt, Some(keys)) => (parts.jwt_strategy(&config, keys)?, in_sql),
            (StrategyKind::Redis, _) => parts.redis_strategy(&config, in_sql)?,
            (StrategyKind::Database | StrategyKind::Jwt, _) => {
                (parts.database_strategy(&config)?, in_sql)
            }
        };

        let recorder = UseRecorder::new(sessions).with_clock(Arc::clone(&parts.clock));
        let accounts = accounts(&parts.database).await?;
        let services = parts.assemble(&config, accounts, strategy, (recorder, watch), &secret)?;
        Ok((config, services))
    }

    /// Returns the accounts.
    pub const fn accounts(&self) -> &Accounts {
        &self.logins.accounts
    }
}

impl std::fmt::Debug for Services {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Services").finish_non_exhaustive()
    }
}

/// Checks the settings of keys and of Redis, without creating anything or contacting a store.
///
/// Keys are checked only if strategy, profile and algorithm are known. Otherwise the deployment's
/// record may still set these, and [`Services::open`] checks the keys later.
///
/// # Errors
/// Returns a [`ConfigError`] that names the setting.
pub fn check(config: &Config) -> Result<(), ConfigError> {
    // The record of the deployment may still change these, and a check now could refuse wrongly.
    if [&STRATEGY, &PROFILE, &JWT_ALGORITHM]
        .into_iter()
        .all(|setting| config.sources.is_final(setting))
    {
        foundation::keys::check(config)?;
    }
    foundation::redis_handle(config).map(|_| ())
}

/// A strategy, and the store that holds its sessions.
type Issuing = (Arc<dyn Strategy<Account>>, Arc<dyn TokenStore>);

/// The parts that every strategy is built from.
struct Parts {
    database: Database,
    redis: Option<Redis>,
    store: SqlStore<Database>,
    digests: DigestKeyRing,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl Parts {
    /// Builds the token store with the bundled models, and joins it with the table of accounts.
    ///
    /// Because of the join, a token and its account are read in one round trip.
    fn new(database: Database, redis: Option<Redis>, secret: &Secret) -> Result<Self, ConfigError> {
        let users = UserTable {
            table: "user".into(),
            id: "id".into(),
            columns: COLUMNS.into_iter().map(Into::into).collect(),
        };
        let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid).join_users(users)?;

        Ok(Self {
            store: SqlStore::new(database.clone(), models),
            database,
            redis,
            digests: DigestKeyRing::new("default", secret)?,
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        })
    }

    /// Builds the strategy of opaque tokens in the database.
    fn database_strategy(&self, config: &Config) -> Result<Arc<dyn Strategy<Account>>, Error> {
        let lifetimes = &config.tokens.lifetimes;
        let strategy = DatabaseTokenStrategy::builder(Observed::new(self.store.clone()))
            .digest_keys(self.digests.clone())
            .max_age(lifetimes.access())
            .refresh_max_age(lifetimes.refresh())
            .session_lifetime(Some(config.tokens.session_lifetime))
            .reuse(config.tokens.reuse)
            .session_limit(config.tokens.session_limit)
            .profile(config.tokens.profile)
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::clone(&self.entropy))
            .build()?;

        Ok(Arc::new(strategy))
    }

    /// Builds the strategy of opaque tokens on Redis, and returns the store of its sessions with
    /// it.
    ///
    /// In the profile of litestar-auth there are no sessions on Redis. Then the store is
    /// `otherwise`, in which there are none either.
    fn redis_strategy(
        &self,
        config: &Config,
        otherwise: Arc<dyn TokenStore>,
    ) -> Result<Issuing, Error> {
        let Some(redis) = &self.redis else {
            let cure = "set the URL of the server, for example redis://localhost:6379";
            let problem = "is required with strategy redis";
            return Err(ConfigError::new(REDIS_URL.env(), problem, cure).into());
        };

        let lifetimes = &config.tokens.lifetimes;
        let strategy = RedisTokenStrategy::builder(redis)
            .digest_keys(self.digests.clone())
            .lifetime(lifetimes.access())
            .refresh_lifetime(lifetimes.refresh())
            .session_lifetime(Some(config.tokens.session_lifetime))
            .reuse(config.tokens.reuse)
            .session_limit(config.tokens.session_limit)
            .profile(config.tokens.profile)
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::clone(&self.entropy))
            .build()?;

        let sessions = strategy
            .sessions()
            .map(|sessions| Arc::new(sessions.store().clone()) as Arc<dyn TokenStore>);

        Ok((Arc::new(strategy), sessions.unwrap_or(otherwise)))
    }

    /// Builds the strategy of signed tokens, with refresh sessions in the database.
    ///
    /// The denylist may be on Redis, but sessions are always in the database.
    fn jwt_strategy(
        &self,
        config: &Config,
        keys: KeyRing,
    ) -> Result<Arc<dyn Strategy<Account>>, Error> {
        let store: Arc<dyn TokenStore> = Arc::new(Observed::new(self.store.clone()));
        let sessions = Sessions::new(store, self.digests.clone(), config.tokens.lifetimes)
            .with_format(config.tokens.profile, TOKEN_BYTES)?
            .with_reuse(config.tokens.reuse)
            .with_limit(config.tokens.session_limit)
            .with_clock(Arc::clone(&self.clock))
            .with_entropy(Arc::clone(&self.entropy));

        let mut builder = JwtStrategy::builder()
            .keys(keys)
            .lifetime(config.tokens.lifetimes.access())
            .denylist_store(self.denylist(config.tokens.profile)?)
            .sessions(sessions)
            .profile(config.tokens.profile)
            .clock(Arc::clone(&self.clock))
            .entropy(Arc::clone(&self.entropy));

        if let Some(issuer) = &config.keys.jwt.issuer {
            builder = builder.issuer(issuer);
        }
        if let Some(audience) = &config.keys.jwt.audience {
            builder = builder.audience(audience);
        }

        Ok(Arc::new(builder.build()?))
    }

    /// Returns the denylist of signed tokens: on Redis if there is one, and in the database
    /// otherwise.
    fn denylist(&self, profile: Profile) -> Result<Arc<dyn DenylistStore>, ConfigError> {
        let Some(redis) = &self.redis else {
            return Ok(Arc::new(SqlDenylist::new(&self.database)));
        };
        let denylist = RedisDenylist::new(redis);
        Ok(Arc::new(match profile {
            Profile::LitestarAuth => {
                denylist.with_key_prefix(RedisDenylist::ORIGINAL_KEY_PREFIX)?
            }
            _ => denylist,
        }))
    }

    /// Builds the services around the strategy.
    ///
    /// `secret` is the one that digests tokens. The keys of the counts of failed logins are derived
    /// from it.
    fn assemble(
        self,
        config: &Config,
        accounts: Accounts,
        strategy: Arc<dyn Strategy<Account>>,
        (recorder, watch): (UseRecorder, Watch),
        secret: &Secret,
    ) -> Result<Services, Error> {
        let driver = self.database.driver();
        let driver_dialect = driver.dialect();
        let throttle = Throttle::new(Arc::clone(&driver), secret, config.tokens.login_limit)?;

        let tokens = &config.tokens;
        let in_use = InUse::new(match tokens.profile {
            // litestar-auth hashes a password again at a login if its settings differ from its own,
            // so this server must not use others for the same rows.
            Profile::LitestarAuth => ORIGINAL,
            _ => OURS,
        });

        let hasher = Hasher::start(
            tokens.password_threads,
            tokens.password_queue,
            in_use.clone(),
            &self.entropy,
        )?;
        let authenticator = Arc::new(authenticator(config, &accounts, &strategy, &recorder)?);

        let logins = Logins {
            accounts,
            hasher,
            throttle: throttle.clone(),
            proxies: Arc::new(Proxies::new(config.http.trusted_proxies.clone())),
            second_factor: tokens.second_factor,
            clock: Arc::clone(&self.clock),
        };

        let changes = Changes {
            strategy: Arc::clone(&strategy),
            store: self.store.clone(),
            signed: tokens.strategy == StrategyKind::Jwt,
            beside_sessions: tokens.strategy != StrategyKind::Redis,
            dialect: driver_dialect,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        };

        let stores = Stores::new(Look {
            database: Arc::clone(&driver),
            denylist: match tokens.strategy {
                StrategyKind::Jwt => Some(self.denylist(tokens.profile)?),
                StrategyKind::Database | StrategyKind::Redis => None,
            },
            on_redis: (tokens.strategy == StrategyKind::Redis).then(|| Arc::clone(&strategy)),
            redis: self.redis,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
        });

        let store: Arc<dyn TokenStore> = Arc::new(self.store);
        Ok(Services {
            authenticator,
            recorder,
            changes,
            strategy,
            registrar: Registrar {
                logins: logins.clone(),
                registration: tokens.registration,
                entropy: self.entropy,
            },
            logins,
            survey: Survey::new(driver, in_use),
            sweeper: Sweeper {
                tokens: store,
                denylist: Arc::new(SqlDenylist::new(&self.database)),
                throttle,
                lifetimes: tokens.lifetimes,
                endless: endless(config),
                clock: self.clock,
                store_clock: watch.clock().clone(),
            },
            watch,
            stores,
        })
    }
}

/// Returns the accounts of the database. The tables must be up to date.
async fn accounts(database: &Database) -> Result<Accounts, Error> {
    let mut accounts = Accounts::new(database.driver());
    accounts.find_second_factors().await?;
    Ok(accounts)
}

/// Returns the rule for tokens without `expires_at`.
///
/// In this server's own profile every row has one. A row without it was written by litestar-auth.
fn endless(config: &Config) -> Endless {
    match (config.tokens.profile, config.tokens.adopted_lifetime) {
        (Profile::LitestarAuth, None) => Endless::Ours,
        (_, None) => Endless::Kept,
        (_, Some(lifetime)) => Endless::Adopted(lifetime),
    }
}

/// The number of random bytes in an opaque token. 32 is the default of the original, too.
const TOKEN_BYTES: usize = 32;

/// Builds the authenticator, which asks the backend `bearer` first and `cookie` second.
///
/// Cookies have the prefix `__Host-`, which binds them to this host, except without `Secure` and in
/// the profile of litestar-auth.
///
/// # Errors
/// Returns a [`ConfigError`] if the settings of cookies contradict each other.
fn authenticator(
    config: &Config,
    accounts: &Accounts,
    strategy: &Arc<dyn Strategy<Account>>,
    recorder: &UseRecorder,
) -> Result<Authenticator<Account>, ConfigError> {
    let insecure = config.http.insecure_cookies;
    let mut cookies = CookieTransport::builder(config.tokens.profile)
        .samesite(config.http.cookie_samesite)
        .secure(!insecure)
        .allow_insecure_cookie_auth(insecure);

    if let Some(name) = &config.http.cookie_name {
        // litestar-auth's cookie names never have the prefix `__Host-`, and browsers refuse the
        // prefix without `Secure`.
        let is_bound = !insecure && config.tokens.profile != Profile::LitestarAuth;
        cookies = cookies.cookie_name(format!("{}{name}", if is_bound { "__Host-" } else { "" }));
    }
    let cookies = cookies.build()?;

    let builder = Authenticator::builder(Arc::new(accounts.clone()))
        .origins(config.http.origins.clone())
        .backend(AuthenticationBackend::new(
            "bearer",
            BearerTransport,
            Arc::clone(strategy),
        ))
        .backend(AuthenticationBackend::new(
            "cookie",
            cookies,
            Arc::clone(strategy),
        ));

    match config.store.use_interval {
        Some(_) => builder.record_use(recorder.clone()),
        None => builder,
    }
    .build()
}
