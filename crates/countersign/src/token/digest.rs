//! Keyed digests of tokens, and the ring of keys that makes them.
//!
//! A store holds digests alone: whoever reads it can't present a token. One secret serves several
//! purposes, each with a key derived from the secret.

use std::fmt;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;

use crate::error::ConfigError;
use crate::secret::Secret;
use crate::token::{Locator, PlainToken, check_realm};
use crate::user::UserKey;

/// The stored form of a token: the HMAC-SHA-256 of its text, as 64 lower-case hexadecimal digits.
///
/// litestar-auth stores the same digits for the same secret and text. A digest also keeps the
/// [`Locator`] that the token's text carried, for stores that need it to find the record.
///
/// `==` compares the digits in constant time. `Debug` shows nothing, so that digests stay out of
/// logs.
#[derive(Clone)]
pub struct Digest {
    digits: [u8; 64],
    locator: Option<Locator>,
}

impl Digest {
    /// Creates the digest of these bytes, for a text that names this place.
    pub(super) fn of(bytes: &[u8; 32], locator: Option<Locator>) -> Self {
        let mut digits = [0; 64];
        HEXLOWER.encode_mut(bytes, &mut digits);
        Self { digits, locator }
    }

    /// Parses the 64 digits of [`as_str`](Self::as_str). Returns `None` for any other text.
    ///
    /// The digest has no locator: the digits don't tell it.
    pub fn parse(text: &str) -> Option<Self> {
        let digits: [u8; 64] = text.as_bytes().try_into().ok()?;
        let lower_hex = digits
            .iter()
            .all(|digit| digit.is_ascii_digit() || (b'a'..=b'f').contains(digit));
        lower_hex.then_some(Self {
            digits,
            locator: None,
        })
    }

    /// Returns the 64 lower-case hexadecimal digits.
    pub fn as_str(&self) -> &str {
        // Only hexadecimal digits are ever written to the array, so it is always text.
        std::str::from_utf8(&self.digits).unwrap_or_default()
    }

    /// Returns the place of the token's record, if the token's text names one.
    pub const fn locator(&self) -> Option<Locator> {
        self.locator
    }
}

#[cfg(feature = "testing")]
impl Digest {
    /// Returns the same digest for a text that names this place.
    pub(crate) fn located(self, locator: Option<Locator>) -> Self {
        Self { locator, ..self }
    }
}

/// Compares the digits alone: they are a digest of the whole text, its locator included.
impl PartialEq for Digest {
    fn eq(&self, other: &Self) -> bool {
        self.digits.ct_eq(&other.digits).into()
    }
}

impl Eq for Digest {}

/// Shows nothing: digests stay out of logs too.
impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Digest(..)")
    }
}

/// The stored form by which a store looks a token up.
///
/// It is a digest, except for tokens that an earlier system stored as plain text, which a strategy
/// accepts only if its builder was told to.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a token is stored in one of these forms"
)]
pub enum StoredToken {
    /// The digest of a token.
    Digest(Digest),
    /// The text of a token that an earlier system stored as it is. It never has the form of a
    /// digest, so that nobody can present a stolen digest.
    LegacyPlaintext(PlainToken),
}

