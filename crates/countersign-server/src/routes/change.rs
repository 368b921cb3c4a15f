//! `PATCH /users/me`.

use std::net::IpAddr;
use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use countersign::axum::{ClientAddress, CurrentUser, StrictJson};
use countersign::{Failure, FailureKind, Problem};
use http::header::CACHE_CONTROL;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::accounts::{Account, Change, Changes, Email, Login, Logins, MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES};
use crate::routes::me::Me;

/// 403: the current password is wrong, or isn't the account's any more.
pub const CURRENT_PASSWORD_INVALID: Problem =
    Problem::new(StatusCode::FORBIDDEN, "CURRENT_PASSWORD_INVALID", "The current password is wrong.");

/// 409: there is another account for this address.
pub const ACCOUNT_EMAIL_TAKEN: Problem =
    Problem::new(StatusCode::CONFLICT, "ACCOUNT_EMAIL_TAKEN", "There is an account for this email address already.");

/// 422: the address isn't one.
const EMAIL_INVALID: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "ACCOUNT_EMAIL_INVALID", "This is not an email address.");

/// 422: the new password is too short or too long.
const PASSWORD_INVALID: Problem =
    Problem::new(StatusCode::UNPROCESSABLE_ENTITY, "ACCOUNT_PASSWORD_INVALID", "A password has 8 to 1024 bytes.");

/// The answer is about a person: nobody on the way keeps it (SECURITY row B-05).
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

const RETRY_AFTER: Duration = Duration::from_secs(1);

/// What an attempt without an address counts as.
const NOWHERE: ClientAddress = ClientAddress(IpAddr::V4(std::net::Ipv4Addr::UNSPECIFIED));

/// What the owner of an account sends: the current password, and a new one, a new address, or both.
#[derive(Deserialize)]
pub struct OwnChange {
    current_password: Zeroizing<String>,
    password: Option<Zeroizing<String>>,
    email: Option<String>,
}

/// Changes the account whose token came with the request, and ends its other sessions.
///
/// # Errors
/// [`Problem`]: 403 when the current password is wrong, 409 when the address is taken, 422 when it or the new password
/// can't be, 429 after too many wrong passwords, 503 when it can't be done now.
pub async fn change(
    State((logins, changes)): State<(Logins, Changes)>,
    user: CurrentUser<Account>,
    address: Option<Extension<ClientAddress>>,
    StrictJson(body): StrictJson<OwnChange>,
) -> Result<impl IntoResponse, Problem> {
    let email = body.email.as_deref().map(Email::parse).transpose().map_err(|_| EMAIL_INVALID)?;
    let fits = |password: &Zeroizing<String>| (MIN_PASSWORD_BYTES..=MAX_PASSWORD_BYTES).contains(&password.len());
    if !body.password.as_ref().is_none_or(fits) {
        return Err(PASSWORD_INVALID);
    }
    if email.is_none() && body.password.is_none() {
        return Err(Problem::REQUEST_BODY_INVALID);
    }
    let address = address.map_or(NOWHERE, |address| address.0);
    let account = recognised(&logins, &user.user, body.current_password, address.0).await?;
    let is_taken = async || match &email {
        Some(email) => logins.accounts.by_email(email).await.map(|found| found.is_some_and(|o| o.id != account.id)),
        None => Ok(false),
    };
    if is_taken().await.map_err(unanswered)? {
        return Err(ACCOUNT_EMAIL_TAKEN);
    }
    let hash = match body.password {
        Some(password) => Some(logins.hasher.hash(password).await.map_err(unanswered)?),
        None => None,
    };
    let own = Change::Own { account: &account, password: hash.as_deref(), email: email.as_ref() };
    match changes.make(account.id, own, user.session_id).await {
        Ok(Some(_)) => {}
        Ok(None) => return Err(CURRENT_PASSWORD_INVALID),
        // Somebody may have taken the address since it was looked at.
        Err(failure) => {
            let taken = is_taken().await.unwrap_or(false);
            return Err(if taken { ACCOUNT_EMAIL_TAKEN } else { unanswered(failure) });
        }
    }
    tracing::info!(event = "account_changed", password = hash.is_some(), email = email.is_some());
    let now = logins.accounts.by_id(account.id).await.map_err(unanswered)?;
    Ok((NO_STORE, Json(Me::from(&now.ok_or(Problem::INTERNAL)?))))
}

/// The account as it is now, if the password is its own. Wrong passwords count as failed logins.
async fn recognised(
    logins: &Logins,
    account: &Account,
    password: Zeroizing<String>,
    address: IpAddr,
) -> Result<Account, Problem> {
    match logins.check(&account.email, password, address).await.map_err(unanswered)? {
        Login::Accepted(now) if now.id == account.id => Ok(now),
        Login::Accepted(_) | Login::Refused => Err(CURRENT_PASSWORD_INVALID),
        Login::Throttled(retry_after) => Err(Problem::rate_limited(retry_after)),
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it stands where errors are mapped")]
fn unanswered(failure: Failure) -> Problem {
    match failure.kind() {
        FailureKind::Full => Problem::overloaded(RETRY_AFTER),
        _ => Problem::from_failure(&failure),
    }
}

impl std::fmt::Debug for OwnChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnChange(..)")
    }
}
