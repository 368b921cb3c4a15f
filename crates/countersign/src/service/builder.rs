//! The builder of [`Auth`].

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::auth::{
    AuthenticationBackend, Authenticator, OriginPolicy, SessionWatcher, UseRecorder,
};
use crate::axum::CredentialVerifier;
use crate::clock::{Clock, SystemClock};
use crate::denylist::{DenylistStore, SqlDenylist};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::ConfigError;
use crate::secret::Secret;
use crate::service::maintenance::{Intervals, Sweeper};
use crate::service::users::Accounts;
use crate::service::{Auth, Users};
use crate::session::{Lifetimes, ReusePolicy, SessionLimit};
use crate::store::sql::{
    Database, DatabaseOptions, DatabaseTokenModels, Migrator, SetupError, SqlStore,
};
use crate::store::{Observed, TokenStore};
use crate::strategy::{DatabaseTokenStrategy, Sessions, Strategy};
use crate::token::DigestKeyRing;
use crate::transport::{BearerTransport, CookieTransport};
use crate::user::{User, UserId, UserManager};

#[cfg(feature = "jwt")]
use crate::strategy::{JwtStrategy, JwtStrategyBuilder};
#[cfg(feature = "redis")]
use crate::{denylist::RedisDenylist, redis::Redis, store::RedisTokenStore};

/// The name of the backend that reads the header `Authorization`.
const BEARER: &str = "bearer";

/// The name of the backend that reads cookies.
const COOKIE: &str = "cookie";

/// The settings that an application adds to the builder of signed tokens.
#[cfg(feature = "jwt")]
type Signed<U> = Box<dyn FnOnce(JwtStrategyBuilder<U>) -> JwtStrategyBuilder<U> + Send>;

/// The store of tokens, as it was asked for.
enum StoreChoice {
    Url(String),
    Database(Database),
    #[cfg(feature = "redis")]
    Redis(Redis),
    Store(Arc<dyn TokenStore>),
}

/// Builds an [`Auth`].
///
/// The decisions, in order:
///
/// 1. *Users*: [`Auth::builder`] takes them.
/// 2. *Store*: exactly one of [`database_url`](Self::database_url), [`database`](Self::database),
///    `redis` and [`store`](Self::store). Required.
/// 3. *Secret*: [`secret`](Self::secret), which tokens are digested with. Required.
/// 4. *Tokens*: opaque ones by default, which the store looks up with each request. `jwt` makes
///    them signed ones.
/// 5. *Credentials*: the header `Authorization` by default. [`cookies`](Self::cookies) adds cookies
///    for pages, and [`without_bearer`](Self::without_bearer) leaves the header out.
/// 6. *Realm*: none by default. [`realm`](Self::realm) keeps two kinds of users apart.
/// 7. *Lifetimes and limits*: [`lifetimes`](Self::lifetimes), [`reuse`](Self::reuse),
///    [`session_limit`](Self::session_limit).
///
/// For another arrangement, such as two strategies side by side, put the parts together by hand:
/// a strategy, [`AuthenticationBackend`]s, an [`Authenticator`] and
/// [`AuthRoutes`](crate::axum::AuthRoutes).
#[must_use]
pub struct AuthBuilder<U: User> {
    users: Arc<dyn UserManager<U>>,
    verifier: Arc<dyn CredentialVerifier<U>>,
    place: Option<StoreChoice>,
    migrates: bool,
    secret: Option<Secret>,
    realm: Option<String>,
    lifetimes: Option<Lifetimes>,
    reuse: ReusePolicy,
    cap: Option<SessionLimit>,
    has_bearer: bool,
    cookies: Option<CookieTransport>,
    origins: OriginPolicy,
    intervals: Intervals,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    #[cfg(feature = "jwt")]
    signed: Option<Signed<U>>,
}

