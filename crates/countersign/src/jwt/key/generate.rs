//! Generation of shared secrets and private keys.

use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::error::Unspecified;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{EcdsaKeyPair, Ed25519KeyPair, RsaKeyPair};
use data_encoding::{BASE64, BASE64URL_NOPAD};
use zeroize::Zeroizing;

use crate::entropy::Entropy;
use crate::error::Failure;
use crate::jwt::algorithm::{Algorithm, Family};
use crate::secret::Secret;

/// Generates a new secret for `algorithm`.
///
/// | algorithm | secret |
/// |---|---|
/// | HS256, HS384, HS512 | 32, 48 or 64 random bytes, as base64url without padding |
/// | RS256 to PS512 | a private RSA key of 3072 bits, in PEM (PKCS#8) |
/// | ES256, ES384, ES512 | a private key on P-256, P-384 or P-521, in PEM (PKCS#8) |
/// | EdDSA | a private Ed25519 key, in PEM (PKCS#8) |
///
/// [`SigningKey::from_secret`](crate::jwt::SigningKey::from_secret) takes the result. Store it
/// where every server of the deployment reads it: tokens of a lost key can't be verified again.
///
/// Shared secrets and Ed25519 keys are made of `entropy`. RSA and ECDSA keys are made by the
/// cryptographic backend, which has a random generator of its own. Making an RSA key can take
/// seconds.
///
/// # Errors
/// [`Failure`] if the entropy source or the backend can't deliver. Nothing was stored, so the call
/// can be repeated.
///
/// # Examples
///
/// ```
/// use countersign::SystemEntropy;
/// use countersign::jwt::{Algorithm, SigningKey, generate_secret};
///
/// let secret = generate_secret(Algorithm::EdDsa, &SystemEntropy)?;
/// assert!(secret.expose().starts_with("-----BEGIN PRIVATE KEY-----\n"));
/// let key = SigningKey::from_secret(Algorithm::EdDsa, &secret)?;
/// # Ok::<_, Box<dyn std::error::Error>>(())
/// ```
pub fn generate_secret(algorithm: Algorithm, entropy: &dyn Entropy) -> Result<Secret, Failure> {
    let pkcs8 = match algorithm.family() {
        Family::Hmac { length, .. } => {
            let mut bytes = Zeroizing::new(vec![0; length]);
            entropy.fill(&mut bytes)?;
            return as_secret(BASE64URL_NOPAD.encode(&bytes));
        }
        Family::Ed25519 => {
            let mut seed = Zeroizing::new([0; 32]);
            entropy.fill(seed.as_mut_slice())?;
            let pair = Ed25519KeyPair::from_seed_unchecked(seed.as_slice()).map_err(|_| {
                Failure::internal("key generator", "the cryptography backend rejected a seed")
            })?;
            pair.to_pkcs8v1().map(|der| der.as_ref().to_vec())
        }
        Family::Ecdsa { sign, .. } => {
            let pair = EcdsaKeyPair::generate(sign).map_err(failed)?;
            pair.to_pkcs8v1().map(|der| der.as_ref().to_vec())
        }
        Family::Rsa { .. } => {
            let pair = RsaKeyPair::generate(KeySize::Rsa3072).map_err(failed)?;
            pair.as_der().map(|der| der.as_ref().to_vec())
        }
    };

    as_secret(private_pem(&Zeroizing::new(pkcs8.map_err(failed)?)))
}

/// Returns the failure of a backend that makes no key.
fn failed(_: Unspecified) -> Failure {
    Failure::internal(
        "key generator",
        "the cryptography backend could not generate a key",
    )
}

fn as_secret(text: String) -> Result<Secret, Failure> {
    Secret::dangerous_without_variety_check("secret", text)
        .map_err(|error| Failure::internal("key generator", error))
}

/// Returns a PKCS#8 key as a PEM text with lines of 64 characters (RFC 7468).
fn private_pem(der: &[u8]) -> String {
    let body = Zeroizing::new(BASE64.encode(der));
    // Room for the whole text from the start: a text that grows leaves copies of the key behind.
    let mut pem = String::with_capacity(body.len() * 2 + 64);
    pem.push_str("-----BEGIN PRIVATE KEY-----\n");
    let mut rest = body.as_str();
    while !rest.is_empty() {
        let (line, after) = rest.split_at_checked(64).unwrap_or((rest, ""));
        pem.push_str(line);
        pem.push('\n');
        rest = after;
    }

    pem.push_str("-----END PRIVATE KEY-----\n");
    pem
}
