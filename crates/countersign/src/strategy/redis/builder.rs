//! The builder of [`RedisTokenStrategy`]. Settings that can't work are refused by `build`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::original::{Original, SubjectDecoder};
use super::{RedisTokenStrategy, Tokens};
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::ConfigError;
use crate::profile::Profile;
use crate::redis::Redis;
use crate::secret::Secret;
use crate::session::{ReusePolicy, SessionLimit, checked};
use crate::store::{OriginalTokens, RedisTokenStore};
use crate::strategy::DatabaseTokenStrategy;
use crate::token::{DigestKeyRing, TokenFormat};
use crate::user::{User, canonical_id};

impl<U: User> RedisTokenStrategy<U> {
    /// Starts to build a strategy over `redis`.
    ///
    /// See [`RedisTokenStrategyBuilder`] for the decisions to make.
    pub fn builder(redis: &Redis) -> RedisTokenStrategyBuilder<U> {
        RedisTokenStrategyBuilder::new(redis)
    }
}

/// Builds a [`RedisTokenStrategy`].
///
/// The decisions, in order:
///
/// 1. *Redis*: one server or a cluster. [`RedisTokenStrategy::builder`] takes the connection.
/// 2. *Secret* (required): [`token_hash_secret`](Self::token_hash_secret), or
///    [`digest_keys`](Self::digest_keys) to rotate secrets later. Keep it: without it, no stored
///    token can be found. All processes on one Redis need the same.
/// 3. *Lifetimes*: [`lifetime`](Self::lifetime) of access tokens (1 hour),
///    [`refresh_lifetime`](Self::refresh_lifetime) as the idle timeout (30 days) and
///    [`session_lifetime`](Self::session_lifetime) as the absolute limit (180 days).
/// 4. *Reuse and sessions per user*: [`reuse`](Self::reuse) (a grace window of 10 seconds) and
///    [`session_limit`](Self::session_limit) (no limit).
/// 5. *Keys*: [`key_prefix`](Self::key_prefix), if several applications share one Redis.
/// 6. *Migration from litestar-auth* only: [`profile`](Self::profile) and
///    [`subject_decoder`](Self::subject_decoder).
///
/// [`clock`](Self::clock) and [`entropy`](Self::entropy) are for tests.
///
/// Nothing scans Redis by itself. For tokens that litestar-auth's index has lost, call
/// [`OriginalTokens::scan`](crate::store::OriginalTokens::scan).
///
/// # Examples
///
/// ```no_run
/// use std::time::Duration;
///
/// use countersign::redis::{Redis, RedisOptions};
/// use countersign::strategy::RedisTokenStrategy;
/// use countersign::{Secret, User};
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// # fn example() -> Result<RedisTokenStrategy<Account>, Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
/// let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
/// let strategy: RedisTokenStrategy<Account> = RedisTokenStrategy::builder(&redis)
///     .token_hash_secret(&secret)
///     .lifetime(Duration::from_secs(15 * 60))
///     .key_prefix("shop:token:")
///     .build()?;
/// # Ok(strategy)
/// # }
/// ```
#[must_use]
pub struct RedisTokenStrategyBuilder<U: User> {
    redis: Redis,
    digests: Option<Result<DigestKeyRing, ConfigError>>,
    lifetime: Duration,
    refresh_lifetime: Duration,
    session_lifetime: Option<Duration>,
    reuse: ReusePolicy,
    session_limit: Option<SessionLimit>,
    token_bytes: usize,
    key_prefix: Option<String>,
    subject_decoder: Option<SubjectDecoder<U>>,
    profile: Profile,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<U: User> RedisTokenStrategyBuilder<U> {
    pub(super) fn new(redis: &Redis) -> Self {
        Self {
            redis: redis.clone(),
            digests: None,
            lifetime: Duration::from_hours(1),
            refresh_lifetime: Duration::from_hours(30 * 24),
            session_lifetime: Some(Duration::from_hours(180 * 24)),
            reuse: ReusePolicy::default(),
            session_limit: None,
            token_bytes: 32,
            key_prefix: None,
            subject_decoder: None,
            profile: Profile::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Sets the secret that tokens are digested with, and from which the names of users' keys are
    /// derived.
    ///
    /// Required, unless [`digest_keys`](Self::digest_keys) is set. It becomes a key ring with one
    /// key of the id `default`.
    pub fn token_hash_secret(mut self, secret: &Secret) -> Self {
        self.digests = Some(DigestKeyRing::new("default", secret));
        self
    }

    /// Sets the key ring that tokens are digested with, and from which the names of users' keys are
    /// derived: one active key, and others that are still accepted.
    ///
    /// Use it in place of [`token_hash_secret`](Self::token_hash_secret) to rotate secrets. Tokens
    /// under a key that leaves the ring are not valid any more.
    pub fn digest_keys(mut self, keys: DigestKeyRing) -> Self {
        self.digests = Some(Ok(keys));
        self
    }

    /// Sets the lifetime of access tokens. Defaults to 1 hour. At least 1 second.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// Sets the idle timeout of sessions. Defaults to 30 days. At least 1 second.
    ///
    /// A session that is not refreshed for this long ends. Not used in the `litestar-auth` profile.
    pub const fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_lifetime = lifetime;
        self
    }

    /// Sets the absolute limit of sessions, counted from login. Defaults to 180 days.
    ///
    /// Refreshing never extends it. `None` removes the limit. Not used in the `litestar-auth`
    /// profile.
    pub const fn session_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.session_lifetime = lifetime;
        self
    }

    /// Sets the policy for refresh tokens that are presented again after their rotation. Defaults
    /// to a grace window of 10 seconds. Not used in the `litestar-auth` profile.
    pub const fn reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// Sets the limit on live sessions of one user. Defaults to `None`, which is no limit. Not used
    /// in the `litestar-auth` profile.
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

    /// Sets the prefix of all keys. Defaults to `countersign:token:`, or to `litestar_auth:token:`
    /// in the `litestar-auth` profile.
    ///
    /// 1 to 128 printable ASCII characters. In the `litestar-auth` profile on a cluster it must
    /// have a part in braces, such as `{litestar_auth}:token:`, which keeps all keys on one node.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = Some(prefix.into());
        self
    }

