//! Pages of other origins that may read answers (CORS).

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

/// How long a browser may remember what it was told before a request.
const REMEMBERED: Duration = Duration::from_mins(10);

/// Opens `routes` to pages of the origins that `policy` trusts. Nobody else is told that there are any: for other origins the
/// answers are as they were, and a preflight is a request like any other.
pub fn open(routes: Router, policy: &OriginPolicy) -> Router {
    let allowed: Arc<HashSet<HeaderValue>> = Arc::new(policy.trusted().cloned().collect());
    if allowed.is_empty() {
        return routes;
    }
    let varies = SetResponseHeaderLayer::appending(header::VARY, HeaderValue::from_static("origin"));
    let closed = routes.clone().layer(varies);
    let open = routes.layer(layer(&allowed));
    let choose = service_fn(move |request: Request| {
        let (parts, body) = request.into_parts();
        let routes = if is_open(&parts, &allowed) { &open } else { &closed };
        routes.clone().oneshot(Request::from_parts(parts, body))
    });
    Router::new().fallback_service(choose)
}

/// Whether the request comes from a page of an allowed origin. The layer takes each OPTIONS for a preflight, so it is shown
/// none that isn't (Fetch standard, section 3.3.2).
fn is_open(request: &Parts, allowed: &HashSet<HeaderValue>) -> bool {
    let mut origins = request.headers.get_all(header::ORIGIN).iter();
    let is_allowed = origins.next().is_some_and(|origin| allowed.contains(origin)) && origins.next().is_none();
    let is_preflight = request.headers.contains_key(header::ACCESS_CONTROL_REQUEST_METHOD);
    is_allowed && (request.method != Method::OPTIONS || is_preflight)
}

fn layer(allowed: &HashSet<HeaderValue>) -> CorsLayer {
    CorsLayer::new()
        .allow_origin(AllowOrigin::list(allowed.iter().cloned()))
        .allow_credentials(true)
        .allow_methods([Method::GET, Method::HEAD, Method::POST, Method::PATCH, Method::DELETE])
        .allow_headers([header::AUTHORIZATION, header::CONTENT_TYPE])
        .expose_headers([header::WWW_AUTHENTICATE, header::RETRY_AFTER])
        .max_age(REMEMBERED)
        .vary([header::ORIGIN])
}
