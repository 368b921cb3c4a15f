//! The strategy for signed access tokens (JSON Web Tokens, RFC 7519).
//!
//! [`JwtStrategy`] is a shell over one of two strategies. `tokens` issues, verifies and denies
//! access tokens, and is all there is without sessions. `sessions` adds refresh tokens from a
//! store, and denies the access tokens of sessions that end. `fingerprint` binds tokens to the
//! account's email and password. The format of tokens and the keys are in [`crate::jwt`].

mod builder;
mod fingerprint;
mod sessions;
mod tokens;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use builder::JwtStrategyBuilder;

use crate::error::Failure;
use crate::jwt::KeyRing;
use crate::strategy::{RefreshableStrategy, Strategy, TokenControl};
use crate::token::{EndOutcome, Invalidated, IssuedToken, PlainToken, TokenShape, TokenStatus};
use crate::user::{User, UserKey, UserManager};

use sessions::SignedSessions;
use tokens::SignedTokens;

/// Issues signed access tokens, and revokes them through a
/// [`DenylistStore`](crate::denylist::DenylistStore). With
/// [`sessions`](JwtStrategyBuilder::sessions) it issues refresh tokens too.
///
/// Choose it if other services have to verify tokens without asking a store of yours: with a key
/// pair they need the public key alone. Each read asks the denylist once, so that revocation takes
/// effect at once where the denylist is asked. Other services that don't ask it accept a token
/// until its expiry.
///
/// Reading checks, in this order: signature, claims, denylist (for the token, its session and its
/// fence in one round trip), subject, user, session fingerprint. If the denylist can't be asked,
/// reading returns a [`Failure`] and never an answer.
///
/// Build one with [`builder`](Self::builder).
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use countersign::denylist::MemoryDenylist;
/// use countersign::strategy::JwtStrategy;
/// use countersign::strategy::Strategy;
/// use countersign::{Failure, Secret, SystemEntropy, User};
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
    kind: Kind<U>,
}

/// The two strategies behind a [`JwtStrategy`].
enum Kind<U: User> {
    /// Access tokens alone.
    Tokens(Box<SignedTokens<U>>),
    /// Access tokens, and sessions with refresh tokens.
    Sessions(Box<SignedSessions<U>>),
}

impl<U: User> JwtStrategy<U> {
    /// Returns the keys that sign and verify tokens. Publish the public ones as a JWK set (RFC
    /// 7517).
    pub fn keys(&self) -> &KeyRing {
        &self.tokens().keys
    }

    /// Returns the lifetime of access tokens.
    pub fn lifetime(&self) -> Duration {
        self.tokens().lifetime
    }

    /// Returns the part that issues and reads access tokens, which both kinds have.
    fn tokens(&self) -> &SignedTokens<U> {
        match &self.kind {
            Kind::Tokens(tokens) => tokens,
            Kind::Sessions(sessions) => &sessions.tokens,
        }
    }

    /// Returns the strategy that does the work.
    fn strategy(&self) -> &dyn Strategy<U> {
        match &self.kind {
            Kind::Tokens(tokens) => &**tokens,
            Kind::Sessions(sessions) => &**sessions,
        }
    }
}

#[async_trait]
impl<U: User> Strategy<U> for JwtStrategy<U> {
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        self.tokens().read_token(token, users).await
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        self.strategy().write_token(user).await
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure> {
        self.tokens().destroy_token(token, user).await
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        match &self.kind {
            Kind::Tokens(_) => None,
            Kind::Sessions(sessions) => Some(&**sessions),
        }
    }
}

/// With sessions, ending everything ends every session and token of the user. Without sessions
/// there is no record to find tokens by. They end by their expiry, or by a change of email or
/// password.
#[async_trait]
impl<U: User> TokenControl for JwtStrategy<U> {
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure> {
        self.strategy().invalidate_all(user).await
    }

    fn revocation_is_durable(&self) -> bool {
        self.tokens().revocation_is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        TokenShape::Signed
    }
}

/// Shows settings and the ids of keys, and nothing of the keys themselves.
impl<U: User> fmt::Debug for JwtStrategy<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtStrategy").field(self.tokens()).finish()
    }
}
