//! The layers: settings, and plain constructors of the services in `service` and `require`.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::auth::Authenticator;
use crate::error::ConfigError;
use crate::tower::Problem;
use crate::tower::guard::{Guard, Rule};
use crate::tower::page::Pages;
use crate::tower::require::{RequireAccepted, Terms};
use crate::tower::service::AuthService;
use crate::user::User;

/// A layer that authenticates each request and attaches the [`AuthOutcome`](crate::AuthOutcome) to
/// it.
///
/// It refuses no request by itself. Handlers ask for the user with
/// [`CurrentUser`](crate::axum::CurrentUser), or read the outcome from the request's extensions.
/// Use [`required`](Self::required) where everything inside needs a user, and
/// [`require`](Self::require) or [`guard`](Self::guard) where it needs a certain one.
///
/// A cookie with an unsafe method, or with the handshake of a WebSocket, counts only if a trusted
/// page sent the request ([`OriginPolicy`](crate::OriginPolicy)); no route can forget that check.
/// Answers to requests with credentials are `Cache-Control: no-store` unless the handler says
/// otherwise.
///
/// Put one layer around all routes, outside of layers that need to know the user. The user type
/// must be the one that the handlers ask for.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{Authenticator, User};
/// # use countersign::axum::CurrentUser;
/// # use countersign::tower::AuthLayer;
/// use axum::{Router, routing::get};
///
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// # fn router(authenticator: Arc<Authenticator<Member>>) -> Router {
/// async fn me(member: CurrentUser<Member>) -> String {
///     format!("member {}", member.user.id())
/// }
///
/// Router::new().route("/me", get(me)).layer(AuthLayer::new(authenticator))
/// # }
/// ```
pub struct AuthLayer<U> {
    authenticator: Arc<Authenticator<U>>,
    renews: bool,
}

impl<U: User> AuthLayer<U> {
    /// Creates a layer that asks `authenticator`.
    pub const fn new(authenticator: Arc<Authenticator<U>>) -> Self {
        Self {
            authenticator,
            renews: false,
        }
    }

    /// Sets the layer to renew cookies on navigations: a visitor whose access cookie has expired,
    /// and whose refresh cookie is good, gets the page and new cookies with it. Off by default.
    ///
    /// It is for pages that a server renders. Without it, their visitors are logged out after each
    /// lifetime of an access token. A request is renewed for if all of these hold:
    ///
    /// - it is a GET that a browser sends to show a page (`Accept` names HTML, and `Sec-Fetch-Mode`
    ///   is `navigate` or absent), not a call of a script;
    /// - a page of this site started it, or the visitor did ([`OriginPolicy`]). Otherwise a page of
    ///   another site could make a browser exchange the token again and again, and drop the
    ///   answers;
    /// - it has no credential, or a refused access cookie, beside exactly one refresh cookie.
    ///
    /// A refresh token that is refused makes the visitor anonymous, and its cookie is kept, since
    /// another tab may hold its successor. A store that doesn't answer makes the outcome a failure:
    /// 503. Tabs that load at the same time get the same new cookies, if the first answer is sent
    /// within the window for retries ([`ReusePolicy`](crate::ReusePolicy), 10 seconds by default).
    /// The answer that carries them is `Cache-Control: no-store`, whatever the handler says.
    ///
    /// The token is exchanged before the handler runs, and the cookies travel with its answer. So
    /// put timeouts inside of this layer, send the headers of slow pages early, and keep a window
    /// for retries: with [`strict`](crate::ReusePolicy::strict) two tabs that load at once end the
    /// session.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if no backend has cookies with a strategy that has refresh tokens,
    /// or if the path of a refresh cookie keeps it from the pages that its access cookie reaches.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use countersign::{Authenticator, ConfigError, User};
    /// # use countersign::tower::AuthLayer;
    /// use axum::{Router, routing::get};
    ///
    /// # fn router<U: User>(authenticator: Arc<Authenticator<U>>) -> Result<Router, ConfigError> {
    /// let pages = AuthLayer::new(authenticator)
    ///     .renew_cookies()?
    ///     .required()
    ///     .or_redirect_to("/login")?;
    /// Ok(Router::new().route("/account", get(async || "your account")).layer(pages))
    /// # }
    /// ```
    ///
    /// [`OriginPolicy`]: crate::OriginPolicy
    pub fn renew_cookies(mut self) -> Result<Self, ConfigError> {
        self.authenticator.check_renewal()?;
        self.renews = true;
        Ok(self)
    }

