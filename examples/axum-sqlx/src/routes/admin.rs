//! Handlers for admins.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use countersign::Problem;
use countersign::axum::{CurrentUser, StrictJson};
use countersign::tower::Guard;
use serde::Deserialize;
use uuid::Uuid;

use crate::error::Error;
use crate::member::{Member, Role};
use crate::routes::{App, Profile};

/// The rule that a member is an admin.
pub(super) enum Admin {}

impl Guard<Member> for Admin {
    const REFUSAL: Problem = Problem::new(
        StatusCode::FORBIDDEN,
        "ADMINS_ONLY",
        "Only administrators may do this.",
    );

    fn allows(member: &Member) -> bool {
        member.role == Role::Admin
    }
}

#[derive(Deserialize)]
pub(super) struct Activity {
    is_active: bool,
}

/// Disables or enables an account.
pub(super) async fn set_active(
    State(app): State<App>,
    admin: CurrentUser<Member>,
    Path(id): Path<Uuid>,
    StrictJson(new): StrictJson<Activity>,
) -> Result<Json<Profile>, Error> {
    let set = app.members.set_active(&admin.user, id, new.is_active);
    // The guard decided before the body came, and the role may be gone since then.
    let member = set.await?.ok_or(<Admin as Guard<Member>>::REFUSAL)?;
    Ok(Json(Profile::from(&member)))
}
