//! The page on which visitors become members. Its form comes to a route of our own.

use askama::Template;
use axum::extract::rejection::FormRejection;
use axum::extract::{Form, Query, State};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::response::{IntoResponse, Redirect, Response};
use countersign::axum::local_path;
use countersign::strategy::Login;
use countersign::{ClientInfo, Failure, Problem, Users};
use serde::Deserialize;

use crate::members::{Added, BUSY, name};
use crate::page::Page;
use crate::visitor::Visitor;
use crate::{Site, UNREMEMBERED};

/// The shortest password, in characters.
const SHORTEST: usize = 12;
/// The longest password, in bytes. The login takes no longer one.
const LONGEST: usize = 1024;

/// The query of the page.
#[derive(Deserialize)]
pub(crate) struct Asked {
    next: Option<String>,
}

/// The fields of the form.
#[derive(Deserialize)]
pub(crate) struct Wish {
    name: String,
    password: String,
    next: Option<String>,
}

#[derive(Template)]
#[template(path = "sign_up.html")]
struct SignUp {
    member: Option<String>,
    name: String,
    next: Option<String>,
    error: Option<&'static str>,
    shortest: usize,
}

impl SignUp {
    fn new(name: String, next: Option<&str>, error: Option<&'static str>) -> Self {
        Self {
            member: None,
            name,
            next: next.map(str::to_owned),
            error,
            shortest: SHORTEST,
        }
    }
}

/// Shows the page, or sends a member on.
pub(crate) async fn show(visitor: Visitor, Query(asked): Query<Asked>) -> Response {
    let next = asked.next.as_deref().and_then(local_path);
    if visitor.0.is_some() {
        return Redirect::to(next.unwrap_or("/account")).into_response();
    }
    Page(SignUp::new(String::new(), next, None)).into_response()
}

/// Adds a member and logs them in, or shows the page again and says why not.
pub(crate) async fn submit(
    State(site): State<Site>,
    client: ClientInfo,
    parts: Parts,
    wish: Result<Form<Wish>, FormRejection>,
) -> Result<Response, Problem> {
    // The visitor needs no cookie for this, so no layer asks for a proof of origin. Without it, a
    // page of another site could log visitors in to an account that somebody else knows.
    site.auth.check_origin(&parts)?;
    let Form(wish) = wish.map_err(|_| Problem::REQUEST_BODY_INVALID)?;
    let next = wish.next.as_deref().and_then(local_path);
    let id = match added(&site, &wish).await? {
        Ok(id) => id,
        Err(error) => {
            let page = Page(SignUp::new(wish.name, next, Some(error)));
            return Ok((StatusCode::UNPROCESSABLE_ENTITY, page).into_response());
        }
    };
    let login = Login::from(client).lasting(UNREMEMBERED);
    let login = login.map_err(|error| Failure::internal("session lifetime", error))?;
    let login = login.until_closed();
    let find = || site.members.find(&id);
    let logged_in = site.auth.log_in(Some(&id), login, find).await?;
    Ok((logged_in, Redirect::to(next.unwrap_or("/account"))).into_response())
}

/// Adds a member, and returns the id or the words for what is wrong.
async fn added(site: &Site, wish: &Wish) -> Result<Result<i64, &'static str>, Problem> {
    let Some(name) = name(&wish.name) else {
        return Ok(Err(
            "A name has 2 to 32 letters, digits, dots, hyphens and underscores.",
        ));
    };
    if wish.password.chars().count() < SHORTEST || wish.password.len() > LONGEST {
        return Ok(Err(
            "A password has at least 12 characters, and at most 1024 bytes.",
        ));
    }
    let added = site.members.add(&name, &wish.password).await;
    match added? {
        Added::Done(id) => Ok(Ok(id)),
        Added::NameTaken => Ok(Err("Somebody else has this name.")),
        Added::Busy => Err(Problem::overloaded(BUSY)),
    }
}
