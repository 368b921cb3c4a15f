//! Cross-origin resource sharing (CORS): the origins whose pages may read answers.
//!
//! [`open`] adds the CORS headers for the origins of the setting `allowed_origins`. Whether a page
//! of another origin may *send* a cookie is decided elsewhere, by the library's [`OriginPolicy`];
//! both use the same list. `/check` is not part of this, see [`crate::router`].

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::Request;
use countersign::OriginPolicy;
use http::request::Parts;
use http::{HeaderValue, Method, header};
use tower::{ServiceExt, service_fn};
use tower_http::cors::{AllowOrigin, CorsLayer};
use tower_http::set_header::SetResponseHeaderLayer;

use crate::request_id::X_REQUEST_ID;

/// The time for which a browser may cache the answer to a preflight.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Adds CORS to `routes` for the origins that `policy` trusts.
///
/// Pages of these origins may send credentials, use the methods and headers of the API, and read
/// the answers. Requests of all other origins are answered as without CORS, so a browser keeps the
/// answer from their pages. For them a preflight is an ordinary request. Every answer names
/// `Origin` in `Vary`.
///
/// If `policy` trusts no origin, `routes` are returned unchanged.
pub fn open(routes: Router, policy: &OriginPolicy) -> Router {
    let allowed: Arc<HashSet<HeaderValue>> = Arc::new(policy.trusted().cloned().collect());
    if allowed.is_empty() {
        return routes;
    }

    let varies =
        SetResponseHeaderLayer::appending(header::VARY, HeaderValue::from_static("origin"));
    let closed = routes.clone().layer(varies);
    let open = routes.layer(layer(&allowed));

    let choose = service_fn(move |request: Request| {
        let (parts, body) = request.into_parts();
        let routes = if is_open(&parts, &allowed) {
            &open
        } else {
            &closed
        };
        routes.clone().oneshot(Request::from_parts(parts, body))
    });

    Router::new().fallback_service(choose)
}

/// Returns `true` if the request comes from a page of an allowed origin.
///
/// The CORS layer answers every `OPTIONS` request as a preflight. So this returns `false` for those
/// that aren't one: a preflight has `Access-Control-Request-Method` (Fetch standard, section
/// 3.3.2). A request with several `Origin` headers is never allowed.
fn is_open(request: &Parts, allowed: &HashSet<HeaderValue>) -> bool {
    let mut origins = request.headers.get_all(header::ORIGIN).iter();
    let is_allowed = origins
        .next()
        .is_some_and(|origin| allowed.contains(origin))
        && origins.next().is_none();
    let is_preflight = request
        .headers
        .contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    is_allowed && (request.method != Method::OPTIONS || is_preflight)
}

/// Returns the CORS layer for requests of allowed origins.
fn layer(allowed: &HashSet<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(allowed.iter().cloned()))
        .allow_credentials(true)
        .allow_methods([
            Method::GET,
            Method::HEAD,
            Method::POST,
            Method::PATCH,
            Method::DELETE,
        ])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER, X_REQUEST_ID])
        .max_age(REMEMBERED)
        .vary([header::ORIGIN])
}
