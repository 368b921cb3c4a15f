//! `POST /reauthenticate`: the user of a session proves again who they are.
//!
//! The user is known from the token, so the fence is read first, then the verifier judges the
//! password, and only then the time is recorded, if the session is behind that fence. A password
//! that was changed meanwhile is noticed by the last step, and the attempt is judged again.

use std::sync::Arc;

use axum::extract::{Request, State};
use axum_core::response::{IntoResponse, Response};
use http::StatusCode;

use crate::auth::{AuthenticationBackend, JUDGED};
use crate::axum::routes::attempt::LoginAttempt;
use crate::axum::routes::login;
use crate::axum::routes::shared::{Shared, no_store, unanswered};
use crate::error::{AuthError, Refusal};
use crate::event;
use crate::token::Authenticated;
use crate::tower::Problem;
use crate::user::User;

/// Records a re-authentication of the session that the request's access token belongs to.
pub(super) async fn reauthenticate<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, body) = request.into_parts();
    let authenticated = shared.authenticate(&parts).await?;
    let backend = shared.backend_of(&authenticated).ok_or(Problem::INTERNAL)?;
    // Nothing could record the time for a token without a session: a login is what helps.
    if authenticated.session_id.is_none() {
        return Err(Problem::AUTHENTICATION_FAILED);
    }

    let (attempt, _) = login::read(Request::from_parts(parts, body)).await?;
    for _ in 0..JUDGED {
        match judge(&shared, backend, &authenticated, &attempt).await? {
            Judged::Done => return Ok((StatusCode::NO_CONTENT, no_store()).into_response()),
            Judged::Changed => {}
            Judged::Refused(reason, problem) => {
                event::login_failed(backend.name(), reason);
                return Err(problem);
            }
        }
    }
    event::login_failed(backend.name(), Refusal::Overtaken.as_str());
    Err(Problem::LOGIN_BAD_CREDENTIALS)
}

/// The result of judging an attempt that was let in.
enum Judged {
    Done,
    /// The account isn't as it was judged.
    Changed,
    /// The attempt is refused: the reason for the log, and the answer.
    Refused(&'static str, Problem),
}

/// Judges the attempt, and records the time by that judgement.
async fn judge<U: User>(
    shared: &Shared<U>,
    backend: &AuthenticationBackend<U>,
    authenticated: &Authenticated<U>,
    attempt: &LoginAttempt,
) -> Result<Judged, Problem> {
    let verifier = shared.verifier.as_ref().ok_or(Problem::INTERNAL)?;
    let fence = backend.login_fence(authenticated.user.id()).await;
    let fence = fence.map_err(unanswered)?;
    let verdict = verifier.verify(attempt).await.map_err(unanswered)?;
    let user = backend.accepted(verdict)?;
    // The right password of another account proves nothing about this session.
    if user.id() != authenticated.user.id() {
        return Ok(Judged::Refused(
            "other_user",
            Problem::LOGIN_BAD_CREDENTIALS,
        ));
    }

    match backend.reauthenticate(authenticated, fence).await {
        Ok(_) => Ok(Judged::Done),
        // The session ended, or the password may have changed: the account is judged again, and a
        // session that has ended refuses again.
        Err(AuthError::Refused(Refusal::Overtaken)) => Ok(Judged::Changed),
        Err(AuthError::Refused(refusal)) => Ok(Judged::Refused(
            refusal.as_str(),
            Problem::AUTHENTICATION_FAILED,
        )),
        Err(AuthError::Failed(failure)) => Err(unanswered(failure)),
    }
}
