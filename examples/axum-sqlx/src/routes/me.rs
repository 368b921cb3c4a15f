//! Handlers for a member's own account.

use axum::Json;
use axum::extract::State;
use axum::http::StatusCode;
use countersign::Problem;
use countersign::axum::{CurrentUser, RecentLogin, StrictJson};
use serde::Deserialize;

use crate::error::Error;
use crate::member::Member;
use crate::routes::{App, Profile};

/// A member who logged in, or proved again who they are, within the last 5 minutes. For what
/// somebody at an unlocked screen, or with a stolen token, must not do.
///
/// Others are answered as RFC 9470 says, with 401 `insufficient_user_authentication`. The client
/// then asks for the password, sends it to `/auth/reauthenticate`, and repeats its request.
type RecentMember = RecentLogin<Member, 300>;

/// Shows the member.
pub(super) async fn show(member: CurrentUser<Member>) -> Json<Profile> {
    Json(Profile::from(&member.user))
}

#[derive(Deserialize)]
pub(super) struct NewEmail {
    email: String,
}

/// Changes the address, which the member logs in with.
pub(super) async fn change_email(
    State(app): State<App>,
    member: RecentMember,
    StrictJson(new): StrictJson<NewEmail>,
) -> Result<StatusCode, Error> {
    let is_changed = app.members.change_email(&member.user, &new.email);
    if is_changed.await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        // The account was changed while this request was under way.
        Err(Problem::AUTHENTICATION_FAILED.into())
    }
}

#[derive(Deserialize)]
pub(super) struct NewPassword {
    password: String,
}

/// Changes the password and ends all sessions, also the one of this request: the client logs in
/// with the new password.
pub(super) async fn change_password(
    State(app): State<App>,
    member: RecentMember,
    StrictJson(new): StrictJson<NewPassword>,
) -> Result<StatusCode, Error> {
    let is_changed = app.members.change_password(&member.user, new.password);
    if is_changed.await? {
        Ok(StatusCode::NO_CONTENT)
    } else {
        // Another request was first, and has ended the session of this one.
        Err(Problem::AUTHENTICATION_FAILED.into())
    }
}
