//! Refusals as gRPC clients read them: HTTP 200, with a status and a message in the headers.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Response, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::tower::Problem;

/// The ASCII characters that are percent-encoded in `grpc-message`, beside all beyond ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b'%');

/// The content types of gRPC, the longest of one beginning first.
const TYPES: [&str; 3] = [
    "application/grpc-web-text",
    "application/grpc-web",
    "application/grpc",
];

/// Returns the content type of a gRPC answer to a request with these headers, or `None` if the
/// request isn't a gRPC call.
pub(super) fn content_type(headers: &HeaderMap) -> Option<&'static str> {
    let declared = headers.get(header::CONTENT_TYPE)?.to_str().ok()?;
    TYPES.into_iter().find(|name| {
        let (Some(start), Some(rest)) = (declared.get(..name.len()), declared.get(name.len()..))
        else {
            return false;
        };
        let ends = rest.is_empty() || rest.starts_with(['+', ';', ' ', '\t']);
        start.eq_ignore_ascii_case(name) && ends
    })
}

/// Returns the refusal as a response with trailers only: status and message are in the headers, and
/// the body is empty.
pub(super) fn refuse<B: From<Bytes>>(problem: Problem, content_type: &'static str) -> Response<B> {
    let mut response = Response::new(B::from(Bytes::new()));
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    headers.insert("grpc-status", HeaderValue::from(code(problem)));
    let message = utf8_percent_encode(problem.detail(), ENCODED).to_string();
    // The encoding leaves printable ASCII alone, which every header may hold.
    if let Ok(message) = HeaderValue::try_from(message) {
        headers.insert("grpc-message", message);
    }
    response
}

/// Returns the status code of gRPC that clients act on as they do on the problem's status.
///
/// A credential that can't be read is 400 over HTTP. gRPC has one code for credentials that are
/// missing, bad and unreadable.
fn code(problem: Problem) -> u16 {
    const UNKNOWN: u16 = 2;
    const PERMISSION_DENIED: u16 = 7;
    const RESOURCE_EXHAUSTED: u16 = 8;
    const INTERNAL: u16 = 13;
    const UNAVAILABLE: u16 = 14;
    const UNAUTHENTICATED: u16 = 16;

    match problem.status().as_u16() {
        400 | 401 => UNAUTHENTICATED,
        403 => PERMISSION_DENIED,
        429 => RESOURCE_EXHAUSTED,
        502..=504 => UNAVAILABLE,
        500..=599 => INTERNAL,
        _ => UNKNOWN,
    }
}
