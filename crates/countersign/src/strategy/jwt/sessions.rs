//! The refresh side of signed tokens: sessions in a store, and their access tokens on the denylist once they end.

use std::time::Duration;

use async_trait::async_trait;

use crate::answer::{Destroyed, IssuedToken, Rotation, SessionId, TokenPair};
use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::jwt::claims::Claims;
use crate::jwt::jws;
use crate::store::{Page, SessionRecord, TokenStore};
use crate::strategy::jwt::{JwtStrategy, session_entry};
use crate::strategy::sessions::{evicted, one_too_many};
use crate::strategy::{Found, Grant, Login, LoginFence, RefreshableStrategy, Rejected, Sessions};
use crate::token::PlainToken;
use crate::user::{User, UserId, UserKey, UserManager};

/// How many sessions are asked for at once.
const PAGE: u32 = 100;

/// How much longer a session stays denied than its tokens can live: one may be signed between the denial and the end of the
/// session. When that took longer, the session is denied once more.
const IN_FLIGHT: Duration = Duration::from_mins(1);

impl<U: User> JwtStrategy<U> {
    fn refreshing(&self) -> Result<&Sessions, Failure> {
        self.sessions.as_ref().ok_or_else(|| Failure::internal("sessions", "the strategy was built without sessions"))
    }

    /// A refresh token's record and its user.
    async fn find(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Result<(Found, U), Refusal>, Failure> {
        let found = match self.refreshing()?.find(token).await? {
            Ok(found) => found,
            Err(rejected) => return Ok(Err(self.refuse(rejected).await?)),
        };
        let Some(id) = U::Id::from_key(found.user().clone()) else { return Ok(Err(Refusal::Subject)) };
        Ok(match users.get(&id).await? {
            None => Err(Refusal::UserUnknown),
            Some(user) if !user.is_active() => Err(Refusal::UserInactive),
            Some(user) => Ok((found, user)),
        })
    }

    /// Denies a session's access tokens for as long as the last of them can live, then ends it. A failure in between leaves
    /// a session that can be found again.
    async fn deny_and_end(&self, session: SessionId, user: &UserKey) -> Result<Destroyed, Failure> {
        let denied_at = self.deny_session(session).await?;
        let ended = self.refreshing()?.end(session, user).await?;
        self.deny_if_late(session, denied_at).await?;
        Ok(ended)
    }

    /// Denies a session's access tokens; since when.
    async fn deny_session(&self, session: SessionId) -> Result<Timestamp, Failure> {
        let now = self.clock.now();
        let until = now.saturating_add(self.lifetime).saturating_add(self.rules.leeway).saturating_add(IN_FLIGHT);
        self.denylist.deny(&session_entry(session), until, now).await?;
        Ok(now)
    }

    /// Until its session has ended a token may be signed, which may outlive a denial that lies too far back.
    async fn deny_if_late(&self, session: SessionId, denied_at: Timestamp) -> Result<(), Failure> {
        if self.clock.now().since(denied_at) >= IN_FLIGHT {
            self.deny_session(session).await?;
        }
        Ok(())
    }

    /// Overtakes logins that are under way, removes what belongs to no session, then denies and removes every session,
    /// until none is left. A refresh token without session that is exchanged meanwhile has a session by the time those are
    /// listed; and no session is removed that wasn't denied, that of a login that comes now included.
    pub(super) async fn end_all(&self, sessions: &Sessions, user: &U::Id) -> Result<u64, Failure> {
        let user = user.to_key();
        sessions.overtake(&user).await?;
        let mut removed = sessions.store().remove_loose(&user).await?;
        loop {
            let found = sessions.of_user(&user, Page { after: None, limit: PAGE }).await?;
            if found.is_empty() {
                return Ok(removed);
            }
            for session in found {
                let ended = self.deny_and_end(session.id, &user).await?;
                removed = removed.saturating_add(u64::from(ended == Destroyed::Revoked));
            }
        }
    }

    async fn refuse(&self, rejected: Rejected) -> Result<Refusal, Failure> {
        if let Some(reuse) = &rejected.reuse {
            let denied_at = self.deny_session(reuse.session).await?;
            self.refreshing()?.end_reused(reuse).await?;
            self.deny_if_late(reuse.session, denied_at).await?;
        }
        Ok(rejected.refusal)
    }

    /// Ends the sessions that are too many beside a new one.
    async fn keep_cap(&self, grant: &Grant) -> Result<Result<(), Refusal>, Failure> {
        let sessions = self.refreshing()?;
        let surplus = match sessions.surplus(grant).await? {
            Ok(surplus) => surplus,
            Err(refusal) => return Ok(Err(refusal)),
        };
        for session in surplus {
            self.deny_and_end(session, &grant.user).await?;
            evicted(session);
        }
        Ok(Ok(()))
    }
}

#[async_trait]
impl<U: User> RefreshableStrategy<U> for JwtStrategy<U> {
    async fn login_fence(&self, user: &U::Id) -> Result<LoginFence, Failure> {
        self.refreshing()?.fence(&user.to_key()).await
    }

