//! The one error of the handlers, and what becomes of it over HTTP.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use countersign::auth::LoginError;
use countersign::{Failure, Problem};

/// 422: the text can't be an email address.
pub(crate) const EMAIL_INVALID: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "EMAIL_INVALID",
    "This is not an email address.",
);

/// 409: another member has the address.
///
/// It tells a stranger that the address has an account. Where nobody may learn that, answer 202 in
/// both cases, and send an email that says the rest.
pub(crate) const EMAIL_TAKEN: Problem = Problem::new(
    StatusCode::CONFLICT,
    "EMAIL_TAKEN",
    "Another member has this email address.",
);

/// 422: the password is too short or too long.
pub(crate) const PASSWORD_INVALID: Problem = Problem::new(
    StatusCode::UNPROCESSABLE_ENTITY,
    "PASSWORD_INVALID",
    "A password has at least 12 characters and at most 256 bytes.",
);

/// 404: no member has the id.
pub(crate) const MEMBER_NOT_FOUND: Problem = Problem::new(
    StatusCode::NOT_FOUND,
    "MEMBER_NOT_FOUND",
    "No member has this id.",
);

/// The error of a handler. As a response it is `application/problem+json`, with fixed texts: nothing
/// of a database's message gets out.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Error {
    /// The request is refused.
    #[error("refused: {}", .0.code())]
    Refused(Problem),
    /// The request failed. The cause goes to the log.
    #[error(transparent)]
    Failed(#[from] Failure),
    /// The member could not be logged in.
    #[error(transparent)]
    Login(#[from] LoginError),
}

impl From<Problem> for Error {
    fn from(problem: Problem) -> Self {
        Self::Refused(problem)
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        Self::Failed(failure(error))
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        match self {
            Self::Refused(problem) => problem.into_response(),
            Self::Failed(failure) => Problem::from_failure(&failure).into_response(),
            Self::Login(error) => error.into_response(),
        }
    }
}

/// Returns the failure that an error of the database is.
///
/// The difference matters to clients. After an outage (503) they keep their tokens and try again.
/// After a bug (500), such as a wrong statement, that would not help.
pub(crate) fn failure(error: sqlx::Error) -> Failure {
    const PART: &str = "members";
    let is_outage = match &error {
        sqlx::Error::Io(_)
        | sqlx::Error::Tls(_)
        | sqlx::Error::PoolTimedOut
        | sqlx::Error::PoolClosed
        | sqlx::Error::WorkerCrashed => true,
        // Of PostgreSQL's classes: a lost connection, a transaction that lost against another, too
        // few resources, and a server that is shutting down or starting.
        sqlx::Error::Database(error) => error.code().is_some_and(|code| {
            let classes = ["08", "40", "53", "57"];
            classes.iter().any(|class| code.starts_with(class))
        }),
        _ => false,
    };
    if is_outage {
        Failure::unavailable(PART, error)
    } else {
        Failure::internal(PART, error)
    }
}
