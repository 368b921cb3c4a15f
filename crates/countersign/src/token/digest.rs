//! What stores hold of a token: a keyed digest (promise P7), and the ring of keys that makes it.

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::ConfigError;
use crate::secret::Secret;
use crate::token::{Locator, PlainToken};
use crate::user::UserKey;

/// HMAC-SHA-256 of a token's text, as 64 lower-case hexadecimal digits: the original's stored form, digit for digit. It
/// also keeps what the text said of its place, for stores that go by it.
#[derive(Clone)]
pub struct Digest {
    digits: [u8; 64],
    locator: Option<Locator>,
}

impl Digest {
    /// Of these bytes, for a text that lies at this place.
    pub(super) fn of(bytes: &[u8; 32], locator: Option<Locator>) -> Self {
        let mut digits = [0; 64];
        HEXLOWER.encode_mut(bytes, &mut digits);
        Self { digits, locator }
    }

    /// Reads [`as_str`](Self::as_str) back; `None` for any other text.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 64] = text.as_bytes().try_into().ok()?;
        let lower_hex = digits.iter().all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit));
        lower_hex.then_some(Self { digits, locator: None })
    }

    /// The 64 digits.
    pub fn as_str(&self) -> &str {
        // The array is written by the hexadecimal encoder alone, so this is always text.
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }

    /// Where the token's record lies, if its text says so.
    pub const fn locator(&self) -> Option<Locator> {
        self.locator
    }
}

#[cfg(feature = "testing")]
impl Digest {
    /// The same digest of a text that names this place.
    pub(crate) fn located(self, locator: Option<Locator>) -> Self {
        Self { locator, ..self }
    }
}

/// The digits alone: they are of the whole text.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.digits.ct_eq(&other.digits).into()
    }
}

impl Eq for Digest {}

/// Digests stay out of logs too: SECURITY row G-01.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// What a store is asked for: a digest, or, in legacy mode alone, a text as an earlier system stored it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum StoredToken {
    /// The digest of a token.
    Digest(Digest),
    /// A token that was stored as it is, before digests. It never has the form of a digest, so that presenting a
    /// stolen digest authenticates nobody.
    LegacyPlaintext(PlainToken),
}

impl StoredToken {
    /// The stored text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Digest(digest) => digest.as_str(),
            Self::LegacyPlaintext(token) => token.expose(),
        }
    }

    /// Where the token's record lies, if its text says so.
    pub const fn locator(&self) -> Option<Locator> {
        match self {
            Self::Digest(digest) => digest.locator(),
            Self::LegacyPlaintext(_) => None,
        }
    }

    /// `token` as a legacy row would hold it; `None` when it has the form of a digest, in either case of letters.
    pub(crate) fn legacy_plaintext(token: &PlainToken) -> Option<Self> {
        let text = token.expose();
        let like_a_digest = text.len() == 64 && text.bytes().all(|byte| byte.is_ascii_hexdigit());
        let storable = !text.is_empty() && text.len() <= 255 && !text.contains('\0');
        (storable && !like_a_digest).then(|| Self::LegacyPlaintext(token.clone()))
    }
}

impl From<Digest> for StoredToken {
    fn from(digest: Digest) -> Self {
        Self::Digest(digest)
    }
}

#[derive(Clone)]
pub(super) struct DigestKey {
    id: Arc<str>,
    mac: Hmac<Sha256>,
    owners: Hmac<Sha256>,
    pub(super) families: Hmac<Sha256>,
    pub(super) successors: Hmac<Sha256>,
}

/// What two keys sign to find out whether they are made of the same secret.
#[cfg(feature = "jwt")]
pub(crate) const SAME_SECRET: &[u8] = b"countersign: whether two secrets are the same";

/// Derives the key of owners' tags: one secret, one purpose.
const OWNERS: &[u8] = b"countersign: the owner of a token";

/// Derives the key that families are digested with.
const FAMILIES: &[u8] = b"countersign: the family of a refresh token";

/// Derives the key that successors are made with.
const SUCCESSORS: &[u8] = b"countersign: the successor of a refresh token";

impl DigestKey {
    fn new(id: &str, secret: &Secret) -> Result<Self, ConfigError> {
        let fits = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        let unusable = |problem| ConfigError::new("digest key id", problem, "use 1 to 64 printable ASCII characters");
        if !fits {
            return Err(unusable("is empty, too long, or has characters that logs can't show"));
        }
        let keyed = |key: &[u8]| Hmac::new_from_slice(key).map_err(|_| unusable("has an unusable secret"));
        let mac: Hmac<Sha256> = keyed(secret.expose().as_bytes())?;
        let derived = |purpose: &[u8]| keyed(&mac.clone().chain_update(purpose).finalize().into_bytes());
        let (owners, families, successors) = (derived(OWNERS)?, derived(FAMILIES)?, derived(SUCCESSORS)?);
        Ok(Self { id: id.into(), mac, owners, families, successors })
    }

    fn digest(&self, text: &str) -> Digest {
        let bytes = self.mac.clone().chain_update(text).finalize().into_bytes();
        Digest::of(&bytes.into(), Locator::of(text))
    }

