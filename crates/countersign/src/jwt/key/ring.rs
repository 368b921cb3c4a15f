//! Several keys at once: one that signs, and any number that verify.

use std::sync::Arc;

use crate::error::{ConfigError, Failure};
use crate::jwt::key::{SigningKey, VerifyingKey};

/// The keys of an issuer: one active key that signs, and further keys whose tokens are accepted.
///
/// Every key has an id (`kid`) that is unique in the ring. In the profile
/// [`Countersign`](crate::Profile::Countersign) a token names the key that signed it. In the
/// profile [`LitestarAuth`](crate::Profile::LitestarAuth) tokens carry no id, and all keys of the
/// token's algorithm are tried in the order of the ring.
///
/// # Replacing a key
///
/// 1. Make a new key, and add its verifying key to the ring of every server with
///    [`accept`](KeyRing::accept). The old key still signs.
/// 2. When every server accepts the new key, make it the active one everywhere, and accept the old
///    one.
/// 3. When the last token of the old key has expired, remove it.
///
/// A server that skips step 1 refuses the tokens of those that are ahead of it.
///
/// # Examples
///
/// ```
/// use countersign::Secret;
/// use countersign::jwt::{Algorithm, KeyRing, SigningKey};
///
/// let old = Secret::new("secret", "redis-token-hash-secret-1234567890")?;
/// let new = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")?;
/// let old = SigningKey::from_secret(Algorithm::Hs256, &old)?.with_kid("2026-05")?;
/// let new = SigningKey::from_secret(Algorithm::Hs256, &new)?.with_kid("2026-11")?;
/// let ring = KeyRing::new(new).accept(old.verifying_key().clone())?;
/// assert_eq!(ring.keys().map(|key| key.kid()).collect::<Vec<_>>(), ["2026-11", "2026-05"]);
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone, Debug)]
pub struct KeyRing {
    active: Option<Arc<SigningKey>>,
    keys: Vec<VerifyingKey>,
}

impl KeyRing {
    /// Creates a ring that signs with `active` and accepts its tokens.
    pub fn new(active: SigningKey) -> Self {
        Self {
            keys: vec![active.verifying_key().clone()],
            active: Some(Arc::new(active)),
        }
    }

    /// Creates a ring that accepts the tokens of `key` and can't sign, for services that only read
    /// tokens.
    ///
    /// Issuing a token with such a ring is a [`Failure`] of the kind
    /// [`Internal`](crate::error::FailureKind::Internal).
    pub fn verify_only(key: VerifyingKey) -> Self {
        Self {
            active: None,
            keys: vec![key],
        }
    }

    /// Adds a key whose tokens are accepted. Its place is after those that are in the ring already.
    ///
    /// # Errors
    /// [`ConfigError`] that names `kid` if the ring already has a key with this id, and
    /// [`ConfigError`] that names `algorithm` if the ring would hold shared secrets beside public
    /// keys. A service that gets a shared secret to verify the one kind of token could sign with
    /// it.
    pub fn accept(mut self, key: VerifyingKey) -> Result<Self, ConfigError> {
        if self.by_kid(key.kid()).is_some() {
            return Err(ConfigError::new(
                "kid",
                "is in the key ring twice",
                "give each key a unique id",
            ));
        }

        if self
            .keys
            .iter()
            .any(|known| known.algorithm().is_symmetric() != key.algorithm().is_symmetric())
        {
            let cure = "use separate rings for shared secrets and key pairs";
            return Err(ConfigError::new(
                "algorithm",
                "mixes shared secrets and key pairs",
                cure,
            ));
        }
        self.keys.push(key);
        Ok(self)
    }

    /// Returns the keys that verify: the active one first, or the first one of a ring that only
    /// verifies, then the others in the order in which they were added.
    pub fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    /// Returns the key with this id.
    pub(crate) fn by_kid(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    /// Returns the key that signs.
    pub(crate) fn active(&self) -> Result<&SigningKey, Failure> {
        self.active
            .as_deref()
            .ok_or_else(|| Failure::internal("token signer", "the key ring has no signing key"))
    }
}
