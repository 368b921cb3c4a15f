//! Keys and algorithms of signed access tokens (JSON Web Tokens, RFC 7519).
//!
//! An application issues and reads signed tokens through
//! [`JwtStrategy`](crate::strategy::JwtStrategy). The types of this module are the keys that it
//! takes:
//!
//! - [`SigningKey`] signs tokens and holds the [`VerifyingKey`] that verifies them.
//! - [`VerifyingKey`] verifies tokens and can't sign. A service that only reads tokens needs
//!   nothing else.
//! - [`KeyRing`] holds one active signing key and any number of verifying keys, so that keys can be
//!   replaced while tokens of the old key are still accepted.
//! - [`Algorithm`] names the signature algorithm that a key is bound to.
//! - [`generate_secret`] makes a new shared secret or private key.
//!
//! # Choosing an algorithm
//!
//! Choose [`Algorithm::EdDsa`] if other services verify tokens: they get a public key, which can't
//! sign. Choose [`Algorithm::Hs256`] if the same service signs and verifies. The RSA and ECDSA
//! algorithms are here for services whose libraries can't verify Ed25519.
//!
//! # How a token is verified
//!
//! Each check sees only what the checks before it let through: the total length, the three
//! segments, the header, the signature, the JSON of the claims, the claims. The first check that
//! fails decides the [`Refusal`](crate::Refusal).
//!
//! The algorithm is a property of the key, and the `alg` header has to name it. Keys come from the
//! configuration alone: the parameters `jwk`, `jku`, `x5u` and `x5c` of a header are ignored, and
//! `none` is not an algorithm.
//!
//! # Examples
//!
//! ```
//! use std::sync::Arc;
//!
//! use countersign::denylist::MemoryDenylist;
//! use countersign::jwt::{Algorithm, KeyRing, SigningKey, generate_secret};
//! use countersign::strategy::JwtStrategy;
//! use countersign::{SystemEntropy, User};
//!
//! # struct Account { id: i64 }
//! # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let private = generate_secret(Algorithm::EdDsa, &SystemEntropy)?; // or read it from a file
//! let key = SigningKey::from_secret(Algorithm::EdDsa, &private)?;
//! let published = key.verifying_key().to_jwk().unwrap();
//! assert!(published.contains(r#""kty":"OKP""#));
//!
//! let strategy = JwtStrategy::<Account>::builder()
//!     .keys(KeyRing::new(key))
//!     .denylist_store(Arc::new(MemoryDenylist::default()))
//!     .build()?;
//! # let _ = strategy;
//! # Ok(())
//! # }
//! ```

mod algorithm;
pub(crate) mod claims;
pub(crate) mod fingerprint;
mod header;
mod json;
pub(crate) mod jws;
mod key;
#[cfg(test)]
mod properties;
#[cfg(feature = "testing")]
pub mod raw;

pub use algorithm::Algorithm;
pub use key::{KeyRing, SigningKey, VerifyingKey, generate_secret};
