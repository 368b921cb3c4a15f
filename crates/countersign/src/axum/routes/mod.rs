//! Login, refresh and logout as routes that an application nests.

mod login;
mod logout;
mod presented;
mod refresh;
mod sessions;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use axum::Router;
use axum::extract::Request;
use axum::routing::{delete, get, post};
use axum_core::response::{IntoResponse, Response};
use http::{HeaderMap, HeaderValue, StatusCode, header};

pub use login::{ClientAddress, CredentialVerifier, LoginAttempt, LoginVerdict};

use crate::answer::{Authenticated, TokenPair};
use crate::authenticator::Authenticator;
use crate::backend::AuthenticationBackend;
use crate::error::ConfigError;
use crate::origin::is_json;
use crate::outcome::AuthOutcome;
use crate::problem::Problem;
use crate::user::User;

/// One of the routes that [`AuthRoutes`] offers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthRoute {
    /// `POST /login`: `{identifier, password}` → 200 with tokens.
    Login,
    /// `POST /refresh`: `{refresh_token}` → 200 with tokens.
    Refresh,
    /// `POST /logout`: an access token, or `{refresh_token}` → 204; with a good access token whatever the body is.
    Logout,
    /// `POST /logout/all`: an access token → 204.
    LogoutAll,
    /// `GET /sessions`: an access token → 200 with the user's sessions.
    Sessions,
    /// `DELETE /sessions/{id}`: an access token → 204; 404 when the user has no such session.
    EndSession,
    /// `POST /sessions/revoke-others`: an access token → 200 with the number of sessions that ended.
    EndOtherSessions,
    /// `POST /cookie/login`: `{identifier, password}` → 204 with cookies.
    CookieLogin,
    /// `POST /cookie/refresh`: the refresh cookie → 204 with cookies.
    CookieRefresh,
    /// `POST /cookie/logout`: either cookie, or none → 204 and the cookies are cleared.
    CookieLogout,
}

/// Makes the routes.
///
/// The routes of sessions appear when a strategy keeps any, the bearer routes when a backend reads a header, the cookie
/// routes when one reads a cookie, and the two login routes when there is a [`CredentialVerifier`];
/// [`without`](Self::without) leaves out any of them. Tokens are answered with `Cache-Control: no-store`. The cookie routes
/// ask for proof of the request's origin ([`OriginPolicy`](crate::OriginPolicy)); those for login and refresh take no content
/// type but JSON, and the logouts end what they can read whatever else comes along.
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{Authenticator, ConfigError, User};
/// # use countersign::axum::{AuthRoute, AuthRoutes, CredentialVerifier};
/// # fn app<U: User>(
/// #     authenticator: Arc<Authenticator<U>>,
/// #     verifier: impl CredentialVerifier<U> + 'static,
/// # ) -> Result<axum::Router, ConfigError> {
/// let routes = AuthRoutes::new(authenticator).login(verifier).without(AuthRoute::LogoutAll).build()?;
/// Ok(axum::Router::new().nest("/auth", routes))
/// # }
/// ```
#[must_use]
pub struct AuthRoutes<U> {
    authenticator: Arc<Authenticator<U>>,
    verifier: Option<Arc<dyn CredentialVerifier<U>>>,
    bearer: Option<String>,
    cookie: Option<String>,
    without: HashSet<AuthRoute>,
}

impl<U: User> AuthRoutes<U> {
    /// Routes over the backends of `authenticator`. New tokens come from the first backend that reads a header, and
    /// the first that reads a cookie.
    pub fn new(authenticator: Arc<Authenticator<U>>) -> Self {
        Self { authenticator, verifier: None, bearer: None, cookie: None, without: HashSet::new() }
    }

    /// Offers the login routes; `verifier` says who may log in.
    pub fn login(mut self, verifier: impl CredentialVerifier<U> + 'static) -> Self {
        self.verifier = Some(Arc::new(verifier));
        self
    }

    /// Takes the backend of this name for the bearer routes.
    pub fn bearer_backend(mut self, name: impl Into<String>) -> Self {
        self.bearer = Some(name.into());
        self
    }

    /// Takes the backend of this name for the cookie routes.
    pub fn cookie_backend(mut self, name: impl Into<String>) -> Self {
        self.cookie = Some(name.into());
        self
    }

    /// Leaves out a route.
    pub fn without(mut self, route: AuthRoute) -> Self {
        self.without.insert(route);
        self
    }

