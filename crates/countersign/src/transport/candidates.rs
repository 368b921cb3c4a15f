//! Everything at one place of a request that may be a token.

use crate::token::PlainToken;
use crate::transport::Offered;

/// The texts at one place of a request that may be tokens, in the order of the request; for logout alone.
///
/// Where a name occurs more than once, nobody can tell which text the browser's own site set, so none of them lets anybody
/// in. Ending the session of a text that is a good token needs no such choice: its holder could have ended it in any case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Candidates {
    tokens: Vec<PlainToken>,
    is_partial: bool,
    is_malformed: bool,
}

impl Candidates {
    /// The most texts that are looked at in one place; each costs a question to a store.
    pub const MAX: usize = 8;

    /// Returns the texts, each once, at most [`MAX`](Self::MAX).
    pub fn tokens(&self) -> &[PlainToken] {
        &self.tokens
    }

    /// Returns whether there were more texts than are looked at.
    pub const fn is_partial(&self) -> bool {
        self.is_partial
    }

    /// Returns whether something had not the form of a token.
    pub const fn is_malformed(&self) -> bool {
        self.is_malformed
    }

    /// Returns whether there was nothing at all.
    pub const fn is_empty(&self) -> bool {
        self.tokens.is_empty() && !self.is_malformed
    }

    fn add(&mut self, token: Option<PlainToken>) {
        match token {
            None => self.is_malformed = true,
            Some(token) if self.tokens.contains(&token) => {}
            Some(_) if self.tokens.len() >= Self::MAX => self.is_partial = true,
            Some(token) => self.tokens.push(token),
        }
    }
}

/// Collects tokens, and `None` for each text that has not the form of one.
impl FromIterator<Option<PlainToken>> for Candidates {
    fn from_iter<I: IntoIterator<Item = Option<PlainToken>>>(texts: I) -> Self {
        let mut candidates = Self::default();
        texts.into_iter().for_each(|text| candidates.add(text));
        candidates
    }
}

/// Of several that a transport doesn't show, none can be read.
impl From<Offered> for Candidates {
    fn from(offered: Offered) -> Self {
        match offered {
            Offered::None => Self::default(),
            Offered::One(token) => Some(Some(token)).into_iter().collect(),
            Offered::Malformed | Offered::Ambiguous => Some(None).into_iter().collect(),
        }
    }
}
