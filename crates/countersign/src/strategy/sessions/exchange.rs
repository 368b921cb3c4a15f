//! Exchanging a refresh token for its successor.

use std::time::Duration;

use crate::answer::{IssuedToken, SessionId, TokenPair};
use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::store::{Consumed, ConsumedToken, NewAccess, NewRefresh, RefreshRecord, Rotate, Rotated, TokenStore};
use crate::strategy::sessions::reuse::forgiven;
use crate::strategy::sessions::{Grant, Rejected, Reuse, ReuseCause, Sessions, count};
use crate::token::{Digest, Family, Locator, PlainToken, StoredToken, Successor, TokenKind};
use crate::user::UserKey;

/// A refresh token that is good, as far as its record tells: it is the session's current one, or has just been exchanged.
#[derive(Clone, Debug)]
pub struct Found {
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
    /// What its successor is issued under: the token's own session, or the one it gets now if it had none.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Whose it is.
    pub const fn user(&self) -> &UserKey {
        &self.grant.user
    }
}

/// Where a presented token stands in its session.
#[derive(Debug)]
pub(super) enum Standing {
    /// It is the one that is good now, stored so.
    Current(StoredToken),
    /// It was exchanged, and is remembered at this place.
    Consumed(usize),
    /// It was exchanged earlier than is remembered.
    Older,
}

