//! Exchanging a refresh token for its successor.

use std::time::Duration;

use crate::answer::{IssuedToken, SessionId, TokenPair};
use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::store::{Consumed, ConsumedToken, NewAccess, NewRefresh, RefreshRecord, Rotate, Rotated, TokenStore};
use crate::strategy::sessions::reuse::{Rejection, Reuse, forgiven};
use crate::strategy::sessions::{Access, Grant, ReuseCause, Sessions, count};
use crate::token::{Digest, Family, Locator, PlainToken, StoredToken, Successor, TokenKind};
use crate::user::UserKey;

/// How far the clocks of two servers may lie apart. An exchange that lies further in the future than that tells of a
/// clock that was set back, and its window is over: it would stay open until the clock has caught up.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// A refresh token that is good, as far as its record tells: it is the session's current one, or has just been exchanged.
#[derive(Clone, Debug)]
pub(super) struct Found {
    text: PlainToken,
    grant: Grant,
    next: Next,
}

#[derive(Clone, Debug)]
enum Next {
    /// It is exchanged, and what was exchanged before is remembered.
    Exchange(StoredToken, Consumed),
    /// It was exchanged for these.
    Again { refresh: PlainToken, access: PlainToken, expires_at: Option<Timestamp> },
}

impl Found {
    /// Whose it is.
    pub(super) const fn user(&self) -> &UserKey {
        &self.grant.user
    }
}

/// What was issued.
#[derive(Debug)]
pub(super) struct Exchanged {
    pub(super) refresh: IssuedToken,
    pub(super) access: Option<IssuedToken>,
}

impl Exchanged {
    pub(super) fn into_pair(self) -> Option<TokenPair> {
        let access = self.access?;
        Some(TokenPair { issued_at: access.issued_at, access, refresh: Some(self.refresh) })
    }
}

/// Where a presented token stands in its session.
#[derive(Debug)]
pub(in crate::strategy) enum Standing {
    /// It is the one that is good now, stored so.
    Current(StoredToken),
    /// It was exchanged, and is remembered at this place.
    Consumed(usize),
    /// It was exchanged earlier than is remembered.
    Older,
}

impl<S: TokenStore> Sessions<S> {
    /// Looks a refresh token up and judges it. Writes nothing; when it is reused, the caller ends the session.
    pub(super) async fn find(&self, token: &PlainToken) -> Result<Found, Rejection> {
        self.format.check(TokenKind::Refresh, token)?;
        let Some((standing, record)) = self.look_up(token).await? else {
            count::reuse(ReuseCause::Unknown.as_str());
            return Err(Refusal::Unknown.into());
        };
        let now = self.now();
        let end = |issued| self.end_of_life(issued, record.expires_at, record.session_expires_at);
        let issued_at = match record.created_at {
            Some(issued_at) if end(issued_at) > now => issued_at,
            _ => return Err(Refusal::Expired.into()),
        };
        match standing {
            Standing::Current(stored) => {
                let grant = self.grant_of(token, &record, now)?;
                Ok(Found { text: token.clone(), grant, next: Next::Exchange(stored, record.consumed) })
            }
            Standing::Consumed(place) => self.judge(token, &record, place, now),
            Standing::Older => Err(reuse(&record, ReuseCause::AfterConfirmation, now.since(issued_at))),
        }
    }

    /// The record of the session that a token belongs to or once belonged to.
    pub(super) async fn look_up(&self, token: &PlainToken) -> Result<Option<(Standing, RefreshRecord)>, Failure> {
        let family = Family::of(token);
        for family in self.digests.families(&family, Locator::of(token.expose())) {
            if let Some(record) = self.store.find_family(&family).await? {
                return Ok(Some((self.standing(token, &record), record)));
            }
        }
        // Rows of the original have no family.
        for stored in self.stored_forms(token) {
            if let Some(record) = self.store.find_refresh(&stored).await? {
                return Ok(Some((Standing::Current(stored), record)));
            }
        }
        Ok(None)
    }

