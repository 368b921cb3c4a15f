//! The extractors that hand the request's user to a handler.
//!
//! They read the [`AuthOutcome`] that [`AuthLayer`](crate::tower::AuthLayer) has put into the
//! request's extensions, and never ask a store themselves.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::extract::FromRequestParts;
use http::request::Parts;

use crate::auth::AuthOutcome;
use crate::token::Authenticated;
use crate::tower::Problem;
use crate::user::User;

/// An extractor of the request's user. Requests without a good credential are answered with a
/// [`Problem`].
///
/// It dereferences to [`Authenticated`]: the user, the session, and the times of the token.
///
/// | outcome | answer |
/// |---|---|
/// | no credential | 401, `WWW-Authenticate: Bearer` |
/// | bad credential | 401, `error="invalid_token"` |
/// | malformed, or more than one | 400, `error="invalid_request"` |
/// | a cookie without the [proof of origin] that the request needs | 403 `CSRF_FAILED` |
/// | a store that doesn't answer | 503 with `Retry-After` |
/// | no [`AuthLayer`] around the route | 500 `AUTH_LAYER_MISSING`, and a line in the log |
///
/// [proof of origin]: crate::OriginPolicy
/// [`AuthLayer`]: crate::tower::AuthLayer
///
/// # Examples
///
/// ```
/// # use countersign::{User, axum::CurrentUser};
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// async fn me(member: CurrentUser<Member>) -> String {
///     format!("member {}, token issued at {}", member.user.id(), member.issued_at)
/// }
/// # let router: axum::Router = axum::Router::new().route("/me", axum::routing::get(me));
/// ```
#[expect(clippy::exhaustive_structs, reason = "an extractor is destructured")]
pub struct CurrentUser<U>(pub Arc<Authenticated<U>>);

/// An extractor of the request's user, or of `None` if the request has no credential.
///
/// A bad credential is refused as by [`CurrentUser`]: it never counts as no credential, and an
/// outage never makes a user anonymous.
///
/// # Examples
///
/// ```
/// # use countersign::{User, axum::MaybeUser};
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// async fn greet(MaybeUser(member): MaybeUser<Member>) -> String {
///     match member {
///         Some(member) => format!("hello, member {}", member.user.id()),
///         None => "hello".to_owned(),
///     }
/// }
/// # let router: axum::Router = axum::Router::new().route("/", axum::routing::get(greet));
/// ```
#[expect(clippy::exhaustive_structs, reason = "an extractor is destructured")]
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

/// Returns the outcome that the layer has left, or the answer to a handler outside of any layer.
fn outcome<U: User>(parts: &Parts) -> Result<&AuthOutcome<U>, Problem> {
    parts.extensions.get().ok_or_else(|| {
        let user = std::any::type_name::<U>();
        tracing::error!(
            event = "misused",
            user,
            "a handler extracts a user, but its route has no AuthLayer for that user type"
        );
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
