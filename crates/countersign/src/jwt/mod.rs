//! Signed tokens: a thin and strict layer over compact JSON Web Signatures (RFC 7515).
//!
//! Reading goes from the outside in, and each step sees only what the step before let through: total length, three
//! segments, header, key, signature, JSON, claims. Algorithms are fixed by the keys, keys come from configuration
//! alone (`jwk`, `jku`, `x5u` and `x5c` in a header are ignored), and every refusal is one of the reasons of
//! [`Refusal`](crate::Refusal).
//!
//! [`JwtStrategy`](crate::strategy::JwtStrategy) is what an application uses; here are its keys.

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
