//! The strategy for opaque tokens on Redis.
//!
//! In the `countersign` profile it is a [`DatabaseTokenStrategy`] over a [`RedisTokenStore`]. In
//! the `litestar-auth` profile it is the private [`Original`], which keeps tokens exactly as
//! litestar-auth does, without sessions.

mod builder;
mod original;

use std::fmt;

use async_trait::async_trait;

pub use builder::RedisTokenStrategyBuilder;

use self::original::Original;
use crate::error::Failure;
use crate::store::RedisTokenStore;
use crate::strategy::{
    DatabaseTokenStrategy, RefreshableStrategy, Sessions, Strategy, TokenControl,
};
use crate::token::{EndOutcome, Invalidated, IssuedToken, PlainToken, TokenShape, TokenStatus};
use crate::user::{User, UserKey, UserManager};

/// Issues random tokens, and keeps their digests on Redis or Redis Cluster.
///
/// Rules and tokens are those of [`DatabaseTokenStrategy`], refresh tokens included, over a
/// [`RedisTokenStore`]. Choose it where tokens are read very often and Redis is there already.
/// Redis deletes expired keys by itself, so that nothing has to be swept. Sessions are as durable
/// as your Redis: switch persistence on.
///
/// In the `litestar-auth` profile, tokens are stored as litestar-auth stores them
/// ([`OriginalTokens`](crate::store::OriginalTokens)), so that both systems read each other's
/// tokens. litestar-auth has no refresh tokens on Redis. The strategy then has no sessions either:
/// [`as_refreshable`](Strategy::as_refreshable) returns `None`.
///
/// # Examples
///
/// ```no_run
/// use countersign::redis::{Redis, RedisOptions};
/// use countersign::strategy::RedisTokenStrategy;
/// use countersign::strategy::Strategy;
/// use countersign::{Failure, Secret, User};
///
/// struct Account { id: i64 }
/// impl User for Account {
///     type Id = i64;
///     fn id(&self) -> &i64 { &self.id }
/// }
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
/// let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
/// let strategy = RedisTokenStrategy::builder(&redis).token_hash_secret(&secret).build()?;
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
///
/// let issued = strategy.write_token(&Account { id: 7 }).await?;
/// let answer = strategy.read_token(Some(&issued.token), &users).await?;
/// assert_eq!(answer.accepted().map(|accepted| accepted.user.id), Some(7));
/// # Ok(())
/// # }
/// ```
pub struct RedisTokenStrategy<U: User> {
    tokens: Tokens<U>,
}

/// The two layouts of tokens on Redis.
enum Tokens<U: User> {
    /// The layout of the `countersign` profile, with sessions.
    Ours(Box<DatabaseTokenStrategy<RedisTokenStore>>),
    /// The layout of litestar-auth, without sessions.
    Original(Box<Original<U>>),
}

impl<U: User> RedisTokenStrategy<U> {
    /// Returns the session settings and the store behind this strategy, or `None` in the
    /// `litestar-auth` profile.
    pub fn sessions(&self) -> Option<&Sessions<RedisTokenStore>> {
        match &self.tokens {
            Tokens::Ours(ours) => Some(ours.sessions()),
            Tokens::Original(_) => None,
        }
    }

    /// Returns the strategy that does the work.
    fn strategy(&self) -> &dyn Strategy<U> {
        match &self.tokens {
            Tokens::Ours(ours) => &**ours,
            Tokens::Original(original) => &**original,
        }
    }
}

#[async_trait]
impl<U: User> Strategy<U> for RedisTokenStrategy<U> {
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        self.strategy().read_token(token, users).await
    }

    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure> {
        self.strategy().write_token(user).await
    }

    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure> {
        self.strategy().destroy_token(token, user).await
    }

    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        self.strategy().as_refreshable()
    }
}

#[async_trait]
impl<U: User> TokenControl for RedisTokenStrategy<U> {
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure> {
        self.strategy().invalidate_all(user).await
    }

    fn revocation_is_durable(&self) -> bool {
        self.strategy().revocation_is_durable()
    }

    fn token_shape(&self) -> TokenShape {
        self.strategy().token_shape()
    }
}

impl<U: User> fmt::Debug for RedisTokenStrategy<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.tokens {
            Tokens::Ours(ours) => f.debug_tuple("RedisTokenStrategy").field(ours).finish(),
            Tokens::Original(original) => {
                f.debug_tuple("RedisTokenStrategy").field(original).finish()
            }
        }
    }
}
