//! The opening of sessions.
//!
//! A login has three steps: read the user's fence, load and judge the account, record the session.
//! The store records the session only if the fence is still the same, in the step that writes. A
//! "log out everywhere" between the first step and the last is therefore never missed.

use std::time::Duration;

use crate::error::{AuthError, Failure, Refusal};
use crate::session::{ClientInfo, SessionId};
use crate::store::{Fence, NewRefresh, Opened, TokenStore};
use crate::strategy::sessions::grant::Exchanged;
use crate::strategy::sessions::{Access, Grant, LoginFence, Sessions};
use crate::token::Digest;
use crate::user::UserKey;

/// The longest time between reading the fence and recording the session. Stores keep an unused
/// fence for much longer.
pub(super) const LOGIN_LASTS: Duration = Duration::from_mins(5);

impl<S: TokenStore> Sessions<S> {
    /// Reads the fence of a user whose login begins. A user without a fence gets one.
    pub(super) async fn fence(&self, user: &UserKey) -> Result<LoginFence, Failure> {
        let read_at = self.now();
        let fence = self
            .store
            .fence(user, Fence::generate(&*self.entropy)?, read_at)
            .await?;
        Ok(LoginFence { fence, read_at })
    }

    /// Returns the current fence of a user, for a token without a session.
    #[cfg(feature = "jwt")]
    pub(in crate::strategy) async fn standing_fence(
        &self,
        user: &UserKey,
    ) -> Result<Fence, Failure> {
        self.fence(user).await.map(|fence| fence.fence)
    }

    /// Creates the grant of a new session of `user`. The session lasts for `lifetime`, or else as
    /// long as the strategy's session limit allows.
    pub(super) fn begin(
        &self,
        user: UserKey,
        fence: LoginFence,
        lifetime: Option<Duration>,
    ) -> Result<Grant, Failure> {
        let issued_at = self.now();
        let session = SessionId::generate(&*self.entropy)?;
        let locator = self.store.locator(&user, Some(session));

        // Recorded with the session: a rotation takes it from the record.
        let session_end = match lifetime {
            Some(lifetime) => Some(issued_at.saturating_add(lifetime)),
            None => self.lifetimes.session_end(issued_at),
        };
        Ok(Grant {
            user,
            session,
            locator,
            session_end,
            issued_at,
            fence: Some(fence.fence),
        })
    }

    /// Opens the session: records its first refresh token and, in the same step, the access token
    /// that `access` asks for.
    ///
    /// Refuses with [`Refusal::Overtaken`] if the fence was replaced, or if it was read too long
    /// ago.
    pub(super) async fn open(
        &self,
        grant: &Grant,
        fence: LoginFence,
        client: &ClientInfo,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, AuthError> {
        if grant.issued_at.since(fence.read_at) > LOGIN_LASTS {
            return Err(Refusal::Overtaken.into());
        }

        let (refresh, record) = self.first_refresh(grant)?;
        let (access, access_record) = match access(grant, &record.digest)? {
            Access::None => (None, None),
            Access::Signed(token) => (Some(token), None),
            Access::Opaque => {
                let (token, record) = self.first_access(grant)?;
                (Some(token), Some(record))
            }
        };

        let signed_end = access
            .as_ref()
            .filter(|_| access_record.is_none())
            .map(|token| token.expires_at);
        let record = NewRefresh {
            client: client.clone(),
            fence: grant.fence,
            access_expires_at: signed_end,
            ..record
        };
        match self
            .store
            .insert_refresh(&record, access_record.as_ref())
            .await?
        {
            Opened::Done => Ok(Exchanged { refresh, access }),
            Opened::Fenced => Err(Refusal::Overtaken.into()),
        }
    }
}
