//! The rotation of refresh tokens: look-up, judgement, and the exchange for a successor.
//!
//! All refresh tokens of a session begin with the same bytes, its *family*. The store has one
//! record per session, under the digest of the family. The record contains the digest of the
//! *current* token and, for the tokens rotated last (*consumed* tokens), their digests, the times
//! and a random salt each.
//!
//! A successor is not random. It is derived from the presented token, the salt and the digest key,
//! so that a retry within the grace window gets the same successor although no token is stored. The
//! access token of a rotation is derived in the same way.
//!
//! The way of a token: [`find`](Sessions::find) looks it up and judges it, without writing. The
//! caller judges the user. [`exchange`](Sessions::exchange) rotates the token, or repeats the
//! earlier answer.

use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::session::SessionId;
use crate::store::{
    Consumed, ConsumedToken, NewAccess, NewRefresh, RefreshRecord, RotateOutcome, RotateRequest,
    TokenStore,
};
use crate::strategy::sessions::grant::Exchanged;
use crate::strategy::sessions::issuer::IN_FLIGHT;
use crate::strategy::sessions::reuse::{Rejection, Reuse, forgiven};
use crate::strategy::sessions::{Access, Grant, ReuseCause, Sessions, count};
use crate::token::{
    Digest, Family, IssuedToken, Locator, PlainToken, StoredToken, Successor, TokenKind,
};
use crate::user::UserKey;

/// The tolerated difference between the clocks of two servers.
///
/// A rotation further in the future than this was recorded before a clock was set back. Its window
/// counts as over, because it would otherwise stay open until the clock has caught up.
const CLOCKS_DIFFER: Duration = Duration::from_mins(1);

/// A refresh token that may be answered, by its record: it is the current one, or it was rotated
/// just now.
#[derive(Clone, Debug)]
pub(super) struct Found {
    text: PlainToken,
    grant: Grant,
    next: Next,
}

/// The answer to a refresh token that was found.
#[derive(Clone, Debug)]
enum Next {
    /// The token is current, so it is rotated. Contains the consumed tokens of the session so far.
    Exchange(StoredToken, Consumed),
    /// The token was rotated just now, and is answered with the same tokens again.
    Again(Repeat),
}

/// The tokens of an earlier rotation, derived again.
#[derive(Clone, Debug)]
struct Repeat {
    refresh: PlainToken,
    access: PlainToken,
    /// The expiry of the refresh token, if it is still the current one.
    expires_at: Option<Timestamp>,
    /// The latest expiry of the session's signed access tokens, as its record tells it.
    access_expires_at: Option<Timestamp>,
}

impl Repeat {
    /// Returns the latest expiry that a signed access token of this answer may have.
    ///
    /// An ending denies the session's tokens for as long as the record and the lifetimes of the
    /// server that ends it tell, and [`IN_FLIGHT`] more. This answer writes nothing. A token of a
    /// server with a longer lifetime, signed for that lifetime, would therefore outlive its denial
    /// on a server with a shorter one. If the record tells of no token that is still valid, the
    /// token lives for half of that reserve.
    fn access_end(&self, now: Timestamp) -> Timestamp {
        let reserve = now.saturating_add(IN_FLIGHT / 2);
        self.access_expires_at
            .map_or(reserve, |recorded| recorded.max(reserve))
    }
}

impl Found {
    /// Returns the owner of the token.
    pub(super) const fn user(&self) -> &UserKey {
        &self.grant.user
    }
}

/// The position of a presented token in the history of its session.
#[derive(Debug)]
pub(in crate::strategy) enum Standing {
    /// The token is the current one, stored in this form.
    Current(StoredToken),
    /// The token was rotated, and is remembered at this index.
    Consumed(usize),
    /// The token was rotated earlier than is remembered.
    Older,
}