    /// Returns a layer that lets only authenticated requests in.
    ///
    /// Everything inside is protected, including routes that are added later and fallbacks. Other
    /// requests are answered with a [`Problem`](crate::Problem): 401, 400, 403 or 503, as
    /// [`Problem::from_outcome`](crate::Problem::from_outcome) says. gRPC calls are answered as
    /// gRPC, with the status `UNAUTHENTICATED`, `PERMISSION_DENIED` or `UNAVAILABLE`.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use countersign::{Authenticator, User};
    /// # use countersign::tower::AuthLayer;
    /// use axum::{Router, routing::get};
    ///
    /// # fn router<U: User>(authenticator: Arc<Authenticator<U>>) -> Router {
    /// let admin = Router::new()
    ///     .route("/admin/reports", get(async || "reports"))
    ///     .layer(AuthLayer::new(authenticator).required());
    /// Router::new().route("/", get(async || "welcome")).merge(admin)
    /// # }
    /// ```
    #[must_use]
    pub const fn required(self) -> RequireAuthLayer<U> {
        RequireAuthLayer {
            layer: self,
            terms: Terms::new(),
        }
    }

    /// Returns a layer that lets only users in whom `rule` allows. It is
    /// [`required`](Self::required) with [`RequireAuthLayer::require`].
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use countersign::{Authenticator, User};
    /// # use countersign::tower::AuthLayer;
    /// use axum::{Router, routing::get};
    ///
    /// # struct Member { id: i64, is_admin: bool }
    /// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
    /// # fn router(authenticator: Arc<Authenticator<Member>>) -> Router {
    /// Router::new()
    ///     .route("/admin/reports", get(async || "reports"))
    ///     .layer(AuthLayer::new(authenticator).require(|member| member.is_admin))
    /// # }
    /// ```
    #[must_use]
    pub fn require(self, rule: impl Fn(&U) -> bool + Send + Sync + 'static) -> RequireAuthLayer<U> {
        self.required().require(rule)
    }

    /// Returns a layer that lets only users in whom `G` allows. It is [`required`](Self::required)
    /// with [`RequireAuthLayer::guard`].
    #[must_use]
    pub fn guard<G: Guard<U>>(self) -> RequireAuthLayer<U> {
        self.required().guard::<G>()
    }
}

impl<U: User, S> Layer<S> for AuthLayer<U> {
    type Service = AuthService<U, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(Arc::clone(&self.authenticator), self.renews, inner)
    }
}

impl<U> Clone for AuthLayer<U> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            renews: self.renews,
        }
    }
}

impl<U> fmt::Debug for AuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("authenticator", &self.authenticator)
            .field("renews", &self.renews)
            .finish()
    }
}

/// A layer that lets only authenticated requests in, made by [`AuthLayer::required`].
///
/// [`require`](Self::require) and [`guard`](Self::guard) add rules about the user.
/// [`or_redirect_to`](Self::or_redirect_to) gives visitors pages instead of problem documents.
pub struct RequireAuthLayer<U> {
    layer: AuthLayer<U>,
    terms: Terms<U>,
}

impl<U: User> RequireAuthLayer<U> {
    /// Adds a rule: users for whom it returns `false` are answered with 403
    /// [`PERMISSION_DENIED`](Problem::PERMISSION_DENIED). All rules have to allow the user.
    ///
    /// Rules are asked in the order in which they were added, after the credential was accepted,
    /// and must not block.
    #[must_use]
    pub fn require(self, rule: impl Fn(&U) -> bool + Send + Sync + 'static) -> Self {
        self.require_or(rule, Problem::PERMISSION_DENIED)
    }

