//! A transport and a strategy under one name (the strategies page: `AuthenticationBackend`).

use std::fmt;
use std::sync::Arc;

use crate::answer::{Answer, Destroyed, Invalidated, Rotation, SessionId, TokenPair};
use crate::error::{Failure, Refusal};
use crate::strategy::{Login, LoginFence, Strategy};
use crate::token::{PlainToken, TokenShape};
use crate::transport::Transport;
use crate::user::{User, UserManager};

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

/// What came of logging out with a credential.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoggedOut {
    /// The session is over, its access and refresh tokens with it; or the token, which had no session.
    Ended(Option<SessionId>),
    /// The token is one that logging out before would have left behind: unknown, or revoked.
    AlreadyOut,
    /// The credential is bad, and nothing was ended; the reason is for the log only.
    Refused(Refusal),
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

    /// What a login of the user has to be recorded behind (promise P4); `None` where the strategy has no sessions.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn login_fence(&self, user: &U::Id) -> Result<Option<LoginFence>, Failure> {
        match self.strategy.as_refreshable() {
            Some(strategy) => strategy.login_fence(user).await.map(Some),
            None => Ok(None),
        }
    }

    /// Issues tokens to `user`: a session where the strategy has sessions, an access token elsewhere. Refuses a login
    /// that was overtaken, and one too many where the cap on sessions refuses.
    ///
    /// # Errors
    /// [`Failure`] when they could not be stored; none exists then (promise P12).
    pub async fn login(&self, user: &U, login: &Login) -> Result<Result<TokenPair, Refusal>, Failure> {
        let tokens = if let Some(strategy) = self.strategy.as_refreshable() {
            strategy.log_in(user, login).await?
        } else {
            let access = self.strategy.write_token(user).await?;
            Ok(TokenPair { issued_at: access.issued_at, access, refresh: None })
        };
        match &tokens {
            Ok(tokens) => event(&self.name, tokens.access.session_id, "login"),
            Err(refusal) => refusal_event(Some(&self.name), None, *refusal),
        }
        Ok(tokens)
    }

    /// Exchanges a refresh token for a new pair. A strategy without sessions knows none.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    pub async fn refresh(
        &self,
        token: &PlainToken,
        users: &dyn UserManager<U>,
    ) -> Result<Rotation<U, TokenPair>, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else { return Ok(Rotation::Refused(Refusal::Unknown)) };
        let rotation = strategy.refresh_session(token, users).await?;
        match &rotation {
            Rotation::Rotated { issued, .. } => event(&self.name, issued.access.session_id, "refresh"),
            Rotation::Refused(refusal) => refusal_event(Some(&self.name), None, *refusal),
        }
        Ok(rotation)
    }

    /// Ends the session of an access token, or the token alone when it has no session. An inactive account may still
    /// log out, and so may whoever let the access token expire, as long as the token is known: a signed one always is, an
    /// opaque one until it is swept.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded: the session may still be live (SECURITY row R-09).
    pub async fn logout(&self, token: &PlainToken, users: &dyn UserManager<U>) -> Result<LoggedOut, Failure> {
        let authenticated = match self.strategy.read_token(Some(token), users).await? {
            Answer::Accepted(authenticated) => authenticated,
            Answer::NotOffered | Answer::Refused(Refusal::Unknown) => return Ok(LoggedOut::AlreadyOut),
            Answer::Refused(refusal) => return self.logout_with_stale(token, refusal).await,
        };
        let user = &authenticated.user;
        let ended = match (authenticated.session_id, self.strategy.as_refreshable()) {
            (Some(session), Some(strategy)) => strategy.end_session(session, user.id()).await?,
            _ => Destroyed::AlreadyInvalid,
        };
        // A token may outlive the record of its session, and must not outlive a logout.
        if ended == Destroyed::AlreadyInvalid {
            self.strategy.destroy_token(token, user).await?;
        }
        event(&self.name, authenticated.session_id, "logout");
        Ok(LoggedOut::Ended(authenticated.session_id))
    }

    /// An expired token still tells which session it was of. A revoked one may have been revoked by a logout that failed
    /// before the session was ended.
    async fn logout_with_stale(&self, token: &PlainToken, refusal: Refusal) -> Result<LoggedOut, Failure> {
        let ended = match (refusal, self.strategy.as_refreshable()) {
            (Refusal::Expired | Refusal::Revoked, Some(strategy)) => strategy.end_session_of_stale(token).await?,
            _ => None,
        };
        Ok(match (ended, refusal) {
            (Some(Destroyed::Revoked), _) => {
                event(&self.name, None, "logout");
                LoggedOut::Ended(None)
            }
            (Some(Destroyed::AlreadyInvalid), _) | (None, Refusal::Revoked) => LoggedOut::AlreadyOut,
            (None, refusal) => {
                refusal_event(Some(&self.name), None, refusal);
                LoggedOut::Refused(refusal)
            }
        })
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

    /// Ends one session of a user; [`Destroyed::AlreadyInvalid`] when they have no such session.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_session(&self, session: SessionId, user: &U::Id) -> Result<Destroyed, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else { return Ok(Destroyed::AlreadyInvalid) };
        let ended = strategy.end_session(session, user).await?;
        if ended == Destroyed::Revoked {
            event(&self.name, Some(session), "session_revoked");
        }
        Ok(ended)
    }

    /// Ends every session of a user but `kept`; how many that were.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_other_sessions(&self, user: &U::Id, kept: Option<SessionId>) -> Result<u64, Failure> {
        let Some(strategy) = self.strategy.as_refreshable() else { return Ok(0) };
        let ended = strategy.end_other_sessions(user, kept).await?;
        event(&self.name, kept, "other_sessions_revoked");
        Ok(ended)
    }

    /// Ends every session of a user.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn logout_everywhere(&self, user: &U::Id) -> Result<Invalidated, Failure> {
        let invalidated = self.strategy.invalidate_all(user).await?;
        event(&self.name, None, "logout_everywhere");
        Ok(invalidated)
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

fn event(backend: &str, session: Option<SessionId>, what: &'static str) {
    tracing::info!(event = what, backend, session = session.map(tracing::field::display), "session event");
}

/// One event per refused credential: the reason, where, and which session; nothing of the token (promise P7).
pub(crate) fn refusal_event(backend: Option<&str>, session: Option<SessionId>, refusal: Refusal) {
    let session = session.map(tracing::field::display);
    tracing::warn!(event = "refused", reason = refusal.as_str(), backend, session, "credential refused");
}
