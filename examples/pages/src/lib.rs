//! A web site of pages and forms, with login by cookies and without scripts.
//!
//! - [`auth`] says how members log in, and [`app`] which pages there are and who may see them.
//! - [`Members`] is the table of accounts, in the same SQLite database as the tokens.
//! - `home`, `login`, `sign_up` and `sessions` are the pages, with their templates in `templates/`.
//! - `visitor` is for pages that everybody may see.
//! - `page`, `refusal` and `headers` are what all answers have in common.

mod headers;
mod home;
mod login;
mod members;
mod page;
mod passwords;
mod refusal;
mod sessions;
mod sign_up;
mod visitor;

use std::num::NonZeroU32;
use std::time::Duration;

use axum::Router;
use axum::middleware::map_response;
use axum::routing::{get, post};
use countersign::axum::{AuthRoute, AuthRoutes, FormPages};
use countersign::transport::CookieTransport;
use countersign::{
    Auth, AuthBuilder, ConfigError, OriginPolicy, Profile, Secret, SessionLimit, WhenFull,
};

pub use members::{Member, Members};

/// The longest life of a session whose member doesn't ask to stay logged in.
const UNREMEMBERED: Duration = Duration::from_hours(12);

/// The highest number of sessions of one member: 20. The oldest ends when another begins.
const MOST_SESSIONS: NonZeroU32 = NonZeroU32::MIN.saturating_add(19);

/// The ready routes that nothing here calls: they are for scripts and programs.
const UNUSED: [AuthRoute; 8] = [
    AuthRoute::CookieLogin,
    AuthRoute::CookieRefresh,
    AuthRoute::CookieLogout,
    AuthRoute::Logout,
    AuthRoute::LogoutAll,
    AuthRoute::Sessions,
    AuthRoute::EndSession,
    AuthRoute::EndOtherSessions,
];

/// The state that handlers share.
#[derive(Clone, Debug)]
struct Site {
    auth: Auth<Member>,
    members: Members,
}

/// Starts to build authentication by cookies alone, for a site that browsers reach at `origin`.
///
/// # Errors
///
/// Returns a [`ConfigError`] if `origin` isn't spelled like `https://pages.example`.
pub fn auth(
    members: &Members,
    secret: &Secret,
    origin: &str,
) -> Result<AuthBuilder<Member>, ConfigError> {
    // Both cookies are `HttpOnly`, `Secure` and `SameSite=Lax`, and no other host can set them.
    let cookies = CookieTransport::builder(Profile::Countersign).build()?;
    let limit = SessionLimit {
        most: MOST_SESSIONS,
        when_full: WhenFull::EvictOldest,
    };
    Ok(Auth::builder(members.clone())
        .database(members.database())
        .secret(secret)
        .cookies(cookies)
        .without_bearer()
        .session_limit(limit)
        // A proxy may replace `Host`, so forms are compared with what the address bar shows.
        .origins(OriginPolicy::default().public(origin)?))
}

/// Returns the site. `auth.maintain()` has to run beside it.
///
/// # Errors
///
/// Returns a [`ConfigError`] if a path of the login forms is wrong.
pub fn app(auth: Auth<Member>, members: Members) -> Result<Router, ConfigError> {
    // Without renewal, members would have to log in again after each lifetime of an access token.
    let layer = auth.layer().renew_cookies()?;
    let open = Router::new()
        .route("/", get(home::show))
        .route("/login", get(login::show))
        .route("/sign-up", get(sign_up::show).post(sign_up::submit))
        .layer(layer.clone());
    let closed = Router::new()
        .route("/account", get(home::account))
        .route("/sessions", get(sessions::show))
        .route("/sessions/end-others", post(sessions::end_others))
        .route("/sessions/{id}/end", post(sessions::end))
        // Around the routes alone: a path that doesn't exist is 404, and no reason to log in.
        .route_layer(
            layer
                .required()
                .or_redirect_to("/login")?
                .page(|problem| refusal::html(problem.status())),
        );

    let forms = FormPages::new("/login")
        .after_login("/account")
        .after_logout("/goodbye");
    let routes = auth.route_builder().remember_me(UNREMEMBERED).forms(forms);
    let routes = UNUSED.into_iter().fold(routes, AuthRoutes::without);

    let app = Router::new()
        .merge(open)
        .merge(closed)
        .nest("/auth", routes.build()?)
        .route("/goodbye", get(home::goodbye))
        .route("/goodbye.css", get(headers::forget))
        .route("/style.css", get(page::style))
        .with_state(Site { auth, members });
    Ok(headers::set(app.layer(map_response(refusal::as_page))))
}