impl StoredToken {
    /// Returns the text that a store compares: the digest's digits, or the legacy text.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Digest(digest) => digest.as_str(),
            Self::LegacyPlaintext(token) => token.expose(),
        }
    }

    /// Returns the place of the token's record, if the token's text names one. Legacy texts name
    /// none.
    pub const fn locator(&self) -> Option<Locator> {
        match self {
            Self::Digest(digest) => digest.locator(),
            Self::LegacyPlaintext(_) => None,
        }
    }

    /// Returns `token` as a legacy row would hold it.
    ///
    /// Returns `None` if a row can't hold it (it is empty, longer than 255 bytes, or has a NUL), or
    /// if it has the form of a digest, with upper-case or lower-case digits.
    pub(crate) fn legacy_plaintext(token: &PlainToken) -> Option<Self> {
        let text = token.expose();
        // A stolen digest would otherwise find the row of its own token, as if it were legacy plain
        // text.
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

/// A key of the ring, and the keys derived from its secret.
#[derive(Clone)]
pub(super) struct DigestKey {
    id: Arc<str>,
    /// The key of the secret itself, also where a realm's keys are derived from it.
    secret: Hmac<Sha256>,
    mac: Hmac<Sha256>,
    /// The key of owners' tags.
    owners: Hmac<Sha256>,
    /// The key of families' digests.
    pub(super) families: Hmac<Sha256>,
    /// The key that successors are derived with.
    pub(super) successors: Hmac<Sha256>,
}

/// The text that two keys sign to find out if they are made of the same secret.
#[cfg(feature = "jwt")]
pub(crate) const SAME_SECRET: &[u8] = b"countersign: whether two secrets are the same";

/// The purpose of a realm's keys.
const REALM: &[u8] = b"countersign: the realm of users";

/// The purpose of the key of owners' tags. Each purpose has a key of its own.
const OWNERS: &[u8] = b"countersign: the owner of a token";

/// The purpose of the key of families' digests.
const FAMILIES: &[u8] = b"countersign: the family of a refresh token";

/// The purpose of the key that successors are derived with.
const SUCCESSORS: &[u8] = b"countersign: the successor of a refresh token";

impl DigestKey {
    fn new(id: &str, secret: &Secret) -> Result<Self, ConfigError> {
        let fits = (1..=64).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic());
        if !fits {
            return Err(unusable(
                "is empty, too long, or contains non-printable characters",
            ));
        }
        // The secret itself keys the digests of tokens, as in litestar-auth. All other keys are
        // derived.
        let mac = keyed(secret.expose().as_bytes())?;
        Self::derive(id.into(), mac.clone(), mac)
    }

    /// Returns the key of a realm: no token of it is stored in the form that another realm's keys,
    /// or the secret itself, would give it.
    fn of_realm(&self, realm: &str) -> Result<Self, ConfigError> {
        let named = self.secret.clone().chain_update(REALM).chain_update([0]);
        let mac = keyed(&named.chain_update(realm).finalize().into_bytes())?;
        Self::derive(Arc::clone(&self.id), self.secret.clone(), mac)
    }

    /// Derives the keys of the other purposes from `mac`.
    fn derive(id: Arc<str>, secret: Hmac<Sha256>, mac: Hmac<Sha256>) -> Result<Self, ConfigError> {
        Ok(Self {
            id,
            secret,
            owners: derived(&mac, OWNERS)?,
            families: derived(&mac, FAMILIES)?,
            successors: derived(&mac, SUCCESSORS)?,
            mac,
        })
    }

    fn digest(&self, text: &str) -> Digest {
        let bytes = self.mac.clone().chain_update(text).finalize().into_bytes();
        Digest::of(&bytes.into(), Locator::of(text))
    }

    /// Returns the tag of a user: the first 96 bits of an HMAC of the kind and the id.
    fn owner(&self, user: &UserKey) -> [u8; 12] {
        let subject = user.to_subject();
        // The kind and a NUL come first, so that the integer 7 and the text "7" have different
        // tags.
        let kind = format!("{:?}", user.kind());
        let tag = self
            .owners
            .clone()
            .chain_update(kind)
            .chain_update([0])
            .chain_update(subject)
            .finalize();
        tag.into_bytes().first_chunk().copied().unwrap_or_default()
    }
}

/// Returns the error about a key.
fn unusable(problem: &'static str) -> ConfigError {
    ConfigError::new(
        "digest key id",
        problem,
        "use 1 to 64 printable ASCII characters",
    )
}

/// Returns the HMAC of one purpose, whose key is derived from `mac`.
fn derived(mac: &Hmac<Sha256>, purpose: &[u8]) -> Result<Hmac<Sha256>, ConfigError> {
    keyed(&mac.clone().chain_update(purpose).finalize().into_bytes())
}

/// Returns the HMAC with this key.
fn keyed(key: &[u8]) -> Result<Hmac<Sha256>, ConfigError> {
    Hmac::new_from_slice(key).map_err(|_| unusable("has an invalid secret"))
}

/// A ring of secrets that digest tokens: an active one for new tokens, and earlier ones that are
/// still accepted.
///
/// To replace a secret, make the new one active and [`accept`](Self::accept) the old one until the
/// tokens stored under it have expired. A lookup asks the store once for each key until a row is
/// found, the active key first, so a ring of one costs one lookup.
///
/// The ids name the keys in `Debug` and in messages to the operator; they aren't stored with
/// tokens. If a secret is lost, the tokens that were stored under it can't be found any more.
///
/// # Examples
///
/// ```
/// use countersign::token::DigestKeyRing;
/// use countersign::{PlainToken, Secret};
///
/// let old = Secret::new("token_hash_secret", "redis-token-hash-secret-1234567890")?;
/// let new = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")?;
/// let ring = DigestKeyRing::new("2026-11", &new)?.accept("2026-05", &old)?;
/// assert_eq!(ring.key_ids().collect::<Vec<_>>(), ["2026-11", "2026-05"]);
///
/// let token = PlainToken::new("csa_wZ5…");
/// assert_eq!(ring.candidates(&token).next(), Some(ring.digest(&token)));
/// assert_eq!(ring.candidates(&token).count(), 2);
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct DigestKeyRing {
    active: DigestKey,
    accepted: Vec<DigestKey>,
}

impl DigestKeyRing {
    /// Creates a ring whose active key is `secret`, known as `id`.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names the digest key id if `id` isn't 1 to 64 printable ASCII
    /// characters without spaces.
    pub fn new(id: &str, secret: &Secret) -> Result<Self, ConfigError> {
        Ok(Self {
            active: DigestKey::new(id, secret)?,
            accepted: Vec::new(),
        })
    }

    /// Adds a key that isn't active: tokens that were stored under `secret` are accepted as well.
    ///
    /// Keys are asked in the order in which they were added.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names the digest key id if `id` is malformed or is in the ring already.
    pub fn accept(mut self, id: &str, secret: &Secret) -> Result<Self, ConfigError> {
        if self.key_ids().any(|known| known == id) {
            return Err(ConfigError::new(
                "digest key id",
                "is in the ring twice",
                "give each key a unique id",
            ));
        }
        self.accepted.push(DigestKey::new(id, secret)?);
        Ok(self)
    }

