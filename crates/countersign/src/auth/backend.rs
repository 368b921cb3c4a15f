//! The authentication backend: a transport and a strategy under one name.
//!
//! A [`Transport`] says where a token travels in a request, a [`Strategy`] says what the token is
//! worth. [`AuthenticationBackend`] pairs the two, refuses inactive accounts, and logs one event
//! for each login, refresh, logout and refusal. The routes of the `axum` feature and the
//! authenticator call it; below it, no code knows of names or of account state.

use std::fmt;
use std::sync::Arc;

use crate::clock::Timestamp;
use crate::error::{AuthError, Failure, Refusal};
use crate::event;
use crate::session::SessionId;
use crate::store::{Page, SessionPage};
use crate::strategy::{Login, LoginFence, Strategy};
use crate::token::{
    Authenticated, EndOutcome, Invalidated, IssuedToken, LoggedOut, PlainToken, Refreshed,
    TokenPair, TokenShape, TokenStatus,
};
use crate::transport::Transport;
use crate::user::{User, UserId, UserManager};

/// A named pair of a transport and a strategy.
///
/// Use a backend where your code handles credentials: in login handlers, in account settings, in
/// administration. To authenticate incoming requests, give backends to an
/// [`Authenticator`](crate::Authenticator).
///
/// Several backends may share one strategy. A session that was opened through cookies can then be
/// ended with a bearer token.
///
/// The methods work for every strategy. Where a strategy has no sessions
/// ([`Strategy::as_refreshable`] returns `None`), [`login`](Self::login) issues an access token
/// alone, and the methods on sessions have nothing to return or to end.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use countersign::store::MemoryStore;
/// use countersign::strategy::{DatabaseTokenStrategy, Login};
/// use countersign::transport::{BearerTransport, CookieTransport};
/// use countersign::strategy::Strategy;
/// use countersign::token::LoggedOut;
/// use countersign::{AuthenticationBackend, Failure, Profile, Secret, SystemEntropy, User};
///
/// # struct Account { id: i64 }
/// # impl User for Account {
/// #     type Id = i64;
/// #     fn id(&self) -> &i64 { &self.id }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::generate(&SystemEntropy)?;
/// # let users = |id: i64| async move { Ok::<_, Failure>(Some(Account { id })) };
/// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
///     .token_hash_secret(&secret)
///     .build()?;
/// let strategy: Arc<dyn Strategy<Account>> = Arc::new(strategy);
///
/// let api = AuthenticationBackend::new("api", BearerTransport, Arc::clone(&strategy));
/// let cookies = CookieTransport::builder(Profile::Countersign).build()?;
/// let web = AuthenticationBackend::new("web", cookies, strategy);
///
/// let tokens = web.login(&Account { id: 7 }, &Login::default()).await?;
/// let logged_out = api.logout(&tokens.access.token, &users).await?;
/// assert!(matches!(logged_out, LoggedOut::Ended(Some(_))));
/// # Ok(())
/// # }
/// ```
pub struct AuthenticationBackend<U> {
    name: Arc<str>,
    transport: Arc<dyn Transport>,
    strategy: Arc<dyn Strategy<U>>,
    shape: TokenShape,
}

impl<U: User> AuthenticationBackend<U> {
    /// Creates a backend.
    ///
    /// The name appears in logs and in [`Authenticated::backend`](crate::Authenticated::backend).
    /// Use 1 to 64 letters, digits, `-`, `_` and `.`: the authenticator refuses any other name when
    /// it is built.
    pub fn new(
        name: impl Into<Arc<str>>,
        transport: impl Transport + 'static,
        strategy: Arc<dyn Strategy<U>>,
    ) -> Self {
        let shape = strategy.token_shape();
        Self {
            name: name.into(),
            transport: Arc::new(transport),
            strategy,
            shape,
        }
    }

