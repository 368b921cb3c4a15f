//! Login, refresh, logout and the list of sessions, as routes that an application nests.
//!
//! [`AuthRoutes`] builds them; [`CredentialVerifier`] is the one part that the application writes.
//! The handlers are in one file per group. Each reads what it needs from the request, asks a
//! backend, and answers with tokens or with a [`Problem`]. What belongs to tokens stays in the
//! backend, so that an application can log users in by routes of its own in the same way.

mod answers;
mod attempt;
mod form;
mod login;
mod logout;
mod pages;
mod presented;
mod reauthenticate;
mod refresh;
mod sessions;
mod shared;
mod verifier;

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::{delete, get, post};

pub use crate::tower::local_path::local_path;
pub use attempt::LoginAttempt;
pub use pages::FormPages;
pub use verifier::CredentialVerifier;
pub(crate) use verifier::holds;

pub use crate::auth::LoginVerdict;
pub use crate::axum::client::ClientAddress;

use crate::auth::{AuthenticationBackend, Authenticator};
use crate::error::ConfigError;
use crate::strategy::Login as Opening;
use crate::tower::Problem;
use crate::user::User;
use shared::Shared;

/// One of the routes that [`AuthRoutes`] offers. Paths are relative to where the routes are nested.
///
/// [`Problem`] documents the codes of failed answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AuthRoute {
    /// `POST /login` with `{identifier, password}`, optionally `label` and `replace`: 200 with
    /// tokens.
    ///
    /// `label` is the user's name for the device. `replace` is the id of a session that ends in
    /// exchange for the new one, for users who have as many sessions as the limit allows. `remember`
    /// is read if [`AuthRoutes::remember_me`] is set. A verifier reads other members with
    /// [`LoginAttempt::member`].
    Login,
    /// `POST /refresh` with `{refresh_token}`: 200 with new tokens.
    Refresh,
    /// `POST /logout` with an access token, or with `{refresh_token}`: 204.
    ///
    /// A good access token ends its session whatever the body is. An expired one ends its session
    /// too, as long as it is known.
    Logout,
    /// `POST /logout/all` with an access token: 204. Ends every session of the user.
    ///
    /// 501 if a strategy keeps no record by which it could find them, such as a `JwtStrategy`
    /// without sessions.
    LogoutAll,
    /// `POST /reauthenticate` with an access token and `{identifier, password}`: 204. Records that
    /// the user of the session has proved again who they are. No token changes.
    ///
    /// Present only if [`AuthRoutes::reauthentication`] was called. The answers to a wrong password
    /// are those of [`Login`](Self::Login), and so is that to the right password of another account.
    /// A token that belongs to no session is answered with 401 `AUTHENTICATION_FAILED`.
    Reauthenticate,
    /// `GET /sessions?limit=&after=` with an access token: 200 with a page of the user's sessions,
    /// as `{sessions, next}`. Pass `next` as `after` for the next page.
    ///
    /// A page has up to `limit` sessions: 100 by default, 1000 at most. It may have fewer although
    /// `next` is there.
    Sessions,
    /// `DELETE /sessions/{id}` with an access token: 204, or 404 if the user has no such session.
    EndSession,
    /// `POST /sessions/revoke-others` with an access token: 200 with `{revoked}`, the number of
    /// sessions that ended. The session that asks stays.
    EndOtherSessions,
    /// `POST /cookie/login` with the body of [`Login`](Self::Login): 204 with cookies.
    CookieLogin,
    /// `POST /cookie/refresh` with the refresh cookie: 204 with new cookies.
    CookieRefresh,
    /// `POST /cookie/logout` with either cookie, or none: 204, and the cookies are cleared.
    CookieLogout,
    /// `POST /cookie/form/login` with a form, see [`AuthRoutes::forms`]: 303 with cookies.
    FormLogin,
    /// `POST /cookie/form/logout` with either cookie, or none, see [`AuthRoutes::forms`]: 303, and
    /// the cookies are cleared.
    FormLogout,
}

