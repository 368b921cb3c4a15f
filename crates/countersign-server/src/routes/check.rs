//! `GET /check`, for proxies that ask who sends a request.

use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use countersign::Authenticator;
use countersign::axum::ForwardAuth;
use http::HeaderName;

use crate::accounts::Account;

/// Where proxies ask. Those that keep the path of the request they ask about put it behind.
const CHECKS: [&str; 3] = ["/check", "/check/", "/check/{*path}"];

/// The header with an address that is known to be the user's.
const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");

/// The routes at which proxies ask, with any method.
///
/// An address that isn't verified isn't told: anybody can register it, and an application that knows people by their address
/// would take them for somebody else.
pub fn checks(authenticator: Arc<Authenticator<Account>>) -> Router {
    let answer = ForwardAuth::new(authenticator)
        .tell(EMAIL, |account| account.user.is_verified.then(|| account.user.email.clone()))
        .build();
    CHECKS.into_iter().fold(Router::new(), |router, path| router.route(path, answer.clone()))
}

/// Whether `route` is one of those, below whichever path.
pub fn is_check(route: &MatchedPath) -> bool {
    CHECKS.iter().any(|check| route.as_str().ends_with(check))
}