    /// Sets the function that reads the user ids which litestar-auth stored. `None` refuses the
    /// token.
    ///
    /// Defaults to reading the canonical spelling of the id type. Used in the `litestar-auth`
    /// profile only: the `countersign` profile stores ids together with their kind.
    pub fn subject_decoder(
        mut self,
        decoder: impl Fn(&str) -> Option<U::Id> + Send + Sync + 'static,
    ) -> Self {
        self.subject_decoder = Some(Arc::new(decoder));
        self
    }

    /// Sets the profile: the formats of tokens and keys. Defaults to [`Profile::Countersign`].
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

    /// Builds the strategy. Does no I/O.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the setting if
    ///
    /// - there is no secret, or the key ring could not be made;
    /// - a lifetime is shorter than 1 second or longer than 100 years;
    /// - the number of random bytes is not from 16 to 128;
    /// - the prefix is not 1 to 128 printable ASCII characters or, in the `litestar-auth` profile
    ///   on a cluster, has no part in braces.
    pub fn build(mut self) -> Result<RedisTokenStrategy<U>, ConfigError> {
        let digests = self.digests.take().ok_or_else(|| {
            let cure = "set a secret of at least 32 characters";
            ConfigError::new("token_hash_secret", "is required", cure)
        })??;
        let tokens = match self.profile {
            Profile::LitestarAuth => Tokens::Original(Box::new(self.original(digests)?)),
            Profile::Countersign => Tokens::Ours(Box::new(self.ours(digests)?)),
        };
        Ok(RedisTokenStrategy { tokens })
    }

    /// Builds the layout of the `countersign` profile.
    fn ours(
        self,
        digests: DigestKeyRing,
    ) -> Result<DatabaseTokenStrategy<RedisTokenStore>, ConfigError> {
        let mut store = RedisTokenStore::new(&self.redis, &digests);
        if let Some(prefix) = &self.key_prefix {
            store = store.with_key_prefix(prefix)?;
        }

        DatabaseTokenStrategy::builder(store)
            .digest_keys(digests)
            .max_age(self.lifetime)
            .refresh_max_age(self.refresh_lifetime)
            .session_lifetime(self.session_lifetime)
            .reuse(self.reuse)
            .session_limit(self.session_limit)
            .token_bytes(self.token_bytes)
            .profile(self.profile)
            .clock(self.clock)
            .entropy(self.entropy)
            .build()
    }

    /// Builds the layout of litestar-auth, which takes fewer settings.
    fn original(self, digests: DigestKeyRing) -> Result<Original<U>, ConfigError> {
        let prefix = self
            .key_prefix
            .as_deref()
            .unwrap_or(OriginalTokens::KEY_PREFIX);

        Ok(Original {
            tokens: OriginalTokens::new(&self.redis, prefix)?,
            digests,
            format: TokenFormat::new(self.profile, self.token_bytes)?,
            lifetime: checked("lifetime", self.lifetime)?,
            subject_decoder: self
                .subject_decoder
                .unwrap_or_else(|| Arc::new(canonical_id::<U::Id>)),
            clock: self.clock,
            entropy: self.entropy,
        })
    }
}

impl<U: User> fmt::Debug for RedisTokenStrategyBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStrategyBuilder")
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
