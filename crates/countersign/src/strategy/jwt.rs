//! Signed tokens: `JWTStrategy` of the strategies page.

mod builder;
mod fingerprint;
mod sessions;
mod tokens;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

pub use builder::JwtStrategyBuilder;

use crate::answer::{Answer, Destroyed, Invalidated, IssuedToken};
use crate::error::Failure;
use crate::jwt::KeyRing;
use crate::strategy::{RefreshableStrategy, Strategy, TokenControl};
use crate::token::{PlainToken, TokenShape};
use crate::user::{User, UserKey, UserManager};

use sessions::SignedSessions;
use tokens::SignedTokens;

/// Issues signed access tokens and revokes them through a [`DenylistStore`](crate::denylist::DenylistStore); with
/// [`sessions`](JwtStrategyBuilder::sessions) it issues refresh tokens too.
///
/// Reading asks in this order: signature, claims, denylist (once, for the token, its session and its fence), subject, user,
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
    kind: Kind<U>,
}

enum Kind<U: User> {
    /// Access tokens alone.
    Tokens(Box<SignedTokens<U>>),
    /// And refresh tokens.
    Sessions(Box<SignedSessions<U>>),
}

impl<U: User> JwtStrategy<U> {
    /// Starts building a strategy. A secret (or a key ring) and a denylist are required.
    pub fn builder() -> JwtStrategyBuilder<U> {
        JwtStrategyBuilder::new()
    }

    /// The keys that sign and verify.
    pub fn keys(&self) -> &KeyRing {
        &self.tokens().keys
    }

    /// How long an access token lives.
    pub fn lifetime(&self) -> Duration {
        self.tokens().lifetime
    }

    fn tokens(&self) -> &SignedTokens<U> {
        match &self.kind {
            Kind::Tokens(tokens) => tokens,
            Kind::Sessions(sessions) => &sessions.tokens,
        }
    }

    fn strategy(&self) -> &dyn Strategy<U> {
        match &self.kind {
            Kind::Tokens(tokens) => &**tokens,
            Kind::Sessions(sessions) => &**sessions,
        }
    }
}

#[async_trait]
impl<U: User> Strategy<U> for JwtStrategy<U> {
    async fn read_token(&self, token: Option<&PlainToken>, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        self.tokens().read_token(token, users).await
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        self.strategy().write_token(user).await
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure> {
        self.tokens().destroy_token(token, user).await
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        match &self.kind {
            Kind::Tokens(_) => None,
            Kind::Sessions(sessions) => Some(&**sessions),
        }
    }
}

/// With sessions, every session and token of the user ends. Without sessions there is nothing to find any token by: they
/// end with their lifetime, or when email or password changes.
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

/// Shows keys by their ids, and settings.
impl<U: User> fmt::Debug for JwtStrategy<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("JwtStrategy").field(self.tokens()).finish()
    }
}
