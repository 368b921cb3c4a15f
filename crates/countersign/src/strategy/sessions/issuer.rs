//! The differences between strategies whose sessions are the same.
//!
//! [`Issuer`] and [`IssuesFor`] are what a strategy implements. In return it gets
//! [`SessionControl`](crate::strategy::SessionControl) from `ending` and
//! [`RefreshableStrategy`](crate::strategy::RefreshableStrategy) from `flow`, as blanket
//! implementations.

use std::time::Duration;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure};
use crate::session::SessionId;
use crate::store::{EndedFence, SessionRecord, TokenStore};
use crate::strategy::sessions::{Access, Grant, Sessions};
use crate::token::{Digest, PlainToken};
use crate::user::{User, UserKey};

/// The time by which a denial outlives the last token that can be known of.
///
/// A token may be signed between the denial and the end of the session. If that takes longer than
/// this time, the session is denied once more.
pub(in crate::strategy) const IN_FLIGHT: Duration = Duration::from_mins(1);

/// The end of sessions: reads the session from an access token, and denies tokens that are not in
/// the store.
///
/// For opaque tokens the denials do nothing, because a token ends with its record.
#[async_trait]
pub(in crate::strategy) trait Issuer: Send + Sync {
    /// The store that holds the sessions.
    type Store: TokenStore;

    /// `true` if access tokens are signed, so that they stay valid until they are denied.
    const SIGNED: bool;

    /// Returns the sessions of this strategy.
    fn sessions(&self) -> &Sessions<Self::Store>;

    /// Reads from an access token which session it belongs to, also if the token has expired.
    /// Writes nothing.
    async fn named_by(&self, access: &PlainToken) -> Result<Presented, AuthError>;

    /// Revokes one access token, and nothing else.
    async fn revoke(&self, access: &PlainToken, named: &Named) -> Result<(), Failure>;

    /// Denies the access tokens of a session that is about to end, until the last of them has
    /// expired, and at least until `at_least`.
    async fn deny_session(
        &self,
        record: &SessionRecord,
        at_least: Option<Timestamp>,
    ) -> Result<(), Failure>;

    /// Denies the access tokens that carry one of these fences, except those of a session that goes
    /// on.
    ///
    /// A session that an earlier ending kept, and that doesn't go on now, is denied by its id.
    /// `latest` is the latest expiry of such tokens, as far as that was recorded.
    async fn deny_fences(
        &self,
        ended: &[EndedFence],
        goes_on: GoesOn,
        latest: Option<Timestamp>,
    ) -> Result<(), Failure>;

    /// Returns `true` if the sessions of a user have to be denied one by one, in addition to the
    /// fence. Defaults to `false`. It is `true` for verifiers that don't know fences, such as
    /// litestar-auth.
    fn denies_each(&self) -> bool {
        false
    }
}

/// The sessions that go on although their fence was replaced.
#[derive(Clone, Copy, Debug)]
pub(in crate::strategy) enum GoesOn {
    /// The session that this ending keeps, if it keeps one.
    Kept(Option<SessionId>),
    /// The sessions that earlier endings kept. This call settles what these left undone, and ends
    /// nothing more.
    AsBefore,
}

impl GoesOn {
    /// Returns `true` if the session that an ending kept goes on.
    pub(in crate::strategy) fn is(self, kept: SessionId) -> bool {
        match self {
            Self::Kept(session) => session == Some(kept),
            Self::AsBefore => true,
        }
    }
}

/// The making of access tokens, for one type of user.
pub(in crate::strategy) trait IssuesFor<U: User>: Issuer {
    /// Makes the access token of a session. `refresh` is the digest of the refresh token beside it.
    fn access(&self, user: &U, grant: &Grant, refresh: &Digest) -> Result<Access, Failure>;
}

/// An access token that was presented for logout.
#[derive(Debug)]
pub(in crate::strategy) enum Presented {
    /// The token is unknown or revoked, as it is after an earlier logout.
    Gone,
    /// The token is known, valid or expired.
    Known(Named),
}

/// The facts of an access token that was presented for logout.
#[derive(Clone, Debug)]
pub(in crate::strategy) struct Named {
    /// The owner of the token.
    pub(in crate::strategy) user: UserKey,
    /// The session that the token belongs to.
    pub(in crate::strategy) session: Option<SessionId>,
    /// The expiry of the token. The present time for an opaque one that has expired.
    pub(in crate::strategy) expires_at: Timestamp,
    /// `true` if the token is still valid.
    pub(in crate::strategy) is_good: bool,
}
