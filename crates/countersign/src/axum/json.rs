//! JSON bodies, strictly.

use std::fmt;

use axum::extract::Request;
use axum_core::extract::FromRequest;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::axum::body;
use crate::origin::is_json;
use crate::problem::Problem;

/// The most that a body may have unless said otherwise, in bytes.
pub const MAX_BODY: usize = 16 * 1024;

/// A JSON object of at most `LIMIT` bytes.
///
/// It needs `Content-Type: application/json` and no `Content-Encoding` but `identity` (415), so that no form on another site
/// can be a login; it is bounded by the announced length as well as by what arrives (413); bytes that aren't UTF-8, syntax,
/// types, duplicate members of a struct and deep nesting are refused with one fixed text (422), and no parser's message
/// reaches the client. Unknown members are ignored, but their bytes must be UTF-8 as well.
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
        check_type(&parts.headers)?;
        let bytes = body::read(&parts.headers, body, LIMIT).await?;
        parse(&bytes).map(Self)
    }
}

/// Refuses a body that isn't said to be JSON, or that is encoded in a way that isn't undone here.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    let is_plain = encodings.iter().all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_plain && is_json(headers) { Ok(()) } else { Err(Problem::UNSUPPORTED_MEDIA_TYPE) }
}

pub(super) fn parse<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, Problem> {
    // The parser doesn't look into members that it ignores, and JSON is UTF-8 throughout (RFC 8259 section 8.1).
    let text = std::str::from_utf8(bytes).map_err(|_| Problem::REQUEST_BODY_INVALID)?;
    // A derived struct would also be read from an array of its members.
    if !text.trim_ascii_start().starts_with('{') {
        return Err(Problem::REQUEST_BODY_INVALID);
    }
    serde_json::from_str(text).map_err(|_| Problem::REQUEST_BODY_INVALID)
}

impl<T, const LIMIT: usize> fmt::Debug for StrictJson<T, LIMIT> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("StrictJson(..)")
    }
}