impl<U: User> Auth<U> {
    /// Starts to build authentication for the accounts of an application.
    ///
    /// See [`AuthBuilder`] for the decisions to make.
    pub fn builder<M: Users<User = U>>(users: M) -> AuthBuilder<U> {
        AuthBuilder::new(users)
    }
}

impl<U: User> AuthBuilder<U> {
    pub(super) fn new<M: Users<User = U>>(users: M) -> Self {
        let users = Accounts(Arc::new(users));
        Self {
            users: Arc::new(users.clone()),
            verifier: Arc::new(users),
            place: None,
            migrates: true,
            secret: None,
            realm: None,
            lifetimes: None,
            reuse: ReusePolicy::default(),
            cap: None,
            has_bearer: true,
            cookies: None,
            origins: OriginPolicy::default(),
            intervals: Intervals::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
            #[cfg(feature = "jwt")]
            signed: None,
        }
    }

    /// Keeps tokens in the database at `url`: `sqlite://app.db`, `postgres://…` or `mysql://…`.
    ///
    /// [`build`](Self::build) makes the tables and brings them up to date, with user ids of the
    /// kind of [`User::Id`].
    pub fn database_url(mut self, url: impl Into<String>) -> Self {
        self.place = Some(StoreChoice::Url(url.into()));
        self
    }

    /// Keeps tokens in a database that is connected already: a [`Database`], or an sqlx pool of
    /// the application.
    ///
    /// A pool is one of PostgreSQL, MySQL or MariaDB, by the feature `sqlx-postgres` or
    /// `sqlx-mysql`. Its clone is cheap and shares the connections: `.database(pool.clone())`. For
    /// another timeout, or behind PgBouncer, pass an `SqlxDriver`.
    ///
    /// Tables are made and brought up to date as with [`database_url`](Self::database_url).
    pub fn database(mut self, database: impl Into<Database>) -> Self {
        self.place = Some(StoreChoice::Database(database.into()));
        self
    }

    /// Keeps tokens on Redis.
    #[cfg(feature = "redis")]
    pub fn redis(mut self, redis: &Redis) -> Self {
        self.place = Some(StoreChoice::Redis(redis.clone()));
        self
    }

    /// Keeps tokens in a store of another kind, such as
    /// [`MemoryStore`](crate::store::MemoryStore) in tests.
    pub fn store(mut self, store: impl TokenStore + 'static) -> Self {
        self.place = Some(StoreChoice::Store(Arc::new(Observed::new(store))));
        self
    }

    /// Leaves the tables as they are. They are checked, and [`build`](Self::build) fails if one
    /// lacks something. For applications whose deployment runs the [`Migrator`] as a step of its
    /// own.
    pub const fn without_migrations(mut self) -> Self {
        self.migrates = false;
        self
    }

    /// Sets the secret that tokens are digested with. Keep it: tokens can't be found without it.
    pub fn secret(mut self, secret: &Secret) -> Self {
        self.secret = Some(secret.clone());
        self
    }