/// A builder of the ready routes: login, refresh, logout, and the list of sessions.
///
/// Which routes there are follows from the [`Authenticator`]:
///
/// | routes | present if |
/// |---|---|
/// | `/logout`, `/logout/all` | always |
/// | `/refresh` | a backend reads a header |
/// | `/cookie/refresh`, `/cookie/logout` | a backend reads a cookie |
/// | `/login` | a backend reads a header, and there is a [verifier](Self::login) |
/// | `/cookie/login` | a backend reads a cookie, and there is a [verifier](Self::login) |
/// | `/cookie/form/login` | as `/cookie/login`, and there are [forms](Self::forms) |
/// | `/cookie/form/logout` | a backend reads a cookie, and there are [forms](Self::forms) |
/// | `/sessions` and below | a strategy has sessions |
/// | `/reauthenticate` | [asked for](Self::reauthentication), there is a verifier, and a strategy has sessions |
///
/// [`without`](Self::without) leaves out any of them. [`AuthRoute`] documents each route, and
/// [`Problem`] the failed answers.
///
/// Answers are `Cache-Control: no-store`. The cookie routes require proof of the request's origin
/// ([`OriginPolicy`](crate::OriginPolicy)). Login and refresh take no content type but JSON, except
/// for forms; the logouts end what they can read, whatever else the request carries. Bodies are
/// limited to 16 KiB.
///
/// The routes authenticate by themselves and need no [`AuthLayer`](crate::tower::AuthLayer) around
/// them. They don't limit attempts: a verifier that counts failures answers
/// [`LoginVerdict::RateLimited`].
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{Authenticator, ConfigError, User};
/// # use countersign::axum::{AuthRoute, AuthRoutes, CredentialVerifier};
/// # fn app<U: User>(
/// #     authenticator: Arc<Authenticator<U>>,
/// #     verifier: impl CredentialVerifier<U> + 'static,
/// # ) -> Result<axum::Router, ConfigError> {
/// let routes = AuthRoutes::new(authenticator)
///     .login(verifier)
///     .without(AuthRoute::LogoutAll)
///     .build()?;
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
    reauthenticates: bool,
    unremembered: Option<Duration>,
    forms: Option<FormPages>,
}

impl<U: User> AuthRoutes<U> {
    /// Creates a builder over the backends of `authenticator`.
    ///
    /// New tokens come from the first backend that reads a header and the first that reads a
    /// cookie, unless others are [named](Self::bearer_backend). The other routes work with the
    /// tokens of every backend.
    pub fn new(authenticator: Arc<Authenticator<U>>) -> Self {
        Self {
            authenticator,
            verifier: None,
            bearer: None,
            cookie: None,
            without: HashSet::new(),
            reauthenticates: false,
            unremembered: None,
            forms: None,
        }
    }

    /// Adds the login routes. `verifier` decides who may log in.
    pub fn login(mut self, verifier: impl CredentialVerifier<U> + 'static) -> Self {
        self.verifier = Some(Arc::new(verifier));
        self
    }

    /// Adds the route `/reauthenticate`, by which a user proves again who they are before a dangerous
    /// action. Off by default. Needs a [verifier](Self::login).
    ///
    /// Protect such actions with [`RecentLoginLayer`](crate::tower::RecentLoginLayer) or the
    /// extractor [`RecentLogin`](crate::axum::RecentLogin). The verifier's limits on attempts hold
    /// here as at the login.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use countersign::{Authenticator, ConfigError, User};
    /// # use countersign::axum::{AuthRoutes, CredentialVerifier};
    /// # fn routes<U: User>(
    /// #     authenticator: Arc<Authenticator<U>>,
    /// #     verifier: impl CredentialVerifier<U> + 'static,
    /// # ) -> Result<axum::Router, ConfigError> {
    /// AuthRoutes::new(authenticator).login(verifier).reauthentication().build()
    /// # }
    /// ```
    pub const fn reauthentication(mut self) -> Self {
        self.reauthenticates = true;
        self
    }

    /// Sets the backend that issues tokens on `/login` and `/refresh`, by its name. Defaults to the
    /// first that reads a header.
    pub fn bearer_backend(mut self, name: impl Into<String>) -> Self {
        self.bearer = Some(name.into());
        self
    }

    /// Sets the backend of the cookie routes, by its name. Defaults to the first that reads a
    /// cookie.
    pub fn cookie_backend(mut self, name: impl Into<String>) -> Self {
        self.cookie = Some(name.into());
        self
    }