impl<S: TokenStore> Sessions<S> {
    /// Looks a refresh token up and judges it. Writes nothing. If the token is reused, the caller
    /// has to end the session.
    pub(super) async fn find(&self, token: &PlainToken) -> Result<Found, Rejection> {
        self.format.check(TokenKind::Refresh, token)?;
        let Some((standing, record)) = self.look_up(token).await? else {
            count::reuse(ReuseCause::Unknown.as_str());
            return Err(Refusal::Unknown.into());
        };
        let now = self.now();
        // A row without a readable time of issue has no age, so it counts as expired.
        let issued_at = record.created_at.ok_or(Refusal::Expired)?;
        if self.end_of_life(issued_at, record.expires_at, record.session_expires_at) <= now {
            return Err(Refusal::Expired.into());
        }

        match standing {
            Standing::Current(stored) => {
                let grant = self.grant_of(token, &record, now)?;
                Ok(Found {
                    text: token.clone(),
                    grant,
                    next: Next::Exchange(stored, record.consumed),
                })
            }
            Standing::Consumed(place) => self.judge(token, &record, place, now),
            Standing::Older => Err(reuse(
                &record,
                ReuseCause::AfterConfirmation,
                now.since(issued_at),
            )),
        }
    }

    /// Returns the record of the session that a token belongs to, or once belonged to.
    pub(super) async fn look_up(
        &self,
        token: &PlainToken,
    ) -> Result<Option<(Standing, RefreshRecord)>, Failure> {
        let family = Family::of(token);
        for family in self.digests.families(&family, Locator::of(token.expose())) {
            if let Some(record) = self.store.find_family(&family).await? {
                return Ok(Some((self.standing(token, &record), record)));
            }
        }

        // Rows that litestar-auth wrote have no family. Their token is found by its own digest, and
        // is current by definition.
        for stored in self.stored_forms(token) {
            if let Some(record) = self.store.find_refresh(&stored).await? {
                return Ok(Some((Standing::Current(stored), record)));
            }
        }
        Ok(None)
    }

    /// Compares a token with its session's record, under every digest key that is accepted.
    fn standing(&self, token: &PlainToken, record: &RefreshRecord) -> Standing {
        let digests: Vec<Digest> = self.digests.candidates(token).collect();
        if let Some(current) = digests
            .iter()
            .find(|digest| record.digest.as_ref() == Some(*digest))
        {
            return Standing::Current(current.clone().into());
        }

        let consumed = record
            .consumed
            .tokens()
            .iter()
            .rposition(|consumed| digests.contains(&consumed.digest));
        consumed.map_or(Standing::Older, Standing::Consumed)
    }

    /// Judges a consumed token: within its grace window, its successor can be derived again.
    fn judge(
        &self,
        token: &PlainToken,
        record: &RefreshRecord,
        place: usize,
        now: Timestamp,
    ) -> Result<Found, Rejection> {
        let consumed = record.consumed.tokens();
        let Some(entry) = consumed.get(place) else {
            return Err(Refusal::Consumed.into());
        };

        let later = consumed.get(place + 1);
        // Zero if the host of the rotation is ahead of this one: `since` saturates.
        let since_exchange = now.since(entry.at);
        // The successor was rotated too: its holder has received it, so this is no retry.
        if later.is_some() && self.reuse.closes_on_use() {
            return Err(reuse(record, ReuseCause::AfterConfirmation, since_exchange));
        }

        if since_exchange >= self.reuse.grace() || entry.at.since(now) > CLOCKS_DIFFER {
            let cause = if later.is_some() {
                ReuseCause::AfterConfirmation
            } else {
                ReuseCause::LongStale
            };
            return Err(reuse(record, cause, since_exchange));
        }

        let issued_at = if later.is_some() {
            entry.at
        } else {
            record.created_at.unwrap_or(entry.at)
        };
        let grant = self.grant_of(token, record, issued_at)?;
        let expected = later.map(|later| &later.digest).or(record.digest.as_ref());
        // The digest key of the rotation may not be the active one any more. Each key yields a
        // candidate, and the digest in the record tells which of them was issued.
        let successors = self
            .digests
            .successors(&entry.salt, token)
            .map(|successor| self.texts(&successor, &grant));
        let Some((refresh, access)) =
            { successors }.find(|(refresh, _)| self.has_digest(refresh, expected))
        else {
            return Err(Refusal::Consumed.into());
        };
        let expires_at = if later.is_some() {
            None
        } else {
            record.expires_at
        };
        let access_expires_at = record.access_expires_at;
        let repeat = Repeat {
            refresh,
            access,
            expires_at,
            access_expires_at,
        };
        Ok(Found {
            text: token.clone(),
            grant,
            next: Next::Again(repeat),
        })
    }

