//! Tokens: their secret text, their stored digests, and the form of their text.
//!
//! - A [`PlainToken`] holds a token's text. It is the only type that can show one.
//! - A [`DigestKeyRing`] makes the [`Digest`]s that stores keep.
//! - A [`TokenFormat`] generates and checks the text of opaque tokens. A [`TokenShape`] tells
//!   tokens of different strategies apart.
//! - A [`Locator`] is the part of a token's text that says where its record is.
//! - [`TokenStatus`], [`TokenPair`], [`EndOutcome`] and others are what strategies return.
//!
//! A strategy goes from a [`PlainToken`] to [`Digest`]s, and a store never sees the text.

mod answer;
mod digest;
mod family;
mod format;
mod founder;
mod locator;
mod plain;
mod realm;
mod shape;

pub use answer::{
    Authenticated, EndOutcome, Invalidated, IssuedToken, LoggedOut, Refreshed, TokenPair,
    TokenStatus,
};
#[cfg(feature = "jwt")]
pub(crate) use digest::SAME_SECRET;
pub use digest::{Digest, DigestKeyRing, StoredToken};
pub(crate) use family::{Family, Successor};
pub use format::{TokenFormat, TokenKind};
pub use locator::Locator;
pub use plain::PlainToken;
pub(crate) use realm::check_realm;
pub use shape::TokenShape;
