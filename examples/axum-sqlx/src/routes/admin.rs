//! What admins do with the accounts of others.

use axum::Json;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use countersign::Problem;
use countersign::axum::StrictJson;
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
    Path(id): Path<Uuid>,
    StrictJson(new): StrictJson<Activity>,
) -> Result<Json<Profile>, Error> {
    let member = app.members.set_active(id, new.is_active).await?;
    Ok(Json(Profile::from(&member)))
}