    /// Returns the ring of a realm: the same secrets, with keys that are derived for `realm`.
    ///
    /// Two kinds of users, such as members and staff, can share one secret then. A token of one
    /// realm is unknown in the other, and in the ring without a realm. The name can't be changed
    /// later: it would log everybody out.
    ///
    /// Where ids overlap, each realm also needs its own rows, or "log out everywhere" of one user
    /// ends sessions of another: own tables in SQL
    /// ([`DatabaseTokenModels::realm`](crate::store::sql::DatabaseTokenModels::realm)). On Redis
    /// the ring is enough, since it names the keys.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `realm` if the name isn't 1 to 16 lower-case letters,
    /// digits and underscores that begin with a letter.
    ///
    /// # Examples
    ///
    /// ```
    /// use countersign::token::DigestKeyRing;
    /// use countersign::{PlainToken, Secret, SystemEntropy};
    ///
    /// let members = DigestKeyRing::new("2026-11", &Secret::generate(&SystemEntropy)?)?;
    /// let staff = members.realm("staff")?;
    /// let token = PlainToken::new("csa_wZ5…");
    /// assert_ne!(members.digest(&token), staff.digest(&token));
    /// # Ok::<_, Box<dyn std::error::Error>>(())
    /// ```
    pub fn realm(&self, realm: &str) -> Result<Self, ConfigError> {
        check_realm(realm)?;
        let accepted = self.accepted.iter().map(|key| key.of_realm(realm));
        Ok(Self {
            active: self.active.of_realm(realm)?,
            accepted: accepted.collect::<Result<_, _>>()?,
        })
    }

    /// Returns the ids of the keys, the active one first.
    pub fn key_ids(&self) -> impl Iterator<Item = &str> {
        self.keys().map(|key| &*key.id)
    }

    /// Returns the id of the active key.
    pub fn active_id(&self) -> &str {
        &self.active.id
    }

    /// Returns the digest under which a new token is stored: the one by the active key.
    pub fn digest(&self, token: &PlainToken) -> Digest {
        self.active.digest(token.expose())
    }

    /// Returns the tags that may stand for `user` in a [`Locator`], the active key's first.
    ///
    /// A tag is 96 bits of a keyed hash, so neither a token nor the name of a store's key tells who
    /// the user is.
    pub fn owners<'a>(&'a self, user: &'a UserKey) -> impl Iterator<Item = [u8; 12]> + Send + 'a {
        self.keys().map(|key| key.owner(user))
    }

    /// Returns every digest under which `token` may be stored, the active key's first.
    pub fn candidates<'a>(
        &'a self,
        token: &'a PlainToken,
    ) -> impl Iterator<Item = Digest> + Send + 'a {
        self.keys().map(|key| key.digest(token.expose()))
    }

    /// Returns the signature of [`SAME_SECRET`] by each secret, the active one's first.
    #[cfg(feature = "jwt")]
    pub(crate) fn probes(&self) -> impl Iterator<Item = [u8; 32]> {
        self.keys().map(|key| {
            key.secret
                .clone()
                .chain_update(SAME_SECRET)
                .finalize()
                .into_bytes()
                .into()
        })
    }

    /// Returns the keys, the active one first.
    pub(super) fn keys(&self) -> impl Iterator<Item = &DigestKey> + Send {
        std::iter::once(&self.active).chain(&self.accepted)
    }
}

impl fmt::Debug for DigestKeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("DigestKeyRing")
            .field(&self.key_ids().collect::<Vec<_>>())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(secret: &str, token: &str) -> String {
        let secret = Secret::dangerous_without_variety_check("token_hash_secret", secret).unwrap();
        DigestKeyRing::new("k", &secret)
            .unwrap()
            .digest(&PlainToken::new(token))
            .as_str()
            .to_owned()
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
            (
                k32.as_str(),
                "abc",
                "af61b693912efc56e2e46f949719ea10a9e80d68f8dcfb84e26cac5330da3c74",
            ),
            (
                k32.as_str(),
                "",
                "a4ad8e340e32bf1d916005cb1dc92795148897965e36ae56c0adc357474b5372",
            ),
            (
                e32.as_str(),
                "töken",
                "3a71babeb5e406415f3ebba897a1a94e069368874b7b4a846ca9e0029de5c96f",
            ),
        ];
        for (secret, token, expected) in cases {
            assert_eq!(digest(secret, token), expected, "{token}");
        }
    }

    #[test]
    fn a_digest_is_no_legacy_token() {
        let hex = digest("redis-token-hash-secret-1234567890", "token-write");
        assert_eq!(
            StoredToken::legacy_plaintext(&PlainToken::new(hex.as_str())),
            None
        );
        assert_eq!(
            StoredToken::legacy_plaintext(&PlainToken::new(hex.to_uppercase())),
            None
        );
        assert!(StoredToken::legacy_plaintext(&PlainToken::new("access-legacy-valid")).is_some());
    }
}
