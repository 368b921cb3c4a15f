//! The values that pass between the steps: the facts that tokens share, and the tokens made.

use crate::clock::Timestamp;
use crate::session::SessionId;
use crate::store::Fence;
use crate::token::{IssuedToken, Locator, TokenPair};
use crate::user::UserKey;

/// The facts that the tokens of one login or refresh share.
///
/// Nothing is written yet when it is made, so that a signed access token can be made before its
/// refresh token is recorded.
#[derive(Clone, Debug)]
pub(in crate::strategy) struct Grant {
    /// The owner of the session.
    pub(in crate::strategy) user: UserKey,
    /// The session.
    pub(in crate::strategy) session: SessionId,
    /// The place that the text of the tokens names, for stores that go by it.
    pub(in crate::strategy) locator: Option<Locator>,
    /// The absolute expiry of the session.
    pub(in crate::strategy) session_end: Option<Timestamp>,
    /// The time of issue.
    pub(in crate::strategy) issued_at: Timestamp,
    /// The fence that the session is recorded behind. `None` for a session from before fences.
    pub(in crate::strategy) fence: Option<Fence>,
}

/// The access token that is issued with a refresh token.
#[derive(Debug)]
pub(in crate::strategy) enum Access {
    /// No access token: the refresh token is issued alone.
    None,
    /// An opaque token, which the caller makes and records in the same step as the refresh token.
    Opaque,
    /// A signed token, which is not recorded.
    #[cfg_attr(
        not(feature = "jwt"),
        expect(dead_code, reason = "no other strategy signs")
    )]
    Signed(IssuedToken),
}

/// The tokens that were issued by a login or a refresh.
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) refresh: IssuedToken,
    pub(super) access: Option<IssuedToken>,
}

impl Exchanged {
    /// Returns both tokens, or `None` if no access token was asked for.
    pub(super) fn into_pair(self) -> Option<TokenPair> {
        let access = self.access?;
        Some(TokenPair {
            issued_at: access.issued_at,
            access,
            refresh: Some(self.refresh),
        })
    }
}
