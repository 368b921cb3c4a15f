//! Registration.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::IntoResponse;
use countersign::axum::StrictJson;
use countersign::{ClientInfo, Users};
use serde::Deserialize;

use crate::error::Error;
use crate::routes::App;

/// The body. There is no role in it: only SQL changes a role.
#[derive(Deserialize)]
pub(super) struct Registration {
    email: String,
    password: String,
}

/// Adds a member, and answers 201 with tokens as a login does.
pub(super) async fn register(
    State(app): State<App>,
    client: ClientInfo,
    StrictJson(new): StrictJson<Registration>,
) -> Result<impl IntoResponse, Error> {
    let id = app.members.register(&new.email, new.password).await?;
    // The password needs no check, since it was set just now. If this fails, the member can log in.
    let find = || app.members.find(&id);
    let logged_in = app.auth.log_in(Some(&id), client, find).await?;
    Ok((StatusCode::CREATED, logged_in.into_response()))
}
