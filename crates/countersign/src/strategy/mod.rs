//! What a token is worth: issue, validate, rotate, revoke.

mod database;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "redis")]
mod redis;
mod sessions;

use async_trait::async_trait;

pub use database::{DatabaseTokenStrategy, DatabaseTokenStrategyBuilder};
#[cfg(feature = "jwt")]
pub use jwt::{JwtStrategy, JwtStrategyBuilder};
#[cfg(feature = "redis")]
pub use redis::{RedisTokenStrategy, RedisTokenStrategyBuilder};
pub use sessions::{Found, Grant, Login, LoginFence, Rejected, Reuse, ReuseCause, Sessions};

use crate::answer::{Answer, Destroyed, Invalidated, IssuedToken, Rotation, SessionId, TokenPair};
use crate::error::{Failure, Refusal};
use crate::store::SessionRecord;
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
    /// What a login has to be recorded behind, so that a "log out everywhere" that overtakes it holds (promise P4). Read it
    /// before the account that the login is judged by.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn login_fence(&self, user: &U::Id) -> Result<LoginFence, Failure>;

    /// Opens a session: an access token and a refresh token, recorded in one step. Refuses a login that was overtaken, and
    /// one too many where the cap refuses.
    ///
    /// # Errors
    /// [`Failure`] when they could not be stored; neither exists then.
    async fn log_in(&self, user: &U, login: &Login) -> Result<Result<TokenPair, Refusal>, Failure>;

    /// Opens a session of which nothing else is known, behind no fence.
    ///
    /// # Errors
    /// As [`log_in`](Self::log_in); [`FailureKind::Full`](crate::FailureKind::Full) where the cap refuses.
    async fn open_session(&self, user: &U) -> Result<TokenPair, Failure> {
        self.log_in(user, &Login::default()).await?.map_err(|_| sessions::one_too_many())
    }

    /// Exchanges a refresh token for a new pair of the same session. However many callers present the same token, one
    /// successor exists (promise P1), and those that come in time are answered with the same (P2); one that comes too late
    /// ends the session (P3). An inactive user is refused and nothing is written.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, TokenPair>, Failure>;

    /// A session of `user` that hasn't ended, with the moment of its login: for step-up checks, and for connections that
    /// outlive a request.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn session(&self, session: SessionId, user: &U::Id) -> Result<Option<SessionRecord>, Failure>;

    /// Every session of `user` that hasn't ended, in the order of their ids.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn sessions_of(&self, user: &U::Id) -> Result<Vec<SessionRecord>, Failure>;

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

    /// Ends the session of an access token that isn't good any more: one that has expired, or that was revoked with its
    /// whole session by a logout that got no further. `None` when the token says of no session that it may end.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    async fn end_session_of_stale(&self, access: &PlainToken) -> Result<Option<Destroyed>, Failure>;

    /// Ends every session of `user` but `kept`, and lets no login be recorded that is under way; how many sessions ended.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded. It may be called again.
    async fn end_other_sessions(&self, user: &U::Id, kept: Option<SessionId>) -> Result<u64, Failure>;
}
