//! The ending of sessions: one session, or everything that a user has.
//!
//! With opaque tokens, ending is a deletion in the store. With signed tokens ([`Issuer::SIGNED`]),
//! tokens must be denied as well, and the order makes crashes harmless:
//!
//! - *One session*: deny its tokens, then delete it. A crash in between leaves a dead session that
//!   is still listed, and that the next logout deletes.
//! - *Everything of a user*: replace the fence (the *mark*), then deny the old fence. A crash in
//!   between leaves the old fence *unsettled* in the store. The next ending for that user denies
//!   it. The caller was not told that the first one worked.
//!
//! A session may be refreshed while it is being denied, on another server with longer lifetimes. So
//! its record is read again after the denial, and denied again if it has changed.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure};
use crate::session::SessionId;
use crate::store::{
    ClearUser, EndUser, Fence, Page, RefreshRecord, SessionPage, SessionRecord, SweepPace,
    TokenStore, UserSurvey,
};
use crate::strategy::SessionControl;
use crate::strategy::sessions::issuer::IN_FLIGHT;
use crate::strategy::sessions::reuse::{Reuse, Watch};
use crate::strategy::sessions::{GoesOn, Issuer, LoginFence, Presented, Standing};
use crate::token::{EndOutcome, LoggedOut, PlainToken, TokenKind};
use crate::user::UserKey;

/// The number of sessions in one page of a list.
const PAGE: u32 = 200;

/// The highest number of rows of each kind that one step of clearing removes, or that one step of
/// counting reads.
const BATCH: u32 = 1000;

/// The number of times that a session is read again which is refreshed while it is being denied.
const LOOKS: usize = 8;

/// The highest number of unsettled fences of a user. Beyond it, they are settled before another is
/// added.
const UNSETTLED: usize = 16;

/// The time for which an ending counts the sessions that it is about to end.
const COUNTED_FOR: Duration = Duration::from_millis(100);

/// The time for which an ending deletes rows that are over already, before it returns. The sweep
/// deletes the others.
const CLEARED_FOR: Duration = Duration::from_millis(100);

#[async_trait]
impl<I: Issuer> SessionControl for I {
    async fn login_fence(&self, user: &UserKey) -> Result<LoginFence, Failure> {
        self.sessions().fence(user).await
    }

    async fn session(
        &self,
        session: SessionId,
        user: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        self.sessions().get(session, user).await
    }

    async fn sessions_of(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.sessions().live_sessions(user, page).await
    }

    async fn reauthenticate(
        &self,
        session: SessionId,
        user: &UserKey,
        fence: Option<LoginFence>,
    ) -> Result<Timestamp, AuthError> {
        self.sessions().reauthenticate(session, user, fence).await
    }

    async fn authenticated_within(
        &self,
        session: SessionId,
        user: &UserKey,
        max_age: Duration,
    ) -> Result<Option<Timestamp>, Failure> {
        self.sessions()
            .authenticated_within(session, user, max_age)
            .await
    }

    async fn log_out(&self, access: &PlainToken) -> Result<LoggedOut, AuthError> {
        let Presented::Known(named) = self.named_by(access).await? else {
            return Ok(LoggedOut::AlreadyEnded);
        };
        let ended = match named.session {
            Some(session) => end(self, session, &named.user, Some(named.expires_at)).await?,
            None => EndOutcome::AlreadyEnded,
        };

        // An access token may outlive the record of its session. It must not outlive a logout.
        if named.is_good && (ended == EndOutcome::AlreadyEnded || self.denies_each()) {
            self.revoke(access, &named).await?;
            return Ok(LoggedOut::Ended(named.session));
        }
        Ok(match ended {
            EndOutcome::Ended => LoggedOut::Ended(named.session),
            EndOutcome::AlreadyEnded => LoggedOut::AlreadyEnded,
        })
    }

    async fn end_session_of(&self, refresh: &PlainToken) -> Result<EndOutcome, Failure> {
        let sessions = self.sessions();
        if sessions.format.check(TokenKind::Refresh, refresh).is_err() {
            return Ok(EndOutcome::AlreadyEnded);
        }

        match sessions.look_up(refresh).await? {
            // By the id of the session: a rotation may have replaced this token meanwhile.
            Some((
                _,
                RefreshRecord {
                    session: Some(session),
                    user,
                    ..
                },
            )) => end(self, session, &user, None).await,
            Some((Standing::Current(stored), _)) => Ok(destroyed(
                sessions.store().remove_refresh(&stored, None).await?,
            )),
            None | Some(_) => Ok(EndOutcome::AlreadyEnded),
        }
    }

    async fn end_session(&self, session: SessionId, user: &UserKey) -> Result<EndOutcome, Failure> {
        end(self, session, user, None).await
    }

