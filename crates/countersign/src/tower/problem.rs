//! The one place that turns a refusal or a failure into a status, headers and a body.
//!
//! Every failed answer of the layers and the routes is a [`Problem`], so that this file alone
//! decides what a client may learn. A status or a code that changes here changes the HTTP
//! interface.

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::auth::AuthOutcome;
use crate::error::{Failure, FailureKind, Refusal};
use crate::event;

/// The `Retry-After` of an answer during an outage.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// The challenge for a more recent authentication, before its `max_age` (RFC 9470 section 3).
const STEP_UP: &str = r#"Bearer error="insufficient_user_authentication", error_description="A more recent authentication is required""#;

/// A failed answer as `application/problem+json` (RFC 9457) with `title`, `status`, `detail` and a
/// stable `code`.
///
/// Every text is fixed: nothing of the request, of a library or of a store is ever in it. The
/// reason of a refusal is in the log. Answers are `Cache-Control: no-store`. Clients should branch
/// on `code`, which never changes, and not on `detail`.
///
/// With the feature `axum` it is a response and the rejection of this crate's extractors, so
/// handlers can return `Result<_, Problem>`. Without axum, [`into_http`](Self::into_http) makes a
/// response with any body that can be made of bytes.
///
/// # Examples
///
/// ```
/// use countersign::Problem;
///
/// let response = Problem::NOT_OFFERED.into_http::<bytes::Bytes>();
/// assert_eq!(response.status(), 401);
/// assert_eq!(response.headers()["www-authenticate"], "Bearer");
/// ```
///
/// Problems of an application's own take the same form:
///
/// ```
/// use countersign::Problem;
/// use http::StatusCode;
///
/// const ADMINS_ONLY: Problem =
///     Problem::new(StatusCode::FORBIDDEN, "ADMINS_ONLY", "Only administrators may do this.");
/// assert_eq!(ADMINS_ONLY.code(), "ADMINS_ONLY");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    challenge: Option<&'static str>,
    /// The `max_age` of the challenge, in seconds.
    max_age: Option<u64>,
    retry_after: Option<Duration>,
}

/// The members of the body, in the order in which they are written.
#[derive(Serialize)]
struct Fields {
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
}

