//! The opening of sessions.
//!
//! A login has three steps: read the user's fence, load and judge the account, record the session.
//! The store records the session only if the fence is still the same, in the step that writes. A
//! "log out everywhere" between the first step and the last is therefore never missed.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::session::{Client, SessionId};
use crate::store::{Fence, NewRefresh, Opened, TokenStore};
use crate::strategy::sessions::exchange::Exchanged;
use crate::strategy::sessions::{Access, Sessions};
use crate::token::{Digest, Locator};
use crate::user::UserKey;

/// The longest time between reading the fence and recording the session. Stores keep an unused
/// fence for much longer.
const LOGIN_LASTS: Duration = Duration::from_mins(5);

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

/// The fence of a user at the beginning of a login.
///
/// Get it from [`SessionControl::login_fence`](crate::SessionControl::login_fence) before the
/// account is loaded, and give it to [`Login::behind`]. It is valid for five minutes.
///
/// "Log out everywhere" and a change of password replace the fence. A login that began before is
/// then refused, because its password may have been judged by the account as it was.
#[derive(Clone, Copy, Debug)]
pub struct LoginFence {
    pub(super) fence: Fence,
    /// The time at which the fence was read.
    read_at: Timestamp,
}

/// The facts of a login, beside its user: client details and the login fence.
///
/// # Examples
///
/// ```
/// use countersign::store::MemoryStore;
/// use countersign::strategy::{DatabaseTokenStrategy, Login};
/// use countersign::{
///     Client, RefreshableStrategy, Refusal, Secret, SessionControl, SystemEntropy, User, UserId,
/// };
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
///     .build()?;
/// let user = 7_i64.to_key();
///
/// // First the fence, then the account.
/// let fence = strategy.login_fence(&user).await?;
/// let account = Account { id: 7 }; // load it here, and check the password
/// let client = Client::new().with_user_agent("curl/8.5.0");
///
/// // Meanwhile the user logs out everywhere.
/// strategy.end_sessions(&user, None).await?;
///
/// let refused = strategy.log_in(&account, &Login::from(client).behind(fence)).await.unwrap_err();
/// assert_eq!(refused.refusal(), Some(Refusal::Overtaken));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct Login {
    /// The client details, which device lists show.
    pub client: Client,
    /// The user's login fence, read before the account was loaded.
    ///
    /// The session is opened only if the fence is still the same. With `None` it is read when the
    /// session is opened, so that only a "log out everywhere" from then on is noticed.
    pub fence: Option<LoginFence>,
}

impl Login {
    /// Sets the login fence: the session is opened only if the fence is still the same.
    #[must_use]
    pub const fn behind(mut self, fence: LoginFence) -> Self {
        self.fence = Some(fence);
        self
    }
}

impl From<Client> for Login {
    fn from(client: Client) -> Self {
        Self {
            client,
            fence: None,
        }
    }
}

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

    /// Creates the grant of a new session of `user`.
    pub(super) fn begin(&self, user: UserKey, fence: LoginFence) -> Result<Grant, Failure> {
        let issued_at = self.now();
        let session = SessionId::generate(&*self.entropy)?;
        let locator = self.store.locator(&user, Some(session));
        let session_end = self.lifetimes.session_end(issued_at);
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