    /// The routes, to be nested where you like. Where a cookie transport has a `refresh_path` of its own, `/cookie/refresh`
    /// and both logouts must be below it.
    ///
    /// # Errors
    /// [`ConfigError`] when a backend is named that doesn't exist or reads another place.
    pub fn build<S: Clone + Send + Sync + 'static>(self) -> Result<Router<S>, ConfigError> {
        let bearer = self.pick("bearer_backend", self.bearer.as_deref(), false)?;
        let cookie = self.pick("cookie_backend", self.cookie.as_deref(), true)?;
        let (has_bearer, has_cookie, has_login) = (bearer.is_some(), cookie.is_some(), self.verifier.is_some());
        let refreshes = |backend: &AuthenticationBackend<U>| backend.strategy().as_refreshable().is_some();
        let has_sessions = self.authenticator.backends().iter().any(refreshes);
        let is_on = |route| {
            !self.without.contains(&route)
                && match route {
                    AuthRoute::Login => has_bearer && has_login,
                    AuthRoute::Refresh => has_bearer,
                    AuthRoute::Logout | AuthRoute::LogoutAll => true,
                    AuthRoute::Sessions | AuthRoute::EndSession | AuthRoute::EndOtherSessions => has_sessions,
                    AuthRoute::CookieLogin => has_cookie && has_login,
                    AuthRoute::CookieRefresh | AuthRoute::CookieLogout => has_cookie,
                }
        };
        let table = [
            (AuthRoute::Login, "/login", post(login::bearer::<U>)),
            (AuthRoute::Refresh, "/refresh", post(refresh::bearer::<U>)),
            (AuthRoute::Logout, "/logout", post(logout::bearer::<U>)),
            (AuthRoute::LogoutAll, "/logout/all", post(logout::all::<U>)),
            (AuthRoute::Sessions, "/sessions", get(sessions::list::<U>)),
            (AuthRoute::EndSession, "/sessions/{id}", delete(sessions::end::<U>)),
            (AuthRoute::EndOtherSessions, "/sessions/revoke-others", post(sessions::end_others::<U>)),
            (AuthRoute::CookieLogin, "/cookie/login", post(login::cookie::<U>)),
            (AuthRoute::CookieRefresh, "/cookie/refresh", post(refresh::cookie::<U>)),
            (AuthRoute::CookieLogout, "/cookie/logout", post(logout::cookie::<U>)),
        ];
        let mut router = Router::new();
        for (route, path, handler) in table {
            if is_on(route) {
                router = router.route(path, handler);
            }
        }
        let state = Shared { authenticator: self.authenticator, verifier: self.verifier, bearer, cookie };
        Ok(router.method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED).with_state(Arc::new(state)))
    }

    fn pick(
        &self,
        option: &'static str,
        name: Option<&str>,
        ambient: bool,
    ) -> Result<Option<AuthenticationBackend<U>>, ConfigError> {
        let fits = |backend: &&AuthenticationBackend<U>| {
            backend.transport().source().is_ambient() == ambient && name.is_none_or(|name| **backend.name() == *name)
        };
        let found = self.authenticator.backends().iter().find(fits).cloned();
        if name.is_some() && found.is_none() {
            let problem = "names no backend of that kind";
            return Err(ConfigError::new(option, problem, "name one that the authenticator has"));
        }
        Ok(found)
    }
}

impl<U> fmt::Debug for AuthRoutes<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRoutes").field("authenticator", &self.authenticator).finish_non_exhaustive()
    }
}

/// What every handler here works with.
struct Shared<U> {
    authenticator: Arc<Authenticator<U>>,
    verifier: Option<Arc<dyn CredentialVerifier<U>>>,
    bearer: Option<AuthenticationBackend<U>>,
    cookie: Option<AuthenticationBackend<U>>,
}

impl<U: User> Shared<U> {
    /// The backend of the bearer routes; those routes exist only when there is one.
    fn bearer(&self) -> Result<&AuthenticationBackend<U>, Problem> {
        self.bearer.as_ref().ok_or(Problem::INTERNAL)
    }

    /// The backend of the cookie routes; those routes exist only when there is one.
    fn cookie(&self) -> Result<&AuthenticationBackend<U>, Problem> {
        self.cookie.as_ref().ok_or(Problem::INTERNAL)
    }

    /// Whose access token came with a request, if a page of ours sent it.
    async fn authenticate(&self, request: Request) -> Result<Arc<Authenticated<U>>, Problem> {
        let (parts, _) = request.into_parts();
        match self.authenticator.authenticate_request(&parts).await {
            AuthOutcome::Accepted(authenticated) => Ok(authenticated),
            outcome => Err(Problem::from_outcome(&outcome).unwrap_or(Problem::INTERNAL)),
        }
    }

    /// The backends, one for each strategy.
    fn distinct_backends(&self) -> impl Iterator<Item = &AuthenticationBackend<U>> + Send {
        let backends = self.authenticator.backends();
        backends
            .iter()
            .enumerate()
            .filter(|(index, backend)| {
                let is_same = |earlier: &AuthenticationBackend<U>| Arc::ptr_eq(earlier.strategy(), backend.strategy());
                !backends.iter().take(*index).any(is_same)
            })
            .map(|(_, backend)| backend)
    }

    /// The backend that accepted a credential.
    fn backend_of(&self, authenticated: &Authenticated<U>) -> Option<&AuthenticationBackend<U>> {
        let accepted = authenticated.backend.as_ref();
        self.authenticator.backends().iter().find(|backend| accepted == Some(backend.name()))
    }

    /// Refuses a request to the cookie routes that no page of ours has sent.
    fn check_origin(&self, request: &http::request::Parts) -> Result<(), Problem> {
        if self.authenticator.is_sent_by_us(self.cookie()?, request) { Ok(()) } else { Err(Problem::CSRF_FAILED) }
    }

    /// Refuses what another site could make a browser send.
    fn check_sender(&self, request: &http::request::Parts) -> Result<(), Problem> {
        self.check_origin(request)?;
        if request.headers.contains_key(header::CONTENT_TYPE) && !is_json(&request.headers) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        Ok(())
    }
}

/// Hands new tokens over: 200 with a body, or 204 with cookies.
fn token_answer<U: User>(backend: &AuthenticationBackend<U>, tokens: &TokenPair) -> Result<Response, Problem> {
    let mut headers = no_store();
    let issued = backend.transport().issue(tokens, &mut headers).map_err(|failure| Problem::from_failure(&failure))?;
    Ok(match issued {
        Some(body) => {
            headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            (StatusCode::OK, headers, body.into_bytes()).into_response()
        }
        None => (StatusCode::NO_CONTENT, headers).into_response(),
    })
}

fn no_store() -> HeaderMap {
    HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
}
