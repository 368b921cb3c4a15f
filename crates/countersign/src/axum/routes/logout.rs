//! `POST /logout`, `POST /logout/all` and `POST /cookie/logout`.
//!
//! A client that is answered 204 forgets its tokens. So 204 means that the session is over, also if
//! it was over before, and a store that doesn't answer is 503 with the cookies kept.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Request, State};
use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;

use crate::auth::{AuthenticationBackend, Selection};
use crate::axum::routes::presented::{Ended, Presented};
use crate::axum::routes::refresh::refresh_token;
use crate::axum::routes::shared::{Shared, no_store, unanswered};
use crate::axum::{body, json};
use crate::error::{AuthError, Failure, Refusal};
use crate::token::{Invalidated, LoggedOut, PlainToken};
use crate::tower::Problem;
use crate::user::User;

/// Ends everything that is presented: the sessions of access tokens in headers and cookies, of
/// refresh tokens in cookies, and of the refresh token in the body.
///
/// The head counts first, so that a client with a good access token is logged out whatever the body
/// is. A session that is over already counts as success, so that a retry succeeds.
pub(super) async fn bearer<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let presented = Presented::of(&shared, &parts, |_| true);
    // Cookies of another site's making are ignored beside a token that counts, and refused alone.
    if presented.is_cross_site && presented.shown.is_empty() {
        return Err(Problem::CSRF_FAILED);
    }
    let mut ended = presented.end(&shared).await.map_err(unanswered)?;
    let named = named(&parts.headers, body).await;
    if let Ok(Named::Token(refresh)) = &named {
        end_named(&shared, refresh, &mut ended)
            .await
            .map_err(unanswered)?;
        // An unknown refresh token is as good as one that was logged out (RFC 7009 section 2.2).
        ended.any = true;
    }

    match verdict(&presented, &ended, named) {
        Ok(()) => Ok(logged_out(&presented.shown)),
        Err(problem) => Ok(refused(problem, &presented)),
    }
}

/// Decides whether the client may believe that it is logged out.
fn verdict<U: User>(
    presented: &Presented<'_, U>,
    ended: &Ended,
    named: Result<Named, Problem>,
) -> Result<(), Problem> {
    // Tokens beyond the bound were not ended, so a client that heard 204 would be told a lie.
    if presented.is_partial {
        return Err(Problem::CREDENTIALS_MALFORMED);
    }
    if ended.any {
        return Ok(());
    }
    if let (Some(refusal), false) = (presented.unread, ended.over) {
        return Err(Problem::from_refusal(refusal));
    }

    // Nothing good was presented, so a refresh token that couldn't be read may be of a session that lives.
    let named = named?;
    match (ended, named) {
        (Ended { over: true, .. }, _) => Ok(()),
        (
            Ended {
                refusal: Some(refusal),
                ..
            },
            _,
        ) => Err(Problem::from_refusal(*refusal)),
        (_, Named::NoToken) => Err(Problem::REQUEST_BODY_INVALID),
        (_, Named::Nothing | Named::Token(_)) => Err(Problem::NOT_OFFERED),
    }
}

/// Ends the sessions of all cookies that can be read, and clears the cookies. A browser without
/// cookies is logged out already.
pub(super) async fn cookie<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    end_cookies(&shared, &parts).await
}

/// Ends the sessions of all cookies that can be read. Returns 204 with the cookies cleared, or the
/// answer to cookies that couldn't be read.
pub(super) async fn end_cookies<U: User>(
    shared: &Shared<U>,
    parts: &Parts,
) -> Result<Response, Problem> {
    shared.check_origin(parts)?;
    let backend = shared.cookie()?;
    let source = backend.transport().source();
    let presented = Presented::of(shared, parts, |other| other.transport().source() == source);
    let ended = presented.end(shared).await.map_err(unanswered)?;
    let nothing_read =
        presented.unread == Some(Refusal::MalformedRequest) && !ended.any && !ended.over;
    if presented.is_partial || nothing_read {
        return Ok(refused(Problem::CREDENTIALS_MALFORMED, &presented));
    }
    Ok(logged_out(&[backend]))
}

/// The refresh token in the body of a logout.
enum Named {
    /// There is no body.
    Nothing,
    /// There is a body without a token.
    NoToken,
    /// The token.
    Token(PlainToken),
}

/// The members of the body that are read.
#[derive(Deserialize)]
struct Members {
    refresh_token: Option<String>,
}

/// Reads the refresh token in the body.
async fn named(headers: &HeaderMap, content: Body) -> Result<Named, Problem> {
    let bytes = body::read(headers, content, json::MAX_BODY).await?;
    if bytes.is_empty() {
        return Ok(Named::Nothing);
    }
    json::check_type(headers)?;
    if bytes.trim_ascii() == b"null" {
        return Ok(Named::NoToken);
    }
    match json::parse::<Members>(&bytes)?.refresh_token {
        Some(text) if !text.is_empty() => refresh_token(text).map(Named::Token),
        _ => Ok(Named::NoToken),
    }
}

/// Ends the session of a refresh token, in whichever strategy it is.
async fn end_named<U: User>(
    shared: &Shared<U>,
    refresh: &PlainToken,
    ended: &mut Ended,
) -> Result<(), Failure> {
    for backend in shared.distinct_backends() {
        let logged_out = backend.logout_with_refresh(refresh).await?;
        ended.note(Ok(logged_out))?;
        if matches!(logged_out, LoggedOut::Ended(_)) {
            break;
        }
    }
    Ok(())
}

/// Ends every session of the user, in every strategy, and the presented token, which may belong to
/// no session.
pub(super) async fn all<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    // Kept for the end: the token itself is ended too.
    let presented = match shared.authenticator.select(&parts.headers) {
        Selection::One { backend, token } => Some((backend, token)),
        Selection::NotOffered | Selection::Refused(_) => None,
    };
    let authenticated = shared.authenticate(&parts).await?;
    let mut unsupported = false;
    for backend in shared.distinct_backends() {
        let invalidated = backend.logout_everywhere(authenticated.user.id()).await;
        match invalidated.map_err(|failure| Problem::from_failure(&failure))? {
            Invalidated::All(_) => {}
            Invalidated::Unsupported => unsupported = true,
        }
    }
    if let Some((backend, token)) = presented
        && let Err(AuthError::Failed(failure)) =
            backend.logout(&token, shared.authenticator.users()).await
    {
        return Err(Problem::from_failure(&failure));
    }
    if unsupported {
        return Err(Problem::LOGOUT_ALL_UNSUPPORTED);
    }

    shared
        .backend_of(&authenticated)
        .map(|backend| logged_out(&[backend]))
        .ok_or(Problem::INTERNAL)
}

/// Returns the answer to a completed logout. The clients of `backends` are told to forget their
/// tokens.
pub(super) fn logged_out<U: User>(backends: &[&AuthenticationBackend<U>]) -> Response {
    let mut headers = no_store();
    for backend in backends {
        backend.transport().clear(&mut headers);
    }
    (StatusCode::NO_CONTENT, headers).into_response()
}

/// Returns the answer to a logout that found something which it couldn't end. Cookies that can't be
/// read are cleared all the same.
fn refused<U: User>(problem: Problem, presented: &Presented<'_, U>) -> Response {
    let mut response = problem.into_response();
    if problem == Problem::CREDENTIALS_MALFORMED {
        presented
            .shown
            .iter()
            .for_each(|backend| backend.transport().clear(response.headers_mut()));
    }
    response
}
