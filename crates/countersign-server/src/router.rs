//! The table of all routes, and the layers around them.
//!
//! Start with [`router`]: it composes the library's authentication routes ([`AuthRoutes`]) with the
//! server's own handlers ([`crate::routes`]). From the outside in, a request passes:
//!
//! 1. the span with the request's id ([`identify`]),
//! 2. CORS ([`cors::open`]), except for `/check`,
//! 3. a layer that answers a panic with 500,
//! 4. the bounds on the request body and on the time of the answer ([`bound`]),
//! 5. the handler.
//!
//! To add a route, add it here and to the table of [`router`]. A test compares that table with the
//! routes that are tested, and another one with the API documentation.

use std::sync::Arc;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::middleware;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use countersign::axum::AuthRoutes;
use countersign::tower::AuthLayer;
use countersign::{ConfigError, Problem};
use tower_http::catch_panic::CatchPanicLayer;

use crate::compose::Services;
use crate::config::Registration;
use crate::cors;
use crate::limits::{Bounds, bound};
use crate::request_id::{RequestIds, identify};
use crate::routes::{change, checks, healthz, me, no_registration, readyz, register};

/// Builds the server's routes, with the bounds and the CORS rules around them.
///
/// Every route is available at the root. If `path` isn't empty, it is available below `path` as
/// well, so that it makes no difference whether a proxy in front strips the path of the public URL.
/// `path` begins with a slash and has none at its end, as in `/accounts`.
///
/// | route | who may ask |
/// |---|---|
/// | `POST /auth/register`, `/auth/login`, `/auth/refresh` | anybody |
/// | `POST /auth/cookie/login`, `/auth/cookie/refresh` | anybody |
/// | `POST /auth/logout`, `/auth/logout/all`, `/auth/cookie/logout` | the owner of a token |
/// | `GET /auth/sessions`, `DELETE /auth/sessions/{id}` | a user |
/// | `POST /auth/sessions/revoke-others` | a user |
/// | `GET /users/me`, `PATCH /users/me` | a user |
/// | `GET /check` and anything below, with any method | a proxy, on behalf of anybody |
/// | `GET /healthz`, `/readyz` | anybody |
///
/// Other paths are answered with 404 and other methods with 405, as problem bodies (RFC 9457).
///
/// # Errors
/// Returns [`ConfigError`] if the library refuses to build its routes from these services.
pub fn router(services: &Services, bounds: &Bounds, path: &str) -> Result<Router, ConfigError> {
    let routes = also_below(path, routes(services)?)
        .fallback(async || Problem::ROUTE_NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED);
    // `/check` stays outside of CORS: a preflight that was answered here would count as permission
    // at a proxy that asks for it.
    let checks = also_below(path, checks(services.authenticator.clone()));
    let ids = RequestIds::new(Arc::clone(&bounds.proxies), path);
    Ok(
        cors::open(within(bounds, routes), services.authenticator.origins())
            .merge(within(bounds, checks))
            .layer(middleware::from_fn_with_state(ids, identify)),
    )
}

/// Returns `routes` at the root and, if `path` isn't empty, below `path` too.
fn also_below(path: &str, routes: Router) -> Router {
    if path.is_empty() {
        routes
    } else {
        routes.clone().nest(path, routes)
    }
}

/// Adds the bounds and the handling of panics to `routes`.
///
/// Axum's own limit on bodies is turned off, because [`bound`] reads the body before an extractor
/// does.
fn within(bounds: &Bounds, routes: Router) -> Router {
    routes
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(bounds.clone(), bound))
        .layer(CatchPanicLayer::custom(answer_panic))
}

/// Returns every route but `/check`, without any layer that is common to all.
fn routes(services: &Services) -> Result<Router, ConfigError> {
    let auth = AuthRoutes::new(services.authenticator.clone())
        .login(services.logins.clone())
        .build()?;

    let own_account = get(me)
        .patch(change)
        .with_state((services.logins.clone(), services.changes.clone()))
        .layer(AuthLayer::new(services.authenticator.clone()));
    let registration = match services.registrar.registration {
        Registration::Off => post(no_registration),
        Registration::Open(_) => post(register).with_state(services.registrar.clone()),
    };

    Ok(Router::new()
        .nest("/auth", auth)
        .route("/auth/register", registration)
        .route("/users/me", own_account)
        .route("/healthz", get(healthz))
        .route("/readyz", get(readyz).with_state(services.stores.clone())))
}

/// Returns the response to a request whose handler panicked.
fn answer_panic(_panic: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has logged the panic already.
    Problem::INTERNAL.into_response()
}
