//! Every route of the application.
//!
//! | route | who | does |
//! |---|---|---|
//! | `POST /members` | everybody | registers a member and logs them in |
//! | `GET /me` | members | shows the member |
//! | `PUT /me/email` | members who proved lately who they are | changes the address |
//! | `PUT /me/password` | members who proved lately who they are | changes the password, ends all sessions |
//! | `PUT /admin/members/{id}/active` | admins | disables or enables an account |
//! | `POST /auth/login`, `/auth/refresh`, `/auth/logout`, … | | are those of [`Auth::routes`] |
//! | `POST /auth/reauthenticate` | members | proves again who the member is |

mod admin;
mod me;
mod register;

use axum::Router;
use axum::routing::{get, post, put};
use countersign::{Auth, ConfigError};
use serde::Serialize;
use uuid::Uuid;

use crate::member::{Member, Role};
use crate::members::Members;

/// The state that handlers share.
#[derive(Clone)]
struct App {
    auth: Auth<Member>,
    members: Members,
}

/// Returns the application.
///
/// # Errors
///
/// Returns a [`ConfigError`] if the routes of `auth` contradict each other.
pub fn app(auth: &Auth<Member>, members: Members) -> Result<Router, ConfigError> {
    let me = Router::new()
        .route("/me", get(me::show))
        .route("/me/email", put(me::change_email))
        .route("/me/password", put(me::change_password))
        .layer(auth.layer());
    // By a layer, so that a route which is added later is protected too.
    let admin = Router::new()
        .route("/members/{id}/active", put(admin::set_active))
        .layer(auth.layer().guard::<admin::Admin>());
    let auth_routes = auth.route_builder().reauthentication().build()?;
    let app = App {
        auth: auth.clone(),
        members,
    };
    Ok(Router::new()
        .route("/members", post(register::register))
        .merge(me)
        .nest("/admin", admin)
        .nest("/auth", auth_routes)
        .with_state(app))
}

/// A member, as clients see it.
#[derive(Serialize)]
struct Profile {
    id: Uuid,
    email: String,
    role: Role,
    is_active: bool,
}

impl From<&Member> for Profile {
    fn from(member: &Member) -> Self {
        Self {
            id: member.id,
            email: member.email.clone(),
            role: member.role,
            is_active: member.is_active,
        }
    }
}
