//! The refresh side of signed tokens: sessions in a store, and denials for the sessions that end.
//!
//! A signed access token is valid without any look-up in the session store. When a session ends,
//! its tokens must therefore be denied, and the *order* of steps matters: a crash between two steps
//! may leave a session that has to be ended once more, and never a token that nobody can find. The
//! shared flow (`strategy::sessions::ending`) keeps that order; this file says what is denied, and
//! for how long.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::jwt::claims::Claims;
use crate::profile::Profile;
use crate::store::{EndedFence, SessionRecord, TokenStore};
use crate::strategy::jwt::tokens::LONGEST_LIFETIME;
use crate::strategy::jwt::tokens::{SignedTokens, Signing, fence_entry, kept_entry, session_entry};
use crate::strategy::sessions::{
    Access, GoesOn, Grant, IN_FLIGHT, Issuer, IssuesFor, Named, Presented,
};
use crate::strategy::{RefreshableStrategy, SessionControl, Sessions, Strategy, TokenControl};
use crate::token::{
    Digest, EndOutcome, Invalidated, IssuedToken, PlainToken, TokenShape, TokenStatus,
};
use crate::user::{User, UserId, UserKey, UserManager};

/// The strategy for signed access tokens with sessions.
pub(super) struct SignedSessions<U: User> {
    pub(super) tokens: SignedTokens<U>,
    pub(super) sessions: Sessions,
}

impl<U: User> SignedSessions<U> {
    /// Returns the latest expiry that an access token of the session may have.
    ///
    /// The record holds the expiry of the latest token and, by its time of issue, its lifetime.
    /// Another server may have a longer lifetime than this one, and may refresh the session in this
    /// moment: so the longer of the two lifetimes counts, from now on.
    fn last_end(&self, record: &SessionRecord, now: Timestamp) -> Timestamp {
        let recorded = record.access_expires_at.unwrap_or(now);
        let given = record
            .refreshed_at
            .map_or(Duration::ZERO, |issued| recorded.since(issued));
        now.saturating_add(self.tokens.lifetime.max(given))
            .max(recorded)
    }

    /// Returns the longest life of a token that carries a fence.
    ///
    /// Tokens of litestar-auth carry none, and in its profile the bound on accepted lifetimes
    /// defaults to 100 years. So 24 hours count there, or the lifetime if it is longer.
    fn longest(&self) -> Duration {
        match self.tokens.profile {
            Profile::Countersign => self.tokens.rules.max_lifetime,
            Profile::LitestarAuth => self.tokens.lifetime.max(LONGEST_LIFETIME),
        }
    }

    /// Returns the ids of the access tokens that were issued with the session's refresh tokens, as
    /// far as these are remembered. litestar-auth denies tokens by nothing else.
    fn token_ids(record: &SessionRecord) -> impl Iterator<Item = String> + Send {
        let consumed = record.consumed.tokens().iter().map(|token| &token.digest);
        record
            .current
            .iter()
            .chain(consumed)
            .map(token_id)
            .collect::<Vec<_>>()
            .into_iter()
    }
}

/// Returns the id of the access token that is issued with a refresh token.
///
/// It is derived, not random, so that it can be computed again from the session's record when the
/// token has to be denied.
fn token_id(refresh: &Digest) -> String {
    let mut hash = Sha256::new();
    hash.update(b"countersign token id, version 1\0");
    hash.update(refresh.as_str().as_bytes());
    let hash = hash.finalize();
    HEXLOWER.encode(hash.get(..16).unwrap_or(&hash))
}

#[async_trait]
impl<U: User> Issuer for SignedSessions<U> {
    type Store = Arc<dyn TokenStore>;

    const SIGNED: bool = true;

    fn sessions(&self) -> &Sessions {
        &self.sessions
    }

    /// Reads the session from an access token of any age, as OpenID Connect accepts an expired ID
    /// token at logout. The signature proves whose session it was.
    async fn named_by(&self, access: &PlainToken) -> Result<Presented, AuthError> {
        let tokens = &self.tokens;
        let verified = tokens.verify(access)?;
        let claims = Claims::read_for_revocation(&verified.payload, &tokens.rules)?;
        let user = tokens.user_of(&claims).ok_or(Refusal::Subject)?;
        let now = tokens.clock.now();
        let over = claims.is_over(&tokens.rules, now);
        let denied = !over && tokens.is_denied(&claims, now).await?;
        if denied {
            // The token may have been revoked alone, in a session that goes on. Then there is
            // nothing to end. If the session is denied too, an earlier logout may have stopped
            // between denying it and ending it.
            let session = claims.session.map(session_entry);
            let with_session = match &session {
                Some(session) => tokens.denylist.is_any_denied(&[session], now).await?,
                None => false,
            };
            if !with_session {
                return Ok(Presented::Gone);
            }
        }

        Ok(Presented::Known(Named {
            user: user.to_key(),
            session: claims.session,
            expires_at: claims.expires_at,
            is_good: !over && !denied,
        }))
    }

