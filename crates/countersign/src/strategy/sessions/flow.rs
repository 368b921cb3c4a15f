//! The opening and refreshing of sessions, once for all strategies.
//!
//! This is [`RefreshableStrategy`] for everything that implements [`IssuesFor`]. The steps are in
//! `open` (fence, record, limit) and `exchange` (find, judge the user, rotate). A reuse that either
//! step of a refresh discovers ends the session before the caller is answered.

use async_trait::async_trait;

use crate::error::{AuthError, Failure, Refusal};
use crate::event;
use crate::session::WhenFull;
use crate::store::{Page, SessionRecord, TokenStore};
use crate::strategy::sessions::exchange::Found;
use crate::strategy::sessions::grant::Exchanged;
use crate::strategy::sessions::reuse::Rejection;
use crate::strategy::sessions::{Access, Grant, IssuesFor, Login, unrefused};
use crate::strategy::{RefreshableStrategy, SessionControl, Strategy};
use crate::token::{Digest, IssuedToken, PlainToken, Refreshed, TokenPair};
use crate::user::{User, UserId, UserKey, UserManager};

/// The number of sessions in one page of a list.
const PAGE: u32 = 1000;

/// The highest number of sessions that one login evicts. If there are more, as after a limit was
/// introduced, later logins evict the others.
const EVICTED: usize = 100;

#[async_trait]
impl<U, I> RefreshableStrategy<U> for I
where
    U: User,
    I: IssuesFor<U> + Strategy<U> + SessionControl,
{
    async fn log_in(&self, user: &U, login: &Login) -> Result<TokenPair, AuthError> {
        let key = user.id().to_key();
        let opened = open(self, key, login, |grant, refresh| {
            self.access(user, grant, refresh)
        })
        .await?;
        Ok(opened.into_pair().ok_or_else(no_access)?)
    }

    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, TokenPair>, AuthError> {
        let (user, exchanged) = exchange(self, token, users, true).await?;
        Ok(Refreshed::new(
            user,
            exchanged.into_pair().ok_or_else(no_access)?,
        ))
    }

    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let opened = open(self, user.id().to_key(), &Login::default(), |_, _| {
            Ok(Access::None)
        })
        .await;
        opened.map(|opened| opened.refresh).map_err(unrefused)
    }

    async fn rotate_refresh_token(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, IssuedToken>, AuthError> {
        let (user, exchanged) = exchange(self, token, users, false).await?;
        Ok(Refreshed::new(user, exchanged.refresh))
    }
}

/// Returns the failure of an [`IssuesFor::access`] that made no token although one was asked for.
fn no_access() -> Failure {
    Failure::internal("sessions", "no access token was made")
}

/// Opens a session, and then applies the limit on sessions per user.
async fn open<U: User, I: IssuesFor<U>>(
    issuer: &I,
    user: UserKey,
    login: &Login,
    access: impl Fn(&Grant, &Digest) -> Result<Access, Failure> + Send + Sync,
) -> Result<Exchanged, AuthError> {
    let sessions = issuer.sessions();
    let fence = match login.fence {
        Some(fence) => fence,
        None => sessions.fence(&user).await?,
    };
    let grant = sessions.begin(user, fence, login.lifetime)?;
    let opened = sessions.open(&grant, fence, &login.client, access).await?;
    // The count comes after the write. Two concurrent logins then count each other.
    keep_cap(issuer, &grant).await?;
    Ok(opened)
}

/// Looks the token up, judges its user, and rotates it. If the token is reused, ends the session
/// first.
async fn exchange<U: User, I: IssuesFor<U>>(
    issuer: &I,
    token: &PlainToken,
    users: &dyn UserManager<U>,
    with_access: bool,
) -> Result<(U, Exchanged), AuthError> {
    let found = match issuer.sessions().find(token).await {
        Ok(found) => found,
        Err(rejection) => return Err(punished(issuer, rejection).await),
    };

    // Before anything is written: a user who is refused must not lose the token.
    let user = owner(&found, users).await?;
    let exchanged = issuer
        .sessions()
        .exchange(&found, |grant, refresh| {
            if with_access {
                issuer.access(&user, grant, refresh)
            } else {
                Ok(Access::None)
            }
        })
        .await;
    match exchanged {
        Ok(exchanged) => Ok((user, exchanged)),
        Err(rejection) => Err(punished(issuer, rejection).await),
    }
}

