//! Signed tokens: `JWTStrategy` of the strategies page.

mod builder;
mod fingerprint;
mod sessions;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use data_encoding::HEXLOWER;
use tracing::debug;

pub use builder::JwtStrategyBuilder;

use crate::answer::{Answer, Authenticated, Destroyed, Invalidated, IssuedToken, SessionId};
use crate::clock::{Clock, Timestamp};
use crate::denylist::DenylistStore;
use crate::entropy::Entropy;
use crate::error::{Failure, Refusal};
use crate::jwt::KeyRing;
use crate::jwt::claims::{ClaimRules, Claims, NewClaims, SessionText};
use crate::jwt::jws;
use crate::profile::Profile;
use crate::strategy::{RefreshableStrategy, Sessions, Strategy};
use crate::token::{PlainToken, TokenShape};
use crate::user::{User, UserId, UserManager};

use fingerprint::Fingerprints;

type SubjectDecoder<U> = Arc<dyn Fn(&str) -> Option<<U as User>::Id> + Send + Sync>;

/// Issues signed access tokens and revokes them through a [`DenylistStore`]; with
/// [`sessions`](JwtStrategyBuilder::sessions) it issues refresh tokens too.
///
/// Reading asks in this order: signature, claims, denylist (once, for the token and its session), subject, user,
/// fingerprint. A denylist that can't be asked is a [`Failure`], never an answer (promise P6).
///
/// ```
/// use std::sync::Arc;
/// use countersign::denylist::MemoryDenylist;
/// use countersign::strategy::JwtStrategy;
/// use countersign::{Failure, Secret, Strategy, SystemEntropy, User};
///
/// struct Account { id: i64 }
/// impl User for Account {
///     type Id = i64;
///     fn id(&self) -> &i64 { &self.id }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let strategy = JwtStrategy::builder()
///     .secret(&Secret::generate(&SystemEntropy)?)
///     .denylist_store(Arc::new(MemoryDenylist::default()))
///     .build()?;
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
///
/// let issued = strategy.write_token(&Account { id: 7 }).await?;
/// let answer = strategy.read_token(Some(&issued.token), &users).await?;
/// assert_eq!(answer.accepted().map(|accepted| accepted.user.id), Some(7));
///
/// strategy.destroy_token(&issued.token, &Account { id: 7 }).await?;
/// assert!(strategy.read_token(Some(&issued.token), &users).await?.accepted().is_none());
/// # Ok(())
/// # }
/// ```
pub struct JwtStrategy<U: User> {
    keys: KeyRing,
    profile: Profile,
    rules: ClaimRules,
    lifetime: Duration,
    max_token_length: usize,
    subject_decoder: SubjectDecoder<U>,
    fingerprints: Fingerprints<U>,
    denylist: Arc<dyn DenylistStore>,
    sessions: Option<Sessions>,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
}

impl<U: User> JwtStrategy<U> {
    /// Starts building a strategy. A secret (or a key ring) and a denylist are required.
    pub fn builder() -> JwtStrategyBuilder<U> {
        JwtStrategyBuilder::new()
    }

    /// The keys that sign and verify.
    pub const fn keys(&self) -> &KeyRing {
        &self.keys
    }

    /// How long an access token lives.
    pub const fn lifetime(&self) -> Duration {
        self.lifetime
    }

