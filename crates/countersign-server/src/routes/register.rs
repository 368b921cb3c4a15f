//! `POST /auth/register`.

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use countersign::axum::{ClientAddress, StrictJson};
use countersign::{Failure, FailureKind, Problem};
use http::header::CACHE_CONTROL;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

use crate::accounts::{Allowance, Email, NotAnEmail, Registrar, is_of_fitting_length};
use crate::routes::NOWHERE;
use crate::routes::me::Me;

/// 403: accounts are made on the command line alone.
pub const REGISTRATION_OFF: Problem =
    Problem::new(StatusCode::FORBIDDEN, "REGISTRATION_OFF", "This server takes no registrations.");

/// 409: there is an account for this address already.
///
/// This tells a stranger who has an account here. Without a confirmation by mail the alternative would be to tell a
/// newcomer that all went well when it did not; whoever can't have that switches registration off.
pub const REGISTER_EMAIL_TAKEN: Problem =
    Problem::new(StatusCode::CONFLICT, "REGISTER_EMAIL_TAKEN", "There is an account for this email address already.");

/// 422: the address isn't one.
const EMAIL_INVALID: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "REGISTER_EMAIL_INVALID", "This is not an email address.");

/// 422: the address holds a character that nobody can see.
const EMAIL_INVISIBLE: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "REGISTER_EMAIL_INVALID",
    "An email address has no invisible characters.",
);

/// 422: the password is too short or too long.
const PASSWORD_INVALID: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "REGISTER_PASSWORD_INVALID", "A password has 8 to 1024 bytes.");

/// The answer is about a person: nobody on the way keeps it (SECURITY row B-05).
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What a newcomer sends.
#[derive(Deserialize)]
pub struct Registration {
    email: String,
    password: Zeroizing<String>,
}

/// Makes an account, active and not verified.
///
/// # Errors
/// [`Problem`]: 409 when the address is taken, 422 when it or the password can't be, 429 when too many were made from there,
/// 503 when it can't be done now.
pub async fn register(
    State(registrar): State<Registrar>,
    address: Option<Extension<ClientAddress>>,
    StrictJson(registration): StrictJson<Registration>,
) -> Result<impl IntoResponse, Problem> {
    let email = Email::parse(&registration.email).map_err(|not| match not {
        NotAnEmail::Malformed => EMAIL_INVALID,
        NotAnEmail::Invisible(_) => EMAIL_INVISIBLE,
    })?;
    if !is_of_fitting_length(&registration.password) {
        return Err(PASSWORD_INVALID);
    }
    let ClientAddress(address) = address.map_or(NOWHERE, |address| address.0);
    if let Allowance::Wait(retry_after) = registrar.admit(address).await.map_err(unanswered)? {
        tracing::warn!(event = "registration_refused", reason = "rate_limited");
        return Err(Problem::rate_limited(retry_after));
    }
    let account = registrar.register(&email, registration.password).await.map_err(unanswered)?;
    let account = account.ok_or(REGISTER_EMAIL_TAKEN)?;
    tracing::info!(event = "registered");
    Ok((StatusCode::CREATED, NO_STORE, Json(Me::from(&account))))
}

/// Answers where nobody may register.
pub async fn no_registration() -> Problem {
    tracing::warn!(event = "registration_refused", reason = "off");
    REGISTRATION_OFF
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn unanswered(failure: Failure) -> Problem {
    match failure.kind() {
        FailureKind::Full => Problem::overloaded(RETRY_AFTER),
        _ => Problem::from_failure(&failure),
    }
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registration(..)")
    }
}
