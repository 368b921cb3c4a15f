//! `POST /cookie/form/login` and `POST /cookie/form/logout`, for pages without scripts.
//!
//! A form can be sent from any site, so both require proof of the request's origin, and redirects
//! lead to [paths on this site](local_path) only. What a visitor has typed is never in a redirect.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode, header};
use percent_encoding::percent_decode;
use zeroize::Zeroizing;

use crate::auth::LoginError;
use crate::axum::body;
use crate::axum::json::{self, MAX_BODY};
use crate::axum::routes::attempt::LoginAttempt;
use crate::axum::routes::pages::see_other;
use crate::axum::routes::shared::Shared;
use crate::axum::routes::{login, logout};
use crate::tower::Problem;
use crate::tower::local_path::local_path;
use crate::user::User;

/// Logs in by a form, and redirects.
pub(super) async fn log_in<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, content) = request.into_parts();
    shared.check_origin(&parts)?;
    let pages = shared.forms.as_ref().ok_or(Problem::INTERNAL)?;
    let fields = Fields::read(&parts.headers, content).await?;
    let next = fields.next();
    let attempt = match fields.attempt(&parts) {
        Ok(attempt) => attempt,
        Err(problem) => return Ok(pages.back(problem, next)),
    };

    // A box that isn't ticked isn't sent.
    let is_remembered = fields.is_ticked("remember");
    match login::log_in(&shared, shared.cookie()?, &attempt, is_remembered).await {
        Ok(logged_in) => Ok(see_other(
            next.unwrap_or(&pages.after_login),
            logged_in.into_response(),
        )),
        Err(LoginError::Failed(failure)) => Err(Problem::from_failure(&failure)),
        Err(error) => Ok(pages.back(error.into(), next)),
    }
}

/// Logs out by a form, and redirects.
pub(super) async fn log_out<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, content) = request.into_parts();
    let answer = logout::end_cookies(&shared, &parts).await?;
    if answer.status() != StatusCode::NO_CONTENT {
        return Ok(answer);
    }
    let pages = shared.forms.as_ref().ok_or(Problem::INTERNAL)?;
    // The sessions are over, whatever the form says.
    let fields = Fields::read(&parts.headers, content).await.ok();
    let next = fields.as_ref().and_then(Fields::next);
    Ok(see_other(next.unwrap_or(&pages.after_logout), answer))
}

/// The highest number of fields in a form.
const MAX_FIELDS: usize = 64;

/// The fields of a form.
struct Fields(Vec<(String, Zeroizing<String>)>);

impl Fields {
    /// Reads a body of the type `application/x-www-form-urlencoded`.
    async fn read(headers: &HeaderMap, content: Body) -> Result<Self, Problem> {
        json::check_plain(headers)?;
        if !is_form(headers) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        let bytes = body::read(headers, content, MAX_BODY).await?;
        let pairs = bytes.split(|byte| *byte == b'&');
        let fields = pairs.filter(|pair| !pair.is_empty());
        // Each field is compared with the others, so their number has a bound.
        if fields.clone().count() > MAX_FIELDS {
            return Err(Problem::REQUEST_BODY_INVALID);
        }

        fields
            .map(|pair| {
                let mut parts = pair.splitn(2, |byte| *byte == b'=');
                let name = decoded(parts.next().unwrap_or_default())?;
                let value = decoded(parts.next().unwrap_or_default())?;
                Some((name.to_string(), value))
            })
            .collect::<Option<Vec<_>>>()
            .map(Self)
            .ok_or(Problem::REQUEST_BODY_INVALID)
    }

    /// Returns the field of this name, or `None` if there is none or more than one.
    fn only(&self, name: &str) -> Option<&str> {
        let mut found = self.all(name);
        found.next().filter(|_| found.next().is_none())
    }

    fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        let fields = self.0.iter().filter(move |(field, _)| field == name);
        fields.map(|(_, value)| value.as_str())
    }

    /// Returns `true` if a box of this name is ticked. Forms may send a hidden field beside it.
    fn is_ticked(&self, name: &str) -> bool {
        self.all(name)
            .any(|value| matches!(value, "on" | "true" | "1" | "yes"))
    }

    /// Returns the path on this site that the form names.
    fn next(&self) -> Option<&str> {
        self.only("next").and_then(local_path)
    }

    /// Returns the attempt, with the other fields as its members.
    fn attempt(&self, parts: &Parts) -> Result<LoginAttempt, Problem> {
        let (Some(identifier), Some(password)) = (self.only("identifier"), self.only("password"))
        else {
            return Err(Problem::REQUEST_BODY_INVALID);
        };
        let label = self.only("label");
        let attempt = login::attempt(parts, identifier.to_owned(), password.to_owned(), label)?;
        let others = self.0.iter().filter(|(name, _)| {
            !["identifier", "password"].contains(&name.as_str()) && self.only(name).is_some()
        });
        Ok(others.fold(attempt, |attempt, (name, value)| {
            attempt.with_member(name, value.as_str())
        }))
    }
}

/// Returns a name or a value as it was typed, or `None` if it isn't UTF-8.
fn decoded(text: &[u8]) -> Option<Zeroizing<String>> {
    let spaced = text.iter().map(|byte| match byte {
        b'+' => b' ',
        other => *other,
    });
    let spaced = Zeroizing::new(spaced.collect::<Vec<u8>>());
    let decoded = percent_decode(&spaced).decode_utf8().ok()?;
    Some(Zeroizing::new(decoded.into_owned()))
}

/// Returns `true` if there is exactly one content type and it is that of a form.
fn is_form(headers: &HeaderMap) -> bool {
    let mut types = headers.get_all(header::CONTENT_TYPE).iter();
    let (Some(only), None) = (types.next(), types.next()) else {
        return false;
    };
    let essence = only.as_bytes().split(|byte| *byte == b';').next();
    essence
        .unwrap_or_default()
        .trim_ascii()
        .eq_ignore_ascii_case(FORM)
}

/// The content type of forms.
const FORM: &[u8] = b"application/x-www-form-urlencoded";
