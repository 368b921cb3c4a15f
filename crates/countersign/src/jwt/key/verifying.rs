//! The keys that tell whether a signature is ours.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::hmac;
use aws_lc_rs::signature::ParsedPublicKey;
use data_encoding::BASE64URL_NOPAD;

use crate::error::ConfigError;
use crate::jwt::algorithm::Algorithm;
use crate::jwt::fingerprint::FingerprintKeys;
use crate::jwt::key::public::PublicHalf;
use crate::jwt::key::{checked_kid, pem, public};
use crate::profile::Profile;

/// A key that verifies signatures of one algorithm, and its id.
///
/// ```
/// use countersign::jwt::{Algorithm, VerifyingKey};
///
/// let key = VerifyingKey::from_pem(
///     Algorithm::EdDsa,
///     "-----BEGIN PUBLIC KEY-----
/// MCowBQYDK2VwAyEAfU0Of2FTpptiQrUiq77mhf2kQg+INLEIw72uNp71Sfo=
/// -----END PUBLIC KEY-----",
/// )?;
/// assert_eq!(key.algorithm(), Algorithm::EdDsa);
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone)]
pub struct VerifyingKey {
    algorithm: Algorithm,
    kid: Arc<str>,
    verifier: Verifier,
    signature_length: usize,
    headers: [Arc<str>; 2],
    public: Option<Arc<PublicHalf>>,
    fingerprint: Option<Arc<FingerprintKeys>>,
}

#[derive(Clone)]
pub(crate) enum Verifier {
    Hmac(Arc<hmac::Key>),
    Public(Arc<ParsedPublicKey>),
}

impl VerifyingKey {
    /// A public key in PEM: SubjectPublicKeyInfo, or PKCS#1 for RSA.
    ///
    /// # Errors
    /// [`ConfigError`] that names `verify_key` when the text is no public key, or the key doesn't fit the algorithm: a
    /// symmetric algorithm, RSA below 2048 bits or with an exponent that is even or below 65537, another curve, a point
    /// off the curve or of small order (SECURITY row K-01).
    pub fn from_pem(algorithm: Algorithm, text: &str) -> Result<Self, ConfigError> {
        let pem = pem::read("verify_key", text)?;
        if pem.label.is_private() {
            return Err(ConfigError::new("verify_key", "is a private key", "give its public half"));
        }
        Self::from_public_half(PublicHalf::from_der(algorithm, &pem.der)?)
    }

    /// A key as a JSON Web Key (RFC 7517): a public key, or an `oct` secret. `use`, `key_ops` and `alg` have to allow
    /// verifying with `algorithm` where they are given; `kid` is taken over.
    ///
    /// # Errors
    /// [`ConfigError`] that names `jwk` when the text is no such key, has a name twice, holds a private key, or the key
    /// doesn't fit the algorithm.
    pub fn from_jwk(algorithm: Algorithm, text: &str) -> Result<Self, ConfigError> {
        super::jwk::read(algorithm, text)
    }

    pub(crate) fn from_public_half(public: PublicHalf) -> Result<Self, ConfigError> {
        let kid = public.thumbprint();
        let verifier = Verifier::Public(Arc::clone(&public.key));
        let mut key = Self::new(public.algorithm, verifier, public.signature_length, &kid)?;
        key.public = Some(Arc::new(public));
        Ok(key)
    }

    pub(crate) fn from_secret(algorithm: Algorithm, secret: &[u8], least: usize) -> Result<Self, ConfigError> {
        let (key, length) = public::hmac_key(algorithm, secret, least)?;
        let fingerprint = FingerprintKeys::new(secret, secret);
        let mut this = Self::new(algorithm, Verifier::Hmac(Arc::new(key)), length, &fingerprint.key_id())?;
        this.fingerprint = Some(Arc::new(fingerprint));
        Ok(this)
    }

    fn new(algorithm: Algorithm, verifier: Verifier, signature_length: usize, kid: &str) -> Result<Self, ConfigError> {
        let kid = checked_kid(kid)?;
        let headers = headers(algorithm, &kid);
        Ok(Self { algorithm, kid, verifier, signature_length, headers, public: None, fingerprint: None })
    }

    /// The same key under another id.
    ///
    /// Without it the id is the RFC 7638 thumbprint of a public key, or a value derived from a secret.
    ///
    /// # Errors
    /// [`ConfigError`] when `kid` isn't 1 to 128 printable ASCII characters that need no escapes.
    pub fn with_kid(mut self, kid: &str) -> Result<Self, ConfigError> {
        self.kid = checked_kid(kid)?;
        self.headers = headers(self.algorithm, &self.kid);
        Ok(self)
    }

    /// The algorithm it is bound to.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Its id: what `kid` in a header has to say.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// The key as a public JSON Web Key with `kid`, `alg` and `use` (RFC 7517, SECURITY row K-04); `None` for a
    /// secret, which is never published.
    pub fn to_jwk(&self) -> Option<String> {
        self.public.as_ref().map(|public| public.to_jwk(&self.kid))
    }

    pub(crate) fn public_half(&self) -> Option<&PublicHalf> {
        self.public.as_deref()
    }

    pub(crate) fn fingerprint_keys(&self) -> Option<&FingerprintKeys> {
        self.fingerprint.as_deref()
    }

    pub(crate) fn with_fingerprint_keys(mut self, keys: FingerprintKeys) -> Self {
        self.fingerprint = Some(Arc::new(keys));
        self
    }

    /// The header segment of a token that this key signs.
    pub(crate) fn header_segment(&self, profile: Profile) -> &str {
        let [original, ours] = &self.headers;
        match profile {
            Profile::LitestarAuth => original,
            Profile::Countersign => ours,
        }
    }

    /// Whether `signature` is this key's over `message`. Its length is checked before any arithmetic (SECURITY row
    /// T-08), and a tag is compared in constant time (T-09).
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.signature_length
            && match &self.verifier {
                Verifier::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
                Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
            }
    }
}

/// What the original writes, and what we write. A `kid` needs no escapes.
fn headers(algorithm: Algorithm, kid: &str) -> [Arc<str>; 2] {
    let original = format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#);
    let ours = format!(r#"{{"alg":"{algorithm}","typ":"at+jwt","kid":"{kid}"}}"#);
    [original, ours].map(|header| BASE64URL_NOPAD.encode(header.as_bytes()).into())
}

/// Shows the algorithm and the id only.
impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey")
            .field("algorithm", &self.algorithm)
            .field("kid", &self.kid)
            .finish_non_exhaustive()
    }
}
