//! A transport and a strategy under one name (the strategies page: `AuthenticationBackend`).

use std::fmt;
use std::sync::Arc;

use crate::answer::{Answer, Destroyed, Invalidated, IssuedToken, LoggedOut, Refreshed, SessionId, TokenPair};
use crate::error::{AuthError, Failure, Refusal};
use crate::store::{Page, SessionPage};
use crate::strategy::{Login, LoginFence, Strategy};
use crate::token::{PlainToken, TokenShape};
use crate::transport::Transport;
use crate::user::{User, UserId, UserManager};

/// How tokens travel and what they are worth, under one name.
///
/// Several backends may share one strategy, so that a session opened through cookies can be ended with a bearer token.
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{AuthenticationBackend, Strategy, User};
/// # use countersign::transport::{BearerTransport, CookieTransport};
/// # use countersign::Profile;
/// # fn backends<U: User>(strategy: Arc<dyn Strategy<U>>) -> Result<(), countersign::ConfigError> {
/// let api = AuthenticationBackend::new("api", BearerTransport, Arc::clone(&strategy));
/// let web = AuthenticationBackend::new("web", CookieTransport::builder(Profile::Countersign).build()?, strategy);
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
    /// The backend called `name`; the name is for logs and for [`Authenticated`](crate::Authenticated), and the
    /// authenticator checks it.
    pub fn new(name: impl Into<Arc<str>>, transport: impl Transport + 'static, strategy: Arc<dyn Strategy<U>>) -> Self {
        let shape = strategy.token_shape();
        Self { name: name.into(), transport: Arc::new(transport), strategy, shape }
    }

    /// Says what this backend's tokens look like, where the strategy itself can't know.
    #[must_use]
    pub fn with_token_shape(mut self, shape: TokenShape) -> Self {
        self.shape = shape;
        self
    }

    /// The backend's name.
    pub const fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// How tokens travel.
    pub fn transport(&self) -> &dyn Transport {
        &*self.transport
    }

    /// What tokens are worth.
    pub const fn strategy(&self) -> &Arc<dyn Strategy<U>> {
        &self.strategy
    }

    /// What this backend's tokens look like.
    pub const fn token_shape(&self) -> &TokenShape {
        &self.shape
    }

    /// Says whose access token this is. An inactive account is refused.
    ///
    /// # Errors
    /// [`Failure`] when a store can't be asked: the question stays open (promise P6).
    pub async fn read(&self, token: &PlainToken, users: &dyn UserManager<U>) -> Result<Answer<U>, Failure> {
        Ok(match self.strategy.read_token(Some(token), users).await? {
            Answer::Accepted(mut authenticated) => {
                authenticated.backend = Some(Arc::clone(&self.name));
                if authenticated.user.is_active() {
                    Answer::Accepted(authenticated)
                } else {
                    refusal_event(Some(&self.name), authenticated.session_id, Refusal::UserInactive);
                    Answer::Refused(Refusal::UserInactive)
                }
            }
            Answer::Refused(refusal) => {
                refusal_event(Some(&self.name), None, refusal);
                Answer::Refused(refusal)
            }
            Answer::NotOffered => Answer::NotOffered,
        })
    }

    /// Returns the user's login fence, to be read before the account is that the login is judged by (promise P4); `None`
    /// where the strategy has no sessions.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn login_fence(&self, user: &U::Id) -> Result<Option<LoginFence>, Failure> {
        match self.strategy.as_refreshable() {
            Some(strategy) => strategy.login_fence(&user.to_key()).await.map(Some),
            None => Ok(None),
        }
    }

    /// Issues tokens to `user`: a session where the strategy has sessions, an access token elsewhere.
    ///
    /// # Errors
    /// [`AuthError::Refused`] for a login that was overtaken, and for one too many where the cap on sessions refuses.
    /// [`AuthError::Failed`] when the tokens could not be stored, or when that isn't known.
    pub async fn login(&self, user: &U, login: &Login) -> Result<TokenPair, AuthError> {
        let issued = match self.strategy.as_refreshable() {
            Some(strategy) => strategy.log_in(user, login).await,
            None => self.strategy.write_token(user).await.map(alone).map_err(AuthError::from),
        };
        match &issued {
            Ok(tokens) => event(&self.name, tokens.access.session_id, "login"),
            Err(error) => self.note_refusal(error),
        }
        issued
    }

    /// Exchanges a refresh token for a new pair. A strategy without sessions knows none.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when the token is no good; [`AuthError::Failed`] when the store can't be asked.
    pub async fn refresh(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Refreshed<U, TokenPair>, AuthError> {
        let strategy = self.strategy.as_refreshable().ok_or(Refusal::Unknown)?;
        let refreshed = strategy.refresh_session(token, users).await;
        match &refreshed {
            Ok(refreshed) => event(&self.name, refreshed.issued.access.session_id, "refresh"),
            Err(error) => self.note_refusal(error),
        }
        refreshed
    }

    /// Ends the session of an access token, or the token alone when it has no session. Works for inactive accounts and for
    /// expired access tokens. An expired opaque token is recognised until it is swept; a signed token always is.
    ///
    /// # Errors
    /// [`AuthError::Refused`] when the credential is bad, and nothing was ended; the reason is for the log only.
    /// [`AuthError::Failed`] when the end could not be recorded: the session may still be live (SECURITY row R-09).
    pub async fn logout(&self, token: &PlainToken, users: &dyn UserManager<U>) -> Result<LoggedOut, AuthError> {
        let logged_out = match self.strategy.as_refreshable() {
            Some(strategy) => strategy.log_out(token).await,
            None => self.destroy(token, users).await,
        };
        match &logged_out {
            Ok(LoggedOut::Ended(session)) => event(&self.name, *session, "logout"),
            Ok(LoggedOut::AlreadyOut) => {}
            Err(error) => self.note_refusal(error),
        }
        logged_out
    }

    /// Ends a token of a strategy without sessions.
    async fn destroy(&self, token: &PlainToken, users: &dyn UserManager<U>) -> Result<LoggedOut, AuthError> {
        match self.strategy.read_token(Some(token), users).await? {
            Answer::Accepted(authenticated) => {
                self.strategy.destroy_token(token, &authenticated.user).await?;
                Ok(LoggedOut::Ended(None))
            }
            Answer::NotOffered | Answer::Refused(Refusal::Unknown | Refusal::Revoked) => Ok(LoggedOut::AlreadyOut),
            Answer::Refused(refusal) => Err(refusal.into()),
        }
    }

    fn note_refusal(&self, error: &AuthError) {
        if let Some(refusal) = error.refusal() {
            refusal_event(Some(&self.name), None, refusal);
        }
    }

    /// Ends the session of a refresh token: logout when the access token has expired.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn logout_with_refresh(&self, refresh: &PlainToken) -> Result<LoggedOut, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else { return Ok(LoggedOut::AlreadyOut) };
        match strategy.end_session_of(refresh).await? {
            Destroyed::Revoked => {
                event(&self.name, None, "logout");
                Ok(LoggedOut::Ended(None))
            }
            Destroyed::AlreadyInvalid => Ok(LoggedOut::AlreadyOut),
        }
    }

    /// Returns a part of the list of a user's sessions that haven't ended; an empty one where the strategy has no sessions.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn sessions_of(&self, user: &U::Id, page: &Page) -> Result<SessionPage, Failure> {
        match self.strategy.as_refreshable() {
            Some(strategy) => strategy.sessions_of(&user.to_key(), page).await,
            None => Ok(SessionPage::default()),
        }
    }

    /// Ends one session of a user; [`Destroyed::AlreadyInvalid`] when they have no such session.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_session(&self, session: SessionId, user: &U::Id) -> Result<Destroyed, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else { return Ok(Destroyed::AlreadyInvalid) };
        let ended = strategy.end_session(session, &user.to_key()).await?;
        if ended == Destroyed::Revoked {
            event(&self.name, Some(session), "session_revoked");
        }
        Ok(ended)
    }

    /// Ends every session of a user but `kept`. Returns how many that were.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_other_sessions(&self, user: &U::Id, kept: Option<SessionId>) -> Result<u64, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else { return Ok(0) };
        let ended = strategy.end_sessions(&user.to_key(), kept).await?;
        event(&self.name, kept, "other_sessions_revoked");
        Ok(ended)
    }

    /// Ends every session of a user.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn logout_everywhere(&self, user: &U::Id) -> Result<Invalidated, Failure> {
        let invalidated = self.strategy.invalidate_all(&user.to_key()).await?;
        event(&self.name, None, "logout_everywhere");
        Ok(invalidated)
    }
}

/// An access token of a strategy that has no refresh tokens.
fn alone(access: IssuedToken) -> TokenPair {
    TokenPair { issued_at: access.issued_at, access, refresh: None }
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

fn event(backend: &str, session: Option<SessionId>, what: &'static str) {
    tracing::info!(event = what, backend, session = session.map(tracing::field::display), "session event");
}

/// One event per refused credential: the reason, where, and which session; nothing of the token (promise P7).
pub(crate) fn refusal_event(backend: Option<&str>, session: Option<SessionId>, refusal: Refusal) {
    let session = session.map(tracing::field::display);
    tracing::warn!(event = "refused", reason = refusal.as_str(), backend, session, "credential refused");
}
