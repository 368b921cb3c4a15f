//! The sites of somebody else: forms and links to ours.

use axum::Router;
use axum::response::Html;
use axum::routing::get;

use crate::site::SITE;

/// Returns their pages. Each has one form or link, which a visitor is made to press.
pub(crate) fn app() -> Router {
    let credentials = "<input name=identifier value=mallory>\
                       <input name=password value='correct horse battery'>";
    let wish = "<input name=name value=eve><input name=password value='correct horse battery'>";
    Router::new()
        .route("/login", form("/auth/cookie/form/login", credentials))
        .route("/logout", form("/auth/cookie/form/logout", ""))
        .route("/end-others", form("/sessions/end-others", ""))
        .route("/sign-up", form("/sign-up", wish))
        .route("/to-home", link("/"))
        .route("/to-account", link("/account"))
}

fn form(action: &str, fields: &str) -> axum::routing::MethodRouter {
    let form = format!(
        "<!doctype html><title>Win</title><form method=post action='{SITE}{action}'>{fields}<button id=go>Win</button></form>"
    );
    get(async move || Html(form))
}

fn link(path: &str) -> axum::routing::MethodRouter {
    let link = format!("<!doctype html><title>Look</title><a id=go href='{SITE}{path}'>Look</a>");
    get(async move || Html(link))
}