    /// Leaves out a route.
    pub fn without(mut self, route: AuthRoute) -> Self {
        self.without.insert(route);
        self
    }

    /// Lets clients choose not to be remembered: a login whose body has `"remember": false` opens a
    /// session that ends after `unremembered`, and its cookies are forgotten when the browser is
    /// closed. Defaults to off: the member is ignored then.
    ///
    /// Without the member, and with `true`, the session lasts as long as the strategy says. A form
    /// is different, because it doesn't send a box that isn't ticked: without a field `remember`
    /// whose value is `on`, `true`, `1` or `yes`, the user isn't remembered.
    pub const fn remember_me(mut self, unremembered: Duration) -> Self {
        self.unremembered = Some(unremembered);
        self
    }

    /// Adds `/cookie/form/login` and `/cookie/form/logout`, for pages without scripts. Defaults to
    /// off.
    ///
    /// Both take `application/x-www-form-urlencoded` and answer 303. As the other cookie routes,
    /// they require proof of the request's origin: 403 otherwise.
    ///
    /// The login takes the fields `identifier` and `password`, optionally `label`, `remember` and
    /// `next`, and sets the cookies. A verifier reads other fields with [`LoginAttempt::member`]. A
    /// login that is refused leads back to the login page, which finds a code of [`Problem`] in the
    /// query, such as `/login?error=LOGIN_BAD_CREDENTIALS`. A store that can't be asked is 503.
    ///
    /// The logout ends the sessions of all cookies, and clears them.
    ///
    /// `next` is the path to go to afterwards. Anything but a [path on this site](local_path) is
    /// ignored. It survives a refused login, as the query parameter `next` of the login page.
    ///
    /// # Examples
    ///
    /// ```
    /// # use countersign::{Auth, User};
    /// use countersign::axum::FormPages;
    ///
    /// # fn routes<U: User>(auth: Auth<U>) -> Result<axum::Router, countersign::ConfigError> {
    /// let routes = auth.route_builder().forms(FormPages::new("/sign-in")).build()?;
    /// // <form method="post" action="/auth/cookie/form/login"> … </form>
    /// Ok(axum::Router::new().nest("/auth", routes))
    /// # }
    /// ```
    pub fn forms(mut self, pages: FormPages) -> Self {
        self.forms = Some(pages);
        self
    }

