//! Ending sessions, once for all strategies: one of them, or all that a user has.

use std::time::{Duration, Instant};

use async_trait::async_trait;

use crate::answer::{Destroyed, LoggedOut, SessionId};
use crate::clock::Timestamp;
use crate::error::{AuthError, Failure};
use crate::store::{
    ClearUser, EndUser, Fence, Page, RefreshRecord, SessionPage, SessionRecord, SweepPace, TokenStore, UserSurvey,
};
use crate::strategy::SessionControl;
use crate::strategy::sessions::reuse::{Reuse, Watch};
use crate::strategy::sessions::{GoesOn, Issuer, LoginFence, Presented, Standing};
use crate::token::{PlainToken, TokenKind};
use crate::user::UserKey;

/// How much longer a session stays denied than its tokens can live: one may be signed between the denial and the end of the
/// session. When that took longer, the session is denied once more.
pub(in crate::strategy) const IN_FLIGHT: Duration = Duration::from_mins(1);

/// How many sessions are asked for at once.
const PAGE: u32 = 200;

/// The most rows of each kind that an ending removes at a time.
const BATCH: u32 = 1000;

/// How often a session is looked at again that is refreshed while it is being denied.
const LOOKS: usize = 8;

/// The most fences of a user that may be left to be settled. Beyond it they are settled before another is added.
const UNSETTLED: usize = 16;

/// How long an ending counts the sessions that it is about to end.
const COUNTED_FOR: Duration = Duration::from_millis(100);

/// How long an ending goes on removing what its mark has ended already, before it is acknowledged. The sweep removes the
/// rest.
const CLEARED_FOR: Duration = Duration::from_millis(100);

#[async_trait]
impl<I: Issuer> SessionControl for I {
    async fn login_fence(&self, user: &UserKey) -> Result<LoginFence, Failure> {
        self.sessions().fence(user).await
    }

    async fn session(&self, session: SessionId, user: &UserKey) -> Result<Option<SessionRecord>, Failure> {
        self.sessions().get(session, user).await
    }

    async fn sessions_of(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.sessions().live_sessions(user, page).await
    }

    async fn log_out(&self, access: &PlainToken) -> Result<LoggedOut, AuthError> {
        let Presented::Known(named) = self.named_by(access).await? else { return Ok(LoggedOut::AlreadyOut) };
        let ended = match named.session {
            Some(session) => end(self, session, &named.user, Some(named.expires_at)).await?,
            None => Destroyed::AlreadyInvalid,
        };
        // A token may outlive the record of its session, and must not outlive a logout.
        if named.is_good && (ended == Destroyed::AlreadyInvalid || self.denies_each()) {
            self.revoke(access, &named).await?;
            return Ok(LoggedOut::Ended(named.session));
        }
        Ok(match ended {
            Destroyed::Revoked => LoggedOut::Ended(named.session),
            Destroyed::AlreadyInvalid => LoggedOut::AlreadyOut,
        })
    }

    async fn end_session_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure> {
        let sessions = self.sessions();
        if sessions.format.check(TokenKind::Refresh, refresh).is_err() {
            return Ok(Destroyed::AlreadyInvalid);
        }
        match sessions.look_up(refresh).await? {
            // By its id, since a refresh may have put another token in this one's place.
            Some((_, RefreshRecord { session: Some(session), user, .. })) => end(self, session, &user, None).await,
            Some((Standing::Current(stored), _)) => {
                Ok(destroyed(sessions.store().remove_refresh(&stored, None).await?))
            }
            None | Some(_) => Ok(Destroyed::AlreadyInvalid),
        }
    }

    async fn end_session(&self, session: SessionId, user: &UserKey) -> Result<Destroyed, Failure> {
        end(self, session, user, None).await
    }

    async fn end_sessions(&self, user: &UserKey, kept: Option<SessionId>) -> Result<u64, Failure> {
        let sessions = self.sessions();
        let survey = survey(self, user).await?;
        if I::SIGNED && self.denies_each() {
            deny_each(self, user, kept, Listed::All).await?;
        }
        mark(self, user, kept, survey.access_expires_at).await?;
        if I::SIGNED {
            // Tokens of sessions that were opened before sessions had a fence carry none.
            deny_each(self, user, kept, Listed::Unfenced).await?;
        }
        clear(self, user, kept).await?;
        let stays = match kept {
            Some(session) => sessions.get(session, user).await?.is_some(),
            None => false,
        };
        Ok(survey.sessions.saturating_sub(u64::from(stays)))
    }