    fn standing(&self, token: &PlainToken, record: &RefreshRecord) -> Standing {
        let digests: Vec<Digest> = self.digests.candidates(token).collect();
        if let Some(current) = digests.iter().find(|digest| record.digest.as_ref() == Some(*digest)) {
            return Standing::Current(current.clone().into());
        }
        let consumed = record.consumed.tokens().iter().rposition(|consumed| digests.contains(&consumed.digest));
        consumed.map_or(Standing::Older, Standing::Consumed)
    }

    /// A token that was exchanged: within its window it has its successor still.
    fn judge(
        &self,
        token: &PlainToken,
        record: &RefreshRecord,
        place: usize,
        now: Timestamp,
    ) -> Result<Found, Rejection> {
        let consumed = record.consumed.tokens();
        let Some(entry) = consumed.get(place) else { return Err(Refusal::Consumed.into()) };
        let later = consumed.get(place + 1);
        // A host whose clock is behind sees the exchange in its future.
        let since_exchange = now.since(entry.at);
        if later.is_some() && self.reuse.closes_on_use() {
            return Err(reuse(record, ReuseCause::AfterConfirmation, since_exchange));
        }
        if since_exchange >= self.reuse.grace() || entry.at.since(now) > CLOCKS_DIFFER {
            let cause = if later.is_some() { ReuseCause::AfterConfirmation } else { ReuseCause::LongStale };
            return Err(reuse(record, cause, since_exchange));
        }

        let issued_at = if later.is_some() { entry.at } else { record.created_at.unwrap_or(entry.at) };
        let grant = self.grant_of(token, record, issued_at)?;
        let expected = later.map(|later| &later.digest).or(record.digest.as_ref());
        let is_it = |successor: &PlainToken| self.digests.candidates(successor).any(|digest| Some(&digest) == expected);
        let successors = self.digests.successors(&entry.salt, token).map(|successor| self.texts(&successor, &grant));
        let Some((refresh, access)) = { successors }.find(|(refresh, _)| is_it(refresh)) else {
            return Err(Refusal::Consumed.into());
        };
        let expires_at = if later.is_some() { None } else { record.expires_at };
        Ok(Found { text: token.clone(), grant, next: Next::Again { refresh, access, expires_at } })
    }

    fn grant_of(&self, token: &PlainToken, record: &RefreshRecord, issued_at: Timestamp) -> Result<Grant, Failure> {
        let session = match record.session {
            Some(session) => session,
            None => SessionId::generate(&*self.entropy)?,
        };
        let session_end = record.session_expires_at.or_else(|| self.lifetimes.session_end(issued_at));
        // The successor stays where the presented token is, whichever key named the place.
        let locator = match Locator::of(token.expose()) {
            Some(locator) => Some(locator.with_session(Some(session))),
            None => self.store.locator(&record.user, Some(session)),
        };
        Ok(Grant { user: record.user.clone(), session, locator, session_end, issued_at, fence: record.fence })
    }

