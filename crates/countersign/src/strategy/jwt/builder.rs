//! The builder of [`JwtStrategy`]. Settings that can't work, or contradict each other, are refused
//! by `build`.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::denylist::DenylistStore;
use crate::entropy::{Entropy, SystemEntropy};
use crate::error::ConfigError;
use crate::jwt::claims::ClaimRules;
use crate::jwt::fingerprint::FingerprintKeys;
use crate::jwt::{Algorithm, KeyRing, SigningKey, VerifyingKey, jws};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::session::{MAX_LIFETIME, checked};
use crate::strategy::Sessions;
use crate::strategy::jwt::fingerprint::Fingerprints;
use crate::strategy::jwt::sessions::SignedSessions;
use crate::strategy::jwt::tokens::{LONGEST_LIFETIME, SignedTokens, SubjectDecoder};
use crate::strategy::jwt::{JwtStrategy, Kind};
use crate::user::{User, canonical_id};

/// The default lifetime of access tokens.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(15);

/// The longest leeway that may be configured.
const MAX_LEEWAY: Duration = Duration::from_secs(10);

/// The smallest bound on the length of a token, in bytes. It fits the shortest token with the
/// longest signature, which is that of an RSA key of 8192 bits.
const MIN_TOKEN_LENGTH: usize = 2048;

/// The names of claims that a fingerprint can't take.
const RESERVED: [&str; 9] = [
    "sub", "aud", "iat", "nbf", "exp", "jti", "iss", "sid", "fence",
];

impl<U: User> JwtStrategy<U> {
    /// Starts to build a strategy. A secret (or a key ring) and a denylist are required.
    ///
    /// See [`JwtStrategyBuilder`] for the decisions to make.
    pub fn builder() -> JwtStrategyBuilder<U> {
        JwtStrategyBuilder::new()
    }
}