    async fn complete_ending(&self, user: &UserKey, kept: Option<SessionId>) -> Result<(), Failure> {
        if I::SIGNED {
            settle(self, user, GoesOn::Kept(kept), None).await?;
        }
        clear(self, user, kept).await
    }
}

/// Ends a session of `owner`; its access tokens are denied at least up to `at_least`.
pub(super) async fn end<I: Issuer>(
    issuer: &I,
    session: SessionId,
    owner: &UserKey,
    at_least: Option<Timestamp>,
) -> Result<Destroyed, Failure> {
    let store = issuer.sessions().store();
    if !I::SIGNED {
        return Ok(destroyed(store.end_session(session, owner).await?));
    }
    // Nobody fills the denylist with sessions that aren't theirs.
    let ended = match store.find_session(session, owner).await? {
        Some(record) => end_known(issuer, &record, owner, at_least).await?,
        None => Destroyed::AlreadyInvalid,
    };
    // An ending that got no further than its mark may have ended it, and denied nothing.
    if ended == Destroyed::AlreadyInvalid {
        settle(issuer, owner, GoesOn::AsBefore, None).await?;
    }
    Ok(ended)
}

/// Denies a session's access tokens for as long as the last of them can live, then ends it. A failure in between leaves
/// a session that can be found again.
pub(super) async fn end_known<I: Issuer>(
    issuer: &I,
    record: &SessionRecord,
    owner: &UserKey,
    at_least: Option<Timestamp>,
) -> Result<Destroyed, Failure> {
    let sessions = issuer.sessions();
    let denied_at = sessions.now();
    if I::SIGNED {
        deny_whole(issuer, record, owner, at_least).await?;
    }
    let ended = destroyed(sessions.store().end_session(record.id, owner).await?);
    deny_if_late(issuer, record, denied_at).await?;
    Ok(ended)
}

/// Denies a session's access tokens, and looks again: a server whose tokens live longer, or an exchange, may have issued
/// another one meanwhile.
async fn deny_whole<I: Issuer>(
    issuer: &I,
    record: &SessionRecord,
    owner: &UserKey,
    at_least: Option<Timestamp>,
) -> Result<(), Failure> {
    issuer.deny_session(record, at_least).await?;
    let mut denied = (record.access_expires_at, record.current.clone());
    for _ in 0..LOOKS {
        match issuer.sessions().store().find_session(record.id, owner).await? {
            Some(now) if (now.access_expires_at, now.current.clone()) != denied => {
                issuer.deny_session(&now, at_least).await?;
                denied = (now.access_expires_at, now.current);
            }
            _ => return Ok(()),
        }
    }
    Ok(())
}

/// Until its session has ended a token may be signed, which may outlive a denial that lies too far back.
async fn deny_if_late<I: Issuer>(issuer: &I, record: &SessionRecord, denied_at: Timestamp) -> Result<(), Failure> {
    if I::SIGNED && issuer.sessions().now().since(denied_at) >= IN_FLIGHT {
        issuer.deny_session(record, None).await?;
    }
    Ok(())
}

/// Ends a session whose refresh token was reused. Of those that come at once, the one that ends it reports it, and whoever
/// hangs up meanwhile is reported too. Inside of a transaction of the caller's it is ended outside of that, so that no
/// rollback brings it back.
pub(super) async fn end_reused<I: Issuer>(issuer: &I, reuse: &Reuse) -> Result<(), Failure> {
    let sessions = issuer.sessions();
    let denied_at = sessions.now();
    let record = if I::SIGNED { sessions.store().find_session(reuse.session, &reuse.owner).await? } else { None };
    if let Some(record) = &record {
        deny_whole(issuer, record, &reuse.owner, None).await?;
    }
    let watch = Watch::over(reuse);
    let ended = match &sessions.outside {
        Some(outside) => outside.end_session(reuse.session, &reuse.owner).await,
        None => sessions.store().end_session(reuse.session, &reuse.owner).await,
    };
    watch.hears(ended)?;
    if let Some(record) = &record {
        deny_if_late(issuer, record, denied_at).await?;
    }
    Ok(())
}

