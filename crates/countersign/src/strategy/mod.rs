//! Strategies: how tokens are issued, read, rotated and revoked.
//!
//! # Choosing a strategy
//!
//! - [`DatabaseTokenStrategy`]: random (opaque) tokens, looked up in a [store](crate::store) with
//!   each request. Revocation takes effect at once. The default choice, on SQLite, PostgreSQL,
//!   MySQL or MariaDB.
//! - [`RedisTokenStrategy`] (feature `redis`): the same tokens and rules, on Redis or Redis
//!   Cluster.
//! - [`JwtStrategy`] (feature `jwt`): signed access tokens, which other services can verify with a
//!   public key. A [denylist](crate::denylist) revokes them. With [`Sessions`] it has refresh
//!   tokens too.
//!
//! Each has a builder, whose documentation lists the decisions to make.
//!
//! # The traits
//!
//! - [`Strategy`] reads, issues and revokes access tokens. Every strategy implements it.
//! - [`RefreshableStrategy`] opens sessions and rotates refresh tokens.
//!   [`Strategy::as_refreshable`] returns it if the strategy has sessions.
//! - [`SessionControl`] lists and ends sessions, [`TokenControl`] ends everything that a user has.
//!   Neither needs the user's type: a [`UserKey`] is enough.
//!
//! Most applications call these through an [`AuthenticationBackend`](crate::AuthenticationBackend)
//! and an [`Authenticator`](crate::Authenticator), which add the account's state and the log.
//!
//! # Inside
//!
//! A strategy is policy: lifetimes, rotation, reuse detection. It keeps its state in a store, which
//! is persistence alone. The rules of sessions are written once, in the private module `sessions`;
//! a strategy says there how its access tokens are made and what has to be denied when a session
//! ends.

mod database;
#[cfg(feature = "jwt")]
mod jwt;
#[cfg(feature = "redis")]
mod redis;
mod sessions;

use std::time::Duration;

use async_trait::async_trait;

pub use database::{DatabaseTokenStrategy, DatabaseTokenStrategyBuilder};
#[cfg(feature = "jwt")]
pub use jwt::{JwtStrategy, JwtStrategyBuilder};
#[cfg(feature = "redis")]
pub use redis::{RedisTokenStrategy, RedisTokenStrategyBuilder};
pub use sessions::{Login, LoginFence, ReuseCause, Sessions};

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure};
use crate::session::SessionId;
use crate::store::{Page, SessionPage, SessionRecord};
use crate::token::{
    EndOutcome, Invalidated, IssuedToken, LoggedOut, PlainToken, Refreshed, TokenPair, TokenShape,
    TokenStatus,
};
use crate::user::{User, UserKey, UserManager};

/// Ends everything that a user has, and describes a strategy's tokens. Needs no user, only a user's
/// key.
///
/// # Implementing
///
/// A wrapper around another strategy must forward all three methods. In particular, forward
/// [`token_shape`](Self::token_shape): the default accepts every text.
#[async_trait]
pub trait TokenControl: Send + Sync {
    /// Revokes all tokens and sessions of a user, including those that are being issued meanwhile.
    ///
    /// An implementation returns only after no such token is accepted any more. If it has no record
    /// of its tokens, it returns [`Invalidated::Unsupported`] and revokes nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded, or only a part of it. Call it again:
    /// it continues where it stopped.
    async fn invalidate_all(&self, user: &UserKey) -> Result<Invalidated, Failure>;

    /// Returns `true` if a revocation outlives this process and is seen by all others.
    ///
    /// It is `false` over a store or a denylist in memory.
    fn revocation_is_durable(&self) -> bool;

    /// Returns the form of this strategy's access tokens. Defaults to [`TokenShape::Any`].
    ///
    /// An [`Authenticator`](crate::Authenticator) chooses between backends by this form, without
    /// verifying the token. With `Any`, the strategy can't share a place in the request with
    /// another one.
    fn token_shape(&self) -> TokenShape {
        TokenShape::Any
    }
}

