//! JSON bodies, strictly.

use std::fmt;

use axum::extract::Request;
use axum_core::extract::FromRequest;
use serde::de::DeserializeOwned;

use crate::axum::body;
use crate::origin::is_json;
use crate::problem::Problem;

/// The most that a body may have unless said otherwise, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// A JSON object of at most `LIMIT` bytes.
///
/// It needs `Content-Type: application/json` (415), so that no form on another site can be a login; it is bounded by
/// the announced length as well as by what arrives (413); syntax, types, duplicate members of a struct and deep nesting
/// are refused with one fixed text (422), and no parser's message reaches the client. Unknown members are ignored.
///
/// ```
/// use countersign::axum::StrictJson;
///
/// #[derive(serde::Deserialize)]
/// struct Rename {
///     name: String,
/// }
///
/// async fn rename(StrictJson(body): StrictJson<Rename>) -> String {
///     body.name
/// }
/// # let router: axum::Router = axum::Router::new().route("/name", axum::routing::put(rename));
/// ```
pub struct StrictJson<T, const LIMIT: usize = MAX_BODY>(pub T);

impl<T, S, const LIMIT: usize> FromRequest<S> for StrictJson<T, LIMIT>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        if !is_json(&parts.headers) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        let bytes = body::read(&parts.headers, body, LIMIT).await?;
        parse(&bytes).map(Self)
    }
}

/// A JSON body that may be left out altogether; an empty body is then of any content type.
pub(super) struct OptionalJson<T>(pub(super) Option<T>);

impl<T, S> FromRequest<S> for OptionalJson<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        let (parts, body) = request.into_parts();
        let bytes = body::read(&parts.headers, body, MAX_BODY).await?;
        if bytes.is_empty() {
            return Ok(Self(None));
        }
        if !is_json(&parts.headers) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        parse(&bytes).map(|value| Self(Some(value)))
    }
}

fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // A derived struct would also be read from an array of its members.
    if bytes.trim_ascii_start().first() != Some(&b'{') {
        return Err(Problem::REQUEST_BODY_INVALID);
    }
    serde_json::from_slice(bytes).map_err(|_| Problem::REQUEST_BODY_INVALID)
}

impl<T, const LIMIT: usize> fmt::Debug for StrictJson<T, LIMIT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StrictJson(..)")
    }
}
