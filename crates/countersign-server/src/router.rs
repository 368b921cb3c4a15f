//! Every route on one screen.

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
use crate::routes::{change, checks, healthz, me, no_registration, readyz, register};

/// The server's routes, within their bounds: at the root, and below `path` as well unless it is empty, so that it makes no
/// difference whether a proxy takes the path off.
///
/// | route | who may ask |
/// |---|---|
/// | `POST /auth/register`, `/auth/login`, `/auth/refresh`, `/auth/cookie/login`, `/auth/cookie/refresh` | anybody |
/// | `POST /auth/logout`, `/auth/logout/all`, `/auth/cookie/logout` | whoever has a token |
/// | `GET /auth/sessions`, `DELETE /auth/sessions/{id}`, `POST /auth/sessions/revoke-others` | a user |
/// | `GET /users/me`, `PATCH /users/me` | a user |
/// | `GET /check` and anything below, with any method | a proxy, for anybody |
/// | `GET /healthz`, `/readyz` | anybody |
///
/// # Errors
/// [`ConfigError`] when the library can't make its routes.
pub fn router(services: &Services, bounds: &Bounds, path: &str) -> Result<Router, ConfigError> {
    let routes = also_below(path, routes(services)?)
        .fallback(async || Problem::ROUTE_NOT_FOUND)
        .method_not_allowed_fallback(async || Problem::METHOD_NOT_ALLOWED);
    // A check takes no part in CORS: a preflight that was answered here would be let through by a proxy.
    let checks = also_below(path, checks(services.authenticator.clone()));
    Ok(cors::open(within(bounds, routes), services.authenticator.origins()).merge(within(bounds, checks)))
}

fn also_below(path: &str, routes: Router) -> Router {
    if path.is_empty() { routes } else { routes.clone().nest(path, routes) }
}

fn within(bounds: &Bounds, routes: Router) -> Router {
    routes
        .layer(DefaultBodyLimit::disable())
        .layer(middleware::from_fn_with_state(bounds.clone(), bound))
        .layer(CatchPanicLayer::custom(answer_panic))
}

fn routes(services: &Services) -> Result<Router, ConfigError> {
    let auth = AuthRoutes::new(services.authenticator.clone()).login(services.logins.clone()).build()?;
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

fn answer_panic(_panic: Box<dyn std::any::Any + Send>) -> Response {
    // The panic hook has left a line in the log.
    Problem::INTERNAL.into_response()
}