    fn owner(&self, user: &UserKey) -> [u8; 12] {
        let subject = user.to_subject();
        let kind = format!("{:?}", user.kind());
        let tag = self.owners.clone().chain_update(kind).chain_update([0]).chain_update(subject).finalize();
        tag.into_bytes().first_chunk().copied().unwrap_or_default()
    }
}

/// The secrets that digest tokens: one active, which new tokens are stored under, and any number of earlier ones
/// that are still accepted.
///
/// Looking a token up asks the store once per key until a row answers, newest key first, so a ring of one costs one
/// look-up.
///
/// ```
/// use countersign::{DigestKeyRing, PlainToken, Secret};
///
/// let old = Secret::new("token_hash_secret", "redis-token-hash-secret-1234567890")?;
/// let new = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")?;
/// let ring = DigestKeyRing::new("2026-11", &new)?.accept("2026-05", &old)?;
/// assert_eq!(ring.key_ids().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct DigestKeyRing {
    active: DigestKey,
    accepted: Vec<DigestKey>,
}

impl DigestKeyRing {
    /// A ring whose active key is `secret`, known as `id`.
    ///
    /// # Errors
    /// [`ConfigError`] when the id isn't 1 to 64 printable ASCII characters.
    pub fn new(id: &str, secret: &Secret) -> Result<Self, ConfigError> {
        Ok(Self { active: DigestKey::new(id, secret)?, accepted: Vec::new() })
    }

    /// Also accepts tokens that were stored under `secret`, known as `id`.
    ///
    /// # Errors
    /// [`ConfigError`] when the id is malformed or in the ring already.
    pub fn accept(mut self, id: &str, secret: &Secret) -> Result<Self, ConfigError> {
        if self.key_ids().any(|known| known == id) {
            return Err(ConfigError::new("digest key id", "is in the ring twice", "give each key an id of its own"));
        }
        self.accepted.push(DigestKey::new(id, secret)?);
        Ok(self)
    }

    /// The ids in the ring, the active one first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(|key| &*key.id)
    }

    /// The id of the active key.
    pub fn active_id(&self) -> &str {
        &self.active.id
    }

    /// The digest that a new token is stored under.
    pub fn digest(&self, token: &PlainToken) -> Digest {
        self.active.digest(token.expose())
    }

    /// The tags that may stand for `user` in a [`Locator`], the active key's first: 96 bits of a keyed hash, so that
    /// neither a token nor a store's key tells who it is.
    pub fn owners<'a>(&'a self, user: &'a UserKey) -> impl Iterator<Item = [u8; 12]> + Send + 'a {
        self.keys().map(|key| key.owner(user))
    }

    /// Every digest that `token` may be stored under, the active key's first.
    pub fn candidates<'a>(&'a self, token: &'a PlainToken) -> impl Iterator<Item = Digest> + Send + 'a {
        self.keys().map(|key| key.digest(token.expose()))
    }

    /// What each secret makes of [`SAME_SECRET`].
    #[cfg(feature = "jwt")]
    pub(crate) fn probes(&self) -> impl Iterator<Item = [u8; 32]> {
        self.keys().map(|key| key.mac.clone().chain_update(SAME_SECRET).finalize().into_bytes().into())
    }

    /// The keys, the active one first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &DigestKey> + Send {
        std::iter::once(&self.active).chain(&self.accepted)
    }
}

impl fmt::Debug for DigestKeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DigestKeyRing").field(&self.key_ids().collect::<Vec<_>>()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(secret: &str, token: &str) -> String {
        let secret = Secret::dangerous_without_variety_check("token_hash_secret", secret).unwrap();
        DigestKeyRing::new("k", &secret).unwrap().digest(&PlainToken::new(token)).as_str().to_owned()
    }

    /// Conformance case 001 and the other known answers of the original.
    #[test]
    fn known_answers() {
        let k32 = "k".repeat(32);
        let e32 = "é".repeat(32);
        let cases = [
            (
                "redis-token-hash-secret-1234567890",
                "token-write",
                "230d559b9628a64d84235938949c717091b338e14d29d54623dca331d1423722",
            ),
            (k32.as_str(), "abc", "af61b693912efc56e2e46f949719ea10a9e80d68f8dcfb84e26cac5330da3c74"),
            (k32.as_str(), "", "a4ad8e340e32bf1d916005cb1dc92795148897965e36ae56c0adc357474b5372"),
            (e32.as_str(), "töken", "3a71babeb5e406415f3ebba897a1a94e069368874b7b4a846ca9e0029de5c96f"),
        ];
        for (secret, token, expected) in cases {
            assert_eq!(digest(secret, token), expected, "{token}");
        }
    }

    #[test]
    fn a_digest_is_no_legacy_token() {
        let hex = digest("redis-token-hash-secret-1234567890", "token-write");
        assert_eq!(StoredToken::legacy_plaintext(&PlainToken::new(hex.as_str())), None);
        assert_eq!(StoredToken::legacy_plaintext(&PlainToken::new(hex.to_uppercase())), None);
        assert!(StoredToken::legacy_plaintext(&PlainToken::new("access-legacy-valid")).is_some());
    }
}
