//! The issuing, reading and denying of signed access tokens, with or without sessions.
//!
//! A denylist entry is a text. Entries outlive a deployment, so their spelling must not change.
//! There are four kinds:
//!
//! - the id of one token (`jti`);
//! - `sid:…`: all tokens of a session;
//! - `fence:…`: all tokens that carry a fence which "log out everywhere" replaced;
//! - `kept:…:…`: not a denial but an exception. It spares one session although its fence is denied.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use tracing::debug;

use crate::clock::{Clock, Timestamp};
use crate::denylist::DenylistStore;
use crate::entropy::Entropy;
use crate::error::{Failure, Refusal};
use crate::jwt::KeyRing;
use crate::jwt::claims::{ClaimRules, Claims, FenceText, NewClaims, SessionText};
use crate::jwt::jws::{self, Verified};
use crate::profile::Profile;
use crate::session::SessionId;
use crate::store::Fence;
use crate::strategy::jwt::fingerprint::Fingerprints;
use crate::strategy::{Strategy, TokenControl};
use crate::token::{
    Authenticated, EndOutcome, Invalidated, IssuedToken, PlainToken, TokenShape, TokenStatus,
};
use crate::user::{User, UserId, UserKey, UserManager};

/// The default for the longest lifetime of tokens that are accepted.
pub(super) const LONGEST_LIFETIME: Duration = Duration::from_hours(24);

/// The function that turns a `sub` claim into a user id.
pub(super) type SubjectDecoder<U> = Arc<dyn Fn(&str) -> Option<<U as User>::Id> + Send + Sync>;

/// The strategy for access tokens alone. [`JwtStrategy`](super::JwtStrategy) builds it.
pub(super) struct SignedTokens<U: User> {
    pub(super) keys: KeyRing,
    pub(super) profile: Profile,
    pub(super) rules: ClaimRules,
    pub(super) lifetime: Duration,
    pub(super) max_token_length: usize,
    pub(super) subject_decoder: SubjectDecoder<U>,
    pub(super) fingerprints: Fingerprints<U>,
    pub(super) denylist: Arc<dyn DenylistStore>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

/// The facts of a token to be signed, except for its user.
pub(super) struct Signing {
    /// The session that the token belongs to.
    pub(super) session: Option<SessionId>,
    /// The fence that the token carries. It ends when this fence is replaced.
    pub(super) fence: Option<Fence>,
    /// The id of the token. `None` makes a random one.
    pub(super) id: Option<String>,
    /// The absolute expiry of the session, which no token outlives.
    pub(super) session_end: Option<Timestamp>,
    /// The time of issue.
    pub(super) now: Timestamp,
}

/// Returns the denylist id for all tokens of a session.
pub(super) fn session_entry(session: SessionId) -> String {
    format!("sid:{session}")
}

/// Returns the denylist id for all tokens that carry a fence.
pub(super) fn fence_entry(fence: Fence) -> String {
    format!("fence:{}", fence.to_text())
}

/// Returns the denylist id that spares the tokens of a session although their fence is denied.
pub(super) fn kept_entry(fence: Fence, session: SessionId) -> String {
    format!("kept:{}:{session}", fence.to_text())
}

impl<U: User> SignedTokens<U> {
    /// Signs a token that expires after the lifetime, and never later than its session. Times are
    /// whole seconds, rounded down.
    pub(super) fn issue(&self, user: &U, signing: &Signing) -> Result<IssuedToken, Failure> {
        let key = self.keys.active()?;
        let end = signing
            .now
            .saturating_add(self.lifetime)
            .min(signing.session_end.unwrap_or(Timestamp::MAX));
        let (issued_at, exp) = (signing.now.as_unix_seconds(), end.as_unix_seconds());
        let id = match &signing.id {
            Some(id) => id.clone(),
            None => self.random_id()?,
        };
        let claims = NewClaims {
            sub: &user.id().to_key().to_subject(),
            aud: &self.rules.audience,
            iat: issued_at,
            nbf: issued_at,
            exp,
            jti: &id,
            iss: self.rules.issuer.as_deref(),
            sid: signing.session.map(SessionText),
            fence: signing.fence.map(FenceText),
        };

        let fingerprint = self
            .fingerprints
            .of(self.profile, user, key.verifying_key());
        let fingerprint = fingerprint
            .as_deref()
            .map(|value| (&*self.rules.fingerprint_claim, value));
        let token = jws::sign(key, self.profile, &claims.to_json(fingerprint)?)?;
        // Every read would refuse such a token, so it is not issued.
        if token.len() > self.max_token_length {
            return Err(Failure::internal(
                "token writer",
                "the token is longer than the limit for reading",
            ));
        }

        Ok(IssuedToken {
            token: PlainToken::new(token),
            // The times of the claims, in whole seconds, and not those of the clock.
            issued_at: Timestamp::from_unix_seconds(issued_at),
            expires_at: Timestamp::from_unix_seconds(exp),
            session_id: signing.session,
        })
    }

    /// Returns a random token id: 32 hexadecimal digits.
    fn random_id(&self) -> Result<String, Failure> {
        let mut id = [0; 16];
        self.entropy.fill(&mut id)?;
        Ok(HEXLOWER.encode(&id))
    }

    /// Checks length, header and signature of a token. Claims are not looked at.
    pub(super) fn verify(&self, token: &PlainToken) -> Result<Verified<'_>, Refusal> {
        jws::verify(
            &self.keys,
            self.profile,
            token.expose(),
            self.max_token_length,
        )
    }

