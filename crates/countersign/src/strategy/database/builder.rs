//! Every parameter of the page, and ours; what can't work doesn't build.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::ConfigError;
use crate::policy::{Lifetimes, ReusePolicy, SessionCap};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::store::TokenStore;
use crate::strategy::{DatabaseTokenStrategy, Sessions};
use crate::token::DigestKeyRing;

/// Builds a [`DatabaseTokenStrategy`].
///
/// The page's `session` is the store, and its `token_models` belong to that store
/// ([`SqlStore::new`](crate::store::sql::SqlStore::new)).
#[must_use]
pub struct DatabaseTokenStrategyBuilder<S> {
    store: S,
    digests: Option<Result<DigestKeyRing, ConfigError>>,
    max_age: Duration,
    refresh_max_age: Duration,
    session_lifetime: SessionLifetime,
    reuse: ReusePolicy,
    session_cap: Option<SessionCap>,
    token_bytes: usize,
    legacy_plaintext: bool,
    profile: Profile,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

#[derive(Clone, Copy)]
enum SessionLifetime {
    OfProfile,
    Unlimited,
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
            session_cap: None,
            token_bytes: 32,
            legacy_plaintext: false,
            profile: Profile::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// The secret that digests tokens, as a ring of one key called `default`. Required, or
    /// [`digest_keys`](Self::digest_keys).
    pub fn token_hash_secret(mut self, secret: &Secret) -> Self {
        self.digests = Some(DigestKeyRing::new("default", secret));
        self
    }

    /// The keys that digest tokens: one active, others accepted.
    pub fn digest_keys(mut self, keys: DigestKeyRing) -> Self {
        self.digests = Some(Ok(keys));
        self
    }

    /// How long an access token lives; 1 hour.
    pub const fn max_age(mut self, age: Duration) -> Self {
        self.max_age = age;
        self
    }

    /// How long a session may lie idle; 30 days.
    pub const fn refresh_max_age(mut self, age: Duration) -> Self {
        self.refresh_max_age = age;
        self
    }

    /// How long a session lives however often it is refreshed; 180 days, or no limit in the `litestar-auth` profile.
    /// `None` takes the limit away.
    pub const fn session_lifetime(mut self, lifetime: Option<Duration>) -> Self {
        self.session_lifetime = match lifetime {
            None => SessionLifetime::Unlimited,
            Some(lifetime) => SessionLifetime::Limited(lifetime),
        };
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

    /// Also accepts tokens that an earlier system stored as they are, and logs a warning when built. For the time of
    /// a migration only; off by default, and in the `litestar-auth` profile alone, since our own profile refuses a text
    /// without its prefix unseen. A stored digest presented as a token is refused all the same.
    pub const fn accept_legacy_plaintext_tokens(mut self, accept: bool) -> Self {
        self.legacy_plaintext = accept;
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
    /// [`ConfigError`] that names the setting: no secret, a lifetime or a number of bytes out of range, legacy tokens in
    /// our own profile.
    pub fn build(self) -> Result<DatabaseTokenStrategy<S>, ConfigError> {
        let missing = || ConfigError::new("token_hash_secret", "is required", "give a secret of 32 characters or more");
        let digests = self.digests.ok_or_else(missing)??;
        let mut lifetimes = Lifetimes::new(self.max_age, self.refresh_max_age)?;
        if let Some(limit) = self.session_lifetime.within(self.profile) {
            lifetimes = lifetimes.with_session_limit(limit)?;
        }
        let mut sessions = Sessions::new(self.store, digests, lifetimes)
            .with_format(self.profile, self.token_bytes)?
            .with_reuse(self.reuse)
            .with_cap(self.session_cap)
            .with_clock(self.clock)
            .with_entropy(self.entropy);
        if self.legacy_plaintext {
            if self.profile == Profile::Countersign {
                return Err(ConfigError::new(
                    "accept_legacy_plaintext_tokens",
                    "accepts nothing in the countersign profile, whose tokens have a prefix",
                    "build the strategy with the litestar-auth profile until the migration is over",
                ));
            }
            tracing::warn!(
                event = "db_tokens_accept_legacy_plaintext",
                "tokens stored as plain text are accepted; switch this off once they have been rotated or have expired"
            );
            sessions = sessions.with_legacy_plaintext();
        }
        Ok(DatabaseTokenStrategy { sessions })
    }
}

impl SessionLifetime {
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
        f.debug_struct("DatabaseTokenStrategyBuilder").field("profile", &self.profile).finish_non_exhaustive()
    }
}
