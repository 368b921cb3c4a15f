//! axum: extractors, problem answers, and routes to nest.
//!
//! Put [`AuthLayer`](crate::tower::AuthLayer) around your routes, ask for [`CurrentUser`] in handlers, and nest
//! [`AuthRoutes`] for login, refresh and logout. [`ForwardAuth`] answers proxies that ask on behalf of another application.

mod body;
mod extract;
mod forward;
mod json;
pub mod routes;

pub use extract::{CurrentUser, MaybeUser};
pub use forward::ForwardAuth;
pub use json::{MAX_BODY, StrictJson};
pub use routes::{AuthRoute, AuthRoutes, ClientAddress, CredentialVerifier, LoginAttempt, LoginVerdict};

pub use crate::problem::Problem;

use axum_core::response::{IntoResponse, Response};

impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        self.into_http()
    }
}
