//! The shape of a token's text, which tells the strategies of an authenticator apart.

use std::borrow::Cow;

use crate::token::PlainToken;

/// The set of texts that a strategy's access tokens can have.
///
/// If two backends read the same header or cookie, the shape decides which of them a token is for,
/// before any is asked to verify it. That decision is final. An authenticator refuses to be built
/// if two shapes could claim the same text.
///
/// # Examples
///
/// ```
/// use countersign::token::TokenShape;
/// use countersign::PlainToken;
///
/// let ours = TokenShape::Prefix("csa_".into());
/// assert!(ours.claims(&PlainToken::new("csa_wZ5…")));
/// assert!(!ours.claims(&PlainToken::new("eyJh.eyJz.c2ln")));
/// assert!(!ours.overlaps(&TokenShape::Signed));
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum TokenShape {
    /// Any text. Such a strategy can't share its header or cookie with another.
    #[default]
    Any,
    /// Texts that begin with this prefix and have at most one dot, such as `csa_` of the
    /// `countersign` profile.
    Prefix(Cow<'static, str>),
    /// Texts of three parts between two dots: signed tokens in compact form (RFC 7515 section 7.1).
    Signed,
}

impl TokenShape {
    /// Returns `true` if `token` can be one of these texts.
    pub fn claims(&self, token: &PlainToken) -> bool {
        let text = token.expose();
        match self {
            Self::Any => true,
            Self::Prefix(prefix) => text.starts_with(&**prefix) && dots(text) < 2,
            Self::Signed => dots(text) == 2,
        }
    }

    /// Returns `true` if some text could be claimed by both shapes.
    pub fn overlaps(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) | (_, Self::Any) | (Self::Signed, Self::Signed) => true,
            (Self::Prefix(a), Self::Prefix(b)) => a.starts_with(&**b) || b.starts_with(&**a),
            (Self::Prefix(_), Self::Signed) | (Self::Signed, Self::Prefix(_)) => false,
        }
    }
}

/// Returns the number of dots in a text.
fn dots(text: &str) -> usize {
    text.bytes().filter(|byte| *byte == b'.').count()
}