    /// Exchanges a refresh token for its successor, and for the access token that `access` asks for. However many callers
    /// found the same token, one successor exists afterwards, and all of them are answered with it (promises P1, P2):
    /// unless they come too late ([`ReusePolicy`](crate::ReusePolicy)).
    pub(super) async fn exchange(
        &self,
        found: &Found,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, Rejection> {
        let (presented, consumed) = match &found.next {
            Next::Exchange(presented, consumed) => (presented, consumed),
            Next::Again { .. } => return self.again(found, ReuseCause::Retry, access),
        };
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        let successor = self.digests.successors(&salt, &found.text).next();
        let successor = successor.ok_or_else(|| Failure::internal("sessions", "the ring has no key"))?;
        let (refresh, opaque) = self.texts(&successor, &found.grant);
        let (refresh, record) = self.new_refresh(&found.grant, refresh)?;

        // Signed first: a signature that fails after the exchange would lose the session.
        let (issued, access_record) = match access(&found.grant, &record.digest)? {
            Access::None => (None, None),
            Access::Signed(token) => (Some(token), None),
            Access::Opaque => {
                let (token, record) = self.new_access(&found.grant, opaque);
                (Some(token), Some(record))
            }
        };
        let signed_end = issued.as_ref().filter(|_| access_record.is_none()).map(|token| token.expires_at);

        // The window begins when this is written, however long ago the token was looked up.
        let at = self.now();
        let token = ConsumedToken { digest: self.digests.digest(&found.text), at, salt };
        let consumed = self.remembered(consumed, at).and(token);
        let record = NewRefresh { access_expires_at: signed_end, ..record };
        let rotate = rotation(found, presented, consumed, record, access_record);
        match self.store.rotate(&rotate).await? {
            Rotated::Done => Ok(Exchanged { refresh, access: issued }),
            Rotated::Gone => self.lost_race(found, access).await,
        }
    }

    /// Another request rotated this token first. That is not reuse, even if the successor has been rotated since, unless
    /// the policy is strict, where every second presentation is.
    async fn lost_race(
        &self,
        found: &Found,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, Rejection> {
        match self.find(&found.text).await {
            Ok(found) => self.again(&found, ReuseCause::SecondTab, access),
            Err(Rejection::Reused(_)) if !self.reuse.grace().is_zero() => Err(Refusal::Consumed.into()),
            Err(rejection) => Err(rejection),
        }
    }

    /// What is still remembered of earlier exchanges once another takes place.
    fn remembered(&self, consumed: &Consumed, now: Timestamp) -> Consumed {
        let window = if self.reuse.closes_on_use() { Duration::ZERO } else { self.reuse.grace() };
        let time = self.remembered_for.unwrap_or_default().max(window);
        if time.is_zero() { Consumed::default() } else { consumed.clone().since(now.saturating_sub(time)) }
    }

    /// The same answer again. The tokens are as old as they are: what they have left of their lives counts from now.
    fn again(
        &self,
        found: &Found,
        cause: ReuseCause,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, Rejection> {
        let Next::Again { refresh, access: opaque, expires_at } = &found.next else {
            return Err(Refusal::Consumed.into());
        };
        let grant = &found.grant;
        let now = self.now();
        let issued = |token: &PlainToken, expires_at| IssuedToken {
            token: token.clone(),
            issued_at: now.max(grant.issued_at),
            expires_at,
            session_id: Some(grant.session),
        };
        let signing = Grant { issued_at: now.max(grant.issued_at), ..grant.clone() };
        let access = match access(&signing, &self.digests.digest(refresh))? {
            Access::None => None,
            Access::Signed(token) => Some(token),
            Access::Opaque => Some(issued(opaque, self.lifetimes.access_end(grant.issued_at, grant.session_end))),
        };
        forgiven(grant.session, cause);
        let refresh_end = expires_at.unwrap_or_else(|| self.lifetimes.refresh_end(grant.issued_at, grant.session_end));
        Ok(Exchanged { refresh: issued(refresh, refresh_end), access })
    }

    fn texts(&self, successor: &Successor, grant: &Grant) -> (PlainToken, PlainToken) {
        let text = |kind| successor.token(&self.format, kind, grant.locator);
        (text(TokenKind::Refresh), text(TokenKind::Access))
    }
}

fn rotation(
    found: &Found,
    presented: &StoredToken,
    consumed: Consumed,
    successor: NewRefresh,
    access: Option<NewAccess>,
) -> Rotate {
    Rotate {
        presented: presented.clone(),
        successor: successor.digest,
        family: successor.family,
        consumed,
        session: found.grant.session,
        created_at: found.grant.issued_at,
        expires_at: successor.expires_at,
        session_expires_at: found.grant.session_end,
        access_expires_at: successor.access_expires_at,
        access,
    }
}

/// A consumed token belongs to a session always: only an exchange consumes one, and gives a session to one without.
fn reuse(record: &RefreshRecord, cause: ReuseCause, since_exchange: Duration) -> Rejection {
    match record.session {
        None => Refusal::Consumed.into(),
        Some(session) => Rejection::Reused(Reuse { session, owner: record.user.clone(), cause, since_exchange }),
    }
}
