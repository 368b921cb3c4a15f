//! The credential that a request offers.

use crate::token::PlainToken;

/// The credential that a request offers at one place, as far as the place's own grammar tells.
///
/// A token that is well-formed here may still be bad: that is the strategy's business.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "a transport has to decide between these"
)]
pub enum Offered {
    /// No credential.
    None,
    /// Exactly one well-formed credential.
    One(PlainToken),
    /// Something that doesn't have the form of a credential, such as an empty cookie.
    Malformed,
    /// More than one credential, equal or not (RFC 6750 section 2). None of them counts, so that
    /// identity is never a matter of order.
    Ambiguous,
}

impl Offered {
    /// Returns the credential if there is exactly one, and `None` otherwise.
    pub fn one(self) -> Option<PlainToken> {
        match self {
            Self::One(token) => Some(token),
            Self::None | Self::Malformed | Self::Ambiguous => None,
        }
    }
}
