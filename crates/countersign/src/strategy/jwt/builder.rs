//! Every parameter of the page, and ours; what can't work doesn't build.

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
use crate::policy::{MAX_LIFETIME, checked};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::strategy::Sessions;
use crate::strategy::jwt::fingerprint::Fingerprints;
use crate::strategy::jwt::sessions::SignedSessions;
use crate::strategy::jwt::tokens::{SignedTokens, SubjectDecoder};
use crate::strategy::jwt::{JwtStrategy, Kind};
use crate::user::{User, UserId, UserKey};

/// The page's default lifetime.
const DEFAULT_LIFETIME: Duration = Duration::from_mins(15);

/// The default bound on the life that an accepted token may claim.
pub(super) const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// The most leeway that may be configured.
const MAX_LEEWAY: Duration = Duration::from_secs(10);

/// The least bound on a token's text: the shortest that we issue with the longest signature, an RSA key's of 8192 bits.
const MIN_TOKEN_LENGTH: usize = 2048;

/// Claims whose names a fingerprint can't take.
const RESERVED: [&str; 9] = ["sub", "aud", "iat", "nbf", "exp", "jti", "iss", "sid", "fence"];

/// Builds a [`JwtStrategy`].
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

    /// The signing secret: a shared secret for HS256, HS384 and HS512, a private key in PEM for the others.
    pub fn secret(mut self, secret: &Secret) -> Self {
        self.secret = Some(secret.clone());
        self
    }

    /// The public key in PEM. Required with the other algorithms: reading needs it, and a private key where a public
    /// one belongs is how private keys leak. It has to be the secret's public half. Without a secret the strategy only
    /// reads.
    pub fn verify_key(mut self, pem: impl Into<String>) -> Self {
        self.verify_key = Some(pem.into());
        self
    }

    /// The algorithm; HS256 unless set.
    pub fn algorithm(mut self, algorithm: Algorithm) -> Self {
        self.algorithm = Some(algorithm);
        self
    }

    /// The keys, in place of secret, public key and algorithm: for rotation, and for keys whose public half is to be
    /// derived from the private one.
    pub fn keys(mut self, keys: KeyRing) -> Self {
        self.keys = Some(keys);
        self
    }

    /// How long an access token lives; 15 minutes unless set, or what the sessions say.
    pub fn lifetime(mut self, lifetime: Duration) -> Self {
        self.lifetime = Some(lifetime);
        self
    }

    /// Sets the longest life that an accepted token may claim. Defaults to 24 hours or the lifetime, whichever is longer,
    /// so that tokens of a lifetime that was shortened stay good until their end; and to 100 years in the `litestar-auth`
    /// profile, which knows no bound. Every server of a deployment should have the same: a user's fence is denied for as
    /// long as this, once it is replaced.
    pub fn max_lifetime(mut self, longest: Duration) -> Self {
        self.max_lifetime = Some(longest);
        self
    }

    /// Turns a `sub` claim into a user id; `None` refuses the token. Unless set, the id's canonical spelling is
    /// required, as [`UserKey::from_subject`] reads it.
    pub fn subject_decoder(mut self, decoder: impl Fn(&str) -> Option<U::Id> + Send + Sync + 'static) -> Self {
        self.subject_decoder = Some(Arc::new(decoder));
        self
    }

    /// The audience; `countersign:access` unless set, `litestar-auth:access` in the `litestar-auth` profile.
    pub fn audience(mut self, audience: impl Into<String>) -> Self {
        self.audience = Some(audience.into());
        self
    }

    /// The issuer: written, and required to be equal. Unless set, none is written and any is accepted.
    pub fn issuer(mut self, issuer: impl Into<String>) -> Self {
        self.issuer = Some(issuer.into());
        self
    }

    /// By how much clocks may differ, for every comparison of times: 5 seconds unless set, 0 in the `litestar-auth`
    /// profile, at most 10.
    pub fn leeway(mut self, leeway: Duration) -> Self {
        self.leeway = Some(leeway);
        self
    }

    /// A token's longest text, in bytes; 8192 unless set.
    pub fn max_token_length(mut self, bytes: usize) -> Self {
        self.max_token_length = bytes;
        self
    }

    /// Where revoked tokens are denied. Required: a denylist in memory forgets with its process, and that has to be
    /// somebody's choice.
    pub fn denylist_store(mut self, denylist: Arc<dyn DenylistStore>) -> Self {
        self.denylist = Some(denylist);
        self
    }

    /// Makes session fingerprints by `getter`, in place of the default from id, email and password hash.
    pub fn session_fingerprint_getter(mut self, getter: impl Fn(&U) -> Option<String> + Send + Sync + 'static) -> Self {
        self.fingerprints = Fingerprints::Custom(Arc::new(getter));
        self
    }

    /// The secret that default fingerprints are made with. Unless set it is derived from the key that signs; a service
    /// that only verifies needs it, or [`without_session_fingerprint`](Self::without_session_fingerprint).
    pub fn session_fingerprint_secret(mut self, secret: &Secret) -> Self {
        self.fingerprints = Fingerprints::OfAccount(Some(Box::new(FingerprintKeys::from_secret(secret))));
        self
    }

    /// Writes no session fingerprint and refuses tokens that carry one.
    pub fn without_session_fingerprint(mut self) -> Self {
        self.fingerprints = Fingerprints::Off;
        self
    }

    /// The claim that holds the fingerprint; `sfp` unless set.
    pub fn session_fingerprint_claim(mut self, name: impl Into<String>) -> Self {
        self.fingerprint_claim = name.into();
        self
    }

    /// Also issues refresh tokens: the strategy becomes a [`RefreshableStrategy`](crate::RefreshableStrategy), access
    /// tokens carry their session as `sid` (in the `litestar-auth` profile too, where the original ignores it), and
    /// ending a session denies them.
    pub fn sessions(mut self, sessions: Sessions) -> Self {
        self.sessions = Some(sessions);
        self
    }

    /// Whose formats to write and accept.
    pub fn profile(mut self, profile: Profile) -> Self {
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

    /// Checks that the parts fit together.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting when a required one is missing, a key doesn't fit its algorithm, a time
    /// is out of range, or two settings contradict each other.
    pub fn build(self) -> Result<JwtStrategy<U>, ConfigError> {
        let lifetime = self.checked_lifetime()?;
        if self.max_token_length < MIN_TOKEN_LENGTH {
            return Err(ConfigError::new("max_token_length", "is below 2048 bytes", "leave it at 8192"));
        }
        let rules = self.rules(lifetime)?;
        let keys = self.key_ring()?;
        if keys.keys().any(|key| self.fingerprints.is_out_of_reach(key)) {
            let problem = "can't be derived from a public key";
            let cure = "set one, or leave fingerprints out";
            return Err(ConfigError::new("session_fingerprint_secret", problem, cure));
        }
        self.check_secrets(&keys)?;
        let cure = "choose a denylist: in memory, or in a database so that a revocation outlives the process";
        let denylist = self.denylist.ok_or_else(|| ConfigError::new("denylist_store", "is missing", cure))?;
        let tokens = SignedTokens {
            keys,
            profile: self.profile,
            rules,
            lifetime,
            max_token_length: self.max_token_length,
            subject_decoder: self.subject_decoder.unwrap_or_else(|| Arc::new(canonical_id::<U>)),
            fingerprints: self.fingerprints,
            denylist,
            clock: self.clock,
            entropy: self.entropy,
        };
        let kind = match self.sessions {
            None => Kind::Tokens(Box::new(tokens)),
            // The original looks at the ids of tokens alone, so those of earlier exchanges have to be known.
            Some(sessions) if self.profile == Profile::LitestarAuth => {
                Kind::Sessions(Box::new(SignedSessions { tokens, sessions: sessions.remembering(lifetime) }))
            }
            Some(sessions) => Kind::Sessions(Box::new(SignedSessions { tokens, sessions })),
        };
        Ok(JwtStrategy { kind })
    }

    /// One secret has one purpose (SECURITY row K-02).
    fn check_secrets(&self, keys: &KeyRing) -> Result<(), ConfigError> {
        let Some(sessions) = &self.sessions else { return Ok(()) };
        let is_shared = |keys: &FingerprintKeys| keys.shares_secret_with(sessions.digests());
        let setting = match &self.fingerprints {
            _ if keys.keys().filter_map(VerifyingKey::fingerprint_keys).any(is_shared) => "secret",
            Fingerprints::OfAccount(Some(own)) if is_shared(own) => "session_fingerprint_secret",
            _ => return Ok(()),
        };
        let problem = "is the token_hash_secret of the sessions too";
        Err(ConfigError::new(setting, problem, "give each a secret of its own"))
    }

    fn checked_lifetime(&self) -> Result<Duration, ConfigError> {
        let of_sessions = self.sessions.as_ref().map(|sessions| sessions.lifetimes().access());
        match (self.lifetime, of_sessions) {
            (Some(lifetime), Some(of_sessions)) if lifetime != of_sessions => {
                Err(ConfigError::new("lifetime", "differs from the sessions' access lifetime", "set one of them"))
            }
            (lifetime, of_sessions) => checked("lifetime", lifetime.or(of_sessions).unwrap_or(DEFAULT_LIFETIME)),
        }
    }

    fn rules(&self, lifetime: Duration) -> Result<ClaimRules, ConfigError> {
        let (audience, leeway, longest) = match self.profile {
            Profile::Countersign => ("countersign:access", Duration::from_secs(5), lifetime.max(LONGEST_LIFETIME)),
            Profile::LitestarAuth => ("litestar-auth:access", Duration::ZERO, MAX_LIFETIME),
        };
        let leeway = self.leeway.unwrap_or(leeway);
        if leeway > MAX_LEEWAY {
            return Err(ConfigError::new("leeway", "is more than 10 seconds", "keep clocks together by NTP"));
        }
        let max_lifetime = checked("max_lifetime", self.max_lifetime.unwrap_or(longest))?;
        if max_lifetime < lifetime {
            return Err(ConfigError::new("max_lifetime", "is shorter than the lifetime", "make it at least as long"));
        }
        let claim = self.fingerprint_claim.as_str();
        if claim.is_empty() || RESERVED.contains(&claim) {
            let cure = "choose a name that no other claim has";
            return Err(ConfigError::new("session_fingerprint_claim", "is empty or taken", cure));
        }
        Ok(ClaimRules {
            audience: not_empty("audience", self.audience.as_deref().unwrap_or(audience))?,
            issuer: self.issuer.as_deref().map(|issuer| not_empty("issuer", issuer)).transpose()?,
            leeway,
            max_lifetime,
            fingerprint_claim: claim.into(),
        })
    }

    fn key_ring(&self) -> Result<KeyRing, ConfigError> {
        let algorithm = self.algorithm.unwrap_or(Algorithm::Hs256);
        if let Some(keys) = &self.keys {
            if self.secret.is_some() || self.verify_key.is_some() || self.algorithm.is_some() {
                let problem = "stands beside secret, verify_key or algorithm";
                return Err(ConfigError::new("keys", problem, "give the one or the others"));
            }
            return Ok(keys.clone());
        }
        let verify_key = self.verify_key.as_deref().map(|pem| VerifyingKey::from_pem(algorithm, pem)).transpose()?;
        let Some(secret) = &self.secret else {
            let missing = || ConfigError::new("secret", "is missing", "set it, or a key ring");
            return verify_key.map(KeyRing::verify_only).ok_or_else(missing);
        };
        let signing = match self.profile {
            Profile::Countersign => SigningKey::from_secret(algorithm, secret)?,
            Profile::LitestarAuth => SigningKey::dangerous_from_short_secret(algorithm, secret)?,
        };
        match (signing.verifying_key().public_half(), &verify_key) {
            (None, _) => Ok(KeyRing::new(signing)),
            (Some(_), None) => {
                let problem = format!("is missing, and {algorithm} tokens can't be read without it");
                Err(ConfigError::new(
                    "verify_key",
                    problem,
                    "give the public key in PEM, as `openssl pkey -pubout` writes it",
                ))
            }
            (Some(ours), Some(given)) if given.public_half().is_some_and(|given| given.is_same_key(ours)) => {
                Ok(KeyRing::new(signing))
            }
            (Some(_), Some(_)) => {
                let cure = "give the public key in PEM, as `openssl pkey -pubout` writes it";
                Err(ConfigError::new("verify_key", "is not the public half of the secret", cure))
            }
        }
    }
}

fn canonical_id<U: User>(subject: &str) -> Option<U::Id> {
    U::Id::from_key(UserKey::from_subject(U::Id::KIND, subject)?)
}

fn not_empty(setting: &'static str, text: &str) -> Result<Arc<str>, ConfigError> {
    if text.is_empty() {
        Err(ConfigError::new(setting, "is empty", "leave it out or give it a value"))
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
