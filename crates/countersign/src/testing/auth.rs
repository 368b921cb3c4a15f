//! An [`Auth`] for tests.

use crate::error::AuthError;
use crate::secret::Secret;
use crate::service::{Auth, AuthBuilder, Users};
use crate::store::MemoryStore;
use crate::testing::{SeededEntropy, TestSession};
use crate::user::User;

/// Starts to build an [`Auth`] that needs nothing set up: tokens are kept in memory, and their
/// secret is a fixed one.
///
/// Every other setting has its default. Set those that the test is about, such as
/// [`cookies`](AuthBuilder::cookies), or a [`ManualClock`](crate::testing::ManualClock) as
/// [`clock`](AuthBuilder::clock). Another store replaces the one in memory.
///
/// **Never use it in production**: everybody knows the secret.
///
/// # Examples
///
/// ```
/// use axum::body::Body;
/// use axum::http::{Request, StatusCode};
/// use axum::{Router, routing::get};
/// use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
/// use countersign::{Failure, User, Users, testing};
/// use tower::ServiceExt;
///
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// # struct Members;
/// # impl Users for Members {
/// #     type User = Member;
/// #     async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
/// #         Ok(Some(Member { id: *id }))
/// #     }
/// #     async fn verify(&self, _: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
/// #         Ok(LoginVerdict::Rejected)
/// #     }
/// # }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let auth = testing::auth(Members).build().await?;
/// let app: Router = Router::new()
///     .route("/me", get(|member: CurrentUser<Member>| async move { member.user.id.to_string() }))
///     .layer(auth.layer());
///
/// let session = auth.test_session(&Member { id: 7 }).await?;
/// let mut request = Request::get("/me").body(Body::empty())?;
/// request.headers_mut().extend(session.bearer());
/// assert_eq!(app.oneshot(request).await?.status(), StatusCode::OK);
/// # Ok(())
/// # }
/// ```
pub fn auth<M: Users>(users: M) -> AuthBuilder<M::User> {
    let builder = Auth::builder(users).store(MemoryStore::new());
    // This source never fails. Should it ever, `build` reports the missing secret.
    let secret = Secret::generate(&SeededEntropy::new(0));
    secret.iter().fold(builder, AuthBuilder::secret)
}

impl<U: User> Auth<U> {
    /// Opens a session of `user` without checking a password, and returns the headers that the
    /// logged-in client sends.
    ///
    /// For tests. See [`testing::auth`](crate::testing::auth()) for an example.
    ///
    /// # Errors
    ///
    /// Returns an [`AuthError`] if the session can't be opened, as [`TestSession::open`] does.
    pub async fn test_session(&self, user: &U) -> Result<TestSession, AuthError> {
        TestSession::open(self.authenticator(), user).await
    }
}
