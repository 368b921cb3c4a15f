//! Public keys and shared secrets for the cryptographic backend, and the checks that they have to
//! pass.

use std::sync::Arc;

use aws_lc_rs::digest::{SHA256, digest};
use aws_lc_rs::encoding::AsDer;
use aws_lc_rs::hmac;
use aws_lc_rs::signature::{ED25519, ParsedPublicKey, RsaPublicKeyComponents};
use data_encoding::BASE64URL_NOPAD;

use crate::error::ConfigError;
use crate::jwt::algorithm::{Algorithm, Family};
use crate::jwt::key::der;
use crate::jwt::key::disguise::is_key_of_a_pair;

/// The public half of a key pair. It has passed every check.
pub(crate) struct PublicHalf {
    pub(crate) algorithm: Algorithm,
    pub(crate) key: Arc<ParsedPublicKey>,
    /// The length of a signature, in bytes.
    pub(crate) signature_length: usize,
    numbers: Numbers,
}

/// The numbers of a public key, as a JWK has them.
#[derive(PartialEq, Eq)]
enum Numbers {
    Rsa {
        n: Vec<u8>,
        e: Vec<u8>,
    },
    Ec {
        curve: &'static str,
        x: Vec<u8>,
        y: Vec<u8>,
    },
    Ed25519 {
        x: Vec<u8>,
    },
}

impl PublicHalf {
    /// Reads a SubjectPublicKeyInfo, PKCS#1 for RSA, or a raw point for the other algorithms.
    pub(crate) fn from_der(algorithm: Algorithm, key: &[u8]) -> Result<Self, ConfigError> {
        let parsed = match algorithm.family() {
            Family::Hmac { .. } => Err(misfit(
                "is a public key, but the algorithm requires a shared secret",
            ))?,
            Family::Rsa { verify, .. } => ParsedPublicKey::new(verify, key),
            Family::Ecdsa { verify, .. } => ParsedPublicKey::new(verify, key),
            Family::Ed25519 => ParsedPublicKey::new(&ED25519, key),
        };
        if der::has_trailing_bytes(key)
            && !matches!(algorithm.family(), Family::Ed25519 if key.len() == 32)
        {
            return Err(misfit("has extra data after the key"));
        }

        Self::checked(
            algorithm,
            parsed.map_err(|_| {
                misfit("does not have the key type, size and curve that the algorithm requires")
            })?,
        )
    }

    /// Builds an RSA key from its modulus and public exponent, both big-endian.
    pub(crate) fn from_rsa_numbers(
        algorithm: Algorithm,
        n: &[u8],
        e: &[u8],
    ) -> Result<Self, ConfigError> {
        let Family::Rsa { verify, .. } = algorithm.family() else {
            return Err(misfit(
                "is an RSA key, but the algorithm is not an RSA algorithm",
            ));
        };
        let parsed = RsaPublicKeyComponents { n, e }.to_parsed_public_key(verify);
        Self::checked(
            algorithm,
            parsed.map_err(|_| misfit("is not a valid RSA key"))?,
        )
    }

    /// Checks a key that the backend has parsed, and takes its numbers.
    fn checked(algorithm: Algorithm, key: ParsedPublicKey) -> Result<Self, ConfigError> {
        let spki = key.as_der().map_err(|_| misfit("can't be encoded"))?;
        let bits = der::public_key_bits(spki.as_ref()).ok_or_else(|| misfit("contains no key"))?;
        let (numbers, signature_length) = match algorithm.family() {
            Family::Hmac { .. } => {
                return Err(misfit(
                    "is a public key, but the algorithm requires a shared secret",
                ));
            }
            Family::Rsa { .. } => rsa(bits)?,
            Family::Ecdsa { curve, field, .. } => ec(bits, curve, field)?,
            Family::Ed25519 => ed25519(bits)?,
        };

        Ok(Self {
            algorithm,
            key: Arc::new(key),
            signature_length,
            numbers,
        })
    }

    /// Returns the key as SubjectPublicKeyInfo in DER.
    #[cfg(test)]
    pub(crate) fn spki(&self) -> Vec<u8> {
        self.key.as_der().unwrap().as_ref().to_vec()
    }

    /// Returns `true` if both are the same public key.
    pub(crate) fn is_same_key(&self, other: &Self) -> bool {
        self.numbers == other.numbers
    }

    /// Returns the thumbprint of RFC 7638: the SHA-256 of the required members in alphabetical
    /// order, as base64url.
    pub(crate) fn thumbprint(&self) -> String {
        BASE64URL_NOPAD.encode(digest(&SHA256, self.required_members().as_bytes()).as_ref())
    }

    /// Returns the key as a JWK. `kid` must need no escapes.
    pub(crate) fn to_jwk(&self, kid: &str) -> String {
        let members = self.required_members();
        let members = members.trim_start_matches('{').trim_end_matches('}');
        format!(
            r#"{{{members},"kid":"{kid}","alg":"{}","use":"sig"}}"#,
            self.algorithm
        )
    }

