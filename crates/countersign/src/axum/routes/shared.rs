//! The state that the handlers share, and the answers that several of them give.

use std::sync::Arc;

use axum_core::response::{IntoResponse, Response};
use http::request::Parts;
use http::{HeaderMap, HeaderValue, StatusCode, header};

use crate::auth::{AuthOutcome, AuthenticationBackend, Authenticator, is_json};
use crate::axum::routes::pages::FormPages;
use crate::axum::routes::verifier::CredentialVerifier;
use crate::error::Failure;
use crate::strategy::Login;
use crate::token::Authenticated;
use crate::tower::Problem;
use crate::transport::TokenBody;
use crate::user::User;

/// The state of every handler here.
pub(super) struct Shared<U> {
    pub(super) authenticator: Arc<Authenticator<U>>,
    pub(super) verifier: Option<Arc<dyn CredentialVerifier<U>>>,
    pub(super) bearer: Option<AuthenticationBackend<U>>,
    pub(super) cookie: Option<AuthenticationBackend<U>>,
    /// The login of a user who doesn't want to be remembered, if that can be asked for.
    pub(super) unremembered: Option<Login>,
    pub(super) forms: Option<FormPages>,
}

impl<U: User> Shared<U> {
    /// Returns the backend of the bearer routes. Those routes exist only if there is one.
    pub(super) fn bearer(&self) -> Result<&AuthenticationBackend<U>, Problem> {
        self.bearer.as_ref().ok_or(Problem::INTERNAL)
    }

    /// Returns the backend of the cookie routes. Those routes exist only if there is one.
    pub(super) fn cookie(&self) -> Result<&AuthenticationBackend<U>, Problem> {
        self.cookie.as_ref().ok_or(Problem::INTERNAL)
    }

    /// Returns the user of the access token that came with a request, or the answer to a request
    /// that has no good one.
    pub(super) async fn authenticate(
        &self,
        request: &Parts,
    ) -> Result<Arc<Authenticated<U>>, Problem> {
        match self.authenticator.authenticate_request(request).await {
            AuthOutcome::Accepted(authenticated) => Ok(authenticated),
            outcome => Err(Problem::from_outcome(&outcome).unwrap_or(Problem::INTERNAL)),
        }
    }

    /// Returns the backends, one for each strategy: two that share a strategy share its sessions.
    pub(super) fn distinct_backends(
        &self,
    ) -> impl Iterator<Item = &AuthenticationBackend<U>> + Send {
        let backends = self.authenticator.backends();
        backends
            .iter()
            .enumerate()
            .filter(|(index, backend)| {
                let mut earlier = backends.iter().take(*index);
                !earlier.any(|earlier| Arc::ptr_eq(earlier.strategy(), backend.strategy()))
            })
            .map(|(_, backend)| backend)
    }

    /// Returns the backend that accepted a credential.
    pub(super) fn backend_of(
        &self,
        authenticated: &Authenticated<U>,
    ) -> Option<&AuthenticationBackend<U>> {
        self.authenticator.backend_of(authenticated)
    }

    /// Refuses a request to the cookie routes that no trusted page has sent.
    pub(super) fn check_origin(&self, request: &Parts) -> Result<(), Problem> {
        if self.authenticator.is_sent_by_us(self.cookie()?, request) {
            Ok(())
        } else {
            Err(Problem::CSRF_FAILED)
        }
    }

    /// Refuses a request to the cookie routes that another site could make a browser send, by its
    /// origin or by its content type.
    pub(super) fn check_sender(&self, request: &Parts) -> Result<(), Problem> {
        self.check_origin(request)?;
        // A form on another site can send its own types without asking first, but not JSON.
        if request.headers.contains_key(header::CONTENT_TYPE) && !is_json(&request.headers) {
            return Err(Problem::UNSUPPORTED_MEDIA_TYPE);
        }
        Ok(())
    }
}

/// Returns the answer that hands tokens out: 200 with a body, or 204 with cookies.
pub(super) fn handed_out(mut headers: HeaderMap, body: Option<TokenBody>) -> Response {
    headers.extend(no_store());
    match body {
        Some(body) => {
            headers.insert(
                header::CONTENT_TYPE,
                HeaderValue::from_static("application/json"),
            );
            (StatusCode::OK, headers, body.into_bytes()).into_response()
        }
        None => (StatusCode::NO_CONTENT, headers).into_response(),
    }
}

/// Returns the answer to a question that couldn't be answered.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
pub(super) fn unanswered(failure: Failure) -> Problem {
    Problem::from_failure(&failure)
}

/// Returns headers that keep an answer out of caches.
pub(super) fn no_store() -> HeaderMap {
    HeaderMap::from_iter([(header::CACHE_CONTROL, HeaderValue::from_static("no-store"))])
}
