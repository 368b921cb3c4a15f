//! Raw signatures over opaque payloads, so that public vectors can run (SECURITY row K-06). For tests: it looks at no
//! claim, so what it accepts is no login.

use data_encoding::BASE64URL_NOPAD;

use crate::error::{Failure, Refusal};
use crate::jwt::header::{HeaderRules, KidRule};
use crate::jwt::json::Object;
use crate::jwt::jws;
use crate::jwt::key::{KeyRing, SigningKey, VerifyingKey};

/// Verifies a compact JWS of any payload and returns the payload. A `kid`, where there is one, has to name a key of
/// the ring.
///
/// # Errors
/// [`Refusal`] with the first thing that is wrong.
pub fn verify(ring: &KeyRing, token: &str) -> Result<Vec<u8>, Refusal> {
    let rules = HeaderRules { typ: None, kid: KidRule::IfPresent };
    jws::verify_by(ring, rules, token, jws::DEFAULT_MAX_LENGTH).map(|verified| verified.payload)
}

/// Whether `signature` is `key`'s over `message`.
pub fn verify_signature(key: &VerifyingKey, message: &[u8], signature: &[u8]) -> bool {
    key.verifies(message, signature)
}

/// Signs any payload under any header, as a forger would.
///
/// # Errors
/// [`Failure`] when the backend can't sign.
pub fn sign(key: &SigningKey, header: &[u8], payload: &[u8]) -> Result<String, Failure> {
    jws::sign_segment(key, &BASE64URL_NOPAD.encode(header), payload)
}

/// Signs a message, as a forger would.
///
/// # Errors
/// [`Failure`] when the backend can't sign.
pub fn sign_message(key: &SigningKey, message: &[u8]) -> Result<Vec<u8>, Failure> {
    key.sign(message)
}

/// Whether a document is JSON that a header or claims may hold: one object, read strictly.
pub fn is_strict_object(document: &[u8]) -> bool {
    Object::parse(document).is_some()
}