    /// Adds a rule as [`require`](Self::require) does, with an answer of the application's own.
    ///
    /// The answer should have status 403: 401 tells clients to get another token, which wouldn't
    /// help.
    #[must_use]
    pub fn require_or(
        mut self,
        rule: impl Fn(&U) -> bool + Send + Sync + 'static,
        refusal: Problem,
    ) -> Self {
        self.terms.rules.push(Rule::new(rule, refusal));
        self
    }

    /// Adds the rule of `G`, with its [answer](Guard::REFUSAL).
    #[must_use]
    pub fn guard<G: Guard<U>>(self) -> Self {
        self.require_or(G::allows, G::REFUSAL)
    }

    /// Sets the layer to answer refused visitors with pages: a redirect to the login page at
    /// `login` where a login helps, and HTML elsewhere.
    ///
    /// | the refused request | answer |
    /// |---|---|
    /// | GET or HEAD for a page, without a good credential | 303 to `login`, with `next` |
    /// | any other for a page: a form, a missing right, an outage | HTML, with the problem's status |
    /// | a call of a script or a program | the problem document, as without this setting |
    ///
    /// A request is for a page if its `Accept` names HTML and prefers it to JSON, its
    /// `Sec-Fetch-Mode` is `navigate` or absent, and it has no bearer token. `*/*` doesn't name
    /// HTML.
    ///
    /// `next` is the path and the query of the request. It is left out if it isn't a path on this
    /// site. The login page must check it again before it redirects there, since anybody can write
    /// a link with another one. A login page inside of the layer isn't redirected to itself: it is
    /// refused with 401. Keep it outside.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] if `login` isn't a path on this site, such as `/login`.
    pub fn or_redirect_to(mut self, login: &str) -> Result<Self, ConfigError> {
        self.terms.pages = Some(Pages::new(login)?);
        Ok(self)
    }

    /// Sets the function that writes the HTML of refusals. Defaults to a plain page in English with
    /// the problem's own texts.
    ///
    /// Status and headers are those of the problem. Without
    /// [`or_redirect_to`](Self::or_redirect_to), which comes first, the function is never called.
    ///
    /// # Examples
    ///
    /// ```
    /// # use std::sync::Arc;
    /// # use countersign::{Authenticator, ConfigError, User};
    /// # use countersign::tower::{AuthLayer, RequireAuthLayer};
    /// # fn layer<U: User>(
    /// #     authenticator: Arc<Authenticator<U>>,
    /// # ) -> Result<RequireAuthLayer<U>, ConfigError> {
    /// let layer = AuthLayer::new(authenticator)
    ///     .required()
    ///     .or_redirect_to("/login")?
    ///     .page(|problem| match problem.status().as_u16() {
    ///         503 => "<!doctype html><title>Sorry</title><p>Please try again.".to_owned(),
    ///         _ => format!("<!doctype html><title>Sorry</title><p>{}", problem.title()),
    ///     });
    /// # Ok(layer)
    /// # }
    /// ```
    #[must_use]
    pub fn page(mut self, render: impl Fn(&Problem) -> String + Send + Sync + 'static) -> Self {
        if let Some(pages) = &mut self.terms.pages {
            pages.set_render(render);
        }
        self
    }
}

impl<U: User, S> Layer<S> for RequireAuthLayer<U> {
    type Service = AuthService<U, RequireAccepted<U, S>>;

    fn layer(&self, inner: S) -> Self::Service {
        let terms = Arc::new(self.terms.clone());
        self.layer.layer(RequireAccepted::new(terms, inner))
    }
}

impl<U> Clone for RequireAuthLayer<U> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
            terms: self.terms.clone(),
        }
    }
}

impl<U> fmt::Debug for RequireAuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireAuthLayer")
            .field("layer", &self.layer)
            .field("rules", &self.terms.rules.len())
            .field("pages", &self.terms.pages)
            .finish()
    }
}
