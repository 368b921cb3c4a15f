//! The time at which the user of a session last proved who they are.
//!
//! It is part of the session's record and of no token. So a re-authentication issues nothing, and
//! every token of the session sees it at once. A guard pays for it with one read of the record.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::session::SessionId;
use crate::store::{Reauthentication, TokenStore};
use crate::strategy::sessions::open::LOGIN_LASTS;
use crate::strategy::sessions::{LoginFence, Sessions};
use crate::user::UserKey;

impl<S: TokenStore> Sessions<S> {
    /// Records that the user of a live session has proved again who they are, and returns the time
    /// that was recorded.
    ///
    /// Refuses with [`Refusal::Revoked`] if the user has no such session, and with
    /// [`Refusal::Overtaken`] if the session ended or moved behind another fence meanwhile.
    pub(super) async fn reauthenticate(
        &self,
        session: SessionId,
        user: &UserKey,
        fence: Option<LoginFence>,
    ) -> Result<Timestamp, AuthError> {
        let now = self.now();
        if fence.is_some_and(|fence| now.since(fence.read_at) > LOGIN_LASTS) {
            return Err(Refusal::Overtaken.into());
        }
        // The store doesn't judge whether a session has expired.
        if self.get(session, user).await?.is_none() {
            return Err(Refusal::Revoked.into());
        }

        let again = Reauthentication::new(session, user.clone(), now);
        let again = fence.iter().fold(again, |again, at| again.behind(at.fence));
        if self.store.reauthenticate(&again).await? {
            Ok(now)
        } else {
            Err(Refusal::Overtaken.into())
        }
    }

    /// Returns the time of a live session's latest authentication, if that is at most `max_age`
    /// ago.
    pub(super) async fn authenticated_within(
        &self,
        session: SessionId,
        user: &UserKey,
        max_age: Duration,
    ) -> Result<Option<Timestamp>, Failure> {
        let found = self.get(session, user).await?;
        Ok(found
            .and_then(|record| record.authenticated_at)
            .filter(|at| self.now().since(*at) <= max_age))
    }
}
