//! The `litestar-auth` profile on Redis: tokens exactly as litestar-auth keeps them, and no
//! sessions.
//!
//! It exists for migrations. Both systems can run on the same Redis meanwhile.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::clock::{Clock, Timestamp};
use crate::entropy::Entropy;
use crate::error::{Failure, Refusal};
use crate::store::OriginalTokens;
use crate::strategy::{Strategy, TokenControl};
use crate::token::{
    Authenticated, DigestKeyRing, EndOutcome, Invalidated, IssuedToken, PlainToken, TokenFormat,
    TokenKind, TokenShape, TokenStatus,
};
use crate::user::{User, UserId, UserKey, UserManager};

/// The function that turns the stored text of a user id into an id.
pub(super) type SubjectDecoder<U> = Arc<dyn Fn(&str) -> Option<<U as User>::Id> + Send + Sync>;

/// The strategy over [`OriginalTokens`]: a key for each token, and an index for each user.
pub(super) struct Original<U: User> {
    pub(super) tokens: OriginalTokens,
    pub(super) digests: DigestKeyRing,
    pub(super) format: TokenFormat,
    pub(super) lifetime: Duration,
    pub(super) subject_decoder: SubjectDecoder<U>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl<U: User> Original<U> {
    /// Returns the stored user id of a token and its expiry by Redis's clock, under each digest
    /// that the token may be stored under.
    async fn look_up(
        &self,
        token: &PlainToken,
    ) -> Result<Option<(String, Option<Timestamp>)>, Failure> {
        for digest in self.digests.candidates(token) {
            if let Some(found) = self.tokens.read(&digest).await? {
                return Ok(Some(found));
            }
        }
        Ok(None)
    }
}

#[async_trait]
impl<U: User> Strategy<U> for Original<U> {
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        let Some(token) = token else {
            return Ok(TokenStatus::NotOffered);
        };
        if let Err(refusal) = self.format.check(TokenKind::Access, token) {
            return Ok(TokenStatus::Refused(refusal));
        }
        let Some((user, end)) = self.look_up(token).await? else {
            return Ok(TokenStatus::Refused(Refusal::Unknown));
        };
        let Some(id) = (self.subject_decoder)(&user) else {
            return Ok(TokenStatus::Refused(Refusal::Subject));
        };
        let Some(user) = users.get(&id).await? else {
            return Ok(TokenStatus::Refused(Refusal::UserUnknown));
        };

        // Redis keeps the expiry alone, and the token may have been written with another lifetime,
        // so the time of issue is an estimate.
        let now = self.clock.now();
        let expires_at = end.unwrap_or_else(|| now.saturating_add(self.lifetime));
        let issued_at = expires_at.saturating_sub(self.lifetime).min(now);
        Ok(TokenStatus::Accepted(Authenticated::new(
            user, None, issued_at, expires_at,
        )))
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let token = self
            .format
            .generate(TokenKind::Access, None, &*self.entropy)?;
        let issued_at = self.clock.now();
        let subject = user.id().to_key().to_subject();
        self.tokens
            .write(&self.digests.digest(&token), &subject, self.lifetime)
            .await?;

        Ok(IssuedToken {
            token,
            issued_at,
            expires_at: issued_at.saturating_add(self.lifetime),
            session_id: None,
        })
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure> {
        let subject = user.id().to_key().to_subject();
        let mut destroyed = EndOutcome::AlreadyEnded;
        if self.format.check(TokenKind::Access, token).is_ok() {
            for digest in self.digests.candidates(token) {
                if self.tokens.destroy(&digest, &subject).await? {
                    destroyed = EndOutcome::Ended;
                }
            }
        }
        Ok(destroyed)
    }
}

#[async_trait]
impl<U: User> TokenControl for Original<U> {
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure> {
        Ok(Invalidated::All(
            self.tokens.invalidate(&user.to_subject()).await?,
        ))
    }

    fn revocation_is_durable(&self) -> bool {
        true
    }

    fn token_shape(&self) -> TokenShape {
        self.format.access_shape()
    }
}

impl<U: User> fmt::Debug for Original<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Original")
            .field("tokens", &self.tokens)
            .field("digests", &self.digests)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
