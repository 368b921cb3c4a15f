//! Answers to proxies that ask who sends a request ("forward auth").

use std::fmt;
use std::sync::Arc;

use axum::extract::Request;
use axum::routing::{MethodRouter, any};
use axum_core::response::{IntoResponse, Response};
use http::{HeaderName, HeaderValue, StatusCode, header};
use percent_encoding::{AsciiSet, CONTROLS, utf8_percent_encode};

use crate::auth::{AuthOutcome, Authenticator};
use crate::token::Authenticated;
use crate::tower::Problem;
use crate::user::{User, UserId};

/// The ASCII characters that are percent-encoded in header values, beside everything beyond ASCII.
const ENCODED: &AsciiSet = &CONTROLS.add(b' ').add(b'%');

/// A function that returns the value of an identity header.
type Tell<U> = dyn Fn(&Authenticated<U>) -> Option<String> + Send + Sync;

/// A route for proxies that ask whether to let a request through ("forward auth"): nginx's
/// `auth_request`, Caddy's `forward_auth`, Traefik's ForwardAuth, Envoy's `ext_authz`.
///
/// | the request has | answer |
/// |---|---|
/// | a good credential | 200 with headers that identify the user |
/// | no credential, a bad one, several, or one that can't be read | 401 |
/// | a cookie without [proof of origin](crate::OriginPolicy::allows_forwarded) | 401 |
/// | a credential, and a store that doesn't answer | 503 with `Retry-After` |
///
/// There is no other answer, since proxies turn what they don't know into an error. Every method is
/// answered, and bodies aren't read.
///
/// The headers are `X-Auth-User-Id`, `X-Auth-Session-Id`, and those added by [`tell`](Self::tell).
/// Each of them is in every 200, and empty where there is nothing to tell, so that the proxy
/// overwrites a header of that name which the client has sent. Values are printable ASCII:
/// everything else, and `%`, is percent-encoded UTF-8.
///
/// The application behind the proxy believes these headers, so it must not be reachable in any
/// other way. Keep CORS layers away from this route: one that answered a preflight with 200 would
/// let it through.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{Authenticator, User};
/// # use countersign::axum::ForwardAuth;
/// use axum::Router;
/// use axum::http::HeaderName;
///
/// # struct Member { id: i64, plan: String }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// # fn router(authenticator: Arc<Authenticator<Member>>) -> Router {
/// let check = ForwardAuth::new(authenticator)
///     .tell(HeaderName::from_static("x-auth-plan"), |member| Some(member.user.plan.clone()))
///     .build();
///
/// Router::new().route("/check", check.clone()).route("/check/{*path}", check)
/// # }
/// ```
#[must_use]
pub struct ForwardAuth<U> {
    authenticator: Arc<Authenticator<U>>,
    told: Vec<(HeaderName, Arc<Tell<U>>)>,
}

impl<U: User> ForwardAuth<U> {
    /// The header with the user's id, as [`UserKey::to_subject`](crate::UserKey::to_subject) writes
    /// it.
    pub const USER_ID: HeaderName = HeaderName::from_static("x-auth-user-id");

    /// The header with the session's id. Empty for a token that belongs to no session.
    pub const SESSION_ID: HeaderName = HeaderName::from_static("x-auth-session-id");

    /// Creates a route that answers by the outcome of `authenticator`.
    pub fn new(authenticator: Arc<Authenticator<U>>) -> Self {
        Self {
            authenticator,
            told: Vec::new(),
        }
        .tell(Self::USER_ID, |authenticated| {
            Some(authenticated.user.id().to_key().to_subject())
        })
        .tell(Self::SESSION_ID, |authenticated| {
            authenticated.session_id.map(|session| session.to_string())
        })
    }

    /// Adds a header with a value made of the user, or replaces the header of that name. `None`
    /// leaves the header empty.
    ///
    /// Name the header in the proxy's configuration too: a header that the proxy doesn't overwrite
    /// is the client's.
    pub fn tell(
        mut self,
        name: HeaderName,
        value: impl Fn(&Authenticated<U>) -> Option<String> + Send + Sync + 'static,
    ) -> Self {
        self.told.retain(|(known, _)| *known != name);
        self.told.push((name, Arc::new(value)));
        self
    }

    /// Builds the route, for any method. Mount it at every path that your proxy asks at.
    pub fn build<S: Clone + Send + Sync + 'static>(self) -> MethodRouter<S> {
        let forward = Arc::new(self);
        any(move |request: Request| {
            let forward = Arc::clone(&forward);
            async move { forward.answer(request).await }
        })
    }

    async fn answer(&self, request: Request) -> Response {
        let (parts, _) = request.into_parts();
        match self.authenticator.authenticate_forwarded(&parts).await {
            AuthOutcome::Accepted(authenticated) => self.accepted(&authenticated),
            AuthOutcome::NotOffered => Problem::NOT_OFFERED.into_response(),
            // 401 for every refusal: nginx answers its own client with 500 for a 400. The log keeps
            // them apart.
            AuthOutcome::Refused(_) | AuthOutcome::CrossSite => {
                Problem::AUTHENTICATION_FAILED.into_response()
            }
            // Never 500, also for a bug: whether the credential is good stays open.
            AuthOutcome::Failed(_) => Problem::STORE_UNAVAILABLE.into_response(),
        }
    }

    /// Returns 200 with every header.
    fn accepted(&self, authenticated: &Authenticated<U>) -> Response {
        let mut response = StatusCode::OK.into_response();
        let headers = response.headers_mut();
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));

        for (name, tell) in &self.told {
            let text = tell(authenticated).unwrap_or_default();
            // Can't fail, since the encoding leaves printable ASCII alone. A header that is left
            // out would be the client's to set.
            let Ok(mut value) =
                HeaderValue::try_from(utf8_percent_encode(&text, ENCODED).to_string())
            else {
                return Problem::STORE_UNAVAILABLE.into_response();
            };
            value.set_sensitive(true);
            headers.insert(name, value);
        }
        response
    }
}

impl<U> Clone for ForwardAuth<U> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            told: self.told.clone(),
        }
    }
}

impl<U> fmt::Debug for ForwardAuth<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let told: Vec<&HeaderName> = self.told.iter().map(|(name, _)| name).collect();
        f.debug_struct("ForwardAuth")
            .field("told", &told)
            .finish_non_exhaustive()
    }
}
