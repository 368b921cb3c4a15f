//! What a token's text tells of the strategy that made it.

use std::borrow::Cow;

use crate::token::PlainToken;

/// The texts that a strategy's access tokens can have, told from the text alone.
///
/// Where two backends look at the same place, this decides which of them a token is for, before any is asked to verify
/// it; its answer is then final. Two shapes that could claim one text are refused when the authenticator is built.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenShape {
    /// Any text: such a strategy shares its place with no other.
    #[default]
    Any,
    /// Texts that begin with this and have no dot, as `csa_` of the `countersign` profile.
    Prefix(Cow<'static, str>),
    /// Three parts between two dots: signed tokens in compact form (RFC 7515 section 7.1).
    Signed,
}

impl TokenShape {
    /// Whether `token` can be one of these.
    pub fn claims(&self, token: &PlainToken) -> bool {
        let text = token.expose();
        let dots = || text.bytes().filter(|byte| *byte == b'.').count();
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => text.starts_with(&**prefix) && dots() < 2,
            Self::Signed => dots() == 2,
        }
    }

    /// Whether some text could be claimed by both.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) | (Self::Signed, Self::Signed) => true,
            (Self::Prefix(a), Self::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            (Self::Prefix(_), Self::Signed) | (Self::Signed, Self::Prefix(_)) => false,
        }
    }
}
