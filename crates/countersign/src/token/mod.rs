//! Tokens as text, as stored digests, and as grammar.

mod digest;
mod format;
mod plain;

pub use digest::{Digest, DigestKeyRing, StoredToken};
pub use format::{TokenFormat, TokenKind};
pub use plain::PlainToken;
