//! Extractors, answers and ready routes for axum.
//!
//! Three steps make an application with login:
//!
//! 1. Put [`AuthLayer`](crate::tower::AuthLayer) around the routes.
//! 2. Ask for [`CurrentUser`] in handlers that need a user, for `Option<CurrentUser<_>>` in those
//!    that also serve visitors, for [`Guarded`] in those that need a certain role, and for
//!    [`RecentLogin`] in those that need a recent authentication.
//! 3. Nest [`AuthRoutes`] for login, refresh, logout and the list of sessions. Your own password
//!    check is a [`CredentialVerifier`].
//!
//! [`ForwardAuth`] answers proxies that ask on behalf of another application. [`StrictJson`] reads
//! bodies as the ready routes do, and [`Problem`] is the answer that all of them fail with.
//!
//! [`AuthRoutes::build`] returns a router of any state type, so it nests into yours.

mod body;
mod client;
mod extract;
mod forward;
mod json;
mod recent;
pub mod routes;

pub use extract::{CurrentUser, Guarded};
pub use forward::ForwardAuth;
pub use json::{MAX_BODY, StrictJson};
pub use recent::RecentLogin;
pub use routes::{
    AuthRoute, AuthRoutes, ClientAddress, CredentialVerifier, FormPages, LoginAttempt,
    LoginVerdict, local_path,
};

pub use crate::tower::Problem;

use axum_core::response::{IntoResponse, Response};

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_http()
    }
}
