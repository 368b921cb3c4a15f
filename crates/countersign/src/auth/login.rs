//! Logging in: the one flow from a judgement of the account to the tokens.
//!
//! The order of the steps is what makes a login safe against a change that happens meanwhile. The
//! user's fence is read first. Then the account is judged, which takes long because of the
//! password's hash. Then the session is recorded, behind that fence. The store refuses the session
//! if a "log out everywhere" or a password change has replaced the fence by then, and the account
//! is judged again.
//!
//! The fence is a user's, so the user's id has to be known first. If it isn't, the first judgement
//! only finds the id, and the account is judged once more behind the fence.

use std::error::Error;
use std::fmt;
use std::future::Future;
use std::time::Duration;

use http::HeaderMap;

use crate::auth::AuthenticationBackend;
use crate::error::{AuthError, Failure, Refusal};
use crate::event;
use crate::session::SessionId;
use crate::store::{Page, SessionRecord};
use crate::strategy::Login;
use crate::token::TokenPair;
use crate::transport::TokenBody;
use crate::user::User;

/// The most times that an account is judged behind a fence: again if the fence was replaced
/// meanwhile.
pub(crate) const JUDGED: usize = 3;

/// The most sessions that a login refused by the limit on sessions is shown.
const SHOWN: u32 = 100;

/// The verdict on an attempt to log in.
///
/// `Some(user)` converts into [`Accepted`](Self::Accepted), and `None` into
/// [`Rejected`](Self::Rejected).
#[derive(Clone)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each verdict has an answer of its own, so a new one concerns everybody"
)]
pub enum LoginVerdict<U> {
    /// Identifier and password are right. A user whose account isn't active is answered as if they
    /// were wrong.
    Accepted(U),
    /// Identifier or password is wrong, or the account may not be used: 401. The client isn't told
    /// which.
    Rejected,
    /// There were too many attempts: 429.
    RateLimited {
        /// The time after which the client may try again.
        retry_after: Duration,
    },
    /// There are more attempts at once than can be checked: 503.
    Overloaded {
        /// The time after which the client may try again.
        retry_after: Duration,
    },
}

impl<U> From<Option<U>> for LoginVerdict<U> {
    fn from(user: Option<U>) -> Self {
        user.map_or(Self::Rejected, Self::Accepted)
    }
}

/// Leaves the user out: a user type's own `Debug` may print what logs must not hold.
impl<U> fmt::Debug for LoginVerdict<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Accepted(_) => "Accepted(..)",
            Self::Rejected => "Rejected",
            Self::RateLimited { .. } => "RateLimited",
            Self::Overloaded { .. } => "Overloaded",
        })
    }
}

/// A login that succeeded: the user, and the tokens with the answer that hands them out.
///
/// [`AuthenticationBackend::log_in`] returns it. With the feature `axum` it is a response by
/// itself, 204 with cookies or 200 with a JSON body. Where the tokens travel in cookies, it can
/// also be a part of another response, such as `(logged_in, Redirect::to("/"))`. Without axum, call
/// [`into_answer`](Self::into_answer).
///
/// The `Debug` output shows the tokens' times and no text.
#[non_exhaustive]
pub struct LoggedIn<U> {
    /// The user who is logged in.
    pub user: U,
    /// The tokens.
    pub tokens: TokenPair,
    headers: HeaderMap,
    body: Option<TokenBody>,
}

impl<U> LoggedIn<U> {
    /// Returns the headers that hand the tokens out, and the body that does if they don't.
    ///
    /// Send both with `Cache-Control: no-store`.
    pub fn into_answer(self) -> (HeaderMap, Option<TokenBody>) {
        (self.headers, self.body)
    }
}

impl<U> fmt::Debug for LoggedIn<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LoggedIn")
            .field("tokens", &self.tokens)
            .finish_non_exhaustive()
    }
}

