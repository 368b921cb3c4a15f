//! `PATCH /users/me`: another password or email address for the account.
//!
//! The body is `{"current_password": …, "password": …}`, `{"current_password": …, "email": …}`, or
//! has all three. The answer is 200 with the account in the form of `GET /users/me`.
//!
//! A client may send the same request again if the answer was lost. If the first request changed
//! the password, the second one has a current password that is wrong and a new password that is
//! right already: [`Recognised::ByNewPassword`]. What the first request left undone is completed
//! then.

use std::time::Duration;

use axum::Json;
use axum::extract::{Extension, State};
use axum::response::IntoResponse;
use countersign::axum::{ClientAddress, CurrentUser, StrictJson};
use countersign::error::FailureKind;
use countersign::{Failure, Problem, SessionId};
use http::header::CACHE_CONTROL;
use http::{HeaderName, StatusCode};
use serde::Deserialize;
use zeroize::Zeroizing;

use crate::accounts::{
    Account, Change, Changes, Email, Line, Logins, NotAnEmail, Recognised, is_of_fitting_length,
};
use crate::address::NOWHERE;
use crate::routes::me::Me;

/// 403: the current password is wrong, or was changed meanwhile.
pub const CURRENT_PASSWORD_INVALID: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "CURRENT_PASSWORD_INVALID",
    "The current password is incorrect.",
);

/// 409: another account has this email address.
pub const ACCOUNT_EMAIL_TAKEN: Problem = Problem::new(
    StatusCode::CONFLICT,
    "ACCOUNT_EMAIL_TAKEN",
    "An account with this email address already exists.",
);

/// 422: the text isn't an email address.
const EMAIL_INVALID: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "ACCOUNT_EMAIL_INVALID",
    "The email address is not valid.",
);

/// 422: the email address contains an invisible character.
const EMAIL_INVISIBLE: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "ACCOUNT_EMAIL_INVALID",
    "The email address must not contain invisible characters.",
);

/// 422: the new password is too short or too long.
const PASSWORD_INVALID: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "ACCOUNT_PASSWORD_INVALID",
    "The password must be 8 to 1024 bytes long.",
);

/// The header of answers with personal data: no cache keeps them.
const NO_STORE: [(HeaderName, &str); 1] = [(CACHE_CONTROL, "no-store")];

/// The time after which a client should try again when too many passwords are waiting.
const RETRY_AFTER: Duration = Duration::from_secs(1);

/// The number of attempts to make a change. It is tried again if the account changed meanwhile, for
/// example because the same request was sent twice.
const ATTEMPTS: usize = 2;

/// The body of the request: the current password, and a new password, a new email address, or both.
///
/// The `Debug` output shows nothing of it.
#[derive(Deserialize)]
pub struct OwnChange {
    current_password: Zeroizing<String>,
    password: Option<Zeroizing<String>>,
    email: Option<String>,
}