    async fn log_in(&self, user: &U, login: &Login) -> Result<Result<TokenPair, Refusal>, Failure> {
        let sessions = self.refreshing()?;
        let grant = sessions.begin(user.id().to_key())?;
        let access = self.issue(user, Some(grant.session), grant.session_end, grant.issued_at)?;
        let refresh = match sessions.open(&grant, login).await? {
            Ok(refresh) => refresh,
            Err(refusal) => return Ok(Err(refusal)),
        };
        let pair = TokenPair { access, refresh: Some(refresh), issued_at: whole_seconds(grant.issued_at) };
        Ok(self.keep_cap(&grant).await?.map(|()| pair))
    }

    async fn session(&self, session: SessionId, user: &U::Id) -> Result<Option<SessionRecord>, Failure> {
        self.refreshing()?.get(session, &user.to_key()).await
    }

    async fn sessions_of(&self, user: &U::Id) -> Result<Vec<SessionRecord>, Failure> {
        self.refreshing()?.live_sessions(&user.to_key()).await
    }

    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, TokenPair>, Failure> {
        let (found, user) = match self.find(token, users).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Rotation::Refused(refusal)),
        };
        let grant = found.grant();
        // Signed first: a signature that fails after the exchange would lose the session.
        let access = self.issue(&user, Some(grant.session), grant.session_end, grant.issued_at)?;
        Ok(match self.refreshing()?.rotate(&found).await? {
            Err(rejected) => Rotation::Refused(self.refuse(rejected).await?),
            Ok(refresh) => {
                let issued = TokenPair { access, refresh: Some(refresh), issued_at: whole_seconds(grant.issued_at) };
                Rotation::Rotated { user, issued }
            }
        })
    }

    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let sessions = self.refreshing()?;
        let grant = sessions.begin(user.id().to_key())?;
        let refresh = sessions.open(&grant, &Login::default()).await?.map_err(|_| one_too_many())?;
        self.keep_cap(&grant).await?.map_err(|_| one_too_many())?;
        Ok(refresh)
    }

    async fn rotate_refresh_token(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, IssuedToken>, Failure> {
        let (found, user) = match self.find(token, users).await? {
            Ok(found) => found,
            Err(refusal) => return Ok(Rotation::Refused(refusal)),
        };
        Ok(match self.refreshing()?.rotate(&found).await? {
            Err(rejected) => Rotation::Refused(self.refuse(rejected).await?),
            Ok(issued) => Rotation::Rotated { user, issued },
        })
    }

    async fn end_session_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure> {
        let sessions = self.refreshing()?;
        let Some((session, user)) = sessions.session_of(refresh).await? else { return sessions.end_of(refresh).await };
        // By its id, since a refresh may have put another token in this one's place.
        self.deny_and_end(session, &user).await
    }

    async fn end_session(&self, session: SessionId, user: &U::Id) -> Result<Destroyed, Failure> {
        let user = user.to_key();
        // Nobody fills the denylist with sessions that aren't theirs.
        if self.refreshing()?.store().find_session(session, &user).await?.is_none() {
            return Ok(Destroyed::AlreadyInvalid);
        }
        self.deny_and_end(session, &user).await
    }

    /// As with an ID token that OpenID Connect takes as a hint at logout, age is no objection: the signature says whose
    /// session it was.
    async fn end_session_of_stale(&self, access: &PlainToken) -> Result<Option<Destroyed>, Failure> {
        let Ok(verified) = jws::verify(&self.keys, self.profile, access.expose(), self.max_token_length) else {
            return Ok(None);
        };
        let Ok(claims) = Claims::read_for_revocation(&verified.payload, &self.rules) else { return Ok(None) };
        let user = claims.subject().and_then(|subject| (self.subject_decoder)(subject));
        let (Some(session), Some(user)) = (claims.session, user) else { return Ok(None) };
        let now = self.clock.now();
        // A token that hasn't expired may have been revoked alone, in a session that goes on.
        let over = claims.is_over(&self.rules, now);
        if !over && !self.denylist.is_any_denied(&[&session_entry(session)], now).await? {
            return Ok(None);
        }
        self.end_session(session, &user).await.map(Some)
    }

    async fn end_other_sessions(&self, user: &U::Id, kept: Option<SessionId>) -> Result<u64, Failure> {
        let user = user.to_key();
        self.refreshing()?.overtake(&user).await?;
        let mut ended: u64 = 0;
        for session in self.refreshing()?.live_sessions(&user).await? {
            if Some(session.id) != kept {
                ended =
                    ended.saturating_add(u64::from(self.deny_and_end(session.id, &user).await? == Destroyed::Revoked));
            }
        }
        Ok(ended)
    }
}

/// The moment that `iat` tells, so that the token's stated life is its whole life.
const fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(moment.as_unix_seconds())
}