    /// Returns the members that a thumbprint covers, as a JSON object.
    fn required_members(&self) -> String {
        match &self.numbers {
            Numbers::Rsa { n, e } => {
                let [e, n] = [e, n].map(|number| BASE64URL_NOPAD.encode(number));
                format!(r#"{{"e":"{e}","kty":"RSA","n":"{n}"}}"#)
            }
            Numbers::Ec { curve, x, y } => {
                let [x, y] = [x, y].map(|coordinate| BASE64URL_NOPAD.encode(coordinate));
                format!(r#"{{"crv":"{curve}","kty":"EC","x":"{x}","y":"{y}"}}"#)
            }
            Numbers::Ed25519 { x } => {
                let x = BASE64URL_NOPAD.encode(x);
                format!(r#"{{"crv":"Ed25519","kty":"OKP","x":"{x}"}}"#)
            }
        }
    }
}

/// Checks the size of the modulus and the public exponent.
fn rsa(bits: &[u8]) -> Result<(Numbers, usize), ConfigError> {
    let (n, e) =
        der::rsa_numbers(bits).ok_or_else(|| misfit("is missing the RSA modulus or exponent"))?;
    let leading = n.first().map_or(0, |byte| byte.leading_zeros());
    let modulus_bits = u64::try_from(n.len())
        .unwrap_or(u64::MAX)
        .saturating_mul(8)
        .saturating_sub(leading.into());
    if !(2048..=8192).contains(&modulus_bits) {
        return Err(misfit(
            "is an RSA key of fewer than 2048 or more than 8192 bits",
        ));
    }
    let odd = e.last().is_some_and(|byte| byte & 1 == 1);
    if !odd || e.len() < 3 {
        return Err(misfit(
            "is an RSA key whose public exponent is even or below 65537",
        ));
    }

    Ok((
        Numbers::Rsa {
            n: n.to_vec(),
            e: e.to_vec(),
        },
        n.len(),
    ))
}

/// Takes the coordinates of a point. The backend has checked that the point is on the curve.
fn ec(bits: &[u8], curve: &'static str, field: usize) -> Result<(Numbers, usize), ConfigError> {
    let point = bits
        .strip_prefix(&[4])
        .and_then(|point| point.split_at_checked(field));
    let (x, y) = point
        .filter(|(_, y)| y.len() == field)
        .ok_or_else(|| misfit("is not on the algorithm's curve"))?;

    Ok((
        Numbers::Ec {
            curve,
            x: x.to_vec(),
            y: y.to_vec(),
        },
        field.saturating_mul(2),
    ))
}

/// Checks that a point isn't of small order.
fn ed25519(bits: &[u8]) -> Result<(Numbers, usize), ConfigError> {
    let Ok(mut y) = <[u8; 32]>::try_from(bits) else {
        return Err(misfit("is not a valid Ed25519 key"));
    };

    // The highest bit is the sign of x and no part of y.
    if let Some(last) = y.last_mut() {
        *last &= 0x7F;
    }
    if SMALL_ORDER.contains(&y) {
        return Err(misfit(
            "is a point of small order, which verifies forged signatures",
        ));
    }
    Ok((Numbers::Ed25519 { x: bits.to_vec() }, 64))
}

/// All spellings of the y coordinates of the eight points whose order divides 8, with the sign bit
/// cleared.
///
/// With such a key, one signature verifies for many messages.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    little_endian(1, 0, 0),
    little_endian(0xEC, 0xFF, 0x7F),
    little_endian(0xED, 0xFF, 0x7F),
    little_endian(0xEE, 0xFF, 0x7F),
    [
        0x26, 0xE8, 0x95, 0x8F, 0xC2, 0xB2, 0x27, 0xB0, 0x45, 0xC3, 0xF4, 0x89, 0xF2, 0xEF, 0x98,
        0xF0, 0xD5, 0xDF, 0xAC, 0x05, 0xD3, 0xC6, 0x33, 0x39, 0xB1, 0x38, 0x02, 0x88, 0x6D, 0x53,
        0xFC, 0x05,
    ],
    [
        0xC7, 0x17, 0x6A, 0x70, 0x3D, 0x4D, 0xD8, 0x4F, 0xBA, 0x3C, 0x0B, 0x76, 0x0D, 0x10, 0x67,
        0x0F, 0x2A, 0x20, 0x53, 0xFA, 0x2C, 0x39, 0xCC, 0xC6, 0x4E, 0xC7, 0xFD, 0x77, 0x92, 0xAC,
        0x03, 0x7A,
    ],
];

/// Returns 32 bytes with the given first and last one, and `middle` between them.
const fn little_endian(first: u8, middle: u8, last: u8) -> [u8; 32] {
    let mut bytes = [middle; 32];
    bytes[0] = first;
    bytes[31] = last;
    bytes
}

/// Checks a shared secret of at least `least` bytes, and returns the prepared key and the length of
/// its tags.
pub(crate) fn hmac_key(
    algorithm: Algorithm,
    secret: &[u8],
    least: usize,
) -> Result<(hmac::Key, usize), ConfigError> {
    let cure = "generate one with `openssl rand -base64 64`";
    let Family::Hmac { digest, length } = algorithm.family() else {
        return Err(ConfigError::new(
            "secret",
            "is a shared secret, but the algorithm requires a key pair",
            "use a private key in PEM format",
        ));
    };

    if secret.len() < least {
        return Err(ConfigError::new(
            "secret",
            format!("must be at least {least} bytes for {algorithm}"),
            cure,
        ));
    }
    if is_key_of_a_pair(secret) {
        return Err(ConfigError::new(
            "secret",
            "is the key of a key pair, but the algorithm requires a shared secret",
            cure,
        ));
    }
    Ok((hmac::Key::new(digest, secret), length))
}

fn misfit(problem: &'static str) -> ConfigError {
    ConfigError::new(
        "verify_key",
        problem,
        "use the public half of the signing key, generated for this algorithm",
    )
}
