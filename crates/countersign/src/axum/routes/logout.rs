//! `POST /logout`, `POST /logout/all`, `POST /cookie/logout`.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::answer::Invalidated;
use crate::authenticator::Selection;
use crate::axum::json::OptionalJson;
use crate::axum::routes::refresh::Body;
use crate::axum::routes::{Shared, no_store};
use crate::backend::AuthenticationBackend;
use crate::error::{AuthError, Failure, Refusal};
use crate::problem::Problem;
use crate::token::PlainToken;
use crate::transport::Offered;
use crate::user::User;

/// Ends what is presented: the access token's session, the refresh token's, or both. A session that is over already is
/// a success, so that a retry is; an access token that is bad for another reason ends nothing, and says so.
pub(super) async fn bearer<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let (backend, access) = match shared.authenticator.select(&parts.headers) {
        Selection::Refused(refusal) => return Err(Problem::from_refusal(refusal)),
        Selection::NotOffered => (shared.bearer.as_ref(), None),
        Selection::One { backend, .. } if !shared.authenticator.is_sent_by_us(backend, &parts) => {
            return Err(Problem::CSRF_FAILED);
        }
        Selection::One { backend, token } => (Some(backend), Some(token)),
    };
    let OptionalJson(body) = OptionalJson::<Body>::from_request(Request::from_parts(parts, body), &()).await?;
    let refresh = body.map(Body::token).transpose()?;
    let Some(backend) = backend.filter(|_| access.is_some() || refresh.is_some()) else {
        return Err(Problem::NOT_OFFERED);
    };
    match end(&shared, backend, access.as_ref(), refresh.as_ref()).await {
        Ok(None) => Ok(logged_out(backend)),
        Ok(Some(refusal)) => Err(Problem::from_refusal(refusal)),
        Err(failure) => Err(Problem::from_failure(&failure)),
    }
}

/// Ends the session of either cookie and clears both. Without any cookie the browser is where it wants to be.
pub(super) async fn cookie<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    shared.check_sender(&parts)?;
    let backend = shared.cookie()?;
    let access = backend.transport().offered(&parts.headers);
    let refresh = backend.transport().offered_refresh(&parts.headers);
    let is_unreadable = |offered: &Offered| matches!(offered, Offered::Malformed | Offered::Ambiguous);
    if is_unreadable(&access) || is_unreadable(&refresh) {
        let mut response = Problem::CREDENTIALS_MALFORMED.into_response();
        backend.transport().clear(response.headers_mut());
        return Ok(response);
    }
    match end(&shared, backend, one(&access), one(&refresh)).await {
        Ok(_) => Ok(logged_out(backend)),
        Err(failure) => Err(Problem::from_failure(&failure)),
    }
}

/// Ends every session of the user, whichever backend issued it, and the presented token, whether it belongs to one or not.
pub(super) async fn all<U: User>(State(shared): State<Arc<Shared<U>>>, request: Request) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let presented = match shared.authenticator.select(&parts.headers) {
        Selection::One { backend, token } => Some((backend, token)),
        Selection::NotOffered | Selection::Refused(_) => None,
    };
    let authenticated = shared.authenticate(Request::from_parts(parts, body)).await?;
    let mut unsupported = false;
    for backend in shared.distinct_backends() {
        let invalidated = backend.logout_everywhere(authenticated.user.id()).await;
        match invalidated.map_err(|failure| Problem::from_failure(&failure))? {
            Invalidated::All(_) => {}
            Invalidated::Unsupported => unsupported = true,
        }
    }
    if let Some((backend, token)) = presented {
        end(&shared, backend, Some(&token), None).await.map_err(|failure| Problem::from_failure(&failure))?;
    }
    if unsupported {
        return Err(Problem::LOGOUT_ALL_UNSUPPORTED);
    }
    shared.backend_of(&authenticated).map(logged_out).ok_or(Problem::INTERNAL)
}

/// Ends the sessions of both tokens. The refusal is that of the access token, when nothing else was presented.
async fn end<U: User>(
    shared: &Shared<U>,
    backend: &AuthenticationBackend<U>,
    access: Option<&PlainToken>,
    refresh: Option<&PlainToken>,
) -> Result<Option<Refusal>, Failure> {
    let by_access = match access {
        Some(token) => match backend.logout(token, shared.authenticator.users()).await {
            Ok(_) => None,
            Err(AuthError::Refused(refusal)) => Some(refusal),
            Err(AuthError::Failed(failure)) => return Err(failure),
        },
        None => None,
    };
    if let Some(token) = refresh {
        backend.logout_with_refresh(token).await?;
        return Ok(None);
    }
    Ok(by_access)
}

pub(super) fn logged_out<U: User>(backend: &AuthenticationBackend<U>) -> Response {
    let mut headers = no_store();
    backend.transport().clear(&mut headers);
    (StatusCode::NO_CONTENT, headers).into_response()
}

const fn one(offered: &Offered) -> Option<&PlainToken> {
    match offered {
        Offered::One(token) => Some(token),
        _ => None,
    }
}