    /// Sets the realm of these users. Defaults to none.
    ///
    /// Set it where an application has two kinds of users, such as members and staff, with an
    /// [`Auth`] for each. Without it, two of them over one store and one secret accept each other's
    /// tokens, as whatever user has the same id there. The realm keeps apart:
    ///
    /// - *tokens*: they are digested with keys that are derived for the realm
    ///   ([`DigestKeyRing::realm`]), and the audience of signed ones is
    ///   `countersign:<realm>:access`. If `jwt` sets another, it must contain the realm's name. A
    ///   token of one realm is unknown in the other.
    /// - *users*: in SQL the realm has tables of its own
    ///   ([`DatabaseTokenModels::realm`]), and on Redis keys of its own. So ids may overlap, and
    ///   "log out everywhere" ends the sessions of one realm alone. A [`store`](Self::store) of
    ///   another kind can't be divided: give each realm one of its own.
    ///
    /// Give each realm's [cookies](Self::cookies) a
    /// [name](crate::transport::CookieTransportBuilder::cookie_name) of its own too, if they share
    /// a host: otherwise a login in one realm replaces the cookies of the other.
    ///
    /// The name has 1 to 16 lower-case letters, digits and underscores, and begins with a letter.
    /// Changing it logs everybody out. [`build`](Self::build) refuses other names.
    ///
    /// # Examples
    ///
    /// ```
    /// # use countersign::axum::{LoginAttempt, LoginVerdict};
    /// # use countersign::{Auth, Failure, Secret, SystemEntropy, User, Users};
    /// # struct Employee { id: i64 }
    /// # impl User for Employee { type Id = i64; fn id(&self) -> &i64 { &self.id } }
    /// # struct Staff;
    /// # impl Users for Staff {
    /// #     type User = Employee;
    /// #     async fn find(&self, id: &i64) -> Result<Option<Employee>, Failure> {
    /// #         Ok(Some(Employee { id: *id }))
    /// #     }
    /// #     async fn verify(&self, _: &LoginAttempt) -> Result<LoginVerdict<Employee>, Failure> {
    /// #         Ok(LoginVerdict::Rejected)
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let secret = Secret::generate(&SystemEntropy)?;
    /// let staff = Auth::builder(Staff)
    ///     .database_url("sqlite::memory:")
    ///     .secret(&secret)
    ///     .realm("staff")
    ///     .build()
    ///     .await?;
    /// # let _ = staff;
    /// # Ok(())
    /// # }
    /// ```
    pub fn realm(mut self, realm: impl Into<String>) -> Self {
        self.realm = Some(realm.into());
        self
    }

    /// Sets the lifetimes of access tokens and sessions.
    ///
    /// Defaults to 1 hour for opaque access tokens and 15 minutes for signed ones, an idle timeout
    /// of 30 days, and an absolute limit of 180 days.
    pub const fn lifetimes(mut self, lifetimes: Lifetimes) -> Self {
        self.lifetimes = Some(lifetimes);
        self
    }

    /// Sets the policy for refresh tokens that are presented again after their rotation. Defaults
    /// to a grace window of 10 seconds.
    pub const fn reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// Sets the limit on live sessions of one user. Defaults to no limit.
    pub const fn session_limit(mut self, cap: SessionLimit) -> Self {
        self.cap = Some(cap);
        self
    }

    /// Adds cookies, for pages. Their routes are `/cookie/login`, `/cookie/refresh` and
    /// `/cookie/logout`.
    ///
    /// A cookie's life is that of the token inside, so leave `max_age` and `refresh_max_age` of the
    /// transport as they are.
    pub fn cookies(mut self, cookies: CookieTransport) -> Self {
        self.cookies = Some(cookies);
        self
    }

    /// Leaves out the header `Authorization`, for applications that use cookies alone.
    pub const fn without_bearer(mut self) -> Self {
        self.has_bearer = false;
        self
    }

    /// Sets which pages may send cookies. Defaults to those of the request's own host.
    pub fn origins(mut self, origins: OriginPolicy) -> Self {
        self.origins = origins;
        self
    }