/// The error of a login: it was refused, or it could not be decided.
///
/// With the feature `axum` it is a response, and converts into a [`Problem`](crate::Problem), so
/// that handlers can use `?`. The texts name no account.
#[derive(Debug)]
#[non_exhaustive]
pub enum LoginError {
    /// The identifier or the password is wrong, the account isn't active, or it was logged out
    /// everywhere during each of three judgements. The log has the reason.
    BadCredentials,
    /// The judge answered [`LoginVerdict::RateLimited`].
    RateLimited {
        /// The time after which the client may try again.
        retry_after: Duration,
    },
    /// The judge answered [`LoginVerdict::Overloaded`].
    Overloaded {
        /// The time after which the client may try again.
        retry_after: Duration,
    },
    /// The credentials are right, and the user has as many sessions as the
    /// [`SessionLimit`](crate::SessionLimit) allows.
    TooManySessions {
        /// Up to 100 sessions of the user, so that the client can choose one to end.
        sessions: Vec<SessionRecord>,
    },
    /// A store or the judge could not be asked. The client may try again.
    Failed(Failure),
}

impl fmt::Display for LoginError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadCredentials => f.write_str("the login was refused"),
            Self::RateLimited { .. } => f.write_str("there were too many attempts to log in"),
            Self::Overloaded { .. } => f.write_str("too many attempts to log in are under way"),
            Self::TooManySessions { .. } => f.write_str("the user has too many sessions"),
            Self::Failed(failure) => failure.fmt(f),
        }
    }
}

impl Error for LoginError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Failed(failure) => failure.source(),
            _ => None,
        }
    }
}

impl From<Failure> for LoginError {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

impl<U: User> AuthenticationBackend<U> {
    /// Logs a user in: judges the account, opens a session, and returns the tokens with the answer
    /// that hands them out. For login routes of your own, such as forms, second factors and single
    /// sign-on.
    ///
    /// `judge` loads the account, decides, and returns the user or a [`LoginVerdict`]. Everything
    /// that decides by the account belongs into it, and the account must be loaded in it, not
    /// before. It is called after the user's login fence was read, so a "log out everywhere" or a
    /// password change that ends sessions is never missed: the login is then judged again, up to
    /// three times. An account that isn't [active](User::is_active) is refused.
    ///
    /// `id` is the id of the user who wants to log in, if it is known. With `None`, such as for an
    /// identifier that isn't a user id, `judge` is called once more: the first call finds the
    /// user, and the second one judges behind the fence. To save that, find the id first. Pass
    /// `None` for an identifier that nobody has, and let `judge` take as long as for a wrong
    /// password.
    ///
    /// `login` is the [`ClientInfo`](crate::ClientInfo) for the list of devices, or a [`Login`] with a
    /// lifetime. Its fence is replaced.
    ///
    /// It doesn't ask where the request comes from: a route that sets cookies must check the
    /// [`OriginPolicy`](crate::OriginPolicy) first. Each login that is refused leaves one line
    /// `login_failed` in the log.
    ///
    /// # Errors
    ///
    /// Returns a [`LoginError`]. No session is open then, unless a failure hid from the caller
    /// whether one was recorded; nobody has its tokens.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::sync::Arc;
    ///
    /// use countersign::store::MemoryStore;
    /// use countersign::strategy::DatabaseTokenStrategy;
    /// use countersign::transport::BearerTransport;
    /// use countersign::auth::LoginError;
    /// use countersign::{AuthenticationBackend, ClientInfo, Failure, Secret, SystemEntropy, User};
    ///
    /// # #[derive(Clone)]
    /// # struct Member { id: i64 }
    /// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
    /// # async fn find_id(_: &str) -> Result<Option<i64>, Failure> { Ok(Some(7)) }
    /// // Loads the account and checks its password.
    /// async fn check(email: &str, password: &str) -> Result<Option<Member>, Failure> {
    /// #   let _ = email;
    ///     Ok((password == "right").then_some(Member { id: 7 }))
    /// }
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
    ///     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
    ///     .build()?;
    /// let api = AuthenticationBackend::new("api", BearerTransport, Arc::new(strategy));
    ///
    /// let (email, client) = ("ada@example.org", ClientInfo::new().with_label("laptop"));
    /// let id = find_id(email).await?;
    /// let logged_in = api.log_in(id.as_ref(), client.clone(), || check(email, "right")).await?;
    /// assert_eq!(logged_in.user.id, 7);
    ///
    /// let refused = api.log_in(id.as_ref(), client, || check(email, "wrong")).await;
    /// assert!(matches!(refused, Err(LoginError::BadCredentials)));
    /// # Ok(())
    /// # }
    /// ```
    pub async fn log_in<V, F>(
        &self,
        id: Option<&U::Id>,
        login: impl Into<Login>,
        mut judge: impl FnMut() -> F,
    ) -> Result<LoggedIn<U>, LoginError>
    where
        V: Into<LoginVerdict<U>>,
        F: Future<Output = Result<V, Failure>>,
    {
        self.log_in_behind(id, &login.into(), None, |_| {
            let judging = judge();
            async move { judging.await.map(Into::into) }
        })
        .await
    }

