//! Keys that verify signatures.

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

/// A key that verifies the signatures of one algorithm.
///
/// A service that only reads tokens builds one from the issuer's public key, with
/// [`from_pem`](Self::from_pem) or [`from_jwk`](Self::from_jwk), and passes it to
/// [`KeyRing::verify_only`](crate::jwt::KeyRing::verify_only). An issuer gets one from
/// [`SigningKey::verifying_key`](crate::jwt::SigningKey::verifying_key).
///
/// Its `Debug` output shows the algorithm and the id only.
///
/// # Examples
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
    /// The length of a signature, in bytes.
    signature_length: usize,
    /// The encoded header of the profile `litestar-auth`, and that of `countersign`.
    headers: [Arc<str>; 2],
    /// The public key. `None` for a shared secret.
    public: Option<Arc<PublicHalf>>,
    /// The keys of session fingerprints. `None` if only the public key is known.
    fingerprint: Option<Arc<FingerprintKeys>>,
}

/// The key in the form that the backend verifies with.
#[derive(Clone)]
pub(crate) enum Verifier {
    Hmac(Arc<hmac::Key>),
    Public(Arc<ParsedPublicKey>),
}

impl VerifyingKey {
    /// Reads a public key in PEM: SubjectPublicKeyInfo, or PKCS#1 for RSA.
    ///
    /// # Errors
    /// [`ConfigError`] that names `verify_key` if the text isn't exactly one public key, or if the
    /// key doesn't fit the algorithm: the algorithm is symmetric, an RSA key has fewer than 2048 or
    /// more than 8192 bits or an exponent that is even or below 65537, the curve is another one, or
    /// a point isn't on the curve or is of small order.
    pub fn from_pem(algorithm: Algorithm, text: &str) -> Result<Self, ConfigError> {
        let pem = pem::read("verify_key", text)?;
        if pem.label.is_private() {
            return Err(ConfigError::new(
                "verify_key",
                "is a private key",
                "use its public half",
            ));
        }
        Self::from_public_half(PublicHalf::from_der(algorithm, &pem.der)?)
    }

    /// Creates a key from a public key. Its id is the thumbprint of RFC 7638.
    pub(crate) fn from_public_half(public: PublicHalf) -> Result<Self, ConfigError> {
        let kid = public.thumbprint();
        let verifier = Verifier::Public(Arc::clone(&public.key));
        let mut key = Self::new(public.algorithm, verifier, public.signature_length, &kid)?;
        key.public = Some(Arc::new(public));
        Ok(key)
    }

    /// Creates a key from a shared secret of at least `least` bytes. Its id is derived from the
    /// secret.
    pub(crate) fn from_secret(
        algorithm: Algorithm,
        secret: &[u8],
        least: usize,
    ) -> Result<Self, ConfigError> {
        let (key, length) = public::hmac_key(algorithm, secret, least)?;
        let fingerprint = FingerprintKeys::new(secret, secret);
        let mut this = Self::new(
            algorithm,
            Verifier::Hmac(Arc::new(key)),
            length,
            &fingerprint.key_id(),
        )?;
        this.fingerprint = Some(Arc::new(fingerprint));
        Ok(this)
    }

    fn new(
        algorithm: Algorithm,
        verifier: Verifier,
        signature_length: usize,
        kid: &str,
    ) -> Result<Self, ConfigError> {
        let kid = checked_kid(kid)?;
        let headers = headers(algorithm, &kid);
        Ok(Self {
            algorithm,
            kid,
            verifier,
            signature_length,
            headers,
            public: None,
            fingerprint: None,
        })
    }

    /// Sets the id of the key, which a token's `kid` header names.
    ///
    /// Without it, the id is the thumbprint of a public key (RFC 7638), or a value that is derived
    /// from a shared secret and reveals nothing about it. Both are the same on every server, so an
    /// id of your own is needed only to recognise keys in logs.
    ///
    /// # Errors
    /// [`ConfigError`] that names `kid` if it isn't 1 to 128 printable ASCII characters, or has a
    /// space, a quote or a backslash.
    pub fn with_kid(mut self, kid: &str) -> Result<Self, ConfigError> {
        self.kid = checked_kid(kid)?;
        self.headers = headers(self.algorithm, &self.kid);
        Ok(self)
    }

    /// Returns the algorithm that the key is bound to.
    pub const fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// Returns the id of the key, which a token's `kid` header names.
    pub fn kid(&self) -> &str {
        &self.kid
    }

    /// Returns the public key as a JSON Web Key with `kid`, `alg` and `use` (RFC 7517).
    ///
    /// Returns `None` for a shared secret, which must never be published. The texts of several keys
    /// between `{"keys":[` and `]}`, with commas between them, are a JWK set.
    pub fn to_jwk(&self) -> Option<String> {
        self.public.as_ref().map(|public| public.to_jwk(&self.kid))
    }

    /// Returns the public key, or `None` for a shared secret.
    pub(crate) fn public_half(&self) -> Option<&PublicHalf> {
        self.public.as_deref()
    }

    /// Returns the keys of session fingerprints, or `None` if only the public key is known.
    pub(crate) fn fingerprint_keys(&self) -> Option<&FingerprintKeys> {
        self.fingerprint.as_deref()
    }

    /// Sets the keys of session fingerprints.
    pub(crate) fn with_fingerprint_keys(mut self, keys: FingerprintKeys) -> Self {
        self.fingerprint = Some(Arc::new(keys));
        self
    }

    /// Returns the encoded header of a token that this key signs.
    pub(crate) fn header_segment(&self, profile: Profile) -> &str {
        let [original, ours] = &self.headers;
        match profile {
            Profile::LitestarAuth => original,
            Profile::Countersign => ours,
        }
    }

    /// Returns `true` if `signature` is the signature of this key over `message`.
    ///
    /// The length is checked before any arithmetic, and a tag of HMAC is compared in constant time.
    pub(crate) fn verifies(&self, message: &[u8], signature: &[u8]) -> bool {
        signature.len() == self.signature_length
            && match &self.verifier {
                Verifier::Hmac(key) => hmac::verify(key, message, signature).is_ok(),
                Verifier::Public(key) => key.verify_sig(message, signature).is_ok(),
            }
    }
}

/// Returns the encoded headers of litestar-auth and of countersign. A `kid` needs no escapes.
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
