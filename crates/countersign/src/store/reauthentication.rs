//! The argument of [`TokenStore::reauthenticate`](crate::store::TokenStore::reauthenticate).

use crate::clock::Timestamp;
use crate::session::{Fence, SessionId};
use crate::user::UserKey;

/// A new proof of identity, given by the user of a live session.
///
/// The argument of [`TokenStore::reauthenticate`](crate::store::TokenStore::reauthenticate).
///
/// # What a store does
///
/// If `user` has the session and it has a refresh token, the store records `at` as the time of the
/// session's latest authentication. A time that is recorded already and is later stays. Nothing
/// else of the session changes: a rotation at the same time goes on, and
/// [`rotate`](crate::store::TokenStore::rotate) keeps the recorded time.
///
/// With a `fence`, nothing is recorded if the session is recorded behind another one. The
/// comparison and the recording are one atomic step. A session that is recorded behind no fence is
/// not compared.
///
/// A session that has ended, that belongs to another user or that has access tokens alone is not
/// found: the store returns `false` and writes nothing. It never revives a session, also if the
/// session ends at the same time. Like a rotation, it doesn't judge whether the session has
/// expired.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Reauthentication {
    /// The id of the session.
    pub session: SessionId,
    /// The user that the session must belong to.
    pub user: UserKey,
    /// The time of the proof.
    pub at: Timestamp,
    /// The user's fence as it was read before the proof was judged. `None` compares nothing.
    pub fence: Option<Fence>,
}

impl Reauthentication {
    /// Creates the record of a proof that `user` gave at `at`, in `session`.
    pub const fn new(session: SessionId, user: UserKey, at: Timestamp) -> Self {
        Self {
            session,
            user,
            at,
            fence: None,
        }
    }

    /// Sets the fence that the session must be recorded behind.
    #[must_use]
    pub const fn behind(mut self, fence: Fence) -> Self {
        self.fence = Some(fence);
        self
    }
}