    async fn end_sessions(&self, user: &UserKey, kept: Option<SessionId>) -> Result<u64, Failure> {
        let sessions = self.sessions();
        // Before the mark, which ends the records that the survey reads: they tell how long the
        // tokens live.
        let survey = survey(self, user).await?;

        // Before the mark too: the ids of the tokens are derived from the records.
        if I::SIGNED && self.denies_each() {
            deny_each(self, user, kept, Listed::All).await?;
        }
        mark(self, user, kept, survey.access_expires_at).await?;
        if I::SIGNED {
            // Sessions from before there were fences have tokens without a fence, which no denial
            // of a fence reaches.
            deny_each(self, user, kept, Listed::Unfenced).await?;
        }
        clear(self, user, kept).await?;
        let stays = match kept {
            Some(session) => sessions.get(session, user).await?.is_some(),
            None => false,
        };
        Ok(survey.sessions.saturating_sub(u64::from(stays)))
    }

    async fn complete_ending(
        &self,
        user: &UserKey,
        kept: Option<SessionId>,
    ) -> Result<(), Failure> {
        if I::SIGNED {
            settle(self, user, GoesOn::Kept(kept), None).await?;
        }
        clear(self, user, kept).await
    }
}

/// Ends a session of `owner`. Its access tokens are denied at least until `at_least`.
pub(super) async fn end<I: Issuer>(
    issuer: &I,
    session: SessionId,
    owner: &UserKey,
    at_least: Option<Timestamp>,
) -> Result<EndOutcome, Failure> {
    let store = issuer.sessions().store();
    if !I::SIGNED {
        return Ok(destroyed(store.end_session(session, owner).await?));
    }

    // The session is looked up first, so that nobody can fill the denylist with sessions of others.
    let ended = match store.find_session(session, owner).await? {
        Some(record) => end_known(issuer, &record, owner, at_least).await?,
        None => EndOutcome::AlreadyEnded,
    };
    // An ending of everything may have stopped after its mark. It ended this session and denied
    // nothing, so its denials are made up for here.
    if ended == EndOutcome::AlreadyEnded {
        settle(issuer, owner, GoesOn::AsBefore, None).await?;
    }
    Ok(ended)
}

/// Denies the access tokens of a session, then ends it. A failure in between leaves a session that
/// can be found again.
pub(super) async fn end_known<I: Issuer>(
    issuer: &I,
    record: &SessionRecord,
    owner: &UserKey,
    at_least: Option<Timestamp>,
) -> Result<EndOutcome, Failure> {
    let sessions = issuer.sessions();
    let denied_at = sessions.now();
    if I::SIGNED {
        deny_whole(issuer, record, owner, at_least).await?;
    }
    let ended = destroyed(sessions.store().end_session(record.id, owner).await?);
    deny_if_late(issuer, record, denied_at).await?;
    Ok(ended)
}