    /// Reads a token step by step, from the cheapest check to the look-up of the user.
    async fn read(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        let verified = match self.verify(token) {
            Ok(verified) => verified,
            Err(refusal) => return Ok(TokenStatus::Refused(refusal)),
        };

        let now = self.clock.now();
        let claims = match Claims::read(&verified.payload, &self.rules, now) {
            Ok(claims) => claims,
            Err(refusal) => return Ok(TokenStatus::Refused(refusal)),
        };
        if self.is_denied(&claims, now).await? {
            return Ok(TokenStatus::Refused(Refusal::Revoked));
        }

        let Some(id) = self.user_of(&claims) else {
            return Ok(TokenStatus::Refused(Refusal::Subject));
        };
        let Some(user) = users.get(&id).await? else {
            return Ok(TokenStatus::Refused(Refusal::UserUnknown));
        };
        if let Err(refusal) =
            self.fingerprints
                .check(self.profile, &user, verified.key, claims.fingerprint())
        {
            return Ok(TokenStatus::Refused(refusal));
        }
        Ok(TokenStatus::Accepted(Authenticated::new(
            user,
            claims.session,
            claims.issued_at,
            claims.expires_at,
        )))
    }

    /// Returns the user id in the `sub` claim, or `None` if it is not one.
    pub(super) fn user_of(&self, claims: &Claims<'_>) -> Option<U::Id> {
        claims
            .subject()
            .and_then(|subject| (self.subject_decoder)(subject))
    }

    /// Returns `true` if a token is denied by its own id, its session or its fence.
    ///
    /// Takes one round trip. A token that is denied takes up to two more, because its session may
    /// have been kept when its fence was replaced.
    pub(super) async fn is_denied(
        &self,
        claims: &Claims<'_>,
        now: Timestamp,
    ) -> Result<bool, Failure> {
        let session = claims.session.map(session_entry);
        let fence = claims.fence.map(fence_entry);
        let ids = [
            Some(claims.token_id()),
            session.as_deref(),
            fence.as_deref(),
        ];
        let ids = ids.into_iter().flatten().collect::<Vec<_>>();
        if !self.denylist.is_any_denied(&ids, now).await? {
            return Ok(false);
        }
        let (Some(fence), Some(session)) = (claims.fence, claims.session) else {
            return Ok(true);
        };

        // Only the denial of the fence has exceptions. Token and session are asked about once more,
        // without the fence, before a kept session is let in.
        if !self
            .denylist
            .is_any_denied(&[&kept_entry(fence, session)], now)
            .await?
        {
            return Ok(true);
        }
        self.denylist
            .is_any_denied(&[claims.token_id(), &session_entry(session)], now)
            .await
    }

    /// Denies an id until `end` plus the leeway, because a server whose clock is behind accepts the
    /// token for that much longer.
    pub(super) async fn deny(
        &self,
        id: &str,
        end: Timestamp,
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.denylist
            .deny(id, end.saturating_add(self.rules.leeway), now)
            .await
    }

    /// Returns the claims of a token of `user` that can still be accepted, now or later.
    fn revocable<'t>(&self, payload: &'t [u8], user: &U, now: Timestamp) -> Option<Claims<'t>> {
        let claims = Claims::read_for_revocation(payload, &self.rules).ok()?;
        let owner = self.user_of(&claims)?;
        let live = claims.expires_at.saturating_add(self.rules.leeway) > now;
        (live && owner == *user.id()).then_some(claims)
    }
}

#[async_trait]
impl<U: User> Strategy<U> for SignedTokens<U> {
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        let Some(token) = token else {
            return Ok(TokenStatus::NotOffered);
        };
        let answer = self.read(token, users).await?;
        if let TokenStatus::Refused(refusal) = &answer {
            debug!(
                event = "signed_token_refused",
                reason = refusal.as_str(),
                "signed token refused"
            );
        }
        Ok(answer)
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let now = self.clock.now();
        self.issue(
            user,
            &Signing {
                session: None,
                fence: None,
                id: None,
                session_end: None,
                now,
            },
        )
    }

    /// Denies the token until its expiry plus the leeway.
    ///
    /// The time from which the token is valid (`nbf`) doesn't matter, so a token of a host whose
    /// clock is ahead is denied at once.
    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure> {
        let now = self.clock.now();
        let Ok(verified) = self.verify(token) else {
            return Ok(EndOutcome::AlreadyEnded);
        };
        let Some(claims) = self.revocable(&verified.payload, user, now) else {
            return Ok(EndOutcome::AlreadyEnded);
        };
        if self.is_denied(&claims, now).await? {
            return Ok(EndOutcome::AlreadyEnded);
        }
        self.deny(claims.token_id(), claims.expires_at, now).await?;
        Ok(EndOutcome::Ended)
    }
}

#[async_trait]
impl<U: User> TokenControl for SignedTokens<U> {
    async fn invalidate_all(&self, _: &UserKey) -> Result<Invalidated, Failure> {
        Ok(Invalidated::Unsupported)
    }

    fn revocation_is_durable(&self) -> bool {
        self.denylist.is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        TokenShape::Signed
    }
}

impl<U: User> fmt::Debug for SignedTokens<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SignedTokens")
            .field("keys", &self.keys)
            .field("profile", &self.profile)
            .field("rules", &self.rules)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
