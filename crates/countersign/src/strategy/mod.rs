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
pub use sessions::{Login, LoginFence, ReuseCause, Sessions};

use crate::answer::{Answer, Destroyed, Invalidated, IssuedToken, LoggedOut, Refreshed, SessionId, TokenPair};
use crate::error::{AuthError, Failure};
use crate::store::{Page, SessionPage, SessionRecord};
use crate::token::{PlainToken, TokenShape};
use crate::user::{User, UserKey, UserManager};

/// The part of a strategy that needs no user, only the key of one.
#[async_trait]
pub trait TokenControl: Send + Sync {
    /// Revokes every token and session of a user, those included that are being issued meanwhile.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded. It may be called again, and goes on where it stopped.
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure>;

    /// Whether a revocation outlives this process and is seen by every other.
    fn revocation_is_durable(&self) -> bool;

    /// What the text of this strategy's access tokens looks like, so that an authenticator can choose between
    /// strategies without asking them to verify.
    fn token_shape(&self) -> TokenShape {
        TokenShape::Any
    }
}

/// Issues, reads and destroys access tokens (the strategies page: `Strategy`).
///
/// A strategy hands back inactive users as they are; judging the account is the caller's business, and the
/// [`Authenticator`](crate::Authenticator)'s.
#[async_trait]
pub trait Strategy<U: User>: TokenControl {
    /// Says whose token this is: not offered, accepted or refused (promise P6). Never writes (P8).
    ///
    /// # Errors
    /// [`Failure`] when a store can't be asked: the question stays open.
    async fn read_token(&self, token: Option<&PlainToken>, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure>;

    /// Issues an access token that belongs to no session. It is durable when this returns (P12).
    ///
    /// # Errors
    /// [`Failure`] when it could not be made or stored. Nobody has seen the token then.
    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure>;

    /// Revokes one access token of `user`. Another user's token is left alone.
    ///
    /// # Errors
    /// [`Failure`] when the revocation could not be recorded: the token may still be good (SECURITY row R-09).
    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<Destroyed, Failure>;

    /// The refresh side of this strategy, if it has one.
    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        None
    }
}

/// Shows and ends sessions. It needs no user, only the key of one.
///
/// ```
/// use countersign::store::{MemoryStore, Page};
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::{Destroyed, RefreshableStrategy, Secret, SessionControl, SystemEntropy, User, UserId};
///
/// struct Account { id: i64 }
/// impl User for Account {
///     type Id = i64;
///     fn id(&self) -> &i64 { &self.id }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
///     .build()?;
/// strategy.open_session(&Account { id: 7 }).await?;
///
/// let user = 7_i64.to_key();
/// let page = strategy.sessions_of(&user, &Page { after: None, limit: 100 }).await?;
/// assert_eq!(page.sessions.len(), 1);
/// assert_eq!(strategy.end_session(page.sessions[0].id, &user).await?, Destroyed::Revoked);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Returns the user's login fence. Call this *before* loading the account that the login is judged by: the session is
    /// opened only if no "log out everywhere" happened in between (promise P4).
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn login_fence(&self, user: &UserKey) -> Result<LoginFence, Failure>;

    /// Returns a session of `user` that hasn't ended, with the moment of its login: for step-up checks, and for
    /// connections that outlive a request.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn session(&self, session: SessionId, user: &UserKey) -> Result<Option<SessionRecord>, Failure>;

    /// Returns a part of the list of a user's sessions that haven't ended. Follow [`SessionPage::next`] for the rest.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn sessions_of(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure>;

    /// Ends the session that an access token belongs to, or the token alone when it belongs to none. Works for a token
    /// that has expired, as long as it is known: an opaque one until it is swept, a signed one always. Completes a logout
    /// that was interrupted.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when the token isn't ours, and nothing was ended. [`AuthError::Failed`] when the end could
    /// not be recorded: the session may still be live.
    async fn log_out(&self, access: &PlainToken) -> Result<LoggedOut, AuthError>;

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
    async fn end_session(&self, session: SessionId, user: &UserKey) -> Result<Destroyed, Failure>;

    /// Ends every session of `user` but `kept`, every token without a session, and every login that is under way. Returns
    /// how many sessions ended: all of them where access tokens are signed, otherwise as many as are counted in a tenth of a
    /// second, which is some ten thousand.
    ///
    /// One mark ends them, at the same cost for any number of them. What it leaves behind is removed in batches, some here,
    /// the rest by the sweep.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded. It may be called again, and goes on where it stopped.
    async fn end_sessions(&self, user: &UserKey, kept: Option<SessionId>) -> Result<u64, Failure>;

    /// Completes an ending whose mark was recorded along with a change of the user's account, as
    /// [`SqlStore::change_account`](crate::store::sql::SqlStore::change_account) does: denies the signed access tokens that it
    /// ended, and removes some of what it left behind.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded. It may be called again, and goes on where it stopped.
    async fn complete_ending(&self, user: &UserKey, kept: Option<SessionId>) -> Result<(), Failure>;
}

/// Issues and rotates refresh tokens (the strategies page: `RefreshableStrategy`).
#[async_trait]
pub trait RefreshableStrategy<U: User>: Strategy<U> + SessionControl {
    /// Opens a session: an access token and a refresh token, recorded in one step.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a login that was overtaken, and for one too many where the cap refuses.
    /// [`AuthError::Failed`] when the tokens could not be stored, or when that isn't known: a session that nobody has a
    /// token of may then be in the user's list.
    async fn log_in(&self, user: &U, login: &Login) -> Result<TokenPair, AuthError>;

    /// Opens a session without client details, for a login that is judged already.
    ///
    /// # Errors
    /// As [`log_in`](Self::log_in); [`FailureKind::Full`](crate::FailureKind::Full) where the cap refuses.
    async fn open_session(&self, user: &U) -> Result<TokenPair, Failure> {
        self.log_in(user, &Login::default()).await.map_err(sessions::unrefused)
    }

    /// Exchanges a refresh token for a new pair of the same session. However many callers present the same token, one
    /// successor exists (promise P1), and those that come in time are answered with the same (P2); one that comes too late
    /// ends the session (P3). An inactive user is refused and nothing is written.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when the token is no good. [`AuthError::Failed`] when the store can't be asked: ask again
    /// with the same token.
    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, TokenPair>, AuthError>;

    /// Opens a session and issues its refresh token alone (the strategies page: `write_refresh_token`).
    ///
    /// # Errors
    /// As [`open_session`](Self::open_session).
    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure>;

    /// Exchanges a refresh token for its successor alone (the strategies page: `rotate_refresh_token`).
    ///
    /// # Errors
    /// As [`refresh_session`](Self::refresh_session).
    async fn rotate_refresh_token(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, IssuedToken>, AuthError>;
}
