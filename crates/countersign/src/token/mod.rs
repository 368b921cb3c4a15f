//! Tokens as text, as stored digests, and as grammar.

mod digest;
mod family;
mod format;
mod locator;
mod plain;
mod shape;

#[cfg(feature = "jwt")]
pub(crate) use digest::SAME_SECRET;
pub use digest::{Digest, DigestKeyRing, StoredToken};
pub(crate) use family::{Family, Successor};
pub use format::{TokenFormat, TokenKind};
pub use locator::Locator;
pub use plain::PlainToken;
pub use shape::TokenShape;
