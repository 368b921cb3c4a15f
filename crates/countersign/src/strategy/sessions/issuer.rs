//! In what strategies differ whose sessions are the same.

use async_trait::async_trait;

use crate::answer::{IssuedToken, SessionId};
use crate::clock::Timestamp;
use crate::error::{AuthError, Failure};
use crate::store::{EndedFence, SessionRecord, TokenStore};
use crate::strategy::sessions::{Grant, Sessions};
use crate::token::{Digest, PlainToken};
use crate::user::{User, UserKey};

/// How a session ends: what an access token says of it, and what has to be denied because it isn't in the store.
#[async_trait]
pub(in crate::strategy) trait Issuer: Send + Sync {
    /// Where sessions are.
    type Store: TokenStore;

    /// Whether access tokens are signed, so that they live on where nobody denies them.
    const SIGNED: bool;

    /// The sessions.
    fn sessions(&self) -> &Sessions<Self::Store>;

    /// Reads what an access token says of its session, whether it has expired or not. Writes nothing.
    async fn named_by(&self, access: &PlainToken) -> Result<Presented, AuthError>;

    /// Revokes one access token, and nothing beside it.
    async fn revoke(&self, access: &PlainToken, named: &Named) -> Result<(), Failure>;

    /// Denies the access tokens of a session that is about to end, for as long as the last of them can live: at least up
    /// to `at_least`.
    async fn deny_session(&self, record: &SessionRecord, at_least: Option<Timestamp>) -> Result<(), Failure>;

    /// Denies the access tokens that carry one of these fences, but those of a session that goes on. A session that went on
    /// before, and doesn't this time, is denied by its id. The latest token ends at `latest`, as far as that was recorded.
    async fn deny_fences(
        &self,
        ended: &[EndedFence],
        goes_on: GoesOn,
        latest: Option<Timestamp>,
    ) -> Result<(), Failure>;

    /// Whether the sessions of a user have to be denied one by one beside their fence, for a verifier that knows no fence.
    fn denies_each(&self) -> bool {
        false
    }
}

/// Which sessions go on whose fence was replaced.
#[derive(Clone, Copy, Debug)]
pub(in crate::strategy) enum GoesOn {
    /// The one that this ending keeps, if it keeps one.
    Kept(Option<SessionId>),
    /// Those that earlier endings kept: this one ends nothing of theirs.
    AsBefore,
}

impl GoesOn {
    /// Whether a session that an ending kept goes on.
    pub(in crate::strategy) fn is(self, kept: SessionId) -> bool {
        match self {
            Self::Kept(session) => session == Some(kept),
            Self::AsBefore => true,
        }
    }
}

/// How an access token is made.
pub(in crate::strategy) trait IssuesFor<U: User>: Issuer {
    /// The access token of a session, issued beside the refresh token of this digest.
    fn access(&self, user: &U, grant: &Grant, refresh: &Digest) -> Result<Access, Failure>;
}

/// The access token that goes with a refresh token.
#[derive(Debug)]
pub(in crate::strategy) enum Access {
    /// None.
    None,
    /// An opaque one, which is recorded in the same step.
    Opaque,
    /// A signed one, which is recorded nowhere.
    #[cfg_attr(not(feature = "jwt"), expect(dead_code, reason = "no other strategy signs"))]
    Signed(IssuedToken),
}

/// An access token as its holder presents it to log out.
#[derive(Debug)]
pub(in crate::strategy) enum Presented {
    /// One that logging out before would have left behind.
    Gone,
    /// It is known.
    Known(Named),
}

/// What an access token says.
#[derive(Clone, Debug)]
pub(in crate::strategy) struct Named {
    /// Whose it is.
    pub(in crate::strategy) user: UserKey,
    /// The session it belongs to.
    pub(in crate::strategy) session: Option<SessionId>,
    /// When it ends.
    pub(in crate::strategy) expires_at: Timestamp,
    /// Whether it is still good.
    pub(in crate::strategy) is_good: bool,
}
