//! Refusals and errors, as pages for people.

use askama::Template;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{Html, IntoResponse, Response};

#[derive(Template)]
#[template(path = "refusal.html")]
struct Refusal {
    title: &'static str,
    advice: &'static str,
}

/// Returns the page for a refusal with this status.
pub(crate) fn html(status: StatusCode) -> String {
    let (title, advice) = words(status);
    let page = Refusal { title, advice };
    // The words alone are better than nothing.
    page.render().unwrap_or_else(|_| advice.to_owned())
}

/// Turns each error that isn't a page yet into one. Status and headers stay.
///
/// The extractors and the ready routes answer with problem documents, which are for programs, and
/// axum with plain text or with nothing. This site has visitors alone.
pub(crate) async fn as_page(response: Response) -> Response {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    if !is_error || is_html(&response) {
        return response;
    }
    let (mut head, _) = response.into_parts();
    let page = Html(html(status)).into_response();
    head.headers.remove(header::CONTENT_LENGTH);
    head.headers.extend(page.headers().clone());
    Response::from_parts(head, page.into_body())
}

fn is_html(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    let kind = kind.map_or(&b""[..], HeaderValue::as_bytes);
    kind.starts_with(b"text/html")
}

/// Returns a title and an advice. Nothing in them comes from the request.
fn words(status: StatusCode) -> (&'static str, &'static str) {
    match status {
        // A form isn't renewed for. Another look at the page renews the cookies.
        StatusCode::UNAUTHORIZED => (
            "That took too long",
            "Nothing was changed. Go back, load the page again, and send the form once more.",
        ),
        StatusCode::FORBIDDEN => (
            "This form isn't ours",
            "Nothing was changed. The form was sent from a page of another site.",
        ),
        StatusCode::NOT_FOUND => ("There is no such page", "Maybe it has moved."),
        StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE => {
            ("We can't answer now", "Please try again in a moment.")
        }
        status if status.is_server_error() => (
            "Something went wrong",
            "It is our fault, and it is in our log.",
        ),
        _ => ("We don't understand this", "The request isn't complete."),
    }
}
