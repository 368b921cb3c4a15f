//! Keys that sign.

use std::fmt;
use std::sync::Arc;

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::signature::{
    EcdsaKeyPair, EcdsaSigningAlgorithm, Ed25519KeyPair, KeyPair, RsaKeyPair, RsaSignatureEncoding,
};
use zeroize::Zeroizing;

use crate::error::{ConfigError, Failure};
use crate::jwt::algorithm::{Algorithm, Family};
use crate::jwt::fingerprint::FingerprintKeys;
use crate::jwt::key::pem::{self, Label, Pem};
use crate::jwt::key::public::{self, PublicHalf};
use crate::jwt::key::verifying::VerifyingKey;
use crate::secret::Secret;

/// A key that signs with one algorithm, together with the key that verifies its signatures.
///
/// Build one from a configured [`Secret`] with [`from_secret`](Self::from_secret), and pass it to
/// [`KeyRing::new`](crate::jwt::KeyRing::new). [`generate_secret`](crate::jwt::generate_secret)
/// makes a new secret.
///
/// Its `Debug` output shows the algorithm and the id only.
///
/// # Examples
///
/// ```
/// use countersign::Secret;
/// use countersign::jwt::{Algorithm, SigningKey};
///
/// let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc")?;
/// let key = SigningKey::from_secret(Algorithm::Hs256, &secret)?.with_kid("2026-11")?;
/// assert!(SigningKey::from_secret(Algorithm::Hs512, &secret).is_err(), "HS512 takes 64 bytes");
/// # Ok::<_, countersign::ConfigError>(())
/// ```
pub struct SigningKey {
    signer: Signer,
    verifying: VerifyingKey,
}

/// The private half, prepared for the backend.
enum Signer {
    Hmac(Arc<hmac::Key>),
    Rsa(RsaKeyPair, &'static RsaSignatureEncoding),
    Ecdsa(EcdsaKeyPair),
    Ed25519(Ed25519KeyPair),
}

impl SigningKey {
    /// Creates a key for `algorithm` from a configured secret.
    ///
    /// For HS256, HS384 and HS512 the secret is a shared secret. The bytes of its text are the key:
    /// base64 or hexadecimal digits aren't decoded. For every other algorithm the secret is one
    /// unencrypted private key in PEM: PKCS#8 for all of them, PKCS#1 for RSA, SEC 1 for ECDSA. The
    /// public half is derived from the private one.
    ///
    /// The id of the key is derived from it. [`with_kid`](Self::with_kid) sets another.
    ///
    /// # Errors
    /// [`ConfigError`] that names `secret` if a shared secret has fewer than 32, 48 or 64 bytes
    /// (RFC 7518 section 3.2) or is a key of a key pair, or if the text isn't a private key that
    /// fits the algorithm.
    pub fn from_secret(algorithm: Algorithm, secret: &Secret) -> Result<Self, ConfigError> {
        match algorithm.family() {
            Family::Hmac { length, .. } => Self::from_shared(algorithm, secret, length),
            _ => Self::from_private_pem(algorithm, secret),
        }
    }

    /// Creates a key like [`from_secret`](Self::from_secret), but accepts a shared secret of 32
    /// bytes for every algorithm.
    ///
    /// litestar-auth demands no more than that for HS384 and HS512. Use this only to go on with a
    /// secret that live tokens depend on.
    ///
    /// # Errors
    /// [`ConfigError`] as for [`from_secret`](Self::from_secret), except for the length.
    pub fn dangerous_from_short_secret(
        algorithm: Algorithm,
        secret: &Secret,
    ) -> Result<Self, ConfigError> {
        match algorithm.family() {
            Family::Hmac { .. } => Self::from_shared(algorithm, secret, Secret::MIN_LENGTH),
            _ => Self::from_private_pem(algorithm, secret),
        }
    }

    fn from_shared(
        algorithm: Algorithm,
        secret: &Secret,
        least: usize,
    ) -> Result<Self, ConfigError> {
        let bytes = secret.expose().as_bytes();
        let (key, _) = public::hmac_key(algorithm, bytes, least)?;
        Ok(Self {
            signer: Signer::Hmac(Arc::new(key)),
            verifying: VerifyingKey::from_secret(algorithm, bytes, least)?,
        })
    }