/// Returns the owner of a refresh token, if the account exists and is active.
async fn owner<U: User>(found: &Found, users: &dyn UserManager<U>) -> Result<U, AuthError> {
    let id = U::Id::from_key(found.user().clone()).ok_or(Refusal::Subject)?;
    let user = users.get(&id).await?.ok_or(Refusal::UserUnknown)?;
    if user.is_active() {
        Ok(user)
    } else {
        Err(Refusal::UserInactive.into())
    }
}

/// Returns the error of a rejection. For reuse, ends the session first.
async fn punished<U: User, I: IssuesFor<U>>(issuer: &I, rejection: Rejection) -> AuthError {
    match rejection {
        Rejection::Refused(refusal) => refusal.into(),
        Rejection::Failed(failure) => failure.into(),
        Rejection::Reused(reuse) => match super::ending::end_reused(issuer, &reuse).await {
            Ok(()) => Refusal::Reused.into(),
            Err(failure) => failure.into(),
        },
    }
}

/// Ends the oldest sessions if there are too many beside a new one, which is recorded already. If
/// the limit refuses, ends the new one instead.
///
/// Concurrent logins exceed the limit for a moment at most. Logins that evict all compute the same
/// set of newest sessions, so a concurrent login may evict this one. Logins that are refused may
/// all be refused, even though one would have fit.
async fn keep_cap<U: User, I: IssuesFor<U>>(issuer: &I, grant: &Grant) -> Result<(), AuthError> {
    let sessions = issuer.sessions();
    let Some(cap) = sessions.cap else {
        return Ok(());
    };
    if !is_beyond(issuer, &grant.user, cap.most.get()).await? {
        return Ok(());
    }
    if cap.when_full == WhenFull::Refuse {
        super::ending::end(issuer, grant.session, &grant.user, None).await?;
        return Err(Refusal::TooManySessions.into());
    }

    for record in surplus(issuer, &grant.user, cap.most.get()).await? {
        super::ending::end_known(issuer, &record, &grant.user, None).await?;
        event::session_evicted(record.id);
    }
    Ok(())
}

/// Returns `true` if a user has more than `most` sessions. Stops counting as soon as that is known.
async fn is_beyond<U: User, I: IssuesFor<U>>(
    issuer: &I,
    user: &UserKey,
    most: u32,
) -> Result<bool, Failure> {
    let sessions = issuer.sessions();
    let limit = sessions.limit(PAGE);
    let mut survey = sessions.store().survey_part(user, &limit, None).await?;
    while let Some(next) = survey
        .next
        .take()
        .filter(|_| survey.sessions <= u64::from(most))
    {
        survey.add(
            sessions
                .store()
                .survey_part(user, &limit, Some(&next))
                .await?,
        );
    }

    Ok(survey.sessions > u64::from(most))
}

/// Returns the sessions of a user that were opened before the newest `most`, at most [`EVICTED`].
///
/// They are counted in the list itself. A session that another login has ended since the count is
/// not made up for by one that may stay.
async fn surplus<U: User, I: IssuesFor<U>>(
    issuer: &I,
    user: &UserKey,
    most: u32,
) -> Result<Vec<SessionRecord>, Failure> {
    let mut page = Page {
        after: None,
        limit: PAGE,
    };
    let mut oldest: Vec<SessionRecord> = Vec::new();
    let mut listed: usize = 0;

    loop {
        let found = issuer.sessions().live_sessions(user, &page).await?;
        listed = listed.saturating_add(found.sessions.len());
        oldest.extend(found.sessions);
        // Cut after each page, so that memory does not grow with the number of sessions.
        oldest.sort_by_key(|record| (record.opened_at.or(record.refreshed_at), record.id));
        oldest.truncate(EVICTED);
        if found.next.is_none() {
            oldest.truncate(listed.saturating_sub(usize::try_from(most).unwrap_or(usize::MAX)));
            return Ok(oldest);
        }
        page.after = found.next;
    }
}
