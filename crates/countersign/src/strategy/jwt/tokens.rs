//! Signed access tokens, whether sessions stand behind them or not.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use tracing::debug;

use crate::answer::{Answer, Authenticated, Destroyed, Invalidated, IssuedToken, SessionId};
use crate::clock::{Clock, Timestamp};
use crate::denylist::DenylistStore;
use crate::entropy::Entropy;
use crate::error::{Failure, Refusal};
use crate::jwt::KeyRing;
use crate::jwt::claims::{ClaimRules, Claims, FenceText, NewClaims, SessionText};
use crate::jwt::jws::{self, Verified};
use crate::profile::Profile;
use crate::store::Fence;
use crate::strategy::jwt::fingerprint::Fingerprints;
use crate::strategy::{Strategy, TokenControl};
use crate::token::{PlainToken, TokenShape};
use crate::user::{User, UserId, UserKey, UserManager};

pub(super) type SubjectDecoder<U> = Arc<dyn Fn(&str) -> Option<<U as User>::Id> + Send + Sync>;

/// Signs and reads access tokens, and denies them.
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

/// What a token to be signed says beside its user.
pub(super) struct Signing {
    pub(super) session: Option<SessionId>,
    pub(super) fence: Option<Fence>,
    /// The token's id; random when it isn't given.
    pub(super) id: Option<String>,
    /// The absolute expiry of the session, which no token outlives.
    pub(super) session_end: Option<Timestamp>,
    pub(super) now: Timestamp,
}

/// The id under which a session's tokens are denied.
pub(super) fn session_entry(session: SessionId) -> String {
    format!("sid:{session}")
}

/// The id under which the tokens are denied that carry a fence.
pub(super) fn fence_entry(fence: Fence) -> String {
    format!("fence:{}", fence.to_text())
}

/// The id that spares a session's tokens although their fence is denied.
pub(super) fn kept_entry(fence: Fence, session: SessionId) -> String {
    format!("kept:{}:{session}", fence.to_text())
}

impl<U: User> SignedTokens<U> {
    /// Signs a token that ends after the lifetime, and never after its session. Times are whole seconds.
    pub(super) fn issue(&self, user: &U, signing: &Signing) -> Result<IssuedToken, Failure> {
        let key = self.keys.active()?;
        let end = signing.now.saturating_add(self.lifetime).min(signing.session_end.unwrap_or(Timestamp::MAX));
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
        let fingerprint = self.fingerprints.of(self.profile, user, key.verifying_key());
        let fingerprint = fingerprint.as_deref().map(|value| (&*self.rules.fingerprint_claim, value));
        let token = jws::sign(key, self.profile, &claims.to_json(fingerprint)?)?;
        if token.len() > self.max_token_length {
            return Err(Failure::internal("token writer", "the token is longer than any that is read"));
        }
        Ok(IssuedToken {
            token: PlainToken::new(token),
            // What the claims say, in whole seconds.
            issued_at: Timestamp::from_unix_seconds(issued_at),
            expires_at: Timestamp::from_unix_seconds(exp),
            session_id: signing.session,
        })
    }

    fn random_id(&self) -> Result<String, Failure> {
        let mut id = [0; 16];
        self.entropy.fill(&mut id)?;
        Ok(HEXLOWER.encode(&id))
    }

    /// Checks the signature.
    pub(super) fn verify(&self, token: &PlainToken) -> Result<Verified<'_>, Refusal> {
        jws::verify(&self.keys, self.profile, token.expose(), self.max_token_length)
    }

    async fn read(&self, token: &PlainToken, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        let refused = |refusal| Ok(Answer::Refused(refusal));
        let verified = match self.verify(token) {
            Ok(verified) => verified,
            Err(refusal) => return refused(refusal),
        };
        let now = self.clock.now();
        let claims = match Claims::read(&verified.payload, &self.rules, now) {
            Ok(claims) => claims,
            Err(refusal) => return refused(refusal),
        };
        if self.is_denied(&claims, now).await? {
            return refused(Refusal::Revoked);
        }
        let Some(id) = self.user_of(&claims) else { return refused(Refusal::Subject) };
        let Some(user) = users.get(&id).await? else { return refused(Refusal::UserUnknown) };
        if let Err(refusal) = self.fingerprints.check(self.profile, &user, verified.key, claims.fingerprint()) {
            return refused(refusal);
        }
        Ok(Answer::Accepted(Authenticated::new(user, claims.session, claims.issued_at, claims.expires_at)))
    }

    pub(super) fn user_of(&self, claims: &Claims<'_>) -> Option<U::Id> {
        claims.subject().and_then(|subject| (self.subject_decoder)(subject))
    }

    /// Whether a token is denied by its own id, its session or its fence: one round trip, and a second one for a token
    /// that is denied, since its session may have been kept when its fence was replaced.
    pub(super) async fn is_denied(&self, claims: &Claims<'_>, now: Timestamp) -> Result<bool, Failure> {
        let session = claims.session.map(session_entry);
        let fence = claims.fence.map(fence_entry);
        let ids = [Some(claims.token_id()), session.as_deref(), fence.as_deref()];
        let ids = ids.into_iter().flatten().collect::<Vec<_>>();
        if !self.denylist.is_any_denied(&ids, now).await? {
            return Ok(false);
        }
        let (Some(fence), Some(session)) = (claims.fence, claims.session) else { return Ok(true) };
        if !self.denylist.is_any_denied(&[&kept_entry(fence, session)], now).await? {
            return Ok(true);
        }
        self.denylist.is_any_denied(&[claims.token_id(), &session_entry(session)], now).await
    }

    /// Denies an id until `end`, and for as long as a clock that is behind may take the token for a live one.
    pub(super) async fn deny(&self, id: &str, end: Timestamp, now: Timestamp) -> Result<(), Failure> {
        self.denylist.deny(id, end.saturating_add(self.rules.leeway), now).await
    }

    /// The claims of a token that is `user`'s and that could still be read, now or later.
    fn revocable<'t>(&self, payload: &'t [u8], user: &U, now: Timestamp) -> Option<Claims<'t>> {
        let claims = Claims::read_for_revocation(payload, &self.rules).ok()?;
        let owner = self.user_of(&claims)?;
        let live = claims.expires_at.saturating_add(self.rules.leeway) > now;
        (live && owner == *user.id()).then_some(claims)
    }
}

#[async_trait]
impl<U: User> Strategy<U> for SignedTokens<U> {
    async fn read_token(&self, token: Option<&PlainToken>, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        let Some(token) = token else { return Ok(Answer::NotOffered) };
        let answer = self.read(token, users).await?;
        if let Answer::Refused(refusal) = &answer {
            debug!(event = "signed_token_refused", reason = refusal.as_str(), "signed token refused");
        }
        Ok(answer)
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        let now = self.clock.now();
        self.issue(user, &Signing { session: None, fence: None, id: None, session_end: None, now })
    }

    /// Denies the token until its end plus the leeway. Whether it is valid *yet* doesn't matter, so a token of a host
    /// whose clock is ahead is dead at once.
    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure> {
        let now = self.clock.now();
        let Ok(verified) = self.verify(token) else { return Ok(Destroyed::AlreadyInvalid) };
        let Some(claims) = self.revocable(&verified.payload, user, now) else { return Ok(Destroyed::AlreadyInvalid) };
        if self.is_denied(&claims, now).await? {
            return Ok(Destroyed::AlreadyInvalid);
        }
        self.deny(claims.token_id(), claims.expires_at, now).await?;
        Ok(Destroyed::Revoked)
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
