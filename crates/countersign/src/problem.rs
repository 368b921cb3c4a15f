//! The one place where a refusal or a failure becomes a status, headers and a body (docs/STATUS-CODES.md).

use std::time::Duration;

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use serde::Serialize;

use crate::authenticator::failure_event;
use crate::error::{Failure, FailureKind, Refusal};
use crate::outcome::AuthOutcome;

/// When a client may ask again after an outage.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// A failed answer as `application/problem+json` (RFC 9457): `title`, `status`, `detail` and a stable `code`.
///
/// Every text is fixed: nothing of the request, of a library or of a store is ever in it (SECURITY row G-04). Answers
/// are `Cache-Control: no-store`.
///
/// ```
/// use countersign::Problem;
///
/// let response = Problem::NOT_OFFERED.into_http::<bytes::Bytes>();
/// assert_eq!(response.status(), 401);
/// assert_eq!(response.headers()["www-authenticate"], "Bearer");
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[must_use]
pub struct Problem {
    status: StatusCode,
    code: &'static str,
    detail: &'static str,
    challenge: Option<&'static str>,
    retry_after: Option<Duration>,
}

#[derive(Serialize)]
struct Fields {
    title: &'static str,
    status: u16,
    detail: &'static str,
    code: &'static str,
}

impl Problem {
    /// 401: the request needs a credential and has none. The challenge names no error (RFC 6750 section 3.1).
    pub const NOT_OFFERED: Self =
        Self::new(StatusCode::UNAUTHORIZED, "AUTHENTICATION_REQUIRED", "This needs an access token.")
            .challenge("Bearer");