    async fn revoke(&self, access: &PlainToken, named: &Named) -> Result<(), Failure> {
        // A token that can't be verified any more is not accepted either: there is nothing to deny.
        let Ok(verified) = self.tokens.verify(access) else {
            return Ok(());
        };
        let Ok(claims) = Claims::read_for_revocation(&verified.payload, &self.tokens.rules) else {
            return Ok(());
        };
        self.tokens
            .deny(claims.token_id(), named.expires_at, self.tokens.clock.now())
            .await
    }

    async fn deny_session(
        &self,
        record: &SessionRecord,
        at_least: Option<Timestamp>,
    ) -> Result<(), Failure> {
        let now = self.tokens.clock.now();
        let last = self.last_end(record, now).saturating_add(IN_FLIGHT);
        let end = at_least.map_or(last, |at_least| last.max(at_least));
        self.tokens
            .deny(&session_entry(record.id), end, now)
            .await?;
        if self.denies_each() {
            for id in Self::token_ids(record) {
                self.tokens.deny(&id, end, now).await?;
            }
        }
        Ok(())
    }

    /// Denies the fences, and spares the session that goes on.
    ///
    /// The exception is recorded before the denial, so that the tokens of that session are valid at
    /// every moment.
    async fn deny_fences(
        &self,
        ended: &[EndedFence],
        goes_on: GoesOn,
        latest: Option<Timestamp>,
    ) -> Result<(), Failure> {
        let now = self.tokens.clock.now();
        let last = now.saturating_add(self.longest()).saturating_add(IN_FLIGHT);
        let last = latest.map_or(last, |latest| last.max(latest.saturating_add(IN_FLIGHT)));
        for ended in ended {
            match ended.kept {
                Some(kept) if goes_on.is(kept) => {
                    // The exception must not end before the denial does.
                    let longer = last.saturating_add(IN_FLIGHT);
                    self.tokens
                        .deny(&kept_entry(ended.fence, kept), longer, now)
                        .await?;
                }
                // An earlier ending kept this session, and its exception is still there. Its tokens
                // carry this fence or an earlier one, so only a denial of the session itself
                // reaches them.
                Some(over) => self.tokens.deny(&session_entry(over), last, now).await?,
                None => {}
            }

            self.tokens
                .deny(&fence_entry(ended.fence), last, now)
                .await?;
        }
        Ok(())
    }

    fn denies_each(&self) -> bool {
        self.tokens.profile == Profile::LitestarAuth
    }
}

impl<U: User> IssuesFor<U> for SignedSessions<U> {
    fn access(&self, user: &U, grant: &Grant, refresh: &Digest) -> Result<Access, Failure> {
        let signing = Signing {
            session: Some(grant.session),
            fence: grant.fence,
            id: Some(token_id(refresh)),
            session_end: grant.session_end,
            now: grant.issued_at,
        };
        self.tokens.issue(user, &signing).map(Access::Signed)
    }
}

#[async_trait]
impl<U: User> Strategy<U> for SignedSessions<U> {
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        self.tokens.read_token(token, users).await
    }

    /// Issues a token without a session. It carries the user's fence, so that "log out everywhere"
    /// ends it.
    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let fence = self.sessions.standing_fence(&user.id().to_key()).await?;
        let now = self.tokens.clock.now();
        self.tokens.issue(
            user,
            &Signing {
                session: None,
                fence: Some(fence),
                id: None,
                session_end: None,
                now,
            },
        )
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure> {
        self.tokens.destroy_token(token, user).await
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        Some(self)
    }
}

#[async_trait]
impl<U: User> TokenControl for SignedSessions<U> {
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure> {
        self.end_sessions(user, None).await.map(Invalidated::All)
    }

    fn revocation_is_durable(&self) -> bool {
        self.tokens.revocation_is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        TokenShape::Signed
    }
}
