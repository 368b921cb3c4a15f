//! Raw signatures over any payload, so that tests can run the public test vectors of the
//! algorithms.
//!
//! Nothing here looks at claims, so a token that these functions accept is not a login.
//! Applications read tokens through [`JwtStrategy`](crate::strategy::JwtStrategy).

use data_encoding::BASE64URL_NOPAD;

use crate::error::{Failure, Refusal};
use crate::jwt::header::{HeaderRules, KidRule};
use crate::jwt::json::Object;
use crate::jwt::jws;
use crate::jwt::key::{KeyRing, SigningKey, VerifyingKey};

/// Verifies a compact JWS with any payload and returns the payload.
///
/// If the header has a `kid`, it has to name a key of the ring. Without a `kid`, every key of the
/// named algorithm is tried. A token may have at most 8192 bytes.
///
/// # Errors
/// [`Refusal`] with the first check that failed.
pub fn verify(ring: &KeyRing, token: &str) -> Result<Vec<u8>, Refusal> {
    let rules = HeaderRules {
        typ: None,
        kid: KidRule::IfPresent,
    };
    jws::verify_by(ring, rules, token, jws::DEFAULT_MAX_LENGTH).map(|verified| verified.payload)
}

/// Returns `true` if `signature` is the signature of `key` over `message`.
pub fn verify_signature(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    key.verifies(message, signature)
}

/// Signs any payload under any header and returns the compact JWS, so that tests can forge tokens.
///
/// `header` and `payload` are raw bytes, which this function encodes. They aren't checked.
///
/// # Errors
/// [`Failure`] if the cryptographic backend can't sign.
pub fn sign(key: &SigningKey, header: &[u8], payload: &[u8]) -> Result<String, Failure> {
    jws::sign_segment(key, &BASE64URL_NOPAD.encode(header), payload)
}

/// Signs `message` and returns the raw signature.
///
/// # Errors
/// [`Failure`] if the cryptographic backend can't sign.
pub fn sign_message(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Failure> {
    key.sign(message)
}

/// Returns `true` if `document` is a JSON object that a header or claims may be.
///
/// Duplicate names at any depth, anything after the object and text that RFC 8259 doesn't allow are
/// refused.
pub fn is_strict_object(document: &[u8]) -> bool {
    Object::parse(document).is_some()
}