    async fn read(&self, token: &PlainToken, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        let refused = |refusal| Ok(Answer::Refused(refusal));
        let verified = match jws::verify(&self.keys, self.profile, token.expose(), self.max_token_length) {
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
        let Some(id) = claims.subject().and_then(|subject| (self.subject_decoder)(subject)) else {
            return refused(Refusal::Subject);
        };
        let Some(user) = users.get(&id).await? else { return refused(Refusal::UserUnknown) };
        if let Err(refusal) = self.fingerprints.check(self.profile, &user, verified.key, claims.fingerprint()) {
            return refused(refusal);
        }
        Ok(Answer::Accepted(Authenticated::new(user, claims.session, claims.issued_at, claims.expires_at)))
    }

    async fn is_denied(&self, claims: &Claims<'_>, now: Timestamp) -> Result<bool, Failure> {
        match claims.session.map(session_entry) {
            None => self.denylist.is_any_denied(&[claims.token_id()], now).await,
            Some(session) => self.denylist.is_any_denied(&[claims.token_id(), &session], now).await,
        }
    }

    /// Signs a token that ends after the lifetime, and never after `session_end`. Times are whole seconds.
    fn issue(
        &self,
        user: &U,
        session: Option<SessionId>,
        session_end: Option<Timestamp>,
        now: Timestamp,
    ) -> Result<IssuedToken, Failure> {
        let key = self.keys.active()?;
        let end = now.saturating_add(self.lifetime).min(session_end.unwrap_or(Timestamp::MAX));
        let exp = end.as_unix_seconds();
        let mut id = [0; 16];
        self.entropy.fill(&mut id)?;
        let claims = NewClaims {
            sub: &user.id().to_key().to_subject(),
            aud: &self.rules.audience,
            iat: now.as_unix_seconds(),
            nbf: now.as_unix_seconds(),
            exp,
            jti: &HEXLOWER.encode(&id),
            iss: self.rules.issuer.as_deref(),
            sid: session.map(SessionText),
        };
        let fingerprint = self.fingerprints.of(self.profile, user, key.verifying_key());
        let fingerprint = fingerprint.as_deref().map(|value| (&*self.rules.fingerprint_claim, value));
        let token = jws::sign(key, self.profile, &claims.to_json(fingerprint)?)?;
        if token.len() > self.max_token_length {
            return Err(Failure::internal("token writer", "the token is longer than any that is read"));
        }
        // What the claims say, in whole seconds.
        let (issued_at, expires_at) =
            (Timestamp::from_unix_seconds(now.as_unix_seconds()), Timestamp::from_unix_seconds(exp));
        Ok(IssuedToken { token: PlainToken::new(token), issued_at, expires_at, session_id: session })
    }

    /// The claims of a token that is `user`'s and that could still be read, now or later.
    fn revocable<'t>(&self, payload: &'t [u8], user: &U, now: Timestamp) -> Option<Claims<'t>> {
        let claims = Claims::read_for_revocation(payload, &self.rules).ok()?;
        let owner = claims.subject().and_then(|subject| (self.subject_decoder)(subject))?;
        let live = claims.expires_at.saturating_add(self.rules.leeway) > now;
        (live && owner == *user.id()).then_some(claims)
    }
}

/// Under which id a session's tokens are denied.
fn session_entry(session: SessionId) -> String {
    format!("sid:{session}")
}

#[async_trait]
impl<U: User> Strategy<U> for JwtStrategy<U> {
    async fn read_token(&self, token: Option<&PlainToken>, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        let Some(token) = token else { return Ok(Answer::NotOffered) };
        let answer = self.read(token, users).await?;
        if let Answer::Refused(refusal) = &answer {
            debug!(event = "signed_token_refused", reason = refusal.as_str(), "signed token refused");
        }
        Ok(answer)
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        self.issue(user, None, None, self.clock.now())
    }

    /// Denies the token until its end plus the leeway. Whether it is valid *yet* doesn't matter, so a token of a host
    /// whose clock is ahead is dead at once.
    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure> {
        let now = self.clock.now();
        let Ok(verified) = jws::verify(&self.keys, self.profile, token.expose(), self.max_token_length) else {
            return Ok(Destroyed::AlreadyInvalid);
        };
        let Some(claims) = self.revocable(&verified.payload, user, now) else { return Ok(Destroyed::AlreadyInvalid) };
        if self.is_denied(&claims, now).await? {
            return Ok(Destroyed::AlreadyInvalid);
        }
        let until = claims.expires_at.saturating_add(self.rules.leeway);
        self.denylist.deny(claims.token_id(), until, now).await?;
        Ok(Destroyed::Revoked)
    }

    /// Ends every session of the user. Tokens that belong to no session ([`write_token`](Strategy::write_token))
    /// can't be found: they end with their lifetime, or when email or password changes. Without sessions there is
    /// nothing to find any token by.
    async fn invalidate_all(&self, user: &U::Id) -> Result<Invalidated, Failure> {
        match &self.sessions {
            None => Ok(Invalidated::Unsupported),
            Some(sessions) => self.end_all(sessions, user).await.map(Invalidated::All),
        }
    }

    fn revocation_is_durable(&self) -> bool {
        self.denylist.is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        TokenShape::Signed
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        self.sessions.is_some().then_some(self as _)
    }
}

/// Shows keys by their ids, and settings.
impl<U: User> fmt::Debug for JwtStrategy<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JwtStrategy")
            .field("keys", &self.keys)
            .field("profile", &self.profile)
            .field("rules", &self.rules)
            .field("lifetime", &self.lifetime)
            .finish_non_exhaustive()
    }
}
