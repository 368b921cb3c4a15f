//! Opening a session.

use std::time::Duration;

use crate::answer::SessionId;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::store::{Fence, NewRefresh, Opened, TokenStore};
use crate::strategy::sessions::exchange::Exchanged;
use crate::strategy::sessions::{Access, Sessions};
use crate::token::{Digest, Locator};
use crate::user::UserKey;

/// How long after its fence was read a login may still be recorded. Stores keep a raised fence longer than that.
const LOGIN_LASTS: Duration = Duration::from_mins(5);

/// What the tokens about to be issued have in common. Nothing is written yet, so a signed access token can be made
/// from it before its refresh token is recorded.
#[derive(Clone, Debug)]
pub(in crate::strategy) struct Grant {
    /// Whose session it is.
    pub(in crate::strategy) user: UserKey,
    /// The session.
    pub(in crate::strategy) session: SessionId,
    /// What the tokens' text says of where the store keeps them.
    pub(in crate::strategy) locator: Option<Locator>,
    /// Absolute expiry of the session.
    pub(in crate::strategy) session_end: Option<Timestamp>,
    /// When the tokens are issued.
    pub(in crate::strategy) issued_at: Timestamp,
    /// The fence that the session is recorded behind; none for one that was recorded behind none.
    pub(in crate::strategy) fence: Option<Fence>,
}

/// What stood between a login and a "log out everywhere" when the login began.
#[derive(Clone, Copy, Debug)]
pub struct LoginFence {
    pub(super) fence: Fence,
    read_at: Timestamp,
}

/// What is known of a login beside its user.
///
/// ```
/// use countersign::Client;
/// use countersign::strategy::Login;
///
/// let login = Login::from(Client::new().with_user_agent("curl/8.5.0"));
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Login {
    /// What it came from.
    pub client: Client,
    /// The user's login fence, read before the account was that the login is judged by: the session is opened only if it
    /// is still the same. `None` reads it when the session is opened.
    pub fence: Option<LoginFence>,
}

impl Login {
    /// Records it only behind `fence`.
    #[must_use]
    pub const fn behind(mut self, fence: LoginFence) -> Self {
        self.fence = Some(fence);
        self
    }
}

impl From<Client> for Login {
    fn from(client: Client) -> Self {
        Self { client, fence: None }
    }
}

impl<S: TokenStore> Sessions<S> {
    /// The fence of a user whose login begins.
    pub(super) async fn fence(&self, user: &UserKey) -> Result<LoginFence, Failure> {
        let read_at = self.now();
        let fence = self.store.fence(user, Fence::generate(&*self.entropy)?, read_at).await?;
        Ok(LoginFence { fence, read_at })
    }

    /// The user's fence, for a token without session.
    #[cfg(feature = "jwt")]
    pub(in crate::strategy) async fn standing_fence(&self, user: &UserKey) -> Result<Fence, Failure> {
        self.fence(user).await.map(|fence| fence.fence)
    }

    /// The grant of a new session of `user`, from now on.
    pub(super) fn begin(&self, user: UserKey, fence: LoginFence) -> Result<Grant, Failure> {
        let issued_at = self.now();
        let session = SessionId::generate(&*self.entropy)?;
        let locator = self.store.locator(&user, Some(session));
        let session_end = self.lifetimes.session_end(issued_at);
        Ok(Grant { user, session, locator, session_end, issued_at, fence: Some(fence.fence) })
    }

    /// Opens the session: records its first refresh token, and with it the access token that `access` asks for. Refuses a
    /// login that was overtaken ([`Refusal::Overtaken`]).
    pub(super) async fn open(
        &self,
        grant: &Grant,
        fence: LoginFence,
        client: &Client,
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
        let signed_end = access.as_ref().filter(|_| access_record.is_none()).map(|token| token.expires_at);
        let record = NewRefresh { client: client.clone(), fence: grant.fence, access_expires_at: signed_end, ..record };
        match self.store.insert_refresh(&record, access_record.as_ref()).await? {
            Opened::Done => Ok(Exchanged { refresh, access }),
            Opened::Fenced => Err(Refusal::Overtaken.into()),
        }
    }
}
