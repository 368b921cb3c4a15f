//! Keys of signed tokens: parsing, checking, and binding to one algorithm.
//!
//! A key is checked once, when it is built from the configuration: its kind, size and curve, and
//! the weaknesses that are known of public keys. Requests only use the prepared form. `signing` and
//! `verifying` hold the two public types, `ring` combines them, `pem`, `jwk` and `der` read the
//! formats of keys, `public` holds the checks, and `disguise` recognises a key of a key pair where
//! a shared secret belongs.

mod der;
mod disguise;
mod generate;
mod jwk;
pub(crate) mod pem;
mod public;
mod ring;
mod signing;
mod verifying;

pub use generate::generate_secret;
pub use ring::KeyRing;
pub use signing::SigningKey;
pub use verifying::VerifyingKey;

use std::sync::Arc;

use crate::error::ConfigError;

/// Checks that a `kid` can be in a header without escapes, and in a log without harm.
pub(crate) fn checked_kid(kid: &str) -> Result<Arc<str>, ConfigError> {
    let is_plain = kid
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'"' && byte != b'\\');
    if (1..=128).contains(&kid.len()) && is_plain {
        Ok(kid.into())
    } else {
        Err(ConfigError::new(
            "kid",
            "is empty, too long, or contains characters that need escaping",
            "use 1 to 128 letters and digits",
        ))
    }
}