    /// Makes access tokens signed ones, by the settings that `settings` adds: at least a secret or
    /// a key.
    ///
    /// Sessions, refresh tokens and revoked ids are kept in the store. Over a
    /// [`store`](Self::store) of another kind, `settings` has to give the
    /// [denylist](JwtStrategyBuilder::denylist_store) as well.
    ///
    /// # Examples
    ///
    /// ```
    /// # use countersign::axum::{LoginAttempt, LoginVerdict};
    /// # use countersign::{Auth, Failure, Secret, SystemEntropy, User, Users};
    /// # #[derive(Clone)]
    /// # struct Member { id: i64 }
    /// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
    /// # struct Members;
    /// # impl Users for Members {
    /// #     type User = Member;
    /// #     async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
    /// #         Ok(Some(Member { id: *id }))
    /// #     }
    /// #     async fn verify(&self, _: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
    /// #         Ok(LoginVerdict::Rejected)
    /// #     }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let signing_secret = Secret::generate(&SystemEntropy)?;
    /// # let secret = Secret::generate(&SystemEntropy)?;
    /// let auth = Auth::builder(Members)
    ///     .database_url("sqlite::memory:")
    ///     .secret(&secret)
    ///     .jwt(move |jwt| jwt.secret(&signing_secret).issuer("https://app.example"))
    ///     .build()
    ///     .await?;
    /// # let _ = auth;
    /// # Ok(())
    /// # }
    /// ```
    #[cfg(feature = "jwt")]
    pub fn jwt(
        mut self,
        settings: impl FnOnce(JwtStrategyBuilder<U>) -> JwtStrategyBuilder<U> + Send + 'static,
    ) -> Self {
        self.signed = Some(Box::new(settings));
        self
    }

    /// Sets how often [`Auth::maintain`] deletes expired rows. Defaults to once an hour.
    pub const fn sweep_interval(mut self, interval: Duration) -> Self {
        self.intervals.sweep = interval;
        self
    }

    /// Sets how often [`Auth::maintain`] writes last-used times, in one batch. Defaults to once a
    /// minute.
    pub const fn use_interval(mut self, interval: Duration) -> Self {
        self.intervals.record_use = interval;
        self
    }

    /// Sets how often [`Auth::maintain`] checks the sessions of open connections. Defaults to every
    /// 5 seconds.
    pub const fn watch_interval(mut self, interval: Duration) -> Self {
        self.intervals.watch = interval;
        self
    }

    /// Sets the clock. Defaults to the system clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of randomness, for tests. Defaults to that of the operating system.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Connects the store, brings its tables up to date, and puts the parts together.
    ///
    /// Call it on a tokio runtime.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError::Config`] if a setting is missing or wrong, with the setting and the
    /// cure. Returns [`SetupError::Store`] if the database can't be asked, or refused a migration:
    /// it may be called again then.
    pub async fn build(mut self) -> Result<Auth<U>, SetupError> {
        let secret = self.secret.take().ok_or_else(|| {
            let cure = "set a secret of at least 32 characters";
            ConfigError::new("secret", "is required", cure)
        })?;
        let mut digests = DigestKeyRing::new("default", &secret)?;
        if let Some(realm) = &self.realm {
            digests = digests.realm(realm)?;
        }
        let place = self.place.take().ok_or_else(|| {
            ConfigError::new("store", "is required", "set a database, a Redis or a store")
        })?;
        let (store, denylist) = self.open(place, &digests).await?;

        let lifetimes = self.settled_lifetimes()?;
        let sessions = Sessions::new(Arc::clone(&store), digests, lifetimes)
            .with_reuse(self.reuse)
            .with_limit(self.cap)
            .with_clock(Arc::clone(&self.clock))
            .with_entropy(Arc::clone(&self.entropy));
        let strategy = self.strategy(&sessions, denylist.clone())?;

        let recorder = UseRecorder::new(store).with_clock(Arc::clone(&self.clock));
        let mut authenticator = Authenticator::builder(Arc::clone(&self.users))
            .origins(self.origins)
            .record_use(recorder.clone());
        if self.has_bearer {
            let strategy = Arc::clone(&strategy);
            authenticator = authenticator.backend(AuthenticationBackend::new(
                BEARER,
                BearerTransport,
                strategy,
            ));
        }
        if let Some(cookies) = self.cookies {
            let strategy = Arc::clone(&strategy);
            authenticator =
                authenticator.backend(AuthenticationBackend::new(COOKIE, cookies, strategy));
        }
        Ok(Auth::of(super::Parts {
            authenticator: Arc::new(authenticator.build()?),
            verifier: self.verifier,
            watcher: SessionWatcher::new(Arc::clone(&strategy), self.users),
            strategy,
            recorder,
            sweeper: Sweeper { sessions, denylist },
            intervals: self.intervals,
            is_maintained: false.into(),
        }))
    }

