//! Opening a session.

use std::time::Duration;

use crate::answer::{IssuedToken, SessionId, TokenPair};
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::policy::WhenFull;
use crate::store::{Fence, NewAccess, NewRefresh, Opened, Page, SessionRecord, TokenStore};
use crate::strategy::sessions::Sessions;
use crate::token::Locator;
use crate::user::UserKey;

/// How long after its fence was read a login may still be recorded. Stores keep a raised fence longer than that.
const LOGIN_LASTS: Duration = Duration::from_mins(5);

/// How many sessions are asked for at once.
const PAGE: u32 = 1000;

/// What the tokens about to be issued have in common. Nothing is written yet, so a signed access token can be made
/// from it before its refresh token is recorded.
#[derive(Clone, Debug)]
pub struct Grant {
    /// Whose session it is.
    pub user: UserKey,
    /// The session.
    pub session: SessionId,
    /// What the tokens' text says of where the store keeps them.
    pub locator: Option<Locator>,
    /// When the session ends whatever happens.
    pub session_end: Option<Timestamp>,
    /// When the tokens are issued.
    pub issued_at: Timestamp,
}

/// What stood between a login and a "log out everywhere" when the login began.
#[derive(Clone, Copy, Debug)]
pub struct LoginFence {
    fence: Fence,
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
    /// What must still stand when it is recorded. Read it before the account is read that the login is judged by; `None`
    /// records it in any case.
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
    /// The fence of a user whose login begins. Read it first, and the account after it: then a change of the account that
    /// isn't seen raises the fence before the login is recorded.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn fence(&self, user: &UserKey) -> Result<LoginFence, Failure> {
        let read_at = self.now();
        let fence = self.store.fence(user, Fence::generate(&*self.entropy)?, read_at).await?;
        Ok(LoginFence { fence, read_at })
    }

    /// The grant of a new session of `user`, from now on.
    ///
    /// # Errors
    /// [`Failure`] when the entropy source can't deliver.
    pub fn begin(&self, user: UserKey) -> Result<Grant, Failure> {
        let issued_at = self.now();
        let session = SessionId::generate(&*self.entropy)?;
        let locator = self.store.locator(&user, Some(session));
        Ok(Grant { user, session, locator, session_end: self.lifetimes.session_end(issued_at), issued_at })
    }

    /// Opens the session: records its first refresh token. Refuses a login that was overtaken
    /// ([`Refusal::Overtaken`]).
    ///
    /// # Errors
    /// [`Failure`] when it could not be stored; it doesn't exist then.
    pub async fn open(&self, grant: &Grant, login: &Login) -> Result<Result<IssuedToken, Refusal>, Failure> {
        let (refresh, record) = self.first_refresh(grant)?;
        Ok(self.record(record, None, login).await?.map(|()| refresh))
    }

    /// Opens the session with an opaque access token that is recorded in the same step.
    ///
    /// # Errors
    /// As [`open`](Self::open); neither token exists then.
    pub async fn open_with_access(&self, grant: &Grant, login: &Login) -> Result<Result<TokenPair, Refusal>, Failure> {
        let (refresh, record) = self.first_refresh(grant)?;
        let (access, access_record) = self.first_access(grant)?;
        let pair = TokenPair { access, refresh: Some(refresh), issued_at: grant.issued_at };
        Ok(self.record(record, Some(access_record), login).await?.map(|()| pair))
    }

    /// The sessions that must end because the user has one too many with that of `grant`, which is recorded already. Where
    /// the cap refuses instead, that one is ended.
    ///
    /// Callers that come at once each see all of them, so the cap holds when the last is done.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn surplus(&self, grant: &Grant) -> Result<Result<Vec<SessionId>, Refusal>, Failure> {
        let Some(cap) = self.cap else { return Ok(Ok(Vec::new())) };
        let mut live = self.live_sessions(&grant.user).await?;
        live.sort_by_key(|record| (record.opened_at.or(record.refreshed_at), record.id));
        let most = usize::try_from(cap.most.get()).unwrap_or(usize::MAX);
        let surplus = live.len().saturating_sub(most);
        match cap.when_full {
            WhenFull::EvictOldest => {
                let others = live.iter().map(|record| record.id).filter(|id| *id != grant.session);
                Ok(Ok(others.take(surplus).collect()))
            }
            WhenFull::Refuse if live.iter().skip(most).any(|record| record.id == grant.session) => {
                self.end(grant.session, &grant.user).await?;
                Ok(Err(Refusal::TooManySessions))
            }
            WhenFull::Refuse => Ok(Ok(Vec::new())),
        }
    }

    /// Every session of a user that can still be refreshed, with the end that it comes to.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn live_sessions(&self, user: &UserKey) -> Result<Vec<SessionRecord>, Failure> {
        let mut page = Page { after: None, limit: PAGE };
        let mut live = Vec::new();
        let now = self.now();
        loop {
            let found = self.store.sessions(user, page).await?;
            let Some(last) = found.last() else { return Ok(live) };
            page.after = Some(last.id);
            live.extend(found.into_iter().filter_map(|record| self.live(record, now)));
        }
    }

    async fn record(
        &self,
        refresh: NewRefresh,
        access: Option<NewAccess>,
        login: &Login,
    ) -> Result<Result<(), Refusal>, Failure> {
        let too_late = |fence: LoginFence| refresh.created_at.since(fence.read_at) > LOGIN_LASTS;
        if login.fence.is_some_and(too_late) {
            return Ok(Err(Refusal::Overtaken));
        }
        let fence = login.fence.map(|fence| fence.fence);
        let refresh = NewRefresh { client: login.client.clone(), fence, ..refresh };
        Ok(match self.store.insert_refresh(&refresh, access.as_ref()).await? {
            Opened::Done => Ok(()),
            Opened::Fenced => Err(Refusal::Overtaken),
        })
    }
}
