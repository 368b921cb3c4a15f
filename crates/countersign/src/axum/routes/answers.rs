//! The answers to logins, those of the ready routes and those of an application's own.

use axum_core::response::{IntoResponse, IntoResponseParts, Response, ResponseParts};

use crate::auth::{LoggedIn, LoginError};
use crate::axum::routes::sessions;
use crate::axum::routes::shared::{handed_out, no_store};
use crate::error::Failure;
use crate::tower::Problem;

/// Answers as the ready login routes do: 200 with the tokens in a JSON body, or 204 with cookies.
impl<U> IntoResponse for LoggedIn<U> {
    fn into_response(self) -> Response {
        let (headers, body) = self.into_answer();
        handed_out(headers, body)
    }
}

/// Adds the cookies to another response. The response becomes 500 if the tokens travel in a body,
/// because nobody would get them.
impl<U> IntoResponseParts for LoggedIn<U> {
    type Error = Problem;

    fn into_response_parts(self, mut parts: ResponseParts) -> Result<ResponseParts, Problem> {
        let (headers, body) = self.into_answer();
        if body.is_some() {
            return Err(Problem::from_failure(&Failure::internal(
                "login answer",
                "tokens that travel in a body can't be a part of another response",
            )));
        }

        // One by one: `extend` would replace cookies that the response has already.
        for (name, value) in &headers {
            parts.headers_mut().append(name, value.clone());
        }
        parts.headers_mut().extend(no_store());
        Ok(parts)
    }
}

/// The answer of the ready login routes, without the sessions of a user who has too many. A failure
/// is logged.
impl From<LoginError> for Problem {
    fn from(error: LoginError) -> Self {
        match error {
            LoginError::BadCredentials => Self::LOGIN_BAD_CREDENTIALS,
            LoginError::RateLimited { retry_after } => Self::rate_limited(retry_after),
            LoginError::Overloaded { retry_after } => Self::overloaded(retry_after),
            LoginError::TooManySessions { .. } => Self::SESSION_LIMIT_REACHED,
            LoginError::Failed(failure) => Self::from_failure(&failure),
        }
    }
}

/// Answers as the ready login routes do. A user who has too many sessions is shown them.
impl IntoResponse for LoginError {
    fn into_response(self) -> Response {
        match self {
            Self::TooManySessions { sessions } => Problem::SESSION_LIMIT_REACHED
                .into_http_with("sessions", &sessions::shown_newest_first(sessions, None)),
            other => Problem::from(other).into_response(),
        }
    }
}
