//! The way between the types of `http` in version 0.2, which actix-web has, and those of version 1.

use actix_web::http::StatusCode;
use actix_web::http::header::{HeaderName, HeaderValue};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder};
use http::request::Parts;

/// Returns the head of a request as countersign reads it.
///
/// All headers come along, repeated ones too: a second credential must not get lost on the way, as
/// it makes a request ambiguous.
///
/// # Errors
///
/// Returns an error if one of the two versions knows a form that the other doesn't.
pub(crate) fn head(request: &HttpRequest) -> Result<Parts, http::Error> {
    let mut head = http::Request::builder()
        .method(request.method().as_str())
        .uri(request.uri().to_string());
    for (name, value) in request.headers() {
        head = head.header(name.as_str(), value.as_bytes());
    }
    Ok(head.body(())?.into_parts().0)
}

/// Returns a response of countersign as one of actix-web.
pub(crate) fn answer(response: http::Response<Bytes>) -> HttpResponse {
    let (head, body) = response.into_parts();
    let status = StatusCode::from_u16(head.status.as_u16());
    let mut answer = HttpResponseBuilder::new(status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR));
    for (name, value) in &head.headers {
        let name = HeaderName::from_bytes(name.as_str().as_bytes());
        let value = HeaderValue::from_bytes(value.as_bytes());
        if let (Ok(name), Ok(value)) = (name, value) {
            answer.append_header((name, value));
        }
    }
    answer.body(body)
}