    fn from_private_pem(algorithm: Algorithm, secret: &Secret) -> Result<Self, ConfigError> {
        let text = secret.expose();
        let pem = pem::read("secret", text)?;
        if !pem.label.is_private() {
            return Err(ConfigError::new(
                "secret",
                "is a public key",
                "use the private key that belongs to it",
            ));
        }

        let (signer, private, public) = match algorithm.family() {
            Family::Hmac { .. } => return Err(misfit()),
            Family::Rsa { sign, .. } => rsa(algorithm, &pem, sign),
            Family::Ecdsa { sign, .. } => ecdsa(algorithm, &pem, sign),
            Family::Ed25519 => ed25519(algorithm, &pem),
        }?;
        let fingerprints = FingerprintKeys::new(text.as_bytes(), &private);
        let verifying = VerifyingKey::from_public_half(public)?.with_fingerprint_keys(fingerprints);
        Ok(Self { signer, verifying })
    }

    /// Sets the id of the key. See [`VerifyingKey::with_kid`].
    ///
    /// # Errors
    /// [`ConfigError`] that names `kid` if it isn't 1 to 128 printable ASCII characters, or has a
    /// space, a quote or a backslash.
    pub fn with_kid(self, kid: &str) -> Result<Self, ConfigError> {
        Ok(Self {
            signer: self.signer,
            verifying: self.verifying.with_kid(kid)?,
        })
    }

    /// Returns the key that verifies the signatures of this one.
    pub const fn verifying_key(&self) -> &VerifyingKey {
        &self.verifying
    }

    /// Signs `message` and returns the raw signature.
    ///
    /// # Errors
    /// [`Failure`] if the cryptographic backend can't sign.
    pub(crate) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, Failure> {
        let signature = match &self.signer {
            Signer::Hmac(key) => Ok(hmac::sign(key, message).as_ref().to_vec()),
            Signer::Rsa(pair, encoding) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(*encoding, &SystemRandom::new(), message, &mut signature)
                    .map(|()| signature)
            }
            Signer::Ecdsa(pair) => pair
                .sign(&SystemRandom::new(), message)
                .map(|signature| signature.as_ref().to_vec()),
            Signer::Ed25519(pair) => pair
                .try_sign(message)
                .map(|signature| signature.as_ref().to_vec()),
        };

        signature.map_err(|Unspecified| Failure::internal("token signer", Unspecified))
    }
}

/// A signer, its private key as PKCS#8, and its public half.
///
/// PKCS#8 is the same bytes however the lines of the PEM text were broken, so keys that are derived
/// from it don't change with them.
type Parts = (Signer, Zeroizing<Vec<u8>>, PublicHalf);

fn rsa(
    algorithm: Algorithm,
    pem: &Pem,
    encoding: &'static RsaSignatureEncoding,
) -> Result<Parts, ConfigError> {
    let pair = match pem.label {
        Label::RsaPrivate => RsaKeyPair::from_der(&pem.der),
        _ => RsaKeyPair::from_pkcs8(&pem.der),
    };
    let pair = pair.map_err(|_| misfit())?;
    let private = pair.as_der().map(|der| der.as_ref().to_vec());
    let public = PublicHalf::from_der(algorithm, pair.public_key().as_ref())?;
    Ok((
        Signer::Rsa(pair, encoding),
        Zeroizing::new(private.map_err(|_| misfit())?),
        public,
    ))
}

fn ecdsa(
    algorithm: Algorithm,
    pem: &Pem,
    signing: &'static EcdsaSigningAlgorithm,
) -> Result<Parts, ConfigError> {
    let pair = EcdsaKeyPair::from_private_key_der(signing, &pem.der).map_err(|_| misfit())?;
    let private = pair.to_pkcs8v1().map(|der| der.as_ref().to_vec());
    let public = PublicHalf::from_der(algorithm, pair.public_key().as_ref())?;
    Ok((
        Signer::Ecdsa(pair),
        Zeroizing::new(private.map_err(|_| misfit())?),
        public,
    ))
}

fn ed25519(algorithm: Algorithm, pem: &Pem) -> Result<Parts, ConfigError> {
    let pair = Ed25519KeyPair::from_pkcs8(&pem.der).map_err(|_| misfit())?;
    let private = pair.to_pkcs8v1().map(|der| der.as_ref().to_vec());
    let public = PublicHalf::from_der(algorithm, pair.public_key().as_ref())?;
    Ok((
        Signer::Ed25519(pair),
        Zeroizing::new(private.map_err(|_| misfit())?),
        public,
    ))
}

fn misfit() -> ConfigError {
    ConfigError::new(
        "secret",
        "is not a private key for the algorithm",
        "generate one with `openssl genpkey`",
    )
}

impl fmt::Debug for SigningKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("SigningKey").field(&self.verifying).finish()
    }
}
