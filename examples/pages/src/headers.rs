//! The headers of all answers.

use axum::Router;
use axum::http::{HeaderName, HeaderValue, header};
use tower_http::set_header::SetResponseHeaderLayer;

/// No scripts, and nothing from elsewhere. Forms go to this site only, and no other site may frame
/// a page and let visitors click on it unknowingly.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; style-src 'self'; form-action 'self'; \
                                       base-uri 'none'; frame-ancestors 'none'";

/// The headers with which browsers protect visitors.
const PROTECTING: [(HeaderName, &str); 6] = [
    (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
    (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
    // Other sites don't learn which page a visitor comes from. It isn't `no-referrer`: browsers
    // then send forms with `Origin: null`, and the origin is the proof that we sent the form.
    (header::REFERRER_POLICY, "same-origin"),
    // Browsers heed it on https alone: they come back by https for two years.
    (header::STRICT_TRANSPORT_SECURITY, "max-age=63072000"),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        "same-origin",
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        "same-origin",
    ),
];

/// Sets the headers of all answers.
pub(crate) fn set(app: Router) -> Router {
    // A page is made for one visitor, and no cache may keep it for the next.
    let no_store = SetResponseHeaderLayer::if_not_present(
        header::CACHE_CONTROL,
        HeaderValue::from_static("no-store"),
    );
    let set = |app: Router, (name, value)| {
        let value = HeaderValue::from_static(value);
        app.layer(SetResponseHeaderLayer::overriding(name, value))
    };
    PROTECTING.into_iter().fold(app.layer(no_store), set)
}

/// Returns an empty style sheet, which makes the browser forget the pages of this site. The page
/// after a logout asks for it.
///
/// `no-store` isn't enough: Chromium keeps whole pages for the back button, and shows them after a
/// logout. It keeps a page when the next one comes, so what comes with the next page is in time, and
/// a header of the logout's own answer isn't.
pub(crate) async fn forget() -> [(HeaderName, &'static str); 2] {
    [
        (header::CONTENT_TYPE, "text/css; charset=utf-8"),
        (HeaderName::from_static("clear-site-data"), "\"cache\""),
    ]
}
