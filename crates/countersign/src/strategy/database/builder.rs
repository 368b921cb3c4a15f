//! The builder of [`DatabaseTokenStrategy`]. Settings that can't work are refused by `build`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::ConfigError;
use crate::profile::Profile;
use crate::secret::Secret;
use crate::session::{Lifetimes, ReusePolicy, SessionLimit};
use crate::store::TokenStore;
use crate::strategy::{DatabaseTokenStrategy, Sessions};
use crate::token::DigestKeyRing;

impl<S: TokenStore> DatabaseTokenStrategy<S> {
    /// Starts to build a strategy over `store`.
    ///
    /// See [`DatabaseTokenStrategyBuilder`] for the decisions to make.
    pub fn builder(store: S) -> DatabaseTokenStrategyBuilder<S> {
        DatabaseTokenStrategyBuilder::new(store)
    }
}

/// Builds a [`DatabaseTokenStrategy`].
///
/// The decisions, in order:
///
/// 1. *Store*: where tokens are kept. [`DatabaseTokenStrategy::builder`] takes it. Names of tables
///    and columns belong to the store ([`SqlStore::new`](crate::store::sql::SqlStore::new)).
/// 2. *Secret* (required): [`token_hash_secret`](Self::token_hash_secret), or
///    [`digest_keys`](Self::digest_keys) to rotate secrets later. Keep it: without it, no stored
///    token can be found. All processes on one store need the same.
/// 3. *Lifetimes*: [`max_age`](Self::max_age) of access tokens (1 hour),
///    [`refresh_max_age`](Self::refresh_max_age) as the idle timeout (30 days) and
///    [`session_lifetime`](Self::session_lifetime) as the absolute limit (180 days).
/// 4. *Reuse and sessions per user*: [`reuse`](Self::reuse) (a grace window of 10 seconds) and
///    [`session_limit`](Self::session_limit) (no limit).
/// 5. *Migration from litestar-auth* only: [`profile`](Self::profile) and
///    [`accept_legacy_plaintext_tokens`](Self::accept_legacy_plaintext_tokens).
///
/// [`clock`](Self::clock) and [`entropy`](Self::entropy) are for tests.
/// [`token_bytes`](Self::token_bytes) rarely needs a change.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use std::time::Duration;
///
/// use countersign::store::MemoryStore;
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::{Secret, SessionLimit, SystemEntropy, WhenFull};
///
/// let ten = NonZeroU32::new(10).expect("ten isn't zero");
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
///     .max_age(Duration::from_secs(15 * 60))
///     .refresh_max_age(Duration::from_secs(14 * 86_400))
///     .session_limit(Some(SessionLimit { most: ten, when_full: WhenFull::EvictOldest }))
///     .build()?;
/// assert_eq!(strategy.sessions().lifetimes().access(), Duration::from_secs(900));
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct DatabaseTokenStrategyBuilder<S> {
    store: S,
    digests: Option<Result<DigestKeyRing, ConfigError>>,
    max_age: Duration,
    refresh_max_age: Duration,
    session_lifetime: SessionLifetime,
    reuse: ReusePolicy,
    session_limit: Option<SessionLimit>,
    token_bytes: usize,
    legacy_plaintext: bool,
    profile: Profile,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

/// The absolute limit of sessions, as far as it was set.
#[derive(Clone, Copy)]
enum SessionLifetime {
    /// Not set: the default of the profile.
    OfProfile,
    /// Switched off.
    Unlimited,
    /// Set to this time after login.
    Limited(Duration),
}

impl<S: TokenStore> DatabaseTokenStrategyBuilder<S> {
    pub(super) fn new(store: S) -> Self {
        Self {
            store,
            digests: None,
            max_age: Duration::from_hours(1),
            refresh_max_age: Duration::from_hours(30 * 24),
            session_lifetime: SessionLifetime::OfProfile,
            reuse: ReusePolicy::default(),
            session_limit: None,
            token_bytes: 32,
            legacy_plaintext: false,
            profile: Profile::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Sets the secret that tokens are digested with.
    ///
    /// Required, unless [`digest_keys`](Self::digest_keys) is set. It becomes a key ring with one
    /// key of the id `default`.
    pub fn token_hash_secret(mut self, secret: &Secret) -> Self {
        self.digests = Some(DigestKeyRing::new("default", secret));
        self
    }

    /// Sets the key ring that tokens are digested with: one active key, and others that are still
    /// accepted.
    ///
    /// Use it in place of [`token_hash_secret`](Self::token_hash_secret) to rotate secrets. Tokens
    /// under a key that leaves the ring are not valid any more.
    pub fn digest_keys(mut self, keys: DigestKeyRing) -> Self {
        self.digests = Some(Ok(keys));
        self
    }

    /// Sets the lifetime of access tokens. Defaults to 1 hour. At least 1 second.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// Sets the idle timeout of sessions. Defaults to 30 days. At least 1 second.
    ///
    /// A session that is not refreshed for this long ends.
    pub const fn refresh_max_age(mut self, age: Duration) -> Self {
        self.refresh_max_age = age;
        self
    }

    /// Sets the absolute limit of sessions, counted from login. Defaults to 180 days, or to no
    /// limit in the `litestar-auth` profile.
    ///
    /// Refreshing never extends it. `None` removes the limit.
    pub const fn session_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.session_lifetime = match lifetime {
            None => SessionLifetime::Unlimited,
            Some(lifetime) => SessionLifetime::Limited(lifetime),
        };
        self
    }

    /// Sets the policy for refresh tokens that are presented again after their rotation. Defaults
    /// to a grace window of 10 seconds.
    pub const fn reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// Sets the limit on live sessions of one user. Defaults to `None`, which is no limit.
    pub const fn session_limit(mut self, cap: Option<SessionLimit>) -> Self {
        self.session_limit = cap;
        self
    }

    /// Sets the number of random bytes in a token. Defaults to 32. From 16 to 128.
    ///
    /// A refresh token has at least 32. Changing it invalidates the tokens in the `countersign`
    /// profile that were issued with another number.
    pub const fn token_bytes(mut self, bytes: usize) -> Self {
        self.token_bytes = bytes;
        self
    }

    /// Accepts tokens that an earlier system stored as plain text. Defaults to `false`.
    ///
    /// Switch it on for a migration only. Requires the `litestar-auth` profile, because tokens of
    /// the `countersign` profile have a prefix that such tokens lack. Building the strategy then
    /// logs a warning. A stored digest that is presented as a token is still refused.
    pub const fn accept_legacy_plaintext_tokens(mut self, accept: bool) -> Self {
        self.legacy_plaintext = accept;
        self
    }

    /// Sets the profile: the formats of tokens and rows. Defaults to [`Profile::Countersign`].
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Sets the clock. Defaults to the system clock.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the source of randomness. Defaults to the generator of the operating system.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Builds the strategy.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the setting if
    ///
    /// - there is no secret, or the key ring could not be made;
    /// - a lifetime is shorter than 1 second or longer than 100 years;
    /// - the number of random bytes is not from 16 to 128;
    /// - plain-text tokens are to be accepted in the `countersign` profile.
    pub fn build(self) -> Result<DatabaseTokenStrategy<S>, ConfigError> {
        let digests = self.digests.ok_or_else(|| {
            let cure = "set a secret of at least 32 characters";
            ConfigError::new("token_hash_secret", "is required", cure)
        })??;
        let mut lifetimes = Lifetimes::new(self.max_age, self.refresh_max_age)?;
        if let Some(limit) = self.session_lifetime.within(self.profile) {
            lifetimes = lifetimes.with_max_session_age(limit)?;
        }

        let mut sessions = Sessions::new(self.store, digests, lifetimes)
            .with_format(self.profile, self.token_bytes)?
            .with_reuse(self.reuse)
            .with_limit(self.session_limit)
            .with_clock(self.clock)
            .with_entropy(self.entropy);
        if self.legacy_plaintext {
            if self.profile == Profile::Countersign {
                return Err(ConfigError::new(
                    "accept_legacy_plaintext_tokens",
                    "has no effect in the countersign profile, whose tokens have a prefix",
                    "use the litestar-auth profile until the migration is over",
                ));
            }

            tracing::warn!(
                event = "db_tokens_accept_legacy_plaintext",
                "tokens stored as plain text are accepted; disable this once they have been \
                 rotated or have expired"
            );
            sessions = sessions.with_legacy_plaintext();
        }
        Ok(DatabaseTokenStrategy { sessions })
    }
}

impl SessionLifetime {
    /// Returns the limit that applies in `profile`.
    fn within(self, profile: Profile) -> Option<Duration> {
        match (self, profile) {
            (Self::OfProfile, Profile::Countersign) => Some(Duration::from_hours(180 * 24)),
            (Self::OfProfile, Profile::LitestarAuth) | (Self::Unlimited, _) => None,
            (Self::Limited(lifetime), _) => Some(lifetime),
        }
    }
}

impl<S> fmt::Debug for DatabaseTokenStrategyBuilder<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DatabaseTokenStrategyBuilder")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