/// Issues, reads and revokes access tokens.
///
/// Applications get a strategy from one of the builders, and use it through an
/// [`AuthenticationBackend`](crate::AuthenticationBackend). For an example, see
/// [`DatabaseTokenStrategy`].
///
/// A strategy returns inactive users like active ones. The caller judges the account: a backend and
/// an authenticator do.
///
/// # Implementing
///
/// Implement this trait for tokens that come from elsewhere. The implementation must guarantee that
///
/// - an outage is a [`Failure`], never a refusal and never an acceptance;
/// - reading writes nothing;
/// - an issued token is stored before it is returned;
/// - a token of another user is never revoked.
///
/// # Examples
///
/// A strategy with one token, which is configured and never issued:
///
/// ```
/// use async_trait::async_trait;
/// use countersign::strategy::{Strategy, TokenControl};
/// use countersign::token::{Digest, DigestKeyRing, EndOutcome};
/// use countersign::token::{Invalidated, IssuedToken, TokenStatus};
/// use countersign::{Authenticated, Failure, PlainToken, Refusal};
/// use countersign::{Timestamp, User, UserKey, UserManager};
///
/// struct ServiceToken {
///     keys: DigestKeyRing,
///     digest: Digest,
///     configured_at: Timestamp,
///     service: i64,
/// }
///
/// #[async_trait]
/// impl TokenControl for ServiceToken {
///     async fn invalidate_all(&self, _: &UserKey) -> Result<Invalidated, Failure> {
///         Ok(Invalidated::Unsupported)
///     }
///
///     fn revocation_is_durable(&self) -> bool {
///         false
///     }
/// }
///
/// #[async_trait]
/// impl<U: User<Id = i64>> Strategy<U> for ServiceToken {
///     async fn read_token(
///         &self,
///         token: Option<&PlainToken>,
///         users: &dyn UserManager<U>,
///     ) -> Result<TokenStatus<U>, Failure> {
///         let Some(token) = token else { return Ok(TokenStatus::NotOffered) };
///         if self.keys.digest(token) != self.digest {
///             return Ok(TokenStatus::Refused(Refusal::Unknown));
///         }
///         let Some(user) = users.get(&self.service).await? else {
///             return Ok(TokenStatus::Refused(Refusal::UserUnknown));
///         };
///         let accepted = Authenticated::new(user, None, self.configured_at, Timestamp::MAX);
///         Ok(TokenStatus::Accepted(accepted))
///     }
///
///     async fn write_token(&self, _: &U) -> Result<IssuedToken, Failure> {
///         Err(Failure::internal("service token", "it is configured, not issued"))
///     }
///
///     async fn destroy_token(&self, _: &PlainToken, _: &U) -> Result<EndOutcome, Failure> {
///         Err(Failure::internal("service token", "it is configured, not revoked"))
///     }
/// }
/// ```
#[async_trait]
pub trait Strategy<U: User>: TokenControl {
    /// Reads an access token, and returns whose it is.
    ///
    /// Returns [`TokenStatus::NotOffered`] for `None`. Otherwise the token is accepted or refused.
    /// Writes nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if a store can't be asked. It is then unknown whether the token is
    /// valid.
    async fn read_token(
        &self,
        token: Option<&PlainToken>,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure>;

    /// Issues an access token that belongs to no session.
    ///
    /// For scripts and services that need a token without a login. There is no refresh token for
    /// it, and device lists don't show it. [`invalidate_all`](TokenControl::invalidate_all) ends
    /// it, except for signed tokens of a strategy without sessions. For a login of a user, call
    /// [`RefreshableStrategy::log_in`].
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the token could not be made or stored. Nobody has seen the token
    /// then, so another call is safe.
    async fn write_token(&self, user: &U) -> Result<IssuedToken, Failure>;

    /// Revokes one access token of `user`. The session of the token goes on.
    ///
    /// A token of another user is left alone: the result is [`EndOutcome::AlreadyEnded`]. To end
    /// the session as well, call [`SessionControl::log_out`].
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the revocation could not be recorded. The token may still be valid;
    /// call it again.
    async fn destroy_token(&self, token: &PlainToken, user: &U) -> Result<EndOutcome, Failure>;

    /// Returns the refresh side of this strategy, or `None` if it has no sessions. Defaults to
    /// `None`.
    fn as_refreshable(&self) -> Option<&dyn RefreshableStrategy<U>> {
        None
    }
}

/// Shows and ends sessions. Needs no user, only a user's key.
///
/// [`Strategy::as_refreshable`] gives access to it through [`RefreshableStrategy`].
///
/// # Implementing
///
/// Implement this trait only to wrap a strategy of this crate. A [`LoginFence`] can't be created
/// elsewhere.
///
/// # Examples
///
/// ```
/// use countersign::store::{MemoryStore, Page};
/// use countersign::strategy::DatabaseTokenStrategy;
/// use countersign::strategy::{RefreshableStrategy, SessionControl};
/// use countersign::token::EndOutcome;
/// use countersign::{Secret, SystemEntropy, User, UserId};
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
/// assert_eq!(strategy.end_session(page.sessions[0].id, &user).await?, EndOutcome::Ended);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SessionControl: Send + Sync {
    /// Returns the login fence of a user.
    ///
    /// Call this *before* you load the account that the login is judged by, and pass the fence on
    /// with [`Login::behind`]. The session is then opened only if the user was not logged out
    /// everywhere in between. The fence is valid for five minutes.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    async fn login_fence(&self, user: &UserKey) -> Result<LoginFence, Failure>;

