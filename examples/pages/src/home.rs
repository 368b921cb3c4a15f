//! The front page, which everybody may see, a page for members, and the page after a logout.

use askama::Template;
use axum::response::IntoResponse;
use countersign::axum::CurrentUser;

use crate::Member;
use crate::page::Page;
use crate::visitor::Visitor;

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    member: Option<String>,
}

/// Shows the front page.
pub(crate) async fn show(visitor: Visitor) -> impl IntoResponse {
    let member = visitor.name();
    Page(Home { member })
}

#[derive(Template)]
#[template(path = "account.html")]
struct Account {
    member: Option<String>,
}

/// Shows a member their account. The layer around it has sent all others to the login page.
pub(crate) async fn account(member: CurrentUser<Member>) -> impl IntoResponse {
    let member = Some(member.user.name.clone());
    Page(Account { member })
}

#[derive(Template)]
#[template(path = "goodbye.html")]
struct Goodbye {
    member: Option<String>,
}

/// Shows the page after a logout.
pub(crate) async fn goodbye() -> impl IntoResponse {
    Page(Goodbye { member: None })
}
