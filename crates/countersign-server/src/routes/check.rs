//! `GET /check`: forward authentication, for proxies that ask who sends a request.
//!
//! The answer has status 200 and headers that name the user, or it is 401 or 503. The library's
//! [`ForwardAuth`] decides; this module adds the email address and the paths. docs/PROXIES.md shows
//! how proxies are set up.

use std::sync::Arc;

use axum::Router;
use axum::extract::MatchedPath;
use countersign::Authenticator;
use countersign::axum::ForwardAuth;
use http::HeaderName;

use crate::accounts::Account;

/// The paths at which proxies ask. Some proxies append the path of the request that they ask about.
const CHECKS: [&str; 3] = ["/check", "/check/", "/check/{*path}"];

/// The response header with an email address that is known to be the user's.
const EMAIL: HeaderName = HeaderName::from_static("x-auth-email");

/// Returns the routes at which proxies ask, with any method.
///
/// An email address that isn't verified is left out of the answer. Anybody can register with it,
/// and an application that identifies users by their address would take them for somebody else.
pub fn checks(authenticator: Arc<Authenticator<Account>>) -> Router {
    let answer = ForwardAuth::new(authenticator)
        .tell(EMAIL, |account| {
            account.user.is_verified.then(|| account.user.email.clone())
        })
        .build();
    CHECKS.into_iter().fold(Router::new(), |router, path| {
        router.route(path, answer.clone())
    })
}

/// Returns `true` if `route` is one of these routes, at the root or below a path.
pub fn is_check(route: &MatchedPath) -> bool {
    CHECKS.iter().any(|check| route.as_str().ends_with(check))
}