    /// Returns a live session of `user`, or `None` if there is none with this id.
    ///
    /// The record contains the times of the login and of the latest authentication. Long-lived
    /// connections use it to learn of a logout; see [`SessionWatcher`](crate::auth::SessionWatcher).
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    async fn session(
        &self,
        session: SessionId,
        user: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure>;

    /// Records that the user of a live session has proved again who they are, and returns the time
    /// of that.
    ///
    /// Check the password, the passkey or whatever the proof is before, and that it belongs to
    /// `user`. The session keeps its id and its tokens, and no token has to be issued anew:
    /// [`authenticated_within`](Self::authenticated_within) sees the new time at once, for every
    /// token of the session.
    ///
    /// Pass the [fence](Self::login_fence) that you read before you loaded the account. Nothing is
    /// recorded then if the user was logged out everywhere in between, also if that kept this
    /// session: the proof may have been judged by an old password. With `None` only the session
    /// itself must be live.
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] with [`Refusal::Revoked`](crate::Refusal::Revoked) if the user has
    ///   no such live session. It isn't revived.
    /// - [`AuthError::Refused`] with [`Refusal::Overtaken`](crate::Refusal::Overtaken) if the
    ///   session ended meanwhile, if the fence was replaced, or if it was read more than five
    ///   minutes ago. Judge the account again.
    /// - [`AuthError::Failed`] if the store can't be asked. The time may be recorded; another call
    ///   is safe.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// use countersign::store::MemoryStore;
    /// use countersign::strategy::DatabaseTokenStrategy;
    /// use countersign::strategy::{RefreshableStrategy, SessionControl};
    /// use countersign::{Secret, SystemEntropy, User, UserId};
    ///
    /// # struct Account { id: i64 }
    /// # impl User for Account {
    /// #     type Id = i64;
    /// #     fn id(&self) -> &i64 { &self.id }
    /// # }
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
    ///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
    ///     .build()?;
    /// let tokens = strategy.open_session(&Account { id: 7 }).await?;
    /// let session = tokens.access.session_id.expect("the strategy has sessions");
    /// let user = 7_i64.to_key();
    ///
    /// // First the fence, then the account and its password.
    /// let fence = strategy.login_fence(&user).await?;
    /// let at = strategy.reauthenticate(session, &user, Some(fence)).await?;
    ///
    /// let five_minutes = Duration::from_mins(5);
    /// let recent = strategy.authenticated_within(session, &user, five_minutes).await?;
    /// assert_eq!(recent, Some(at));
    /// # Ok(())
    /// # }
    /// ```
    async fn reauthenticate(
        &self,
        session: SessionId,
        user: &UserKey,
        fence: Option<LoginFence>,
    ) -> Result<Timestamp, AuthError>;

