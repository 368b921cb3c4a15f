//! Pages: templates as answers, and their style.

use askama::Template;
use axum::http::{HeaderName, header};
use axum::response::{Html, IntoResponse, Response};
use countersign::{Failure, Problem};

/// A page that is made of a template. Templates escape each value that they show.
pub(crate) struct Page<T>(pub(crate) T);

impl<T: Template> IntoResponse for Page<T> {
    fn into_response(self) -> Response {
        match self.0.render() {
            Ok(html) => Html(html).into_response(),
            Err(error) => Problem::from(Failure::internal("template", error)).into_response(),
        }
    }
}

/// Returns the style sheet.
pub(crate) async fn style() -> ([(HeaderName, &'static str); 2], &'static str) {
    let headers = [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    (headers, include_str!("../templates/style.css"))
}
