//! The extractors that hand the request's user to a handler.
//!
//! They read the [`AuthOutcome`] that [`AuthLayer`](crate::tower::AuthLayer) has put into the
//! request's extensions, and never ask a store themselves.

use std::fmt;
use std::marker::PhantomData;
use std::ops::Deref;
use std::sync::Arc;

use axum_core::extract::{FromRequestParts, OptionalFromRequestParts};
use http::request::Parts;

use crate::auth::AuthOutcome;
use crate::token::Authenticated;
use crate::tower::{Guard, Problem};
use crate::user::User;

/// An extractor of the request's user. Requests without a good credential are answered with a
/// [`Problem`].
///
/// It dereferences to [`Authenticated`]: the user, the session, and the times of the token.
///
/// `Option<CurrentUser<U>>` serves visitors too: it is `None` if the request has no credential. A
/// bad credential is refused all the same, so it never counts as none, and an outage never makes a
/// user anonymous.
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
///
/// async fn greet(member: Option<CurrentUser<Member>>) -> String {
///     member.map_or("hello".to_owned(), |member| format!("hello, member {}", member.user.id()))
/// }
/// # let router: axum::Router = axum::Router::new()
/// #     .route("/me", axum::routing::get(me))
/// #     .route("/", axum::routing::get(greet));
/// ```
#[expect(clippy::exhaustive_structs, reason = "an extractor is destructured")]
pub struct CurrentUser<U>(pub Arc<Authenticated<U>>);

/// An extractor of a user whom a [`Guard`] allows, such as an administrator. `G` is the guard.
///
/// Requests without a good credential are answered as by [`CurrentUser`], and users whom the guard
/// doesn't allow with its [`REFUSAL`](Guard::REFUSAL): 403. It dereferences to [`Authenticated`].
///
/// As a layer around a group of routes use [`AuthLayer::guard`](crate::tower::AuthLayer::guard), or
/// axum's `from_extractor::<Guarded<G, U>>()` inside of an `AuthLayer`.
///
/// # Examples
///
/// ```
/// # use countersign::User;
/// use countersign::axum::Guarded;
/// use countersign::tower::Guard;
///
/// struct Member { id: i64, is_admin: bool }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
///
/// enum Admin {}
///
/// impl Guard<Member> for Admin {
///     fn allows(member: &Member) -> bool {
///         member.is_admin
///     }
/// }
///
/// async fn report(admin: Guarded<Admin, Member>) -> String {
///     format!("report for administrator {}", admin.user.id)
/// }
/// # let router: axum::Router = axum::Router::new().route("/", axum::routing::get(report));
/// ```
pub struct Guarded<G, U> {
    authenticated: Arc<Authenticated<U>>,
    guard: PhantomData<fn() -> G>,
}

impl<U: User, S: Send + Sync> FromRequestParts<S> for CurrentUser<U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        user(outcome::<U>(parts)?)
    }
}

impl<U: User, S: Send + Sync> OptionalFromRequestParts<S> for CurrentUser<U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Option<Self>, Problem> {
        match outcome::<U>(parts)? {
            AuthOutcome::NotOffered => Ok(None),
            outcome => user(outcome).map(Some),
        }
    }
}

impl<G: Guard<U>, U: User, S: Send + Sync> FromRequestParts<S> for Guarded<G, U> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let CurrentUser(authenticated) = user(outcome::<U>(parts)?)?;
        if G::allows(&authenticated.user) {
            let guard = PhantomData;
            Ok(Self {
                authenticated,
                guard,
            })
        } else {
            Err(G::REFUSAL)
        }
    }
}

/// Returns the user of an outcome, or the answer to a request without one.
fn user<U>(outcome: &AuthOutcome<U>) -> Result<CurrentUser<U>, Problem> {
    match outcome {
        AuthOutcome::Accepted(authenticated) => Ok(CurrentUser(Arc::clone(authenticated))),
        other => Err(Problem::from_outcome(other).unwrap_or(Problem::INTERNAL)),
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

impl<G, U> Deref for Guarded<G, U> {
    type Target = Authenticated<U>;

    fn deref(&self) -> &Authenticated<U> {
        &self.authenticated
    }
}

impl<G, U> Clone for Guarded<G, U> {
    fn clone(&self) -> Self {
        Self {
            authenticated: Arc::clone(&self.authenticated),
            guard: PhantomData,
        }
    }
}

impl<U> fmt::Debug for CurrentUser<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("CurrentUser").field(&self.0).finish()
    }
}

impl<G, U> fmt::Debug for Guarded<G, U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Guarded").field(&self.authenticated).finish()
    }
}
