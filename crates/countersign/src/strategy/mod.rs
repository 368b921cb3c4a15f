//! What a token is worth: issue, validate, rotate, revoke.

mod database;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "redis")]
mod redis;
mod refresh;

use async_trait::async_trait;

pub use database::{DatabaseTokenStrategy, DatabaseTokenStrategyBuilder};
#[cfg(feature = "jwt")]
pub use jwt::{JwtStrategy, JwtStrategyBuilder};
#[cfg(feature = "redis")]
pub use redis::{RedisTokenStrategy, RedisTokenStrategyBuilder};
pub use refresh::{Found, Grant, Sessions};

use crate::answer::{Answer, Destroyed, Invalidated, IssuedToken, Rotation, SessionId, TokenPair};
use crate::error::Failure;
use crate::token::{PlainToken, TokenShape};
use crate::user::{User, UserManager};

/// Issues, reads and destroys access tokens (the strategies page: `Strategy`).
///
/// A strategy hands back inactive users as they are; judging the account is the caller's business, and the
/// [`Authenticator`](crate::Authenticator)'s.
#[async_trait]
pub trait Strategy<U: User>: Send + Sync {
    /// Says whose token this is: not offered, accepted or refused (promise P6). Never writes (P8).
    ///
    /// # Errors
    /// [`Failure`] when a store can't be asked: the question stays open.
    async fn read_token(&self, token: Option<&PlainToken>, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure>;

    /// Issues an access token that belongs to no session. It is durable when this returns (P12).
    ///
    /// # Errors
    /// [`Failure`] when it could not be made or stored; no token exists then.
    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure>;

    /// Revokes one access token of `user`. Another user's token is left alone.
    ///
    /// # Errors
    /// [`Failure`] when the revocation could not be recorded: the token may still be good (SECURITY row R-09).
    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure>;

    /// Revokes every token and session of a user.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    async fn invalidate_all(&self, user: &U::Id) -> Result<Invalidated, Failure>;

    /// Whether a revocation outlives this process and is seen by every other.
    fn revocation_is_durable(&self) -> bool;

    /// What the text of this strategy's access tokens looks like, so that an authenticator can choose between
    /// strategies without asking them to verify.
    fn token_shape(&self) -> TokenShape {
        TokenShape::Any
    }

    /// The refresh side of this strategy, if it has one.
    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        None
    }
}

/// Issues and rotates refresh tokens, and ends sessions (the strategies page: `RefreshableStrategy`).
#[async_trait]
pub trait RefreshableStrategy<U: User>: Strategy<U> {
    /// Opens a session: an access token and a refresh token, recorded in one step.
    ///
    /// # Errors
    /// [`Failure`] when they could not be stored; neither exists then.
    async fn open_session(&self, user: &U) -> Result<TokenPair, Failure>;

    /// Exchanges a refresh token for a new pair of the same session. However many callers present the same token,
    /// one is answered with [`Rotation::Rotated`] (promise P1). An inactive user is refused and nothing is written.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, TokenPair>, Failure>;

    /// Opens a session and issues its refresh token alone (the strategies page: `write_refresh_token`).
    ///
    /// # Errors
    /// [`Failure`] when it could not be stored; it doesn't exist then.
    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure>;

    /// Exchanges a refresh token for its successor alone (the strategies page: `rotate_refresh_token`).
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn rotate_refresh_token(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, IssuedToken>, Failure>;

    /// Ends the session that a refresh token belongs to, its access tokens included: logout when the access token
    /// has expired.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    async fn end_session_of(&self, refresh: &PlainToken) -> Result<Destroyed, Failure>;

    /// Ends a session of `user`, its access tokens included. Another user's session is left alone.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    async fn end_session(&self, session: SessionId, user: &U::Id) -> Result<Destroyed, Failure>;
}