    /// Returns the time of the latest authentication of a live session of `user`, if that is at
    /// most `max_age` ago.
    ///
    /// The time is that of the login or of a later [`reauthenticate`](Self::reauthenticate),
    /// compared by the strategy's clock. Returns `None` if it is longer ago, if it isn't known (as
    /// for sessions that litestar-auth opened), or if the user has no such session. Reads one record
    /// and writes nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    async fn authenticated_within(
        &self,
        session: SessionId,
        user: &UserKey,
        max_age: Duration,
    ) -> Result<Option<Timestamp>, Failure>;

    /// Returns a page of the live sessions of a user.
    ///
    /// Pass [`SessionPage::next`] on to read the following page. A page may be empty although
    /// others follow.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    async fn sessions_of(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure>;

    /// Ends the session that an access token belongs to, or revokes the token alone if it belongs
    /// to none.
    ///
    /// Also works for an expired token: an opaque one is recognised until it is swept, a signed one
    /// always is. A second call completes a logout that was interrupted.
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] if the token is malformed or forged, or was issued for others.
    ///   Nothing was ended.
    /// - [`AuthError::Failed`] if the end could not be recorded. The session may still be live;
    ///   call it again.
    async fn log_out(&self, access: &PlainToken) -> Result<LoggedOut, AuthError>;

    /// Ends the session that a refresh token belongs to, with all of its tokens. For a logout after
    /// the access token has expired.
    ///
    /// Accepts every refresh token that the session ever had, including those that were rotated.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded. The session may still be live; call
    /// it again.
    async fn end_session_of(&self, refresh: &PlainToken) -> Result<EndOutcome, Failure>;

    /// Ends a session of `user`, with all of its tokens.
    ///
    /// Another user's session is left alone: the result is [`EndOutcome::AlreadyEnded`].
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded. The session may still be live; call
    /// it again.
    async fn end_session(&self, session: SessionId, user: &UserKey) -> Result<EndOutcome, Failure>;

    /// Ends all sessions of `user` except `kept`, and returns the number of sessions that ended.
    ///
    /// Tokens without a session end too, and so does every login that is under way. The fence of
    /// the user is replaced, which takes one step for any number of sessions. Some of the rows are
    /// deleted before this returns, the others by the sweep.
    ///
    /// The number is exact where access tokens are signed. Otherwise counting stops after a tenth
    /// of a second, at some ten thousand sessions, and the number is a lower bound.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded, or only a part of it. Call it again:
    /// it continues where it stopped.
    async fn end_sessions(&self, user: &UserKey, kept: Option<SessionId>) -> Result<u64, Failure>;

    /// Completes an end of sessions that was recorded together with a change of the user's account.
    ///
    /// Call this after [`SqlStore::change_account`](crate::store::sql::SqlStore::change_account),
    /// with the same `kept`. That method replaces the fence. This one denies the signed access
    /// tokens that carry the old fence, and deletes some of the rows.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the denial could not be recorded, or only a part of it. Call it
    /// again: it continues where it stopped.
    async fn complete_ending(&self, user: &UserKey, kept: Option<SessionId>)
    -> Result<(), Failure>;
}

