//! The way in: store, secret, users, transports, routes and maintenance, put together.
//!
//! [`Auth`] is what most applications need. It adds no rules of its own: the parts below it are the
//! same that an application may put together by hand.
//!
//! - `builder.rs` takes the decisions and makes the parts.
//! - `users.rs` is the trait that an application implements.
//! - `maintenance.rs` is the work beside requests.

mod builder;
mod maintenance;
mod users;

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use axum::Router;
use http::request;

pub use builder::AuthBuilder;
pub use users::Users;

use crate::auth::{
    AuthenticationBackend, Authenticator, LoggedIn, LoginError, LoginVerdict, SessionWatcher,
    UseRecorder,
};
use crate::axum::{AuthRoutes, CredentialVerifier};
use crate::error::Failure;
use crate::strategy::{Login, Strategy};
use crate::tower::{AuthLayer, Problem, RecentLoginLayer};
use crate::user::User;
use maintenance::{Intervals, Sweeper};

/// The time after which it is logged that nobody maintains the store.
const NOTICE: Duration = Duration::from_mins(1);

/// Authentication for an axum application: the layer, the routes, and the work beside them.
///
/// Build one with [`builder`](Self::builder). Clones share everything.
///
/// # Examples
///
/// ```
/// use axum::{Router, routing::get};
/// use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
/// use countersign::{Auth, Failure, Secret, SystemEntropy, User, Users};
///
/// struct Member { id: i64 }
///
/// impl User for Member {
///     type Id = i64;
///     fn id(&self) -> &i64 { &self.id }
/// }
///
/// struct Members;
///
/// impl Users for Members {
///     type User = Member;
///     async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
///         Ok(Some(Member { id: *id }))
///     }
///     async fn verify(&self, _login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
///         Ok(LoginVerdict::Accepted(Member { id: 7 }))
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let secret = Secret::generate(&SystemEntropy)?;
/// let auth = Auth::builder(Members)
///     .database_url("sqlite::memory:")
///     .secret(&secret)
///     .build()
///     .await?;
/// tokio::spawn(auth.maintain());
///
/// let app: Router = Router::new()
///     .route("/me", get(|member: CurrentUser<Member>| async move { member.user.id.to_string() }))
///     .layer(auth.layer())
///     .nest("/auth", auth.routes());
/// # let _ = app;
/// # Ok(())
/// # }
/// ```
pub struct Auth<U: User>(Arc<Parts<U>>);

/// The parts of an [`Auth`].
struct Parts<U: User> {
    authenticator: Arc<Authenticator<U>>,
    verifier: Arc<dyn CredentialVerifier<U>>,
    strategy: Arc<dyn Strategy<U>>,
    recorder: UseRecorder,
    watcher: SessionWatcher<U>,
    sweeper: Sweeper,
    intervals: Intervals,
    is_maintained: AtomicBool,
}

impl<U: User> Auth<U> {
    /// Puts parts together, and sees to it that a missing [`maintain`](Self::maintain) is noticed.
    fn of(parts: Parts<U>) -> Self {
        let parts = Arc::new(parts);
        let weak = Arc::downgrade(&parts);

        tokio::spawn(async move {
            let _ = tokio::time::timeout(NOTICE, std::future::pending::<()>()).await;
            if weak
                .upgrade()
                .is_some_and(|parts| !parts.is_maintained.load(Ordering::Relaxed))
            {
                tracing::warn!(
                    event = "not_maintained",
                    "nothing deletes expired rows, records use or watches sessions; spawn \
                     `Auth::maintain` in at least one process"
                );
            }
        });
        Self(parts)
    }

    /// Returns the layer that reads the credential of each request. The extractors
    /// [`CurrentUser`](crate::axum::CurrentUser) and [`Guarded`](crate::axum::Guarded) need it
    /// around their routes.
    pub fn layer(&self) -> AuthLayer<U> {
        AuthLayer::new(Arc::clone(&self.0.authenticator))
    }

    /// Returns a layer that lets in only users who have authenticated at most `max_age` ago. Put it
    /// inside of [`layer`](Self::layer), around the routes for dangerous actions.
    pub fn recent_login(&self, max_age: Duration) -> RecentLoginLayer<U> {
        RecentLoginLayer::new(max_age)
    }

