//! Several keys at once: one signs, any number verify (SECURITY row K-03).

use std::sync::Arc;

use crate::error::{ConfigError, Failure};
use crate::jwt::key::{SigningKey, VerifyingKey};

/// The keys of an issuer: one active, which signs, and earlier ones whose tokens are still accepted.
///
/// Rotating: make a new key, put it into the ring of every process with [`accept`](KeyRing::accept), then make it the
/// active one everywhere, and take the old one out when its last token has ended.
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
    /// A ring that signs with `active` and accepts what it signed.
    pub fn new(active: SigningKey) -> Self {
        Self { keys: vec![active.verifying_key().clone()], active: Some(Arc::new(active)) }
    }

    /// A ring that accepts what `key` verifies and signs nothing: for services that only read tokens.
    pub fn verify_only(key: VerifyingKey) -> Self {
        Self { active: None, keys: vec![key] }
    }

    /// Also accepts what `key` verifies.
    ///
    /// # Errors
    /// [`ConfigError`] when the ring has a key of that id already, or would hold shared secrets and public keys
    /// together: whoever may know the one must not be able to sign with the other.
    pub fn accept(mut self, key: VerifyingKey) -> Result<Self, ConfigError> {
        if self.by_kid(key.kid()).is_some() {
            return Err(ConfigError::new("kid", "is in the key ring twice", "give each key an id of its own"));
        }
        if self.keys.iter().any(|known| known.algorithm().is_symmetric() != key.algorithm().is_symmetric()) {
            let cure = "keep shared secrets and key pairs in rings of their own";
            return Err(ConfigError::new("algorithm", "mixes shared secrets and key pairs in one ring", cure));
        }
        self.keys.push(key);
        Ok(self)
    }

    /// The keys that verify, the active one first.
    pub fn keys(&self) -> impl Iterator<Item = &VerifyingKey> {
        self.keys.iter()
    }

    pub(crate) fn by_kid(&self, kid: &str) -> Option<&VerifyingKey> {
        self.keys.iter().find(|key| key.kid() == kid)
    }

    pub(crate) fn active(&self) -> Result<&SigningKey, Failure> {
        self.active.as_deref().ok_or_else(|| Failure::internal("token signer", "the key ring only verifies"))
    }
}
