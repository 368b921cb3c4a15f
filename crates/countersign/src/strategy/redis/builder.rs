//! Every parameter of the page, and ours; what can't work doesn't build.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use super::original::{Original, SubjectDecoder};
use super::{RedisTokenStrategy, Tokens};
use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::ConfigError;
use crate::policy::{ReusePolicy, SessionCap, checked};
use crate::profile::Profile;
use crate::redis::Redis;
use crate::secret::Secret;
use crate::store::{OriginalTokens, RedisTokenStore};
use crate::strategy::DatabaseTokenStrategy;
use crate::token::{DigestKeyRing, TokenFormat};
use crate::user::{User, UserId, UserKey};

/// Builds a [`RedisTokenStrategy`].
///
/// The page's `max_scan_keys` isn't here: nothing scans Redis but
/// [`OriginalTokens::scan`](crate::store::OriginalTokens::scan), which is told how much at each step.
#[must_use]
pub struct RedisTokenStrategyBuilder<U: User> {
    redis: Redis,
    digests: Option<Result<DigestKeyRing, ConfigError>>,
    lifetime: Duration,
    refresh_lifetime: Duration,
    session_lifetime: Option<Duration>,
    reuse: ReusePolicy,
    session_cap: Option<SessionCap>,
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
            session_cap: None,
            token_bytes: 32,
            key_prefix: None,
            subject_decoder: None,
            profile: Profile::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// The secret that digests tokens and names users' keys, as a ring of one key called `default`. Required, or
    /// [`digest_keys`](Self::digest_keys).
    pub fn token_hash_secret(mut self, secret: &Secret) -> Self {
        self.digests = Some(DigestKeyRing::new("default", secret));
        self
    }

    /// The keys that digest tokens and name users' keys: one active, others accepted.
    pub fn digest_keys(mut self, keys: DigestKeyRing) -> Self {
        self.digests = Some(Ok(keys));
        self
    }

    /// How long an access token lives; 1 hour.
    pub const fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = lifetime;
        self
    }

    /// How long a session may lie idle; 30 days.
    pub const fn refresh_lifetime(mut self, lifetime: Duration) -> Self {
        self.refresh_lifetime = lifetime;
        self
    }

    /// How long a session lives however often it is refreshed; 180 days. `None` takes the limit away.
    pub const fn session_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.session_lifetime = lifetime;
        self
    }

    /// When a refresh token that was exchanged may be presented again; within 10 seconds.
    pub const fn reuse(mut self, reuse: ReusePolicy) -> Self {
        self.reuse = reuse;
        self
    }

    /// How many sessions a user may have at once; any number.
    pub const fn session_cap(mut self, cap: Option<SessionCap>) -> Self {
        self.session_cap = cap;
        self
    }

    /// The random bytes in a token; 32, at least 16.
    pub const fn token_bytes(mut self, bytes: usize) -> Self {
        self.token_bytes = bytes;
        self
    }

    /// What keys begin with; `countersign:token:`, or `litestar_auth:token:` in the `litestar-auth` profile.
    pub fn key_prefix(mut self, prefix: impl Into<String>) -> Self {
        self.key_prefix = Some(prefix.into());
        self
    }

    /// Reads the user ids that the original stored, in the `litestar-auth` profile; by default any id in its canonical
    /// spelling. Our own profile stores ids with their kind.
    pub fn subject_decoder(mut self, decoder: impl Fn(&str) -> Option<U::Id> + Send + Sync + 'static) -> Self {
        self.subject_decoder = Some(Arc::new(decoder));
        self
    }

    /// Whose formats to write; ours.
    pub const fn profile(mut self, profile: Profile) -> Self {
        self.profile = profile;
        self
    }

    /// Takes the time from `clock`.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Takes randomness from `entropy`.
    pub fn entropy(mut self, entropy: Arc<dyn Entropy>) -> Self {
        self.entropy = entropy;
        self
    }

    /// Builds the strategy.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting: no secret, a lifetime, a number of bytes or a prefix out of range; in the
    /// `litestar-auth` profile on a cluster also a prefix that spreads its keys.
    pub fn build(mut self) -> Result<RedisTokenStrategy<U>, ConfigError> {
        let missing = || ConfigError::new("token_hash_secret", "is required", "give a secret of 32 characters or more");
        let digests = self.digests.take().ok_or_else(missing)??;
        let tokens = match self.profile {
            Profile::LitestarAuth => Tokens::Original(Box::new(self.original(digests)?)),
            Profile::Countersign => Tokens::Ours(Box::new(self.ours(digests)?)),
        };
        Ok(RedisTokenStrategy { tokens })
    }

    fn ours(self, digests: DigestKeyRing) -> Result<DatabaseTokenStrategy<RedisTokenStore>, ConfigError> {
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
            .session_cap(self.session_cap)
            .token_bytes(self.token_bytes)
            .profile(self.profile)
            .clock(self.clock)
            .entropy(self.entropy)
            .build()
    }

    fn original(self, digests: DigestKeyRing) -> Result<Original<U>, ConfigError> {
        let prefix = self.key_prefix.as_deref().unwrap_or(OriginalTokens::KEY_PREFIX);
        let canonical = |subject: &str| U::Id::from_key(UserKey::from_subject(U::Id::KIND, subject)?);
        Ok(Original {
            tokens: OriginalTokens::new(&self.redis, prefix)?,
            digests,
            format: TokenFormat::new(self.profile, self.token_bytes)?,
            lifetime: checked("lifetime", self.lifetime)?,
            subject_decoder: self.subject_decoder.unwrap_or_else(|| Arc::new(canonical)),
            clock: self.clock,
            entropy: self.entropy,
        })
    }
}

impl<U: User> fmt::Debug for RedisTokenStrategyBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStrategyBuilder").field("profile", &self.profile).finish_non_exhaustive()
    }
}
