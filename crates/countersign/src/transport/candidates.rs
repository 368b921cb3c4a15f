//! The tokens that a logout ends.
//!
//! Everywhere else two credentials count for none. Logout is the exception: a planted cookie must
//! not keep anybody from logging out.

use crate::token::PlainToken;
use crate::transport::Offered;

/// The texts at one place of a request that may be tokens, in the order of the request. Only logout
/// uses them.
///
/// If a cookie's name occurs more than once, nobody can tell which value the browser's own site
/// set, so none of them lets anybody in. Ending a session needs no such choice: whoever holds a
/// good token may end its session in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    tokens: Vec<PlainToken>,
    is_partial: bool,
    is_malformed: bool,
}

impl Candidates {
    /// The most texts that are considered at one place. Each costs a question to a store.
    pub const MAX: usize = 8;

    /// Returns the distinct texts, at most [`MAX`](Self::MAX) of them.
    pub fn tokens(&self) -> &[PlainToken] {
        &self.tokens
    }

    /// Returns `true` if there were more texts than [`MAX`](Self::MAX).
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Returns `true` if a text didn't have the form of a token.
    pub const fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Returns `true` if there was nothing at all, not even a malformed text.
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty() && !self.is_malformed
    }

    /// Adds a token unless it is there already. `None` stands for a malformed text.
    fn add(&mut self, token: Option<PlainToken>) {
        match token {
            None => self.is_malformed = true,
            // A text that occurs twice is ended once, and takes one place.
            Some(token) if self.tokens.contains(&token) => {}
            Some(_) if self.tokens.len() >= Self::MAX => self.is_partial = true,
            Some(token) => self.tokens.push(token),
        }
    }
}

/// Collects tokens. `None` stands for a text that doesn't have the form of one.
impl FromIterator<Option<PlainToken>> for Candidates {
    fn from_iter<I: IntoIterator<Item = Option<PlainToken>>>(texts: I) -> Self {
        let mut candidates = Self::default();
        texts.into_iter().for_each(|text| candidates.add(text));
        candidates
    }
}

/// Converts what a transport offers. An ambiguous offer becomes a malformed one, since the
/// transport doesn't show its values.
impl From<Offered> for Candidates {
    fn from(offered: Offered) -> Self {
        match offered {
            Offered::None => Self::default(),
            Offered::One(token) => Some(Some(token)).into_iter().collect(),
            Offered::Malformed | Offered::Ambiguous => Some(None).into_iter().collect(),
        }
    }
}