/// Builds a [`JwtStrategy`].
///
/// The decisions, in order:
///
/// 1. *Keys* (required). A shared secret: [`secret`](Self::secret). A key pair: `secret` with the
///    private key, [`verify_key`](Self::verify_key) with the public one, and
///    [`algorithm`](Self::algorithm). Several keys, for rotation: [`keys`](Self::keys) in place of
///    the three. A service that only reads tokens sets `verify_key` and `algorithm` without
///    `secret`, and has to decide about fingerprints (step 6).
/// 2. *Denylist* (required): [`denylist_store`](Self::denylist_store). In memory, revocations end
///    with the process; in SQL or Redis they are durable.
/// 3. *Refresh tokens*: [`sessions`](Self::sessions). Without them there are access tokens alone,
///    and "log out everywhere" is not possible.
/// 4. *Lifetime*: [`lifetime`](Self::lifetime) (15 minutes). With sessions, it is the access
///    lifetime of these. Before you shorten it, read [`max_lifetime`](Self::max_lifetime).
/// 5. *Claims*: [`issuer`](Self::issuer) and [`audience`](Self::audience), if several services
///    share keys.
/// 6. *Session fingerprint*: by default, tokens end when email or password change. For another
///    rule: [`session_fingerprint_getter`](Self::session_fingerprint_getter),
///    [`session_fingerprint_secret`](Self::session_fingerprint_secret) or
///    [`without_session_fingerprint`](Self::without_session_fingerprint).
/// 7. *Migration from litestar-auth* only: [`profile`](Self::profile), and
///    [`subject_decoder`](Self::subject_decoder) if ids are spelled differently.
///
/// [`clock`](Self::clock) and [`entropy`](Self::entropy) are for tests.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use countersign::denylist::MemoryDenylist;
/// use countersign::store::{MemoryStore, TokenStore};
/// use countersign::strategy::{JwtStrategy, Sessions};
/// use countersign::strategy::Strategy;
/// use countersign::token::DigestKeyRing;
/// use countersign::{Lifetimes, Secret, SystemEntropy, User};
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// // Two secrets: one signs access tokens, the other digests refresh tokens.
/// let signing = Secret::generate(&SystemEntropy)?;
/// let digests = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
///
/// let lifetimes = Lifetimes::new(Duration::from_secs(600), Duration::from_secs(30 * 86_400))?;
/// let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
///
/// let strategy: JwtStrategy<Account> = JwtStrategy::builder()
///     .secret(&signing)
///     .denylist_store(Arc::new(MemoryDenylist::default()))
///     .sessions(Sessions::new(store, digests, lifetimes))
///     .issuer("https://login.example")
///     .build()?;
/// assert_eq!(strategy.lifetime(), Duration::from_secs(600));
/// assert!(strategy.as_refreshable().is_some());
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct JwtStrategyBuilder<U: User> {
    secret: Option<Secret>,
    verify_key: Option<String>,
    algorithm: Option<Algorithm>,
    keys: Option<KeyRing>,
    lifetime: Option<Duration>,
    max_lifetime: Option<Duration>,
    subject_decoder: Option<SubjectDecoder<U>>,
    audience: Option<String>,
    issuer: Option<String>,
    leeway: Option<Duration>,
    max_token_length: usize,
    denylist: Option<Arc<dyn DenylistStore>>,
    fingerprints: Fingerprints<U>,
    fingerprint_claim: String,
    sessions: Option<Sessions>,
    profile: Profile,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<U: User> JwtStrategyBuilder<U> {
    pub(super) fn new() -> Self {
        Self {
            secret: None,
            verify_key: None,
            algorithm: None,
            keys: None,
            lifetime: None,
            max_lifetime: None,
            subject_decoder: None,
            audience: None,
            issuer: None,
            leeway: None,
            max_token_length: jws::DEFAULT_MAX_LENGTH,
            denylist: None,
            fingerprints: Fingerprints::OfAccount(None),
            fingerprint_claim: "sfp".to_owned(),
            sessions: None,
            profile: Profile::default(),
            clock: Arc::new(SystemClock),
            entropy: Arc::new(SystemEntropy),
        }
    }

    /// Sets the signing secret: a shared secret for HS256, HS384 and HS512, a private key in PEM
    /// for all other algorithms.
    ///
    /// A shared secret has at least 32, 48 or 64 bytes (RFC 7518 section 3.2). In the
    /// `litestar-auth` profile 32 characters are enough for each of them.
    pub fn secret(mut self, secret: &Secret) -> Self {
        self.secret = Some(secret.clone());
        self
    }

    /// Sets the public key, in PEM.
    ///
    /// Required with every algorithm but HS256, HS384 and HS512. It must be the public half of the
    /// secret. Giving both makes sure that a private key is never used where the public one
    /// belongs. Without a secret, the strategy reads tokens and issues none.
    pub fn verify_key(mut self, pem: impl Into<String>) -> Self {
        self.verify_key = Some(pem.into());
        self
    }

    /// Sets the algorithm. Defaults to HS256. Tokens of any other algorithm are refused.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// Sets a key ring: one key that signs, and others that are still accepted.
    ///
    /// Use it in place of [`secret`](Self::secret), [`verify_key`](Self::verify_key) and
    /// [`algorithm`](Self::algorithm) to rotate keys, or to derive the public key from the private
    /// one.
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// Sets the lifetime of access tokens. Defaults to the access lifetime of the
    /// [`sessions`](Self::sessions), or to 15 minutes without sessions.
    ///
    /// From 1 second to 100 years. With sessions, leave it out: another value than theirs is
    /// refused.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets the longest lifetime that an accepted token may claim. Defaults to 24 hours or the
    /// lifetime, whichever is longer; in the `litestar-auth` profile to 100 years.
    ///
    /// It leaves tokens valid that were issued before the lifetime was shortened. It is also the
    /// time for which "log out everywhere" denies the old fence. Give all servers of a deployment
    /// the same value. A server with longer-lived tokens could otherwise bring a revoked token
    /// back.
    pub fn max_lifetime(mut self, longest: Duration) -> Self {
        self.max_lifetime = Some(longest);
        self
    }

    /// Sets the function that turns a `sub` claim into a user id. `None` refuses the token.
    ///
    /// Defaults to [`UserKey::from_subject`](crate::user::UserKey::from_subject), which requires the
    /// canonical spelling of the id.
    pub fn subject_decoder(
        mut self,
        decoder: impl Fn(&str) -> Option<U::Id> + Send + Sync + 'static,
    ) -> Self {
        self.subject_decoder = Some(Arc::new(decoder));
        self
    }

    /// Sets the audience (`aud`): it is written, and required of every token. Defaults to
    /// `countersign:access`, or to `litestar-auth:access` in the `litestar-auth` profile.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// Returns `true` if the audience that was set contains the name of `realm`.
    #[cfg(feature = "axum")]
    pub(crate) fn has_audience_of(&self, realm: &str) -> bool {
        let audience = self.audience.as_deref().unwrap_or_default();
        audience.contains(realm)
    }

    /// Sets the issuer (`iss`): it is written, and required of every token. Defaults to none: no
    /// issuer is written, and any is accepted.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// Sets the leeway: by how much the clocks of servers may differ. Defaults to 5 seconds, or to
    /// 0 in the `litestar-auth` profile.
    ///
    /// At most 10 seconds. It applies to every comparison of times, and denylist entries outlive
    /// their tokens by it.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// Sets the length of the longest token that is accepted, in bytes. Defaults to 8192. At least
    /// 2048.
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_token_length = bytes;
        self
    }

    /// Sets the store of revoked tokens. Required.
    ///
    /// There is no default, because a denylist in memory forgets everything when the process ends.
    /// That must be a decision. Use [`SqlDenylist`](crate::denylist::SqlDenylist) or
    /// `RedisDenylist` for durable revocations.
    pub fn denylist_store(mut self, denylist: Arc<dyn DenylistStore>) -> Self {
        self.denylist = Some(denylist);
        self
    }

    /// Sets the function that makes session fingerprints. Defaults to an HMAC of id, email and
    /// password hash.
    ///
    /// A token is refused once the function returns another text for its user than at issue. `None`
    /// writes no fingerprint.
    pub fn session_fingerprint_getter(
        mut self,
        getter: impl Fn(&U) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.fingerprints = Fingerprints::Custom(Arc::new(getter));
        self
    }

    /// Sets the secret that the default fingerprints are made with. Defaults to a key derived from
    /// the key that signs.
    ///
    /// A service that only verifies tokens has no such key. It needs this secret, or
    /// [`without_session_fingerprint`](Self::without_session_fingerprint).
    pub fn session_fingerprint_secret(mut self, secret: &Secret) -> Self {
        self.fingerprints =
            Fingerprints::OfAccount(Some(Box::new(FingerprintKeys::from_secret(secret))));
        self
    }

    /// Switches session fingerprints off. Tokens are issued without one, and a token that carries
    /// one is refused.
    ///
    /// A changed email or password then ends no token.
    pub fn without_session_fingerprint(mut self) -> Self {
        self.fingerprints = Fingerprints::Off;
        self
    }

    /// Sets the name of the claim that holds the fingerprint. Defaults to `sfp`.
    pub fn session_fingerprint_claim(mut self, name: impl Into<String>) -> Self {
        self.fingerprint_claim = name.into();
        self
    }

    /// Sets the sessions, which makes the strategy a
    /// [`RefreshableStrategy`](crate::strategy::RefreshableStrategy). Defaults to none.
    ///
    /// Access tokens then carry the id of their session (`sid`) and the user's fence, and ending a
    /// session denies them. The session id is written in the `litestar-auth` profile too;
    /// litestar-auth ignores it.
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Sets the profile: the formats that are written and accepted. Defaults to
    /// [`Profile::Countersign`].
    pub fn profile(mut self, profile: Profile) -> Self {
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

    /// Builds the strategy. Parses and prepares all keys; does no I/O.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the setting if
    ///
    /// - a secret (or a key ring) or the denylist is missing;
    /// - a key doesn't fit its algorithm, or the public key isn't the public half of the secret;
    /// - a key ring is set together with `secret`, `verify_key` or `algorithm`;
    /// - a lifetime, the leeway or the length of tokens is out of range;
    /// - the lifetime differs from that of the sessions, or is longer than `max_lifetime`;
    /// - audience or issuer is empty, or the fingerprint's claim is empty or taken by another
    ///   claim;
    /// - fingerprints can't be made, because there is a public key alone;
    /// - the signing secret is the token hash secret of the sessions as well.
    pub fn build(self) -> Result<JwtStrategy<U>, ConfigError> {
        let lifetime = self.checked_lifetime()?;
        if self.max_token_length < MIN_TOKEN_LENGTH {
            return Err(ConfigError::new(
                "max_token_length",
                "must be at least 2048 bytes",
                "use the default of 8192",
            ));
        }

        let rules = self.rules(lifetime)?;
        let keys = self.key_ring()?;
        if keys
            .keys()
            .any(|key| self.fingerprints.is_out_of_reach(key))
        {
            return Err(ConfigError::new(
                "session_fingerprint_secret",
                "can't be derived from a public key",
                "set it, or disable fingerprints",
            ));
        }
        self.check_secrets(&keys)?;
        let cure = "set a denylist, in memory or, to keep revocations across restarts, in a database \
             or on Redis";
        let denylist = self
            .denylist
            .ok_or_else(|| ConfigError::new("denylist_store", "is required", cure))?;

        let tokens = SignedTokens {
            keys,
            profile: self.profile,
            rules,
            lifetime,
            max_token_length: self.max_token_length,
            subject_decoder: self
                .subject_decoder
                .unwrap_or_else(|| Arc::new(canonical_id::<U::Id>)),
            fingerprints: self.fingerprints,
            denylist,
            clock: self.clock,
            entropy: self.entropy,
        };

        let kind = match self.sessions {
            None => Kind::Tokens(Box::new(tokens)),
            // litestar-auth denies tokens by their own ids alone, so the rotations of the last
            // lifetime have to be remembered.
            Some(sessions) if self.profile == Profile::LitestarAuth => {
                Kind::Sessions(Box::new(SignedSessions {
                    tokens,
                    sessions: sessions.remembering(lifetime),
                }))
            }
            Some(sessions) => Kind::Sessions(Box::new(SignedSessions { tokens, sessions })),
        };
        Ok(JwtStrategy { kind })
    }

    /// Checks that no secret serves two purposes.
    fn check_secrets(&self, keys: &KeyRing) -> Result<(), ConfigError> {
        let Some(sessions) = &self.sessions else {
            return Ok(());
        };
        let digests = sessions.digests();
        let is_signing_secret = keys
            .keys()
            .filter_map(VerifyingKey::fingerprint_keys)
            .any(|keys| keys.shares_secret_with(digests));
        let setting = match &self.fingerprints {
            _ if is_signing_secret => "secret",
            Fingerprints::OfAccount(Some(own)) if own.shares_secret_with(digests) => {
                "session_fingerprint_secret"
            }
            _ => return Ok(()),
        };

        let problem = "is also the token_hash_secret of the sessions";
        Err(ConfigError::new(
            setting,
            problem,
            "use a different secret for each",
        ))
    }

    /// Returns the lifetime of access tokens, which may be set in two places and not differ.
    fn checked_lifetime(&self) -> Result<Duration, ConfigError> {
        let of_sessions = self
            .sessions
            .as_ref()
            .map(|sessions| sessions.lifetimes().access());

        match (self.lifetime, of_sessions) {
            (Some(lifetime), Some(of_sessions)) if lifetime != of_sessions => {
                Err(ConfigError::new(
                    "lifetime",
                    "differs from the sessions' access lifetime",
                    "set only one of them",
                ))
            }
            (lifetime, of_sessions) => checked(
                "lifetime",
                lifetime.or(of_sessions).unwrap_or(DEFAULT_LIFETIME),
            ),
        }
    }

    /// Returns the rules for claims.
    fn rules(&self, lifetime: Duration) -> Result<ClaimRules, ConfigError> {
        let (audience, leeway, longest) = match self.profile {
            Profile::Countersign => (
                "countersign:access",
                Duration::from_secs(5),
                lifetime.max(LONGEST_LIFETIME),
            ),
            Profile::LitestarAuth => ("litestar-auth:access", Duration::ZERO, MAX_LIFETIME),
        };
        let leeway = self.leeway.unwrap_or(leeway);
        if leeway > MAX_LEEWAY {
            return Err(ConfigError::new(
                "leeway",
                "must be at most 10 seconds",
                "synchronize the clocks with NTP instead",
            ));
        }
        let max_lifetime = checked("max_lifetime", self.max_lifetime.unwrap_or(longest))?;
        if max_lifetime < lifetime {
            return Err(ConfigError::new(
                "max_lifetime",
                "is shorter than the lifetime",
                "set it to at least the lifetime",
            ));
        }

        let claim = self.fingerprint_claim.as_str();
        if claim.is_empty() || RESERVED.contains(&claim) {
            let cure = "use a name that no other claim has";
            return Err(ConfigError::new(
                "session_fingerprint_claim",
                "is empty or the name of another claim",
                cure,
            ));
        }

        Ok(ClaimRules {
            audience: not_empty("audience", self.audience.as_deref().unwrap_or(audience))?,
            issuer: self
                .issuer
                .as_deref()
                .map(|issuer| not_empty("issuer", issuer))
                .transpose()?,
            leeway,
            max_lifetime,
            fingerprint_claim: claim.into(),
        })
    }

    /// Returns the key ring, or makes one of secret, public key and algorithm.
    fn key_ring(&self) -> Result<KeyRing, ConfigError> {
        let algorithm = self.algorithm.unwrap_or(Algorithm::Hs256);
        if let Some(keys) = &self.keys {
            if self.secret.is_some() || self.verify_key.is_some() || self.algorithm.is_some() {
                let problem = "can't be combined with secret, verify_key or algorithm";
                return Err(ConfigError::new(
                    "keys",
                    problem,
                    "set either keys or the others",
                ));
            }
            return Ok(keys.clone());
        }

        let verify_key = self
            .verify_key
            .as_deref()
            .map(|pem| VerifyingKey::from_pem(algorithm, pem))
            .transpose()?;
        let Some(secret) = &self.secret else {
            return verify_key
                .map(KeyRing::verify_only)
                .ok_or_else(|| ConfigError::new("secret", "is required", "set it, or a key ring"));
        };

        let signing = match self.profile {
            Profile::Countersign => SigningKey::from_secret(algorithm, secret)?,
            Profile::LitestarAuth => SigningKey::dangerous_from_short_secret(algorithm, secret)?,
        };

        match (signing.verifying_key().public_half(), &verify_key) {
            (None, _) => Ok(KeyRing::new(signing)),
            (Some(_), None) => {
                let problem = format!("is required to verify {algorithm} tokens");
                Err(ConfigError::new(
                    "verify_key",
                    problem,
                    "set the public key in PEM format, as written by `openssl pkey -pubout`",
                ))
            }
            (Some(ours), Some(given))
                if given
                    .public_half()
                    .is_some_and(|given| given.is_same_key(ours)) =>
            {
                Ok(KeyRing::new(signing))
            }
            (Some(_), Some(_)) => {
                let cure = "set the public key in PEM format, as written by `openssl pkey -pubout`";
                Err(ConfigError::new(
                    "verify_key",
                    "is not the public half of the secret",
                    cure,
                ))
            }
        }
    }
}

/// Returns the text, or an error that names `setting` if it is empty.
fn not_empty(setting: &'static str, text: &str) -> Result<Arc<str>, ConfigError> {
    if text.is_empty() {
        Err(ConfigError::new(
            setting,
            "is empty",
            "set a value, or leave it unset",
        ))
    } else {
        Ok(text.into())
    }
}

/// Shows nothing of keys and secrets.
impl<U: User> fmt::Debug for JwtStrategyBuilder<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtStrategyBuilder")
            .field("algorithm", &self.algorithm)
            .field("profile", &self.profile)
            .finish_non_exhaustive()
    }
}
