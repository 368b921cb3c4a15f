//! The layers.

use std::fmt;
use std::sync::Arc;

use tower_layer::Layer;

use crate::authenticator::Authenticator;
use crate::tower::service::{AuthService, RequireAccepted};
use crate::user::User;

/// Attaches the outcome of authentication to each request, and refuses none by itself.
///
/// Handlers ask for the user with the extractors of [`countersign::axum`](crate::axum), or read
/// [`AuthOutcome`](crate::AuthOutcome) from the request's extensions. A cookie that comes with an unsafe method, or with the
/// handshake of a WebSocket, counts only when a page of ours sent it ([`OriginPolicy`](crate::OriginPolicy)), so no route can forget that check.
/// Answers to requests with credentials are `Cache-Control: no-store` unless they say otherwise.
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
    /// A layer that asks `authenticator`.
    pub const fn new(authenticator: Arc<Authenticator<U>>) -> Self {
        Self { authenticator }
    }

    /// A layer that lets only authenticated requests in: everything inside is protected, routes added later and
    /// fall-backs included (SECURITY row B-06).
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
        Self { authenticator: Arc::clone(&self.authenticator) }
    }
}

impl<U> fmt::Debug for AuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthLayer").field("authenticator", &self.authenticator).finish()
    }
}

/// Lets only authenticated requests in; made by [`AuthLayer::required`].
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
        Self { layer: self.layer.clone() }
    }
}

impl<U> fmt::Debug for RequireAuthLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireAuthLayer").field("authenticator", &self.layer.authenticator).finish()
    }
}