    /// Returns what the successor of a token shares with it. A row of litestar-auth has no session,
    /// and gets one here.
    fn grant_of(
        &self,
        token: &PlainToken,
        record: &RefreshRecord,
        issued_at: Timestamp,
    ) -> Result<Grant, Failure> {
        let session = match record.session {
            Some(session) => session,
            None => SessionId::generate(&*self.entropy)?,
        };
        let session_end = record
            .session_expires_at
            .or_else(|| self.lifetimes.session_end(issued_at));

        // The successor stays at the place of the presented token, which an older digest key may
        // have named.
        let locator = match Locator::of(token.expose()) {
            Some(locator) => Some(locator.with_session(Some(session))),
            None => self.store.locator(&record.user, Some(session)),
        };
        Ok(Grant {
            user: record.user.clone(),
            session,
            locator,
            session_end,
            issued_at,
            fence: record.fence,
        })
    }

    /// Rotates a refresh token, and issues the access token that `access` asks for.
    ///
    /// However many callers have found the same token, one successor exists afterwards. All callers
    /// are answered with it if they are in time ([`ReusePolicy`](crate::ReusePolicy)).
    pub(super) async fn exchange(
        &self,
        found: &Found,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, Rejection> {
        let (presented, consumed) = match &found.next {
            Next::Exchange(presented, consumed) => (presented, consumed),
            Next::Again(_) => return self.again(found, ReuseCause::Retry, access),
        };

        let mut salt = [0; 16];
        self.entropy.fill(&mut salt)?;
        let successor = self.digests.successors(&salt, &found.text).next();
        let successor =
            successor.ok_or_else(|| Failure::internal("sessions", "the key ring has no key"))?;
        let (refresh, opaque) = self.texts(&successor, &found.grant);
        let (refresh, record) = self.new_refresh(&found.grant, refresh)?;

        // The access token is made before the rotation is written. A signature that failed
        // afterwards would lose the session.
        let (issued, access_record) = match access(&found.grant, &record.digest)? {
            Access::None => (None, None),
            Access::Signed(token) => (Some(token), None),
            Access::Opaque => {
                let (token, record) = self.new_access(&found.grant, opaque);
                (Some(token), Some(record))
            }
        };
        let signed_end = issued
            .as_ref()
            .filter(|_| access_record.is_none())
            .map(|token| token.expires_at);

        // The window begins with the write. The look-up may have been long ago.
        let at = self.now();
        let token = ConsumedToken {
            digest: self.digests.digest(&found.text),
            at,
            salt,
        };
        let consumed = self.remembered(consumed, at).and(token);
        let record = NewRefresh {
            access_expires_at: signed_end,
            ..record
        };
        let rotate = rotation(found, presented, consumed, record, access_record);
        // The write is guarded by the presented token: it succeeds for one caller.
        match self.store.rotate(&rotate).await? {
            RotateOutcome::Done => Ok(Exchanged {
                refresh,
                access: issued,
            }),
            RotateOutcome::Gone => self.lost_race(found, access).await,
        }
    }

    /// Answers a caller whose token another request has rotated first.
    ///
    /// That is not reuse, even if the successor has been rotated since, because the token was
    /// current when it was looked up. The exception is a strict policy, where every second
    /// presentation is reuse.
    async fn lost_race(
        &self,
        found: &Found,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, Rejection> {
        match self.find(&found.text).await {
            Ok(found) => self.again(&found, ReuseCause::SecondTab, access),
            // In time, but the window has closed meanwhile, so the successor is not told again.
            Err(Rejection::Reused(_)) if !self.reuse.grace().is_zero() => {
                Err(Refusal::Consumed.into())
            }
            Err(rejection) => Err(rejection),
        }
    }

    /// Returns the consumed tokens that are still remembered after another rotation.
    fn remembered(&self, consumed: &Consumed, now: Timestamp) -> Consumed {
        let window = if self.reuse.closes_on_use() {
            Duration::ZERO
        } else {
            self.reuse.grace()
        };
        let time = self.remembered_for.unwrap_or_default().max(window);
        if time.is_zero() {
            Consumed::default()
        } else {
            consumed.clone().since(now.saturating_sub(time))
        }
    }

    /// Issues the tokens of an earlier rotation again, without writing.
    ///
    /// Refresh tokens and opaque access tokens keep their expiry, and are dated now, so that
    /// `expires_in` is right for the client. A signed access token is signed anew, and ends no later
    /// than the first one ([`Repeat::access_end`]).
    fn again(
        &self,
        found: &Found,
        cause: ReuseCause,
        access: impl Fn(&Grant, &Digest) -> Result<Access, Failure>,
    ) -> Result<Exchanged, Rejection> {
        let Next::Again(repeat) = &found.next else {
            return Err(Refusal::Consumed.into());
        };

        let Repeat {
            refresh,
            access: opaque,
            expires_at,
            ..
        } = repeat;
        let grant = &found.grant;
        let now = self.now();

        // A signed token is dated now, with the same id and session as the first one, and ends with
        // it.
        let issued_at = now.max(grant.issued_at);
        let end = repeat.access_end(issued_at);
        let session_end = Some(
            grant
                .session_end
                .map_or(end, |session_end| session_end.min(end)),
        );
        let signing = Grant {
            session_end,
            issued_at,
            ..grant.clone()
        };
        let access = match access(&signing, &self.digests.digest(refresh))? {
            Access::None => None,
            Access::Signed(token) => Some(token),
            Access::Opaque => {
                let end = self
                    .lifetimes
                    .access_end(grant.issued_at, grant.session_end);
                Some(repeated(opaque, grant, issued_at, end))
            }
        };
        forgiven(grant.session, cause);
        let refresh_end = expires_at.unwrap_or_else(|| {
            self.lifetimes
                .refresh_end(grant.issued_at, grant.session_end)
        });
        Ok(Exchanged {
            refresh: repeated(refresh, grant, issued_at, refresh_end),
            access,
        })
    }

    /// Returns the refresh token and the access token that are derived for a successor.
    fn texts(&self, successor: &Successor, grant: &Grant) -> (PlainToken, PlainToken) {
        (
            successor.token(&self.format, TokenKind::Refresh, grant.locator),
            successor.token(&self.format, TokenKind::Access, grant.locator),
        )
    }

    /// Returns `true` if the token has the digest `expected` under one of the keys.
    fn has_digest(&self, token: &PlainToken, expected: Option<&Digest>) -> bool {
        self.digests
            .candidates(token)
            .any(|digest| Some(&digest) == expected)
    }
}

/// Returns a token that is handed out again, dated anew.
fn repeated(
    token: &PlainToken,
    grant: &Grant,
    issued_at: Timestamp,
    expires_at: Timestamp,
) -> IssuedToken {
    IssuedToken {
        token: token.clone(),
        issued_at,
        expires_at,
        session_id: Some(grant.session),
    }
}

/// Returns the write of a rotation.
fn rotation(
    found: &Found,
    presented: &StoredToken,
    consumed: Consumed,
    successor: NewRefresh,
    access: Option<NewAccess>,
) -> RotateRequest {
    RotateRequest {
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

/// Returns the rejection of a reused token.
///
/// A consumed token always belongs to a session: only a rotation consumes tokens, and it gives a
/// session to a row without one.
fn reuse(record: &RefreshRecord, cause: ReuseCause, since_exchange: Duration) -> Rejection {
    match record.session {
        None => Refusal::Consumed.into(),
        Some(session) => Rejection::Reused(Reuse {
            session,
            owner: record.user.clone(),
            cause,
            since_exchange,
        }),
    }
}