    /// Returns the routes to nest: login, refresh, logout, and the list of sessions.
    ///
    /// Nest them where the cookies' paths say, if there are cookies. To leave routes out, use
    /// [`route_builder`](Self::route_builder).
    pub fn routes<S: Clone + Send + Sync + 'static>(&self) -> Router<S> {
        self.route_builder().build_with_defaults()
    }

    /// Returns the builder of the routes, with the login routes added.
    pub fn route_builder(&self) -> AuthRoutes<U> {
        AuthRoutes::new(Arc::clone(&self.0.authenticator)).login_with(Arc::clone(&self.0.verifier))
    }

    /// Logs a user in from a route of your own: judges the account, opens a session, and returns
    /// the answer. See [`AuthenticationBackend::log_in`], which it calls on the backend with
    /// cookies, or on the one that reads the header if there are no cookies.
    ///
    /// A route that takes forms or JSON asks [`check_origin`](Self::check_origin) first.
    ///
    /// # Errors
    ///
    /// Returns a [`LoginError`], which is a response and converts into a [`Problem`].
    ///
    /// # Examples
    ///
    /// ```
    /// use axum::response::{IntoResponse, Redirect};
    /// use countersign::{Auth, ClientInfo, Failure, Problem, User};
    ///
    /// # #[derive(Clone)]
    /// # struct Member { id: i64 }
    /// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
    /// # struct Callback { subject: String }
    /// # async fn id_of(_: &str) -> Result<i64, Failure> { Ok(7) }
    /// # async fn load(id: i64) -> Result<Option<Member>, Failure> { Ok(Some(Member { id })) }
    /// /// The end of a single sign-on, whose answer a client library has checked.
    /// async fn signed_on(
    ///     auth: Auth<Member>,
    ///     client: ClientInfo, // an extractor: user agent and address of the request
    ///     callback: Callback,
    /// ) -> Result<impl IntoResponse, Problem> {
    ///     let failed = |failure: Failure| Problem::from_failure(&failure);
    ///     let id = id_of(&callback.subject).await.map_err(failed)?;
    ///     let logged_in = auth.log_in(Some(&id), client, || load(id)).await?;
    ///     Ok((logged_in, Redirect::to("/")))
    /// }
    /// ```
    pub async fn log_in<V, F>(
        &self,
        id: Option<&U::Id>,
        login: impl Into<Login>,
        judge: impl FnMut() -> F,
    ) -> Result<LoggedIn<U>, LoginError>
    where
        V: Into<LoginVerdict<U>>,
        F: Future<Output = Result<V, Failure>>,
    {
        self.login_backend()?.log_in(id, login, judge).await
    }

    /// Refuses a request that another site may have made a browser send. For own routes that log in
    /// or act on cookies without the layer.
    ///
    /// A callback of single sign-on doesn't need it: its `state` is the proof.
    ///
    /// # Errors
    ///
    /// Returns [`Problem::CSRF_FAILED`] if there are cookies, and nothing proves that a trusted
    /// page sent the request.
    pub fn check_origin(&self, request: &request::Parts) -> Result<(), Problem> {
        let backend = self
            .login_backend()
            .map_err(|failure| Problem::from_failure(&failure))?;
        if self.0.authenticator.is_sent_by_us(backend, request) {
            Ok(())
        } else {
            Err(Problem::CSRF_FAILED)
        }
    }

    /// Returns the backend with cookies, or else the first one.
    fn login_backend(&self) -> Result<&AuthenticationBackend<U>, Failure> {
        let backends = self.0.authenticator.backends();
        backends
            .iter()
            .find(|backend| backend.transport().source().is_ambient())
            .or_else(|| backends.first())
            .ok_or_else(|| Failure::internal("login", "there is no backend"))
    }

    /// Returns the authenticator, for requests that no axum route handles.
    pub fn authenticator(&self) -> &Arc<Authenticator<U>> {
        &self.0.authenticator
    }

    /// Returns the strategy, to issue and revoke tokens by hand.
    pub fn strategy(&self) -> &Arc<dyn Strategy<U>> {
        &self.0.strategy
    }

    /// Returns the watcher that tells open connections, such as WebSockets, when their session
    /// ends. It works while [`maintain`](Self::maintain) runs.
    pub fn watcher(&self) -> &SessionWatcher<U> {
        &self.0.watcher
    }

    /// Returns the work beside requests, which never ends: deleting expired rows, writing last-used
    /// times, and watching sessions.
    ///
    /// Spawn it as a task in each process. Several processes may sweep one store at once. Without
    /// it tables grow for ever, which is logged after a minute as `not_maintained`.
    pub fn maintain(&self) -> impl Future<Output = ()> + Send + use<U> {
        self.0.is_maintained.store(true, Ordering::Relaxed);
        let (recorder, watcher) = (self.0.recorder.clone(), self.0.watcher.clone());
        let (sweeper, intervals) = (self.0.sweeper.clone(), self.0.intervals);
        async move {
            tokio::join!(
                sweeper.run(intervals.sweep),
                recorder.run(intervals.record_use),
                watcher.run(intervals.watch),
            );
        }
    }

    /// Writes the last-used times that were not written yet, and returns the number of sessions.
    /// Call it when the server has stopped taking requests.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked.
    pub async fn flush(&self) -> Result<usize, Failure> {
        self.0.recorder.flush().await
    }
}

impl<U: User> Clone for Auth<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<U: User> fmt::Debug for Auth<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Auth")
            .field("authenticator", &self.0.authenticator)
            .finish_non_exhaustive()
    }
}
