//! `POST /refresh` and `POST /cookie/refresh`.

use std::sync::Arc;

use axum::extract::{FromRequest, Request, State};
use axum_core::response::Response;
use http::HeaderMap;
use serde::Deserialize;

use crate::auth::AuthenticationBackend;
use crate::axum::StrictJson;
use crate::axum::routes::shared::{Shared, handed_out};
use crate::error::AuthError;
use crate::token::PlainToken;
use crate::tower::Problem;
use crate::transport::Offered;
use crate::user::User;

/// The longest refresh token that is looked up, in bytes.
const MAX_REFRESH_TOKEN: usize = 8192;

pub(super) async fn bearer<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let StrictJson(body) = StrictJson::<Body>::from_request(request, &()).await?;
    let token = refresh_token(body.refresh_token)?;
    rotate(&shared, shared.bearer()?, &token, &HeaderMap::new()).await
}

pub(super) async fn cookie<U: User>(
    State(shared): State<Arc<Shared<U>>>,
    request: Request,
) -> Result<Response, Problem> {
    let (parts, _) = request.into_parts();
    shared.check_sender(&parts)?;
    let backend = shared.cookie()?;
    match backend.transport().offered_refresh(&parts.headers) {
        // No token was shown, so the challenge names no error (RFC 6750 section 3.1).
        Offered::None => Err(Problem::REFRESH_TOKEN_INVALID.challenge("Bearer")),
        Offered::Malformed | Offered::Ambiguous => Err(Problem::CREDENTIALS_MALFORMED),
        Offered::One(token) => rotate(&shared, backend, &token, &parts.headers).await,
    }
}

/// Exchanges the token and answers with its successor. `presented` are the headers that the token
/// came in, if it came in headers.
///
/// A refused cookie isn't cleared: another tab may have exchanged it, and hold its successor by
/// now.
async fn rotate<U: User>(
    shared: &Shared<U>,
    backend: &AuthenticationBackend<U>,
    token: &PlainToken,
    presented: &HeaderMap,
) -> Result<Response, Problem> {
    match backend.refresh(token, shared.authenticator.users()).await {
        Ok(refreshed) => {
            let mut headers = HeaderMap::new();
            let body = backend
                .transport()
                .reissue(&refreshed.issued, presented, &mut headers)
                .map_err(|failure| Problem::from_failure(&failure))?;
            Ok(handed_out(headers, body))
        }
        Err(AuthError::Refused(_)) => Err(Problem::REFRESH_TOKEN_INVALID),
        Err(AuthError::Failed(failure)) => Err(Problem::from_failure(&failure)),
    }
}

/// The body of a refresh.
#[derive(Deserialize)]
struct Body {
    refresh_token: String,
}

/// Returns the refresh token in a member of a body, if its length is possible for one.
pub(super) fn refresh_token(text: String) -> Result<PlainToken, Problem> {
    if (1..=MAX_REFRESH_TOKEN).contains(&text.len()) {
        Ok(PlainToken::new(text))
    } else {
        Err(Problem::REQUEST_BODY_INVALID)
    }
}