    /// Logs a user in as [`log_in`](Self::log_in) does.
    ///
    /// `judge` is given the user whom the call before has accepted without a fence. It may answer
    /// with that user if the account is still as it was judged. `replaced` is a session of the user
    /// that ends before the new one is opened, so that it fits under the limit on sessions.
    pub(crate) async fn log_in_behind<F>(
        &self,
        id: Option<&U::Id>,
        login: &Login,
        replaced: Option<SessionId>,
        mut judge: impl FnMut(Option<U>) -> F,
    ) -> Result<LoggedIn<U>, LoginError>
    where
        F: Future<Output = Result<LoginVerdict<U>, Failure>>,
    {
        let mut known = id.cloned();
        let mut found = None;
        // The call that only finds the id isn't counted.
        let most = JUDGED.saturating_add(usize::from(known.is_none()));
        for _ in 0..most {
            let fence = match &known {
                Some(id) => self.login_fence(id).await?,
                None => None,
            };
            let user = self.accepted(judge(found.take()).await?)?;
            if known.as_ref() != Some(user.id()) {
                // The fence that was read, if any, isn't this user's.
                known = Some(user.id().clone());
                found = Some(user);
                continue;
            }

            // The credentials were right, so the caller may end any of the user's sessions.
            if let Some(session) = replaced {
                self.end_session(session, user.id()).await?;
            }
            let mut login = login.clone();
            login.fence = fence;
            match self.login(&user, &login).await {
                Ok(tokens) => return self.answered(user, tokens, &login),
                // Somebody logged the user out everywhere, perhaps with a new password.
                Err(AuthError::Refused(Refusal::Overtaken)) => {}
                Err(AuthError::Refused(refusal)) => return Err(self.refused(&user, refusal).await),
                Err(AuthError::Failed(failure)) => return Err(failure.into()),
            }
        }

        event::login_failed(self.name(), Refusal::Overtaken.as_str());
        Err(LoginError::BadCredentials)
    }

    /// Returns the user that a verdict lets in. Otherwise logs the reason.
    pub(crate) fn accepted(&self, verdict: LoginVerdict<U>) -> Result<U, LoginError> {
        let (reason, error) = match verdict {
            LoginVerdict::Accepted(user) if user.is_active() => return Ok(user),
            LoginVerdict::Accepted(_) => {
                (Refusal::UserInactive.as_str(), LoginError::BadCredentials)
            }
            LoginVerdict::Rejected => ("credentials", LoginError::BadCredentials),
            LoginVerdict::RateLimited { retry_after } => {
                ("rate_limited", LoginError::RateLimited { retry_after })
            }
            LoginVerdict::Overloaded { retry_after } => {
                ("overloaded", LoginError::Overloaded { retry_after })
            }
        };

        event::login_failed(self.name(), reason);
        Err(error)
    }

    /// Returns the error of a login with the right credentials that the strategy refused.
    ///
    /// A user with too many sessions is shown them: one whose login was never answered could be
    /// ended by nobody else.
    async fn refused(&self, user: &U, refusal: Refusal) -> LoginError {
        event::login_failed(self.name(), refusal.as_str());
        if refusal != Refusal::TooManySessions {
            return LoginError::BadCredentials;
        }

        let page = Page {
            after: None,
            limit: SHOWN,
        };
        match self.sessions_of(user.id(), &page).await {
            Ok(page) => LoginError::TooManySessions {
                sessions: page.sessions,
            },
            Err(failure) => failure.into(),
        }
    }

    /// Puts the tokens into an answer.
    fn answered(
        &self,
        user: U,
        tokens: TokenPair,
        login: &Login,
    ) -> Result<LoggedIn<U>, LoginError> {
        let mut headers = HeaderMap::new();
        let body = if login.is_until_closed() {
            self.transport().issue_until_closed(&tokens, &mut headers)?
        } else {
            self.transport().issue(&tokens, &mut headers)?
        };
        Ok(LoggedIn {
            user,
            tokens,
            headers,
            body,
        })
    }
}
