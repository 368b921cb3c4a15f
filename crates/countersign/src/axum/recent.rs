//! The extractor of a user who has authenticated recently.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use axum_core::extract::FromRequestParts;
use http::request::Parts;

use crate::clock::Timestamp;
use crate::token::Authenticated;
use crate::tower::{Problem, Question};
use crate::user::User;

/// An extractor of the request's user, if their latest authentication is at most `SECONDS` seconds
/// ago.
///
/// It needs an [`AuthLayer`](crate::tower::AuthLayer) around the route. A request without a user is
/// answered as by [`CurrentUser`](crate::axum::CurrentUser), and every other one as by
/// [`RecentLoginLayer`](crate::tower::RecentLoginLayer): 401 with
/// [`RECENT_AUTHENTICATION_REQUIRED`](Problem::recent_authentication_required) if the authentication
/// is too long ago or the token belongs to no session, and 503 if the store doesn't answer. It costs
/// one read of the session's record.
///
/// It dereferences to [`Authenticated`]: the user, the session, and the times of the token.
///
/// # Examples
///
/// ```
/// # use countersign::User;
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// use countersign::axum::RecentLogin;
///
/// async fn delete_account(member: RecentLogin<Member, 300>) -> String {
///     format!("deleted {}, who authenticated at {}", member.user.id(), member.authenticated_at)
/// }
/// # let router: axum::Router = axum::Router::new().route("/", axum::routing::delete(delete_account));
/// ```
#[expect(clippy::exhaustive_structs, reason = "an extractor is destructured")]
pub struct RecentLogin<U, const SECONDS: u64> {
    /// The user, and what the token says.
    pub authenticated: Arc<Authenticated<U>>,
    /// The time of the latest authentication: of the login, or of a later re-authentication.
    pub authenticated_at: Timestamp,
}

impl<U: User, S: Send + Sync, const SECONDS: u64> FromRequestParts<S> for RecentLogin<U, SECONDS> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        let question = Question::<U>::of(&parts.extensions)?;
        let (authenticated, authenticated_at) = question.ask(Duration::from_secs(SECONDS)).await?;
        Ok(Self {
            authenticated,
            authenticated_at,
        })
    }
}

impl<U, const SECONDS: u64> Deref for RecentLogin<U, SECONDS> {
    type Target = Authenticated<U>;

    fn deref(&self) -> &Authenticated<U> {
        &self.authenticated
    }
}

impl<U, const SECONDS: u64> Clone for RecentLogin<U, SECONDS> {
    fn clone(&self) -> Self {
        Self {
            authenticated: Arc::clone(&self.authenticated),
            authenticated_at: self.authenticated_at,
        }
    }
}

impl<U, const SECONDS: u64> fmt::Debug for RecentLogin<U, SECONDS> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentLogin")
            .field("authenticated", &self.authenticated)
            .field("authenticated_at", &self.authenticated_at)
            .finish()
    }
}