/// Denies the access tokens of a session, and reads its record again. If a refresh has issued
/// another token meanwhile, denies that one as well.
async fn deny_whole<I: Issuer>(
    issuer: &I,
    record: &SessionRecord,
    owner: &UserKey,
    at_least: Option<Timestamp>,
) -> Result<(), Failure> {
    issuer.deny_session(record, at_least).await?;
    let mut denied = (record.access_expires_at, record.current.clone());

    for _ in 0..LOOKS {
        match issuer
            .sessions()
            .store()
            .find_session(record.id, owner)
            .await?
        {
            Some(now) if (now.access_expires_at, now.current.clone()) != denied => {
                issuer.deny_session(&now, at_least).await?;
                denied = (now.access_expires_at, now.current);
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Denies the session once more, if ending it took so long that a token signed meanwhile could
/// outlive the first denial.
async fn deny_if_late<I: Issuer>(
    issuer: &I,
    record: &SessionRecord,
    denied_at: Timestamp,
) -> Result<(), Failure> {
    if I::SIGNED && issuer.sessions().now().since(denied_at) >= IN_FLIGHT {
        issuer.deny_session(record, None).await?;
    }
    Ok(())
}

/// Ends a session whose refresh token was reused, and reports the reuse.
///
/// Of several calls at once, the one that ended the session reports it. If the caller hangs up
/// meanwhile, [`Watch`] reports it too. Inside a transaction of the caller, the session is ended
/// outside of it, so that no rollback revives it.
pub(super) async fn end_reused<I: Issuer>(issuer: &I, reuse: &Reuse) -> Result<(), Failure> {
    let sessions = issuer.sessions();
    let denied_at = sessions.now();
    let record = if I::SIGNED {
        sessions
            .store()
            .find_session(reuse.session, &reuse.owner)
            .await?
    } else {
        None
    };
    if let Some(record) = &record {
        deny_whole(issuer, record, &reuse.owner, None).await?;
    }

    // From here on this future may be dropped at any await, when the caller hangs up.
    let watch = Watch::over(reuse);
    let ended = match &sessions.outside {
        Some(outside) => outside.end_session(reuse.session, &reuse.owner).await,
        None => {
            sessions
                .store()
                .end_session(reuse.session, &reuse.owner)
                .await
        }
    };
    watch.hears(ended)?;

    if let Some(record) = &record {
        deny_if_late(issuer, record, denied_at).await?;
    }
    Ok(())
}

/// Counts the sessions of a user, for at most [`COUNTED_FOR`]. If access tokens are signed it reads
/// all of them, because the latest expiry decides how long they are denied.
async fn survey<I: Issuer>(issuer: &I, user: &UserKey) -> Result<UserSurvey, Failure> {
    let sessions = issuer.sessions();
    let (limit, start) = (sessions.limit(BATCH), Instant::now());
    let mut survey = sessions.store().survey_part(user, &limit, None).await?;

    while let Some(next) = survey
        .next
        .take()
        .filter(|_| I::SIGNED || start.elapsed() < COUNTED_FOR)
    {
        survey.add(
            sessions
                .store()
                .survey_part(user, &limit, Some(&next))
                .await?,
        );
    }
    Ok(survey)
}

/// Replaces the user's fence, which ends everything recorded behind it, and denies the signed
/// tokens that carry it. Also denies what an earlier call left undenied.
async fn mark<I: Issuer>(
    issuer: &I,
    user: &UserKey,
    kept: Option<SessionId>,
    latest: Option<Timestamp>,
) -> Result<(), Failure> {
    let sessions = issuer.sessions();
    let store = sessions.store();
    let fence = Fence::generate(&*sessions.entropy)?;
    let end = EndUser {
        user: user.clone(),
        fence,
        kept,
        settled: !I::SIGNED,
        now: sessions.now(),
    };
    // Each unsettled fence costs a denial, so their number stays bounded even if every settling is
    // interrupted.
    if I::SIGNED && store.unsettled(user).await?.len() >= UNSETTLED {
        settle(issuer, user, GoesOn::Kept(kept), latest).await?;
    }

    store.end_user(&end).await?;
    if I::SIGNED {
        settle(issuer, user, GoesOn::Kept(kept), latest).await?;
    }
    Ok(())
}

/// Denies the signed tokens that carry a replaced fence, and notes that these fences are settled.
///
/// A session that goes on has tokens with fences that are denied, and an exception on the denylist.
/// The latest of these fences stays unsettled. The ending that doesn't keep the session learns from
/// it that the session has to be denied by its id.
async fn settle<I: Issuer>(
    issuer: &I,
    user: &UserKey,
    goes_on: GoesOn,
    latest: Option<Timestamp>,
) -> Result<(), Failure> {
    let sessions = issuer.sessions();
    let store = sessions.store();
    let ended = store.unsettled(user).await?;
    if ended.is_empty() {
        return Ok(());
    }
    issuer.deny_fences(&ended, goes_on, latest).await?;

    // The latest fence that has an exception for a session which goes on.
    let carried = ended
        .iter()
        .rposition(|ended| ended.kept.is_some_and(|kept| goes_on.is(kept)));
    let settled = ended
        .iter()
        .enumerate()
        .filter(|(place, _)| Some(*place) != carried);
    let fences: Vec<_> = settled.map(|(_, ended)| ended.fence).collect();
    store.settle(user, &fences, sessions.now()).await
}

/// The choice of a user's sessions that are denied one by one.
#[derive(Clone, Copy)]
enum Listed {
    /// All sessions, for a verifier that knows neither fences nor sessions.
    All,
    /// The sessions that were recorded without a fence.
    Unfenced,
}

/// Denies the sessions of a user one by one, except `kept`.
async fn deny_each<I: Issuer>(
    issuer: &I,
    user: &UserKey,
    kept: Option<SessionId>,
    listed: Listed,
) -> Result<(), Failure> {
    let store = issuer.sessions().store();
    let mut page = Page {
        after: None,
        limit: PAGE,
    };

    loop {
        let found = match listed {
            Listed::All => store.sessions(user, &page).await?,
            Listed::Unfenced => store.unfenced_sessions(user, &page).await?,
        };
        for record in found
            .sessions
            .iter()
            .filter(|record| Some(record.id) != kept)
        {
            issuer.deny_session(record, None).await?;
        }
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Deletes all tokens that were recorded without a fence, and then some of those whose fence was
/// replaced.
async fn clear<I: Issuer>(
    issuer: &I,
    user: &UserKey,
    kept: Option<SessionId>,
) -> Result<(), Failure> {
    let store = issuer.sessions().store();
    let mut pace = SweepPace::new(BATCH);
    let start = Instant::now();

    // Tokens without a fence may still be valid here, so all of them go. The others are over
    // already, and may wait for the sweep.
    for unfenced in [true, false] {
        loop {
            let begun = Instant::now();
            let clear = ClearUser {
                user: user.clone(),
                unfenced,
                kept,
                rows: pace.rows(),
            };
            if !store.clear(&clear).await?.more || (!unfenced && start.elapsed() >= CLEARED_FOR) {
                break;
            }
            let took = begun.elapsed();
            pace.learn(took);
            SweepPace::rest(took).await;
        }
    }
    Ok(())
}

/// Returns [`EndOutcome::Ended`] if there was anything to end.
const fn destroyed(any: bool) -> EndOutcome {
    if any {
        EndOutcome::Ended
    } else {
        EndOutcome::AlreadyEnded
    }
}