    /// Builds a router to nest at a path of your choice.
    ///
    /// If a cookie transport has a `refresh_path` of its own, `/cookie/refresh` and the logouts
    /// must be below it.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`]
    ///
    /// - if a named backend doesn't exist, or reads a cookie where a header is needed or the other
    ///   way round,
    /// - if a page of the forms isn't a path on this site,
    /// - if the lifetime of [`remember_me`](Self::remember_me) is shorter than one second or longer
    ///   than 100 years.
    pub fn build<S: Clone + Send + Sync + 'static>(mut self) -> Result<Router<S>, ConfigError> {
        let bearer = self.pick("bearer_backend", self.bearer.as_deref(), false)?;
        let cookie = self.pick("cookie_backend", self.cookie.as_deref(), true)?;
        self.forms = self.forms.take().map(FormPages::checked).transpose()?;
        let unremembered = match self.unremembered {
            Some(lifetime) => Some(Opening::default().lasting(lifetime)?.until_closed()),
            None => None,
        };
        Ok(self.assemble(bearer, cookie, unremembered))
    }

    /// Builds a router over the first backend of each kind, which no setting can contradict.
    pub(crate) fn build_with_defaults<S: Clone + Send + Sync + 'static>(self) -> Router<S> {
        let (bearer, cookie) = (self.first(None, false), self.first(None, true));
        self.assemble(bearer, cookie, None)
    }

    /// Adds the login routes, over a verifier that others share.
    pub(crate) fn login_with(mut self, verifier: Arc<dyn CredentialVerifier<U>>) -> Self {
        self.verifier = Some(verifier);
        self
    }

    fn assemble<S: Clone + Send + Sync + 'static>(
        self,
        bearer: Option<AuthenticationBackend<U>>,
        cookie: Option<AuthenticationBackend<U>>,
        unremembered: Option<Opening>,
    ) -> Router<S> {
        let table = [
            (AuthRoute::Login, "/login", post(login::bearer::<U>)),
            (AuthRoute::Refresh, "/refresh", post(refresh::bearer::<U>)),
            (AuthRoute::Logout, "/logout", post(logout::bearer::<U>)),
            (AuthRoute::LogoutAll, "/logout/all", post(logout::all::<U>)),
            (
                AuthRoute::Reauthenticate,
                "/reauthenticate",
                post(reauthenticate::reauthenticate::<U>),
            ),
            (AuthRoute::Sessions, "/sessions", get(sessions::list::<U>)),
            (
                AuthRoute::EndSession,
                "/sessions/{id}",
                delete(sessions::end::<U>),
            ),
            (
                AuthRoute::EndOtherSessions,
                "/sessions/revoke-others",
                post(sessions::end_others::<U>),
            ),
            (
                AuthRoute::CookieLogin,
                "/cookie/login",
                post(login::cookie::<U>),
            ),
            (
                AuthRoute::CookieRefresh,
                "/cookie/refresh",
                post(refresh::cookie::<U>),
            ),
            (
                AuthRoute::CookieLogout,
                "/cookie/logout",
                post(logout::cookie::<U>),
            ),
            (
                AuthRoute::FormLogin,
                "/cookie/form/login",
                post(form::log_in::<U>),
            ),
            (
                AuthRoute::FormLogout,
                "/cookie/form/logout",
                post(form::log_out::<U>),
            ),
        ];

        let mut router = Router::new();
        for (route, path, handler) in table {
            if self.is_mounted(route, bearer.is_some(), cookie.is_some()) {
                router = router.route(path, handler);
            }
        }

        let state = Shared {
            authenticator: self.authenticator,
            verifier: self.verifier,
            bearer,
            cookie,
            unremembered,
            forms: self.forms,
        };

        router
            .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED)
            .with_state(Arc::new(state))
    }

    /// Returns `true` if a route is mounted. `has_bearer` and `has_cookie` say which backends there
    /// are.
    fn is_mounted(&self, route: AuthRoute, has_bearer: bool, has_cookie: bool) -> bool {
        let has_login = self.verifier.is_some();
        let has_forms = self.forms.is_some();
        let has_sessions = self
            .authenticator
            .backends()
            .iter()
            .any(|backend| backend.strategy().as_refreshable().is_some());

        let fits = match route {
            AuthRoute::Login => has_bearer && has_login,
            AuthRoute::Refresh => has_bearer,
            AuthRoute::Logout | AuthRoute::LogoutAll => true,
            AuthRoute::Sessions | AuthRoute::EndSession | AuthRoute::EndOtherSessions => {
                has_sessions
            }
            AuthRoute::Reauthenticate => self.reauthenticates && has_login && has_sessions,
            AuthRoute::CookieLogin => has_cookie && has_login,
            AuthRoute::CookieRefresh | AuthRoute::CookieLogout => has_cookie,
            AuthRoute::FormLogin => has_cookie && has_login && has_forms,
            AuthRoute::FormLogout => has_cookie && has_forms,
        };
        fits && !self.without.contains(&route)
    }

    /// Returns the first backend whose credential is ambient or not, as asked, and that has the
    /// name if one is given.
    fn pick(
        &self,
        option: &'static str,
        name: Option<&str>,
        ambient: bool,
    ) -> Result<Option<AuthenticationBackend<U>>, ConfigError> {
        let found = self.first(name, ambient);
        if name.is_some() && found.is_none() {
            let problem = "does not name a backend of the required kind";
            return Err(ConfigError::new(
                option,
                problem,
                "use the name of a backend of the authenticator",
            ));
        }
        Ok(found)
    }

    /// Returns the first backend of that kind, and of that name if one is given.
    fn first(&self, name: Option<&str>, ambient: bool) -> Option<AuthenticationBackend<U>> {
        self.authenticator
            .backends()
            .iter()
            .find(|backend| {
                backend.transport().source().is_ambient() == ambient
                    && name.is_none_or(|name| **backend.name() == *name)
            })
            .cloned()
    }
}

impl<U> fmt::Debug for AuthRoutes<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthRoutes")
            .field("authenticator", &self.authenticator)
            .finish_non_exhaustive()
    }
}