    /// Sets the form of this backend's access tokens. Defaults to the form that the strategy
    /// declares.
    ///
    /// Needed when two backends read the same place of a request and a strategy can't declare its
    /// form itself. The authenticator refuses to be built if two such backends could claim the same
    /// token.
    #[must_use]
    pub fn with_token_shape(mut self, shape: TokenShape) -> Self {
        self.shape = shape;
        self
    }

    /// Returns the name of the backend.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// Returns the transport, which reads tokens from requests and puts them into responses.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// Returns the strategy, which issues and judges tokens.
    pub const fn strategy(&self) -> &Arc<dyn Strategy<U>> {
        &self.strategy
    }

    /// Returns the form of this backend's access tokens.
    pub const fn token_shape(&self) -> &TokenShape {
        &self.shape
    }

    /// Reads an access token, and returns whose it is. Tokens of inactive accounts are refused.
    ///
    /// Logs an event for each refusal. Writes nothing to any store.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if a store can't be asked. It is then unknown whether the token is
    /// valid: answer 503, not 401.
    pub async fn read(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<TokenStatus<U>, Failure> {
        Ok(match self.strategy.read_token(Some(token), users).await? {
            TokenStatus::Accepted(mut authenticated) => {
                authenticated.backend = Some(Arc::clone(&self.name));
                if authenticated.user.is_active() {
                    TokenStatus::Accepted(authenticated)
                } else {
                    event::refused(
                        Some(&self.name),
                        authenticated.session_id,
                        Refusal::UserInactive,
                    );
                    TokenStatus::Refused(Refusal::UserInactive)
                }
            }
            TokenStatus::Refused(refusal) => {
                event::refused(Some(&self.name), None, refusal);
                TokenStatus::Refused(refusal)
            }
            TokenStatus::NotOffered => TokenStatus::NotOffered,
        })
    }

    /// Returns the login fence of a user, or `None` if the strategy has no sessions.
    ///
    /// [`log_in`](Self::log_in) reads it by itself. It is for callers of [`login`](Self::login).
    ///
    /// Call this *before* you load the account and judge the password, and pass the fence on with
    /// [`Login::behind`]. The session is then opened only if the user was not logged out everywhere
    /// in between. If you don't, a login with an old password can outlive the change of that
    /// password.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    pub async fn login_fence(&self, user: &U::Id) -> Result<Option<LoginFence>, Failure> {
        match self.strategy.as_refreshable() {
            Some(strategy) => strategy.login_fence(&user.to_key()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Issues tokens to `user`: a session with an access and a refresh token or, if the strategy
    /// has no sessions, an access token.
    ///
    /// Does not judge the user. For logins, use [`log_in`](Self::log_in), which judges the account
    /// behind the fence. This is for tests, and for users who were judged by other means: check
    /// [`User::is_active`] before.
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] with [`Refusal::Overtaken`] if the user was logged out everywhere
    ///   since the fence of `login` was read, or if that was more than five minutes ago. Judge the
    ///   account again.
    /// - [`AuthError::Refused`] with [`Refusal::TooManySessions`] if the user has reached a
    ///   [`SessionLimit`](crate::SessionLimit) that refuses.
    /// - [`AuthError::Failed`] if the tokens could not be stored, or if it is unknown whether they
    ///   were. A session that nobody has a token of may then be listed until it expires. Another
    ///   login is safe.
    pub async fn login(&self, user: &U, login: &Login) -> Result<TokenPair, AuthError> {
        let issued = match self.strategy.as_refreshable() {
            Some(strategy) => strategy.log_in(user, login).await,
            None => self
                .strategy
                .write_token(user)
                .await
                .map(alone)
                .map_err(AuthError::from),
        };

        match &issued {
            Ok(tokens) => event::session(&self.name, tokens.access.session_id, "login"),
            Err(error) => self.note_refusal(error),
        }
        issued
    }

    /// Rotates a refresh token: returns a new pair of tokens of the same session, and the user.
    ///
    /// An inactive account is refused, and its token stays as it is. If the strategy has no
    /// sessions, every token is refused as [`Refusal::Unknown`].
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] if the token is not valid. The client has to log in again. A token
    ///   that was rotated before may have ended its session ([`Refusal::Reused`]).
    /// - [`AuthError::Failed`] if a store can't be asked. The client may retry with the same token;
    ///   see [`ReusePolicy`](crate::ReusePolicy).
    pub async fn refresh(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, TokenPair>, AuthError> {
        let strategy = self.strategy.as_refreshable().ok_or(Refusal::Unknown)?;
        let refreshed = strategy.refresh_session(token, users).await;
        match &refreshed {
            Ok(refreshed) => {
                event::session(&self.name, refreshed.issued.access.session_id, "refresh");
            }
            Err(error) => self.note_refusal(error),
        }
        refreshed
    }

    /// Ends the session of an access token, or revokes the token alone if it belongs to no session.
    ///
    /// Works for inactive accounts. With a strategy that has sessions it also works for expired
    /// access tokens: an expired opaque token is recognised until it is swept, a signed token
    /// always is.
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] if the token is not valid and names no session. Nothing was ended.
    /// - [`AuthError::Failed`] if the end could not be recorded. The session may still be live, so
    ///   keep the client's cookies and let it retry.
    pub async fn logout(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<LoggedOut, AuthError> {
        let logged_out = match self.strategy.as_refreshable() {
            Some(strategy) => strategy.log_out(token).await,
            None => self.destroy(token, users).await,
        };
        match &logged_out {
            Ok(LoggedOut::Ended(session)) => event::session(&self.name, *session, "logout"),
            Ok(LoggedOut::AlreadyEnded) => {}
            Err(error) => self.note_refusal(error),
        }
        logged_out
    }

    /// Revokes an access token of a strategy without sessions.
    async fn destroy(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<LoggedOut, AuthError> {
        match self.strategy.read_token(Some(token), users).await? {
            TokenStatus::Accepted(authenticated) => {
                self.strategy
                    .destroy_token(token, &authenticated.user)
                    .await?;
                Ok(LoggedOut::Ended(None))
            }
            TokenStatus::NotOffered | TokenStatus::Refused(Refusal::Unknown | Refusal::Revoked) => {
                Ok(LoggedOut::AlreadyEnded)
            }
            TokenStatus::Refused(refusal) => Err(refusal.into()),
        }
    }

    /// Logs the reason, if `error` is a refusal. A failure is logged where it is answered.
    fn note_refusal(&self, error: &AuthError) {
        if let Some(refusal) = error.refusal() {
            event::refused(Some(&self.name), None, refusal);
        }
    }

    /// Ends the session of a refresh token. For a logout after the access token has expired.
    ///
    /// Accepts every refresh token that the session ever had, including those that were rotated.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded. The session may still be live; call
    /// it again.
    pub async fn logout_with_refresh(&self, refresh: &PlainToken) -> Result<LoggedOut, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else {
            return Ok(LoggedOut::AlreadyEnded);
        };
        match strategy.end_session_of(refresh).await? {
            EndOutcome::Ended => {
                event::session(&self.name, None, "logout");
                Ok(LoggedOut::Ended(None))
            }
            EndOutcome::AlreadyEnded => Ok(LoggedOut::AlreadyEnded),
        }
    }

    /// Returns a page of the live sessions of a user. The page is empty if the strategy has no
    /// sessions.
    ///
    /// Pass [`SessionPage::next`] on to read the following page. A page may be empty although
    /// others follow.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    pub async fn sessions_of(&self, user: &U::Id, page: &Page) -> Result<SessionPage, Failure> {
        match self.strategy.as_refreshable() {
            Some(strategy) => strategy.sessions_of(&user.to_key(), page).await,
            None => Ok(SessionPage::default()),
        }
    }

    /// Records that the user of an accepted token has proved again who they are, and returns the
    /// time of that.
    ///
    /// Check the password, the passkey or whatever the proof is before, and that it belongs to this
    /// user. The session and its tokens stay, and routes that ask for a
    /// [recent login](crate::tower::RecentLoginLayer) accept each of them. For `fence` see
    /// [`SessionControl::reauthenticate`](crate::strategy::SessionControl::reauthenticate).
    ///
    /// # Errors
    ///
    /// - [`AuthError::Refused`] with [`Refusal::Revoked`] if the token belongs to no session, or if
    ///   its session has ended.
    /// - [`AuthError::Refused`] with [`Refusal::Overtaken`] if the session ended meanwhile, or if
    ///   the fence was replaced. Judge the account again.
    /// - [`AuthError::Failed`] if the store can't be asked. Another call is safe.
    pub async fn reauthenticate(
        &self,
        authenticated: &Authenticated<U>,
        fence: Option<LoginFence>,
    ) -> Result<Timestamp, AuthError> {
        let strategy = self.strategy.as_refreshable().ok_or(Refusal::Revoked)?;
        let session = authenticated.session_id.ok_or(Refusal::Revoked)?;
        let user = authenticated.user.id().to_key();
        let recorded = strategy.reauthenticate(session, &user, fence).await;
        match &recorded {
            Ok(_) => event::session(&self.name, Some(session), "reauthentication"),
            Err(error) => self.note_refusal(error),
        }
        recorded
    }

    /// Ends one session of a user, with all of its tokens.
    ///
    /// Returns [`EndOutcome::AlreadyEnded`] if the user has no such session. Another user's
    /// session is never ended.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded. The session may still be live; call
    /// it again.
    pub async fn end_session(
        &self,
        session: SessionId,
        user: &U::Id,
    ) -> Result<EndOutcome, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else {
            return Ok(EndOutcome::AlreadyEnded);
        };
        let ended = strategy.end_session(session, &user.to_key()).await?;
        if ended == EndOutcome::Ended {
            event::session(&self.name, Some(session), "session_revoked");
        }
        Ok(ended)
    }

