//! The layers: plain constructors of the services in `service`.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::auth::Authenticator;
use crate::tower::service::{AuthService, RequireAccepted};
use crate::user::User;

/// A layer that authenticates each request and attaches the [`AuthOutcome`](crate::AuthOutcome) to
/// it.
///
/// It refuses no request by itself. Handlers ask for the user with
/// [`CurrentUser`](crate::axum::CurrentUser) or [`MaybeUser`](crate::axum::MaybeUser), or read the
/// outcome from the request's extensions. Use [`required`](Self::required) where everything inside
/// needs a user.
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
}

impl<U: User> AuthLayer<U> {
    /// Creates a layer that asks `authenticator`.
    pub const fn new(authenticator: Arc<Authenticator<U>>) -> Self {
        Self { authenticator }
    }

    /// Returns a layer that lets only authenticated requests in.
    ///
    /// Everything inside is protected, including routes that are added later and fallbacks. Other
    /// requests are answered with a [`Problem`](crate::Problem): 401, 400, 403 or 503, as
    /// [`Problem::from_outcome`](crate::Problem::from_outcome) says.
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
        RequireAuthLayer { layer: self }
    }
}

impl<U: User, S> Layer<S> for AuthLayer<U> {
    type Service = AuthService<U, S>;

    fn layer(&self, inner: S) -> Self::Service {
        AuthService::new(Arc::clone(&self.authenticator), inner)
    }
}

impl<U> Clone for AuthLayer<U> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
        }
    }
}

impl<U> fmt::Debug for AuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer")
            .field("authenticator", &self.authenticator)
            .finish()
    }
}

/// A layer that lets only authenticated requests in, made by [`AuthLayer::required`].
pub struct RequireAuthLayer<U> {
    layer: AuthLayer<U>,
}

impl<U: User, S> Layer<S> for RequireAuthLayer<U> {
    type Service = AuthService<U, RequireAccepted<U, S>>;

    fn layer(&self, inner: S) -> Self::Service {
        self.layer.layer(RequireAccepted::new(inner))
    }
}

impl<U> Clone for RequireAuthLayer<U> {
    fn clone(&self) -> Self {
        Self {
            layer: self.layer.clone(),
        }
    }
}

impl<U> fmt::Debug for RequireAuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireAuthLayer")
            .field("authenticator", &self.layer.authenticator)
            .finish()
    }
}