impl Problem {
    /// 401 `AUTHENTICATION_REQUIRED`: the request needs a credential and has none.
    ///
    /// The challenge names no error (RFC 6750 section 3.1).
    pub const NOT_OFFERED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "AUTHENTICATION_REQUIRED",
        "An access token is required.",
    )
    .challenge("Bearer");

    /// 401 `AUTHENTICATION_FAILED`: the access token is bad, for any reason.
    ///
    /// One answer for all reasons, so that nobody can probe which check failed.
    pub const AUTHENTICATION_FAILED: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "AUTHENTICATION_FAILED",
        "The access token is not valid.",
    )
    .challenge(r#"Bearer error="invalid_token""#);

    /// 400 `CREDENTIALS_MALFORMED`: the credential can't be parsed, or there is more than one.
    pub const CREDENTIALS_MALFORMED: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "CREDENTIALS_MALFORMED",
        "Send exactly one access token, either in the Authorization header as `Bearer <token>` \
         or in a cookie.",
    )
    .challenge(r#"Bearer error="invalid_request""#);

    /// 401 `LOGIN_BAD_CREDENTIALS`: the identifier or the password is wrong, or the account may not
    /// be used.
    ///
    /// One answer for all of these, so that nobody learns which accounts exist.
    pub const LOGIN_BAD_CREDENTIALS: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "LOGIN_BAD_CREDENTIALS",
        "The identifier or password is incorrect.",
    )
    .challenge("Bearer");

    /// 401 `REFRESH_TOKEN_INVALID`: the refresh token is bad, for any reason. The client has to log
    /// in again.
    pub const REFRESH_TOKEN_INVALID: Self = Self::new(
        StatusCode::UNAUTHORIZED,
        "REFRESH_TOKEN_INVALID",
        "The refresh token is not valid.",
    )
    .challenge(r#"Bearer error="invalid_token""#);

    /// 403 `PERMISSION_DENIED`: the user may not do this, by a rule of the application
    /// ([`Guard`](crate::tower::Guard)).
    ///
    /// The challenge is that for a token without the needed rights (RFC 6750 section 3.1).
    pub const PERMISSION_DENIED: Self = Self::new(
        StatusCode::FORBIDDEN,
        "PERMISSION_DENIED",
        "The account is not allowed to do this.",
    )
    .challenge(r#"Bearer error="insufficient_scope""#);

    /// 403 `CSRF_FAILED`: nothing proves that a trusted page sent this request with its cookies.
    ///
    /// Another credential wouldn't help. [`OriginPolicy`](crate::OriginPolicy) lists the proofs.
    pub const CSRF_FAILED: Self = Self::new(
        StatusCode::FORBIDDEN,
        "CSRF_FAILED",
        "The request does not come from a trusted origin.",
    );

    /// 403 `SESSION_LIMIT_REACHED`: the user has as many sessions as the limit allows.
    ///
    /// The login routes add the member `sessions` with up to 100 of them. A client offers these to
    /// the user and repeats the login with `replace`, the id of the session to end.
    pub const SESSION_LIMIT_REACHED: Self = Self::new(
        StatusCode::FORBIDDEN,
        "SESSION_LIMIT_REACHED",
        "The account has reached its maximum number of sessions. Send `replace` with the id of \
         the session to end.",
    );

    /// 404 `SESSION_NOT_FOUND`: the user has no such session.
    pub const SESSION_NOT_FOUND: Self = Self::new(
        StatusCode::NOT_FOUND,
        "SESSION_NOT_FOUND",
        "The account has no session with this id.",
    );

    /// 404 `ROUTE_NOT_FOUND`: no route has this path. Use it as the fallback of a router whose
    /// other answers are problems too.
    pub const ROUTE_NOT_FOUND: Self = Self::new(
        StatusCode::NOT_FOUND,
        "ROUTE_NOT_FOUND",
        "There is no route with this path.",
    );

    /// 405 `METHOD_NOT_ALLOWED`: the route has other methods.
    pub const METHOD_NOT_ALLOWED: Self = Self::new(
        StatusCode::METHOD_NOT_ALLOWED,
        "METHOD_NOT_ALLOWED",
        "The route does not support this method.",
    );

    /// 413 `REQUEST_TOO_LARGE`: the body, or its announced length, is over the limit.
    pub const REQUEST_TOO_LARGE: Self = Self::new(
        StatusCode::PAYLOAD_TOO_LARGE,
        "REQUEST_TOO_LARGE",
        "The request body is too large.",
    );

    /// 415 `UNSUPPORTED_MEDIA_TYPE`: the body isn't declared as JSON, or has a content encoding.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "Send the request body as application/json, without a content encoding.",
    );

    /// 422 `REQUEST_BODY_INVALID`: the body isn't JSON, or isn't of the form that the route takes.
    pub const REQUEST_BODY_INVALID: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "REQUEST_BODY_INVALID",
        "The request body is not valid JSON for this route.",
    );

    /// 422 `REQUEST_QUERY_INVALID`: a parameter of the query isn't of the form that the route
    /// takes.
    pub const REQUEST_QUERY_INVALID: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "REQUEST_QUERY_INVALID",
        "A query parameter has an invalid value.",
    );

    /// 500 `INTERNAL`: a bug, or data that no version of this crate writes. The log has the cause.
    pub const INTERNAL: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "INTERNAL",
        "An internal error occurred.",
    );

    /// 500 `AUTH_LAYER_MISSING`: a handler asks for the user outside of an
    /// [`AuthLayer`](crate::tower::AuthLayer) for that user type.
    ///
    /// A forgotten layer is an error, not an open door.
    pub const AUTH_LAYER_MISSING: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "AUTH_LAYER_MISSING",
        "The route needs a user, but has no authentication layer.",
    );

    /// 501 `LOGOUT_ALL_UNSUPPORTED`: a strategy keeps no record by which it could find every
    /// session of a user, such as a `JwtStrategy` without sessions.
    pub const LOGOUT_ALL_UNSUPPORTED: Self = Self::new(
        StatusCode::NOT_IMPLEMENTED,
        "LOGOUT_ALL_UNSUPPORTED",
        "Tokens of this kind can only be revoked one by one.",
    );

    /// 503 `STORE_UNAVAILABLE` with `Retry-After: 5`: a store doesn't answer, so it isn't known
    /// whether the credential is good.
    ///
    /// Clients should keep their tokens and try again.
    pub const STORE_UNAVAILABLE: Self = Self::new(
        StatusCode::SERVICE_UNAVAILABLE,
        "STORE_UNAVAILABLE",
        "The service is temporarily unavailable. Try again later.",
    )
    .retry_after(RETRY_AFTER);

    /// Creates a problem with fixed texts, for answers of an application's own.
    ///
    /// `code` is written in capitals with underscores and never changes once published. `title` is
    /// the status's own phrase.
    pub const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self {
            status,
            code,
            detail,
            challenge: None,
            max_age: None,
            retry_after: None,
        }
    }

    /// Returns 429 `RATE_LIMITED`: there were too many attempts. `after` becomes `Retry-After`.
    pub const fn rate_limited(after: Duration) -> Self {
        Self::new(
            StatusCode::TOO_MANY_REQUESTS,
            "RATE_LIMITED",
            "Too many attempts. Try again later.",
        )
        .retry_after(after)
    }

    /// Returns 401 `RECENT_AUTHENTICATION_REQUIRED`: the user is known, but has authenticated longer
    /// ago than `max_age`, or at a time that isn't known (RFC 9470).
    ///
    /// The challenge has the error `insufficient_user_authentication` and `max_age` in whole
    /// seconds. The token stays good: the client lets the user authenticate again and repeats the
    /// request.
    pub const fn recent_authentication_required(max_age: Duration) -> Self {
        let mut problem = Self::new(
            StatusCode::UNAUTHORIZED,
            "RECENT_AUTHENTICATION_REQUIRED",
            "A more recent authentication is required.",
        )
        .challenge(STEP_UP);
        problem.max_age = Some(max_age.as_secs());
        problem
    }

    /// Returns 503 `OVERLOADED`: there are more requests than can be served. `after` becomes
    /// `Retry-After`.
    pub const fn overloaded(after: Duration) -> Self {
        Self::new(
            StatusCode::SERVICE_UNAVAILABLE,
            "OVERLOADED",
            "The server is too busy. Try again later.",
        )
        .retry_after(after)
    }

    /// Returns the answer to a refused access token.
    ///
    /// All refusals give [`AUTHENTICATION_FAILED`](Self::AUTHENTICATION_FAILED), except requests
    /// that can't be parsed and requests with more than one credential, which give
    /// [`CREDENTIALS_MALFORMED`](Self::CREDENTIALS_MALFORMED).
    pub const fn from_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MalformedRequest | Refusal::Ambiguous => Self::CREDENTIALS_MALFORMED,
            _ => Self::AUTHENTICATION_FAILED,
        }
    }

    /// Returns the answer to a failure, and writes the failure to the log.
    ///
    /// A store that is unavailable or full gives [`STORE_UNAVAILABLE`](Self::STORE_UNAVAILABLE),
    /// everything else [`INTERNAL`](Self::INTERNAL).
    pub fn from_failure(failure: &Failure) -> Self {
        event::failed(failure);
        Self::of_kind(failure.kind())
    }

    /// Returns the answer to give in place of a handler that needs a user, or `None` if the outcome
    /// has a user.
    ///
    /// It logs nothing, since the [`Authenticator`](crate::Authenticator) has logged the outcome
    /// already.
    pub fn from_outcome<U>(outcome: &AuthOutcome<U>) -> Option<Self> {
        match outcome {
            AuthOutcome::Accepted(_) => None,
            AuthOutcome::NotOffered => Some(Self::NOT_OFFERED),
            AuthOutcome::Refused(refusal) => Some(Self::from_refusal(*refusal)),
            AuthOutcome::CrossSite => Some(Self::CSRF_FAILED),
            AuthOutcome::Failed(failure) => Some(Self::of_kind(failure.kind())),
        }
    }

    /// Sets the `WWW-Authenticate` challenge, in place of one that is there.
    pub const fn challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Sets `Retry-After`, in whole seconds, rounded up, at least one.
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// Returns the status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// Returns the stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// Returns the title: the phrase of the status, such as `Forbidden`.
    pub fn title(&self) -> &'static str {
        self.status.canonical_reason().unwrap_or("Error")
    }

    /// Returns the text for people: one or two sentences in English.
    pub const fn detail(&self) -> &'static str {
        self.detail
    }

    /// Returns the names and values of the headers, the names in lower case.
    ///
    /// For servers that don't use the `http` crate. [`into_http`](Self::into_http) sets them by
    /// itself.
    pub fn headers(&self) -> Vec<(String, String)> {
        let mut headers = HeaderMap::new();
        self.write_headers(&mut headers);
        let texts = headers.iter().filter_map(|(name, value)| {
            let value = value.to_str().ok()?;
            Some((name.as_str().to_owned(), value.to_owned()))
        });
        texts.collect()
    }

    /// Returns the bytes of the body, a JSON object.
    pub fn body(&self) -> Vec<u8> {
        serde_json::to_vec(&self.fields()).unwrap_or_default()
    }

    /// Returns the response, with any body that can be made of bytes.
    ///
    /// Use it in tower services. axum handlers return the problem itself.
    pub fn into_http<B: From<Bytes>>(self) -> Response<B> {
        self.answer(&self.fields())
    }

    /// Returns the response with one more member beside the fixed ones (RFC 9457 section 3.2).
    #[cfg(feature = "axum")]
    pub(crate) fn into_http_with<B: From<Bytes>>(
        self,
        name: &str,
        value: &impl Serialize,
    ) -> Response<B> {
        let fields = (
            serde_json::to_value(self.fields()),
            serde_json::to_value(value),
        );
        let (Ok(serde_json::Value::Object(mut fields)), Ok(value)) = fields else {
            return self.into_http();
        };
        fields.insert(name.to_owned(), value);
        self.answer(&fields)
    }

    fn fields(&self) -> Fields {
        Fields {
            title: self.title(),
            status: self.status.as_u16(),
            detail: self.detail,
            code: self.code,
        }
    }

    fn answer<B: From<Bytes>>(self, fields: &impl Serialize) -> Response<B> {
        let body = serde_json::to_vec(fields).unwrap_or_default();
        let mut response = Response::new(B::from(body.into()));
        *response.status_mut() = self.status;
        self.write_headers(response.headers_mut());
        response
    }

    fn write_headers(&self, headers: &mut HeaderMap) {
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/problem+json"),
        );
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            let with_age = self
                .max_age
                .and_then(|age| format!(r#"{challenge}, max_age="{age}""#).try_into().ok());
            let challenge = with_age.unwrap_or(HeaderValue::from_static(challenge));
            headers.insert(header::WWW_AUTHENTICATE, challenge);
        }

        if let Some(after) = self.retry_after {
            // Rounded up, and never 0: a client that comes back too early is refused again.
            let seconds = after
                .as_secs()
                .saturating_add(u64::from(after.subsec_nanos() > 0))
                .max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }

    /// Returns the answer to a failure of this kind.
    const fn of_kind(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Unavailable | FailureKind::Full => Self::STORE_UNAVAILABLE,
            FailureKind::Internal => Self::INTERNAL,
        }
    }
}

/// The answer to a failure, which is logged as by [`from_failure`](Problem::from_failure).
impl From<Failure> for Problem {
    fn from(failure: Failure) -> Self {
        Self::from_failure(&failure)
    }
}
