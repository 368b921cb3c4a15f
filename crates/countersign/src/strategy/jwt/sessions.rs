//! The refresh side of signed tokens: sessions in a store, and their access tokens on the denylist once they end.

use std::time::Duration;

use async_trait::async_trait;

use crate::answer::{Destroyed, IssuedToken, Rotation, SessionId, TokenPair};
use crate::clock::Timestamp;
use crate::error::{Failure, Refusal};
use crate::store::Page;
use crate::strategy::jwt::{JwtStrategy, session_entry};
use crate::strategy::{Found, RefreshableStrategy, Sessions};
use crate::token::PlainToken;
use crate::user::{User, UserId, UserKey, UserManager};

/// How many sessions are asked for at once.
const PAGE: u32 = 100;

/// How much longer a session stays denied than its tokens can live: one may be signed while the session is being
/// ended, and the store then refuses to record its refresh token within this time.
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
            Err(refusal) => return Ok(Err(refusal)),
        };
        let Some(id) = U::Id::from_key(found.user().clone()) else { return Ok(Err(Refusal::Subject)) };
        Ok(match users.get(&id).await? {
            None => Err(Refusal::UserUnknown),
            Some(user) if !user.is_active() => Err(Refusal::UserInactive),
            Some(user) => Ok((found, user)),
        })
    }

    /// Denies a session's access tokens for as long as the last of them can live.
    async fn deny_session(&self, session: SessionId) -> Result<(), Failure> {
        let now = self.clock.now();
        let until = now.saturating_add(self.lifetime).saturating_add(self.rules.leeway).saturating_add(IN_FLIGHT);
        self.denylist.deny(&session_entry(session), until, now).await
    }

    /// Denies and removes every session of a user, until none is left: those that are opened meanwhile too. Denying
    /// comes first: a failure in between leaves sessions that can be found again.
    ///
    /// A session that is opened between the last look and the last removal, which takes rows without a session, loses
    /// its refresh token there and then, and its access token by age.
    pub(super) async fn end_all(&self, sessions: &Sessions, user: &U::Id) -> Result<u64, Failure> {
        let user = user.to_key();
        let mut removed: u64 = 0;
        loop {
            let found = sessions.of_user(&user, Page { after: None, limit: PAGE }).await?;
            if found.is_empty() {
                return Ok(removed.saturating_add(sessions.invalidate(&user).await?));
            }
            for session in found {
                self.deny_session(session).await?;
                removed = removed.saturating_add(u64::from(sessions.store().end_session(session, &user).await?));
            }
        }
    }

    /// Whether a session is the user's, so that nobody fills the denylist with sessions that aren't theirs.
    async fn is_session_of(&self, session: SessionId, user: &UserKey) -> Result<bool, Failure> {
        let mut page = Page { after: None, limit: PAGE };
        loop {
            let found = self.refreshing()?.of_user(user, page).await?;
            if found.contains(&session) {
                return Ok(true);
            }
            match found.iter().max() {
                Some(last) => page.after = Some(*last),
                None => return Ok(false),
            }
        }
    }
}

#[async_trait]
impl<U: User> RefreshableStrategy<U> for JwtStrategy<U> {
    async fn open_session(&self, user: &U) -> Result<TokenPair, Failure> {
        let sessions = self.refreshing()?;
        let grant = sessions.begin(user.id().to_key())?;
        let access = self.issue(user, Some(grant.session), grant.session_end, grant.issued_at)?;
        let refresh = sessions.open(&grant).await?;
        Ok(TokenPair { access, refresh: Some(refresh), issued_at: whole_seconds(grant.issued_at) })
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
            Err(refusal) => Rotation::Refused(refusal),
            Ok(refresh) => {
                let issued = TokenPair { access, refresh: Some(refresh), issued_at: whole_seconds(grant.issued_at) };
                Rotation::Rotated { user, issued }
            }
        })
    }

    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let sessions = self.refreshing()?;
        sessions.open(&sessions.begin(user.id().to_key())?).await
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
            Err(refusal) => Rotation::Refused(refusal),
            Ok(issued) => Rotation::Rotated { user, issued },
        })
    }

    async fn end_session_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure> {
        let sessions = self.refreshing()?;
        let Some((session, user)) = sessions.session_of(refresh).await? else { return sessions.end_of(refresh).await };
        self.deny_session(session).await?;
        // By its id, since a refresh may have put another token in this one's place.
        sessions.end(session, &user).await
    }

    async fn end_session(&self, session: SessionId, user: &U::Id) -> Result<Destroyed, Failure> {
        let user = user.to_key();
        if !self.is_session_of(session, &user).await? {
            return Ok(Destroyed::AlreadyInvalid);
        }
        self.deny_session(session).await?;
        self.refreshing()?.end(session, &user).await
    }
}

/// The moment that `iat` tells, so that the token's stated life is its whole life.
const fn whole_seconds(moment: Timestamp) -> Timestamp {
    Timestamp::from_unix_seconds(moment.as_unix_seconds())
}