    /// 401: the credential is bad, for whichever reason.
    pub const AUTHENTICATION_FAILED: Self =
        Self::new(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED", "The access token is not valid.")
            .challenge(r#"Bearer error="invalid_token""#);

    /// 400: the request's credentials are malformed, or more than one.
    pub const CREDENTIALS_MALFORMED: Self = Self::new(
        StatusCode::BAD_REQUEST,
        "CREDENTIALS_MALFORMED",
        "Send exactly one credential, as `Authorization: Bearer` followed by the token, or as a cookie.",
    )
    .challenge(r#"Bearer error="invalid_request""#);

    /// 401: the identifier or the password is wrong, or the account may not be used.
    pub const LOGIN_BAD_CREDENTIALS: Self =
        Self::new(StatusCode::UNAUTHORIZED, "LOGIN_BAD_CREDENTIALS", "Identifier or password is wrong.")
            .challenge("Bearer");

    /// 401: the refresh token is bad, for whichever reason.
    pub const REFRESH_TOKEN_INVALID: Self =
        Self::new(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID", "The refresh token is not valid.")
            .challenge(r#"Bearer error="invalid_token""#);

    /// 403: nothing proves that a page of ours sent this request with its cookies.
    pub const CSRF_FAILED: Self =
        Self::new(StatusCode::FORBIDDEN, "CSRF_FAILED", "The request does not come from an origin that is trusted.");

    /// 403: the user has as many sessions as allowed.
    pub const SESSION_LIMIT_REACHED: Self = Self::new(
        StatusCode::FORBIDDEN,
        "SESSION_LIMIT_REACHED",
        "This account has as many sessions as it may have. Send `replace` with the id of the one to end.",
    );

    /// 404: the user has no such session.
    pub const SESSION_NOT_FOUND: Self =
        Self::new(StatusCode::NOT_FOUND, "SESSION_NOT_FOUND", "You have no such session.");

    /// 404: there is no such route.
    pub const ROUTE_NOT_FOUND: Self = Self::new(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND", "There is no such route.");

    /// 405: the route has other methods.
    pub const METHOD_NOT_ALLOWED: Self =
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED", "The route does not have this method.");

    /// 413: the body, or the length it announces, is over the limit.
    pub const REQUEST_TOO_LARGE: Self =
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "REQUEST_TOO_LARGE", "The request body is too large.");

    /// 415: the body isn't JSON, or it is encoded.
    pub const UNSUPPORTED_MEDIA_TYPE: Self = Self::new(
        StatusCode::UNSUPPORTED_MEDIA_TYPE,
        "UNSUPPORTED_MEDIA_TYPE",
        "Send the body as application/json, without a content encoding.",
    );

    /// 422: the body is JSON of another form, or no JSON at all.
    pub const REQUEST_BODY_INVALID: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "REQUEST_BODY_INVALID",
        "The body is not JSON of the form that this route takes.",
    );

    /// 422: a parameter of the query isn't of the form that the route takes.
    pub const REQUEST_QUERY_INVALID: Self = Self::new(
        StatusCode::UNPROCESSABLE_ENTITY,
        "REQUEST_QUERY_INVALID",
        "A parameter of the query has a value that this route does not take.",
    );

    /// 500: something that can't happen did; the log says what.
    pub const INTERNAL: Self =
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "INTERNAL", "Something went wrong on our side.");

    /// 500: a handler asks for the user, and no [`AuthLayer`](crate::tower::AuthLayer) for that user type is around it.
    pub const AUTH_LAYER_MISSING: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "AUTH_LAYER_MISSING",
        "The route asks for a user but is not inside an authentication layer.",
    );

    /// 501: the strategy keeps no record by which it could find every session of a user.
    pub const LOGOUT_ALL_UNSUPPORTED: Self = Self::new(
        StatusCode::NOT_IMPLEMENTED,
        "LOGOUT_ALL_UNSUPPORTED",
        "Tokens of this kind can only be ended one by one.",
    );

    /// 503: a store doesn't answer, so the question stays open (promise P6).
    pub const STORE_UNAVAILABLE: Self =
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "STORE_UNAVAILABLE", "This can't be answered now. Try again.")
            .retry_after(RETRY_AFTER);

    /// A problem of your own, with fixed texts. `code` is capitals and never changes once published.
    pub const fn new(status: StatusCode, code: &'static str, detail: &'static str) -> Self {
        Self { status, code, detail, challenge: None, retry_after: None }
    }

    /// 429: too many attempts; `after` says when to come back.
    pub const fn rate_limited(after: Duration) -> Self {
        Self::new(StatusCode::TOO_MANY_REQUESTS, "RATE_LIMITED", "Too many attempts. Try again later.")
            .retry_after(after)
    }

    /// 503: there are more requests than can be served; `after` says when to come back.
    pub const fn overloaded(after: Duration) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "OVERLOADED", "Too busy now. Try again later.").retry_after(after)
    }

    /// What a refused access token is answered with: the same for every reason, except that a request which isn't
    /// well-formed is told so.
    pub const fn from_refusal(refusal: Refusal) -> Self {
        match refusal {
            Refusal::MalformedRequest | Refusal::Ambiguous => Self::CREDENTIALS_MALFORMED,
            _ => Self::AUTHENTICATION_FAILED,
        }
    }

    /// What a failure is answered with, which it also logs.
    pub fn from_failure(failure: &Failure) -> Self {
        failure_event(failure);
        Self::of_kind(failure.kind())
    }

    /// What is answered in place of a handler that needs a user; `None` when there is one.
    pub fn from_outcome<U>(outcome: &AuthOutcome<U>) -> Option<Self> {
        match outcome {
            AuthOutcome::Accepted(_) => None,
            AuthOutcome::NotOffered => Some(Self::NOT_OFFERED),
            AuthOutcome::Refused(refusal) => Some(Self::from_refusal(*refusal)),
            AuthOutcome::CrossSite => Some(Self::CSRF_FAILED),
            AuthOutcome::Failed(failure) => Some(Self::of_kind(failure.kind())),
        }
    }

    /// Adds a `WWW-Authenticate` challenge.
    pub const fn challenge(mut self, challenge: &'static str) -> Self {
        self.challenge = Some(challenge);
        self
    }

    /// Adds `Retry-After`, in whole seconds rounded up, at least one.
    pub const fn retry_after(mut self, after: Duration) -> Self {
        self.retry_after = Some(after);
        self
    }

    /// The status.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The stable code.
    pub const fn code(&self) -> &'static str {
        self.code
    }

    /// The answer, with any body that can be made of bytes.
    pub fn into_http<B: From<Bytes>>(self) -> Response<B> {
        self.answer(&self.fields())
    }

    /// The answer, with a member of its own beside the fixed ones (RFC 9457 section 3.2).
    #[cfg(feature = "axum")]
    pub(crate) fn into_http_with<B: From<Bytes>>(self, name: &str, value: &impl Serialize) -> Response<B> {
        let fields = (serde_json::to_value(self.fields()), serde_json::to_value(value));
        let (Ok(serde_json::Value::Object(mut fields)), Ok(value)) = fields else { return self.into_http() };
        fields.insert(name.to_owned(), value);
        self.answer(&fields)
    }

    fn fields(&self) -> Fields {
        Fields {
            title: self.status.canonical_reason().unwrap_or("Error"),
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
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if let Some(challenge) = self.challenge {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static(challenge));
        }
        if let Some(after) = self.retry_after {
            let seconds = after.as_secs().saturating_add(u64::from(after.subsec_nanos() > 0)).max(1);
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
    }

    const fn of_kind(kind: FailureKind) -> Self {
        match kind {
            FailureKind::Unavailable | FailureKind::Full => Self::STORE_UNAVAILABLE,
            FailureKind::Internal => Self::INTERNAL,
        }
    }
}
