//! The reading of request bodies, up to a bound.

use std::error::Error;

use axum::body::Body;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::LengthLimitError;

use crate::tower::Problem;

/// Returns the bytes of the body.
///
/// # Errors
///
/// Returns [`Problem::REQUEST_TOO_LARGE`] for more than `limit` bytes, announced or sent; an
/// announced length is refused before anything is read. [`Problem::REQUEST_BODY_INVALID`] for a
/// body that breaks off.
pub(super) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Problem> {
    if announced(headers).is_some_and(|length| length > limit as u128) {
        return Err(Problem::REQUEST_TOO_LARGE);
    }

    axum::body::to_bytes(body, limit).await.map_err(|error| {
        if error
            .source()
            .is_some_and(<dyn Error>::is::<LengthLimitError>)
        {
            Problem::REQUEST_TOO_LARGE
        } else {
            Problem::REQUEST_BODY_INVALID
        }
    })
}

/// Returns the length that the headers announce.
fn announced(headers: &HeaderMap) -> Option<u128> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}
