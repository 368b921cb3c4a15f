//! The login page. The library's routes below `/auth` take its form.

use askama::Template;
use axum::extract::{Query, State};
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Redirect, Response};
use countersign::axum::local_path;
use countersign::transport::Offered;
use serde::Deserialize;

use crate::Site;
use crate::page::Page;
use crate::visitor::Visitor;

/// The query of the login page. The library writes it in its redirects.
#[derive(Deserialize)]
pub(crate) struct Asked {
    next: Option<String>,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "login.html")]
struct Login {
    member: Option<String>,
    next: Option<String>,
    error: Option<&'static str>,
    may_continue: bool,
}

/// Shows the login page, or sends a member on.
pub(crate) async fn show(
    State(site): State<Site>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Response {
    // Anybody can write a link with another site in it.
    let next = asked.next.as_deref().and_then(local_path);
    if visitor.0.is_some() {
        return Redirect::to(next.unwrap_or("/account")).into_response();
    }
    let page = Login {
        member: None,
        next: next.map(str::to_owned),
        error: asked.error.as_deref().map(words),
        may_continue: asked.error.is_none() && has_refresh_cookie(&site, &headers),
    };
    Page(page).into_response()
}

/// Returns `true` if the visitor may still be logged in.
///
/// Cookies aren't renewed for a visitor who follows a link of another site. A link on our own page
/// is enough then.
fn has_refresh_cookie(site: &Site, headers: &HeaderMap) -> bool {
    let mut backends = site.auth.authenticator().backends().iter();
    backends.any(|backend| {
        matches!(
            backend.transport().offered_refresh(headers),
            Offered::One(_)
        )
    })
}

/// Returns the words for a code of the library. A code that somebody else has made up is never
/// shown.
fn words(code: &str) -> &'static str {
    match code {
        "LOGIN_BAD_CREDENTIALS" => "Name or password is wrong.",
        "REQUEST_BODY_INVALID" => "Fill in both name and password.",
        "RATE_LIMITED" | "OVERLOADED" => "We are busy. Please try again in a moment.",
        _ => "You couldn't be logged in.",
    }
}