    /// Ends all sessions of a user except `kept`, and returns the number of sessions that ended.
    ///
    /// Tokens of the user that belong to no session end too. For the number see
    /// [`SessionControl::end_sessions`](crate::strategy::SessionControl::end_sessions). Returns 0
    /// if the strategy has no sessions.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded, or only a part of it. Call it again:
    /// it continues where it stopped.
    pub async fn end_other_sessions(
        &self,
        user: &U::Id,
        kept: Option<SessionId>,
    ) -> Result<u64, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else {
            return Ok(0);
        };
        let ended = strategy.end_sessions(&user.to_key(), kept).await?;
        event::session(&self.name, kept, "other_sessions_revoked");
        Ok(ended)
    }

    /// Ends all sessions and tokens of a user ("log out everywhere").
    ///
    /// Logins and refreshes that are under way meanwhile end as well. Returns
    /// [`Invalidated::Unsupported`] if the strategy has no record of its tokens.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the end could not be recorded, or only a part of it. Call it again:
    /// it continues where it stopped.
    pub async fn logout_everywhere(&self, user: &U::Id) -> Result<Invalidated, Failure> {
        let invalidated = self.strategy.invalidate_all(&user.to_key()).await?;
        event::session(&self.name, None, "logout_everywhere");
        Ok(invalidated)
    }
}

/// Returns an access token as a pair without a refresh token.
fn alone(access: IssuedToken) -> TokenPair {
    TokenPair {
        issued_at: access.issued_at,
        access,
        refresh: None,
    }
}

impl<U> Clone for AuthenticationBackend<U> {
    fn clone(&self) -> Self {
        Self {
            name: Arc::clone(&self.name),
            transport: Arc::clone(&self.transport),
            strategy: Arc::clone(&self.strategy),
            shape: self.shape.clone(),
        }
    }
}

impl<U> fmt::Debug for AuthenticationBackend<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthenticationBackend")
            .field("name", &self.name)
            .field("transport", &self.transport)
            .field("shape", &self.shape)
            .finish_non_exhaustive()
    }
}