/// Counts the sessions of a user, as many as can be counted in [`COUNTED_FOR`]. Where access tokens are signed it looks at all
/// of them: the latest end is how long they are denied.
async fn survey<I: Issuer>(issuer: &I, user: &UserKey) -> Result<UserSurvey, Failure> {
    let sessions = issuer.sessions();
    let (limit, start) = (sessions.limit(BATCH), Instant::now());
    let mut survey = sessions.store().survey_part(user, &limit, None).await?;
    while let Some(next) = survey.next.take().filter(|_| I::SIGNED || start.elapsed() < COUNTED_FOR) {
        survey.add(sessions.store().survey_part(user, &limit, Some(&next)).await?);
    }
    Ok(survey)
}

/// Replaces the user's fence, so that everything recorded behind it is over, and denies the signed tokens that carry it.
/// What an earlier call left undenied is denied as well.
async fn mark<I: Issuer>(
    issuer: &I,
    user: &UserKey,
    kept: Option<SessionId>,
    latest: Option<Timestamp>,
) -> Result<(), Failure> {
    let sessions = issuer.sessions();
    let store = sessions.store();
    let fence = Fence::generate(&*sessions.entropy)?;
    let end = EndUser { user: user.clone(), fence, kept, settled: !I::SIGNED, now: sessions.now() };
    if I::SIGNED && store.unsettled(user).await?.len() >= UNSETTLED {
        settle(issuer, user, GoesOn::Kept(kept), latest).await?;
    }
    store.end_user(&end).await?;
    if I::SIGNED {
        settle(issuer, user, GoesOn::Kept(kept), latest).await?;
    }
    Ok(())
}

/// Denies the signed tokens that carry a fence which was replaced.
///
/// Tokens of a session that goes on carry fences that are denied already. The latest of these stays unsettled, so that the
/// ending that doesn't keep the session knows of it.
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

    let carried = ended.iter().rposition(|ended| ended.kept.is_some_and(|kept| goes_on.is(kept)));
    let settled = ended.iter().enumerate().filter(|(place, _)| Some(*place) != carried);
    let fences: Vec<_> = settled.map(|(_, ended)| ended.fence).collect();
    store.settle(user, &fences, sessions.now()).await
}

/// A choice of a user's sessions, which are denied one by one.
#[derive(Clone, Copy)]
enum Listed {
    All,
    Unfenced,
}

/// Denies the sessions of a user one by one, but `kept`.
async fn deny_each<I: Issuer>(
    issuer: &I,
    user: &UserKey,
    kept: Option<SessionId>,
    listed: Listed,
) -> Result<(), Failure> {
    let store = issuer.sessions().store();
    let mut page = Page { after: None, limit: PAGE };
    loop {
        let found = match listed {
            Listed::All => store.sessions(user, &page).await?,
            Listed::Unfenced => store.unfenced_sessions(user, &page).await?,
        };
        for record in found.sessions.iter().filter(|record| Some(record.id) != kept) {
            issuer.deny_session(record, None).await?;
        }
        match found.next {
            Some(next) => page.after = Some(next),
            None => return Ok(()),
        }
    }
}

/// Removes the tokens behind no fence, all of them, and then some of those whose fence was replaced.
async fn clear<I: Issuer>(issuer: &I, user: &UserKey, kept: Option<SessionId>) -> Result<(), Failure> {
    let store = issuer.sessions().store();
    let mut pace = SweepPace::new(BATCH);
    let start = Instant::now();
    for unfenced in [true, false] {
        loop {
            let begun = Instant::now();
            let clear = ClearUser { user: user.clone(), unfenced, kept, rows: pace.rows() };
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

const fn destroyed(any: bool) -> Destroyed {
    if any { Destroyed::Revoked } else { Destroyed::AlreadyInvalid }
}
