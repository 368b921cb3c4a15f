//! Tokens: their secret text, their stored digests, and the form of their text.
//!
//! - `plain.rs` holds a token's text. It is the only file that can show one.
//! - `digest.rs` makes the digests that stores keep, with a ring of keys.
//! - `format.rs` generates and checks the text of opaque tokens, `shape.rs` tells tokens of
//!   different strategies apart.
//! - `locator.rs` is what a text says of the place of its record.
//! - `family.rs` derives a refresh token's successor, and recognises the session of a token that
//!   was exchanged.
//! - `answer.rs` is what strategies return: answers to reading, issuing and ending tokens.
//!
//! A strategy goes from a [`PlainToken`] to [`Digest`]s, and a store never sees the text.

mod answer;
mod digest;
mod family;
mod format;
mod founder;
mod locator;
mod plain;
mod shape;

pub use answer::{
    Answer, Authenticated, Destroyed, Invalidated, IssuedToken, LoggedOut, Refreshed, TokenPair,
};
#[cfg(feature = "jwt")]
pub(crate) use digest::SAME_SECRET;
pub use digest::{Digest, DigestKeyRing, StoredToken};
pub(crate) use family::{Family, Successor};
pub use format::{TokenFormat, TokenKind};
pub use locator::Locator;
pub use plain::PlainToken;
pub use shape::TokenShape;
