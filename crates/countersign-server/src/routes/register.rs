//! `POST /auth/register`.

use axum::Json;
use axum::extract::State;
use axum::response::IntoResponse;
use countersign::axum::StrictJson;
use countersign::{FailureKind, Problem};
use http::header::CACHE_CONTROL;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

use crate::accounts::{Email, MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, Registrar};
use crate::routes::me::Me;

/// 409: there is an account for this address already.
///
/// This tells a stranger who has an account here. Without a confirmation by mail the alternative would be to tell a
/// newcomer that all went well when it did not; whoever can't have that puts registration behind a proxy rule.
pub const REGISTER_EMAIL_TAKEN: Problem =
    Problem::new(StatusCode::CONFLICT, "REGISTER_EMAIL_TAKEN", "There is an account for this email address already.");

/// 422: the address isn't one.
const EMAIL_INVALID: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "REGISTER_EMAIL_INVALID", "This is not an email address.");

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
/// [`Problem`]: 409 when the address is taken, 422 when it or the password can't be, 503 when it can't be done now.
pub async fn register(
    State(registrar): State<Registrar>,
    StrictJson(registration): StrictJson<Registration>,
) -> Result<impl IntoResponse, Problem> {
    let email = Email::parse(&registration.email).map_err(|_| EMAIL_INVALID)?;
    if !(MIN_PASSWORD_BYTES..=MAX_PASSWORD_BYTES).contains(&registration.password.len()) {
        return Err(PASSWORD_INVALID);
    }
    let account = registrar.register(&email, registration.password).await.map_err(|failure| match failure.kind() {
        FailureKind::Full => Problem::overloaded(RETRY_AFTER),
        _ => Problem::from_failure(&failure),
    })?;
    let account = account.ok_or(REGISTER_EMAIL_TAKEN)?;
    tracing::info!(event = "registered");
    Ok((StatusCode::CREATED, NO_STORE, Json(Me::from(&account))))
}

impl std::fmt::Debug for Registration {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Registration(..)")
    }
}
