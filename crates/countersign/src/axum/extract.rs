//! Extractors: whose request is it?

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use http::request::Parts;

use crate::answer::Authenticated;
use crate::outcome::AuthOutcome;
use crate::problem::Problem;
use crate::user::User;

/// The user of the request; whoever has no good credential is answered with a [`Problem`] instead.
///
/// | outcome | answer |
/// |---|---|
/// | no credential | 401, `WWW-Authenticate: Bearer` |
/// | bad credential | 401, `error="invalid_token"` |
/// | malformed, or more than one | 400, `error="invalid_request"` |
/// | a cookie, an unsafe method or a WebSocket handshake, and no proof of origin | 403 `CSRF_FAILED` |
/// | a store that doesn't answer | 503 with `Retry-After` |
/// | no [`AuthLayer`](crate::tower::AuthLayer) around the route | 500 `AUTH_LAYER_MISSING`, and a line in the log |
///
/// ```
/// # use countersign::{User, axum::CurrentUser};
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// async fn me(member: CurrentUser<Member>) -> String {
///     format!("member {}, logged in at {}", member.user.id(), member.issued_at)
/// }
/// # let router: axum::Router = axum::Router::new().route("/me", axum::routing::get(me));
/// ```
pub struct CurrentUser<U>(pub Arc<Authenticated<U>>);

/// The user of the request, or none when no credential came with it. A bad credential is still refused: it never
/// counts as none (promise P6).
///
/// ```
/// # use countersign::{User, axum::MaybeUser};
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// async fn greet(MaybeUser(member): MaybeUser<Member>) -> String {
///     member.map_or_else(|| "hello".to_owned(), |member| format!("hello, member {}", member.user.id()))
/// }
/// # let router: axum::Router = axum::Router::new().route("/", axum::routing::get(greet));
/// ```
pub struct MaybeUser<U>(pub Option<Arc<Authenticated<U>>>);

impl<U: User, S: Send + Sync> FromRequestParts<S> for CurrentUser<U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match outcome::<U>(parts)? {
            AuthOutcome::Accepted(authenticated) => Ok(Self(Arc::clone(authenticated))),
            other => Err(Problem::from_outcome(other).unwrap_or(Problem::INTERNAL)),
        }
    }
}

impl<U: User, S: Send + Sync> FromRequestParts<S> for MaybeUser<U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        match outcome::<U>(parts)? {
            AuthOutcome::Accepted(authenticated) => Ok(Self(Some(Arc::clone(authenticated)))),
            AuthOutcome::NotOffered => Ok(Self(None)),
            other => Err(Problem::from_outcome(other).unwrap_or(Problem::INTERNAL)),
        }
    }
}

fn outcome<U: User>(parts: &Parts) -> Result<&AuthOutcome<U>, Problem> {
    parts.extensions.get().ok_or_else(|| {
        let user = std::any::type_name::<U>();
        tracing::error!(event = "misused", user, "a handler asks for a user outside an AuthLayer of that user type");
        Problem::AUTH_LAYER_MISSING
    })
}

impl<U> Deref for CurrentUser<U> {
    type Target = Authenticated<U>;

    fn deref(&self) -> &Authenticated<U> {
        &self.0
    }
}

impl<U> Clone for CurrentUser<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U> Clone for MaybeUser<U> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<U> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.0).finish()
    }
}

impl<U> fmt::Debug for MaybeUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("MaybeUser").field(&self.0).finish()
    }
}
