//! JSON bodies, read strictly.
//!
//! axum's own `Json` answers with the parser's message and takes more content types. These routes
//! take passwords and tokens, so nothing of a body may come back in an answer.

use std::fmt;

use axum::extract::Request;
use axum_core::extract::FromRequest;
use http::{HeaderMap, header};
use serde::de::DeserializeOwned;

use crate::auth::is_json;
use crate::axum::body;
use crate::tower::Problem;

/// The default limit on the size of a body, in bytes: 16 KiB.
pub const MAX_BODY: usize = 16 * 1024;

/// An extractor of a JSON object of at most `LIMIT` bytes. `LIMIT` defaults to [`MAX_BODY`].
///
/// It refuses:
///
/// - with 415 a content type other than `application/json`, so that no form on another site can be
///   a login, and a `Content-Encoding` other than `identity`;
/// - with 413 a body that is over the limit, by its announced length or by what arrives;
/// - with 422 bytes that aren't UTF-8, broken JSON, members of other types, a member of a struct
///   that occurs twice, deep nesting, and JSON that isn't an object.
///
/// The texts of these answers are fixed: no parser's message reaches the client. Members that `T`
/// doesn't know are ignored, but their bytes must be UTF-8 as well.
///
/// # Examples
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
#[expect(clippy::exhaustive_structs, reason = "an extractor is destructured")]
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

/// Refuses a body that isn't declared as JSON, or that has an encoding which isn't undone here.
pub(super) fn check_type(headers: &HeaderMap) -> Result<(), Problem> {
    check_plain(headers)?;
    if is_json(headers) {
        Ok(())
    } else {
        Err(Problem::UNSUPPORTED_MEDIA_TYPE)
    }
}

/// Refuses a body that has an encoding which isn't undone here.
pub(super) fn check_plain(headers: &HeaderMap) -> Result<(), Problem> {
    let encodings = headers.get_all(header::CONTENT_ENCODING);
    // An encoded body would be read as something that it isn't.
    let is_plain = encodings
        .iter()
        .all(|encoding| encoding.as_bytes().eq_ignore_ascii_case(b"identity"));
    if is_plain {
        Ok(())
    } else {
        Err(Problem::UNSUPPORTED_MEDIA_TYPE)
    }
}

/// Parses a JSON object. Every error is the same fixed answer.
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