impl<S: TokenStore> Sessions<S> {
    /// Looks a refresh token up and judges it. Writes nothing; when it is [reused](Rejected::reuse), the caller ends the
    /// session.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn find(&self, token: &PlainToken) -> Result<Result<Found, Rejected>, Failure> {
        if let Err(refusal) = self.format.check(TokenKind::Refresh, token) {
            return Ok(Err(refusal.into()));
        }
        let Some((standing, record)) = self.look_up(token).await? else {
            count::reuse(ReuseCause::Unknown.as_str());
            return Ok(Err(Refusal::Unknown.into()));
        };
        let now = self.now();
        let end = |issued| self.end_of_life(issued, record.expires_at, record.session_expires_at);
        let issued_at = match record.created_at {
            Some(issued_at) if end(issued_at) > now => issued_at,
            _ => return Ok(Err(Refusal::Expired.into())),
        };
        match standing {
            Standing::Current(stored) => {
                let grant = self.grant_of(token, &record, now)?;
                Ok(Ok(Found { text: token.clone(), grant, next: Next::Exchange(stored, record.consumed) }))
            }
            Standing::Consumed(place) => self.judge(token, &record, place, now),
            Standing::Older => Ok(Err(reuse(&record, ReuseCause::AfterConfirmation, now.since(issued_at)))),
        }
    }

    /// Exchanges a refresh token for its successor. However many callers found the same token, one successor exists
    /// afterwards, and all of them are answered with it (promises P1, P2): unless they come too late
    /// ([`ReusePolicy`](crate::ReusePolicy)).
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked. The exchange may have taken place then, and may be asked for again.
    pub async fn rotate(&self, found: &Found) -> Result<Result<IssuedToken, Rejected>, Failure> {
        Ok(self.exchange(found, false).await?.map(|(refresh, _)| refresh))
    }

    /// Like [`rotate`](Self::rotate), with an opaque access token that is recorded in the same step, and answered again
    /// as well.
    ///
    /// # Errors
    /// As [`rotate`](Self::rotate).
    pub async fn rotate_with_access(&self, found: &Found) -> Result<Result<TokenPair, Rejected>, Failure> {
        Ok(self.exchange(found, true).await?.map(|(refresh, access)| TokenPair {
            issued_at: refresh.issued_at,
            access,
            refresh: Some(refresh),
        }))
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
    ) -> Result<Result<Found, Rejected>, Failure> {
        let consumed = record.consumed.tokens();
        let Some(entry) = consumed.get(place) else { return Ok(Err(Refusal::Consumed.into())) };
        let later = consumed.get(place + 1);
        // A host whose clock is behind sees the exchange in its future.
        let since_exchange = now.since(entry.at);
        if later.is_some() && self.reuse.closes_on_use() {
            return Ok(Err(reuse(record, ReuseCause::AfterConfirmation, since_exchange)));
        }
        if since_exchange >= self.reuse.grace() {
            let cause = if later.is_some() { ReuseCause::AfterConfirmation } else { ReuseCause::LongStale };
            return Ok(Err(reuse(record, cause, since_exchange)));
        }
        let issued_at = if later.is_some() { entry.at } else { record.created_at.unwrap_or(entry.at) };
        let grant = self.grant_of(token, record, issued_at)?;
        let expected = later.map(|later| &later.digest).or(record.digest.as_ref());
        let is_it = |successor: &PlainToken| self.digests.candidates(successor).any(|digest| Some(&digest) == expected);
        let successors = self.digests.successors(&entry.salt, token).map(|successor| self.texts(&successor, &grant));
        let Some((refresh, access)) = { successors }.find(|(refresh, _)| is_it(refresh)) else {
            return Ok(Err(Refusal::Consumed.into()));
        };
        let expires_at = if later.is_some() { None } else { record.expires_at };
        Ok(Ok(Found { text: token.clone(), grant, next: Next::Again { refresh, access, expires_at } }))
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
        Ok(Grant { user: record.user.clone(), session, locator, session_end, issued_at })
    }

    async fn exchange(
        &self,
        found: &Found,
        with_access: bool,
    ) -> Result<Result<(IssuedToken, IssuedToken), Rejected>, Failure> {
        let (presented, consumed) = match &found.next {
            Next::Exchange(presented, consumed) => (presented, consumed),
            Next::Again { .. } => return Ok(self.again(found, ReuseCause::Retry)),
        };
        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        let successor = self.digests.successors(&salt, &found.text).next();
        let successor = successor.ok_or_else(|| Failure::internal("sessions", "the ring has no key"))?;
        let (refresh, access) = self.texts(&successor, &found.grant);
        let (refresh, record) = self.new_refresh(&found.grant, refresh)?;
        let (access, access_record) = self.new_access(&found.grant, access);
        // The window begins when this is written, however long ago the token was looked up.
        let at = self.now();
        let token = ConsumedToken { digest: self.digests.digest(&found.text), at, salt };
        let consumed = self.remembered(consumed, at).and(token);
        let rotate = rotation(found, presented, consumed, record, with_access.then_some(access_record));
        match self.store.rotate(&rotate).await? {
            Rotated::Done => Ok(Ok((refresh, access))),
            Rotated::Gone => self.overtaken(found).await,
        }
    }

    /// Another caller was faster. This one came in time, so it is no thief, even if the successor has been exchanged
    /// meanwhile as well; only where nothing is forgiven is there no coming in time.
    async fn overtaken(&self, found: &Found) -> Result<Result<(IssuedToken, IssuedToken), Rejected>, Failure> {
        match self.find(&found.text).await? {
            Ok(found) => Ok(self.again(&found, ReuseCause::SecondTab)),
            Err(rejected) if rejected.reuse.is_some() && !self.reuse.grace().is_zero() => {
                Ok(Err(Refusal::Consumed.into()))
            }
            Err(rejected) => Ok(Err(rejected)),
        }
    }

    /// What is still remembered of earlier exchanges once another takes place.
    fn remembered(&self, consumed: &Consumed, now: Timestamp) -> Consumed {
        if self.reuse.closes_on_use() {
            Consumed::default()
        } else {
            consumed.clone().since(now.saturating_sub(self.reuse.grace()))
        }
    }

    fn again(&self, found: &Found, cause: ReuseCause) -> Result<(IssuedToken, IssuedToken), Rejected> {
        let Next::Again { refresh, access, expires_at } = &found.next else { return Err(Refusal::Consumed.into()) };
        let grant = &found.grant;
        forgiven(grant.session, cause);
        let issued = |token: &PlainToken, expires_at| IssuedToken {
            token: token.clone(),
            issued_at: grant.issued_at,
            expires_at,
            session_id: Some(grant.session),
        };
        let refresh_end = expires_at.unwrap_or_else(|| self.lifetimes.refresh_end(grant.issued_at, grant.session_end));
        let access_end = self.lifetimes.access_end(grant.issued_at, grant.session_end);
        Ok((issued(refresh, refresh_end), issued(access, access_end)))
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
        access,
    }
}

/// A consumed token belongs to a session always: only an exchange consumes one, and gives a session to one without.
fn reuse(record: &RefreshRecord, cause: ReuseCause, since_exchange: Duration) -> Rejected {
    match record.session {
        None => Refusal::Consumed.into(),
        Some(session) => Reuse { session, owner: record.user.clone(), cause, since_exchange }.into(),
    }
}