/// Changes the password or the email address of the user, and ends all other sessions of the
/// account.
///
/// Answers with the account as it is afterwards. The session that the request belongs to goes on.
/// Wrong passwords count as failed logins.
///
/// # Errors
/// [`Problem`]: 403 if the current password is wrong, 409 if the email address is taken, 422 if the
/// body, the address or the new password is invalid, 429 after too many wrong passwords, and 503 if
/// a store can't be reached or too many passwords are waiting. After a 503 the client may send the
/// same request again.
pub async fn change(
    State((logins, changes)): State<(Logins, Changes)>,
    user: CurrentUser<Account>,
    address: Option<Extension<ClientAddress>>,
    StrictJson(body): StrictJson<OwnChange>,
) -> Result<impl IntoResponse, Problem> {
    // The body is checked completely before the password, so that a mistake in it costs no attempt.
    let email = body
        .email
        .as_deref()
        .map(Email::parse)
        .transpose()
        .map_err(|not| match not {
            NotAnEmail::Malformed => EMAIL_INVALID,
            NotAnEmail::Invisible(_) => EMAIL_INVISIBLE,
        })?;

    if !body
        .password
        .as_deref()
        .is_none_or(|password| is_of_fitting_length(password))
    {
        return Err(PASSWORD_INVALID);
    }
    if email.is_none() && body.password.is_none() {
        return Err(Problem::REQUEST_BODY_INVALID);
    }

    let wish = Wish {
        current: body.current_password,
        password: body.password,
        email,
    };
    let address = address.map_or(NOWHERE, |Extension(ClientAddress(address))| address);

    for _ in 0..ATTEMPTS {
        // The account is loaded anew: the one that came with the token may be outdated by now.
        let recognised = logins
            .recognise(
                &user.user,
                wish.current.clone(),
                wish.password.clone(),
                address,
            )
            .await;
        let is_done = match recognised.map_err(unanswered)? {
            Recognised::ByPassword(account) => {
                make(&logins, &changes, &account, &wish, user.session_id).await?
            }
            Recognised::ByNewPassword(account) if wish.has_come_true(&account) => {
                changes
                    .end(account.id, user.session_id)
                    .await
                    .map_err(unanswered)?;
                true
            }
            Recognised::ByNewPassword(_) | Recognised::No => return Err(CURRENT_PASSWORD_INVALID),
            Recognised::Throttled(retry_after) => return Err(Problem::rate_limited(retry_after)),
        };

        if is_done {
            tracing::info!(
                event = "account_changed",
                password = wish.password.is_some(),
                email = wish.email.is_some()
            );
            let now = logins
                .accounts
                .by_id(user.user.id)
                .await
                .map_err(unanswered)?;
            return Ok((NO_STORE, Json(Me::from(&now.ok_or(Problem::INTERNAL)?))));
        }
    }

    Err(CURRENT_PASSWORD_INVALID)
}

/// A requested change, and the password that authorises it.
struct Wish {
    current: Zeroizing<String>,
    password: Option<Zeroizing<String>>,
    email: Option<Email>,
}

impl Wish {
    /// Returns `true` if an account that has the new password also has the new email address, so
    /// that the whole change has been made already.
    fn has_come_true(&self, account: &Account) -> bool {
        self.email
            .as_ref()
            .is_none_or(|email| Email::parse(&account.email).as_ref() == Ok(email))
    }

    /// Returns `true` if another account has the new email address.
    async fn is_taken(&self, logins: &Logins, account: &Account) -> Result<bool, Failure> {
        let Some(email) = &self.email else {
            return Ok(false);
        };
        let owner = logins.accounts.by_address(email.lookup()).await?;
        Ok(owner.is_some_and(|owner| owner.id != account.id))
    }
}

/// Makes the change and ends the other sessions. Returns `false` if the account has changed since
/// it was read.
async fn make(
    logins: &Logins,
    changes: &Changes,
    account: &Account,
    wish: &Wish,
    kept: Option<SessionId>,
) -> Result<bool, Problem> {
    if wish.is_taken(logins, account).await.map_err(unanswered)? {
        return Err(ACCOUNT_EMAIL_TAKEN);
    }

    let hash = match &wish.password {
        Some(password) => Some(
            logins
                .hasher
                .hash(Line::Login, password.clone())
                .await
                .map_err(unanswered)?,
        ),
        None => None,
    };

    let own = Change::Own {
        account,
        password: hash.as_deref(),
        email: wish.email.as_ref(),
    };

    match changes.make(account.id, own, kept).await {
        Ok(made) => Ok(made.is_some()),
        // The unique index may have refused an address that somebody took since it was looked up.
        Err(failure) => {
            let taken = wish.is_taken(logins, account).await.unwrap_or(false);
            Err(if taken {
                ACCOUNT_EMAIL_TAKEN
            } else {
                unanswered(failure)
            })
        }
    }
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

impl std::fmt::Debug for OwnChange {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OwnChange(..)")
    }
}