    /// Opens the store of tokens, and the denylist that belongs beside it.
    async fn open(
        &self,
        place: StoreChoice,
        digests: &DigestKeyRing,
    ) -> Result<(Arc<dyn TokenStore>, Option<Arc<dyn DenylistStore>>), SetupError> {
        let database = match place {
            StoreChoice::Store(store) => return Ok((store, None)),
            #[cfg(feature = "redis")]
            StoreChoice::Redis(redis) => {
                let store = Observed::new(RedisTokenStore::new(&redis, digests));
                return Ok((Arc::new(store), Some(Arc::new(RedisDenylist::new(&redis)))));
            }
            StoreChoice::Url(url) => Database::connect(&url, DatabaseOptions::default())?,
            StoreChoice::Database(database) => database,
        };
        #[cfg(not(feature = "redis"))]
        let _ = digests;
        let (mut models, mut migrator) = (
            DatabaseTokenModels::bundled(U::Id::KIND),
            Migrator::new(&database, U::Id::KIND),
        );
        if let Some(realm) = &self.realm {
            models = DatabaseTokenModels::realm(realm, U::Id::KIND)?;
            migrator = migrator.realm(realm)?;
        }
        if self.migrates {
            migrator.run().await?;
        }
        models.verify(&database).await?;
        let store = Observed::new(SqlStore::new(database.driver(), models));
        Ok((Arc::new(store), Some(Arc::new(SqlDenylist::new(&database)))))
    }

    /// Returns the lifetimes that were set, or else the defaults.
    fn settled_lifetimes(&self) -> Result<Lifetimes, ConfigError> {
        if let Some(lifetimes) = self.lifetimes {
            return Ok(lifetimes);
        }
        #[cfg(feature = "jwt")]
        let is_signed = self.signed.is_some();
        #[cfg(not(feature = "jwt"))]
        let is_signed = false;
        let access = Duration::from_mins(if is_signed { 15 } else { 60 });
        let lifetimes = Lifetimes::new(access, Duration::from_hours(30 * 24))?;
        lifetimes.with_max_session_age(Duration::from_hours(180 * 24))
    }

    /// Builds the strategy: signed tokens if they were asked for, or else opaque ones.
    fn strategy(
        &mut self,
        sessions: &Sessions<Arc<dyn TokenStore>>,
        denylist: Option<Arc<dyn DenylistStore>>,
    ) -> Result<Arc<dyn Strategy<U>>, ConfigError> {
        #[cfg(feature = "jwt")]
        if let Some(settings) = self.signed.take() {
            let mut jwt = JwtStrategy::builder()
                .clock(Arc::clone(&self.clock))
                .entropy(Arc::clone(&self.entropy))
                .lifetime(sessions.lifetimes().access())
                .sessions(sessions.clone());
            if let Some(realm) = &self.realm {
                jwt = jwt.audience(format!("countersign:{realm}:access"));
            }
            if let Some(denylist) = denylist {
                jwt = jwt.denylist_store(denylist);
            }
            let jwt = settings(jwt);
            if let Some(realm) = &self.realm
                && !jwt.has_audience_of(realm)
            {
                return Err(ConfigError::new(
                    "audience",
                    format!("doesn't contain the realm {realm}"),
                    "leave the audience out, or give each realm one with its name",
                ));
            }
            return Ok(Arc::new(jwt.build()?));
        }
        #[cfg(not(feature = "jwt"))]
        let _ = denylist;
        Ok(Arc::new(DatabaseTokenStrategy::over(sessions.clone())))
    }
}

impl<U: User> fmt::Debug for AuthBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthBuilder")
            .field("lifetimes", &self.lifetimes)
            .field("reuse", &self.reuse)
            .field("session_limit", &self.cap)
            .finish_non_exhaustive()
    }
}
