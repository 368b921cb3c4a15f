//! `POST /auth/register`: a new account.
//!
//! The body is `{"email": …, "password": …}`. The answer is 201 with the account in the form of
//! `GET /users/me`. No session is opened; the client logs in with a second request.

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use countersign::axum::{ClientAddress, StrictJson};
use countersign::error::FailureKind;
use countersign::{Failure, Problem};
use http::header::CACHE_CONTROL;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use std::time::Duration;
use zeroize::Zeroizing;

use crate::accounts::{Allowance, Email, NotAnEmail, Registrar, is_of_fitting_length};
use crate::address::NOWHERE;
use crate::routes::me::Me;

/// 403: registration is off. Accounts are created on the command line.
pub const REGISTRATION_OFF: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "REGISTRATION_OFF",
    "Registration is disabled on this server.",
);

/// 409: there is an account with this email address already.
///
/// This answer tells a stranger that the account exists. Without a confirmation by email, the
/// alternative would be to tell a new user that the registration succeeded when it didn't. Switch
/// registration off where that isn't acceptable.
pub const REGISTER_EMAIL_TAKEN: Problem = Problem::new(
    StatusCode::CONFLICT,
    "REGISTER_EMAIL_TAKEN",
    "An account with this email address already exists.",
);

/// 422: the text isn't an email address.
const EMAIL_INVALID: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "REGISTER_EMAIL_INVALID",
    "The email address is not valid.",
);

/// 422: the email address contains an invisible character.
const EMAIL_INVISIBLE: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "REGISTER_EMAIL_INVALID",
    "The email address must not contain invisible characters.",
);

/// 422: the password is too short or too long.
const PASSWORD_INVALID: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "REGISTER_PASSWORD_INVALID",
    "The password must be 8 to 1024 bytes long.",
);

/// The header of answers with personal data: no cache keeps them.
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// The time after which a client should try again when too many passwords are waiting.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The body of the request. The `Debug` output shows nothing of it.
#[derive(Deserialize)]
pub struct Registration {
    email: String,
    password: Zeroizing<String>,
}

/// Creates an account, active and not verified. Answers 201 with the account.
///
/// If the answer is lost, the same request is answered with 409 the second time; the client can log
/// in then.
///
/// # Errors
/// [`Problem`]: 409 if the email address is taken, 422 if the body, the address or the password is
/// invalid, 429 if too many registrations came from this address, and 503 if the database can't be
/// reached or too many passwords are waiting.
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

    // The limit comes before the password is hashed, so that a client beyond it costs almost
    // nothing.
    let address = address.map_or(NOWHERE, |Extension(ClientAddress(address))| address);
    if let Allowance::Wait(retry_after) = registrar.admit(address).await.map_err(unanswered)? {
        tracing::warn!(event = "registration_refused", reason = "rate_limited");
        return Err(Problem::rate_limited(retry_after));
    }

    let account = registrar
        .register(&email, registration.password)
        .await
        .map_err(unanswered)?;
    let account = account.ok_or(REGISTER_EMAIL_TAKEN)?;

    tracing::info!(event = "registered");
    Ok((StatusCode::CREATED, NO_STORE, Json(Me::from(&account))))
}

/// Answers every request with [`REGISTRATION_OFF`].
pub async fn no_registration() -> Problem {
    tracing::warn!(event = "registration_refused", reason = "off");
    REGISTRATION_OFF
}

/// Maps a failure to a problem. A full queue of passwords is an overload, not a broken store.
#[expect(
    clippy::needless_pass_by_value,
    reason = "it stands where errors are mapped"
)]
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