/// Opens sessions and rotates refresh tokens.
///
/// Every strategy of this crate implements the same protocol:
///
/// - A login opens a session with one refresh token. The session keeps its id for life.
/// - A refresh *rotates* the refresh token: its one successor takes its place. However many
///   requests present the same token at once, from however many processes, exactly one successor
///   exists.
/// - A refresh token that is presented again shortly after its rotation yields the same successor,
///   so that a retry is safe. Later it counts as reuse, and ends the session
///   ([`ReusePolicy`](crate::ReusePolicy)).
///
/// # Examples
///
/// ```
/// use countersign::store::MemoryStore;
/// use countersign::strategy::{DatabaseTokenStrategy, Login};
/// use countersign::strategy::RefreshableStrategy;
/// use countersign::{ClientInfo, Failure, Refusal, ReusePolicy, Secret, SystemEntropy, User};
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
///     .reuse(ReusePolicy::strict())
///     .build()?;
/// let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
///
/// let login = Login::from(ClientInfo::new().with_user_agent("curl/8.5.0"));
/// let tokens = strategy.log_in(&Account { id: 7 }, &login).await?;
/// let first = tokens.refresh.expect("the strategy has sessions").token;
///
/// let refreshed = strategy.refresh_session(&first, &users).await?;
/// assert_eq!(refreshed.user.id, 7);
///
/// // The policy is strict: a second presentation of the same token is reuse.
/// let reused = strategy.refresh_session(&first, &users).await.unwrap_err();
/// assert_eq!(reused.refusal(), Some(Refusal::Reused));
///
/// // Reuse has ended the session, so the successor is unknown now.
/// let second = refreshed.issued.refresh.expect("the strategy has sessions").token;
/// let ended = strategy.refresh_session(&second, &users).await.unwrap_err();
/// assert_eq!(ended.refusal(), Some(Refusal::Unknown));
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait RefreshableStrategy<U: User>: Strategy<U> + SessionControl {
    /// Opens a session, and returns its access token and its refresh token.
    ///
    /// Both tokens are recorded in one atomic step. Does not judge the user: check the password and
    /// [`User::is_active`] before.
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] with [`Refusal::Overtaken`](crate::Refusal::Overtaken) if the user
    ///   was logged out everywhere since the fence of `login` was read, or if that was more than
    ///   five minutes ago.
    /// - [`AuthError::Refused`] with [`Refusal::TooManySessions`](crate::Refusal::TooManySessions)
    ///   if the user has reached a [`SessionLimit`](crate::SessionLimit) that refuses.
    /// - [`AuthError::Failed`] if the tokens could not be stored, or if it is unknown whether they
    ///   were. A session that nobody has a token of may then be listed until it expires. Another
    ///   login is safe.
    async fn log_in(&self, user: &U, login: &Login) -> Result<TokenPair, AuthError>;

    /// Opens a session without client details and without checking a login fence.
    ///
    /// For tests and for logins that need no judgement. Otherwise call [`log_in`](Self::log_in).
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the session could not be opened. Its kind is
    /// [`FailureKind::Full`](crate::error::FailureKind::Full) if the user has reached a
    /// [`SessionLimit`](crate::SessionLimit) that refuses.
    async fn open_session(&self, user: &U) -> Result<TokenPair, Failure> {
        self.log_in(user, &Login::default())
            .await
            .map_err(sessions::unrefused)
    }

    /// Rotates a refresh token, and returns a new pair of tokens of the same session, with the
    /// user.
    ///
    /// An inactive user is refused, and nothing is written.
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] if the token is not valid; the client has to log in again. Reuse
    ///   ends the session before this returns, and its reason is
    ///   [`Refusal::Reused`](crate::Refusal::Reused).
    /// - [`AuthError::Failed`] if a store can't be asked. Retry with the same token: within the
    ///   grace window it yields the same successor, whether the first attempt was recorded or not.
    async fn refresh_session(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, TokenPair>, AuthError>;

    /// Opens a session, and returns its refresh token alone.
    ///
    /// The first [`refresh_session`](Self::refresh_session) then issues an access token.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] in the same cases as [`open_session`](Self::open_session).
    async fn write_refresh_token(&self, user: &U) -> Result<IssuedToken, Failure>;

    /// Rotates a refresh token without issuing an access token, and returns its successor, with the
    /// user.
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`refresh_session`](Self::refresh_session).
    async fn rotate_refresh_token(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, IssuedToken>, AuthError>;
}
