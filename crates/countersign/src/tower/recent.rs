//! The guard of routes that ask for a recent authentication (step-up, RFC 9470).
//!
//! It reads the session's record, so that a re-authentication counts for every token of the session
//! at once. Only requests that reach the guard pay for that read.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::{Extensions, Request, Response};
use tower_layer::Layer;
use tower_service::Service;

use crate::auth::{AuthOutcome, Authenticator};
use crate::clock::Timestamp;
use crate::token::Authenticated;
use crate::tower::{Problem, ResponseBody, grpc};
use crate::user::{User, UserId};

/// A boxed future, as the question is an `async` block that has no name.
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// The authenticator that accepted a request: a request extension, so that a guard inside finds the
/// sessions to ask.
pub(crate) struct AcceptedBy<U>(pub(super) Arc<Authenticator<U>>);

impl<U> Clone for AcceptedBy<U> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// The question whether the user of a request has authenticated recently.
pub(crate) struct Question<U> {
    authenticated: Arc<Authenticated<U>>,
    authenticator: Arc<Authenticator<U>>,
}

impl<U: User> Question<U> {
    /// Takes from the extensions of a request what the question needs. A request without an
    /// accepted user has its answer already.
    pub(crate) fn of(extensions: &Extensions) -> Result<Self, Problem> {
        let outcome = extensions.get::<AuthOutcome<U>>();
        if let Some(problem) =
            outcome.map_or(Some(Problem::AUTH_LAYER_MISSING), Problem::from_outcome)
        {
            return Err(problem);
        }
        let accepted = outcome.and_then(AuthOutcome::accepted);
        let by = extensions.get::<AcceptedBy<U>>();
        let (Some(authenticated), Some(AcceptedBy(authenticator))) = (accepted, by) else {
            return Err(Problem::AUTH_LAYER_MISSING);
        };

        Ok(Self {
            authenticated: Arc::clone(authenticated),
            authenticator: Arc::clone(authenticator),
        })
    }

    /// Asks the session's record, and returns the user and the time of their latest
    /// authentication.
    pub(crate) async fn ask(
        self,
        max_age: Duration,
    ) -> Result<(Arc<Authenticated<U>>, Timestamp), Problem> {
        let Self {
            authenticated,
            authenticator,
        } = self;
        let refused = Problem::recent_authentication_required(max_age);
        let backend = authenticator.backend_of(&authenticated);
        let sessions = backend.and_then(|backend| backend.strategy().as_refreshable());
        // Nobody knows when the user of a token without a session has authenticated.
        let (Some(sessions), Some(session)) = (sessions, authenticated.session_id) else {
            return Err(refused);
        };

        let user = authenticated.user.id().to_key();
        let at = sessions
            .authenticated_within(session, &user, max_age)
            .await
            .map_err(|failure| Problem::from_failure(&failure))?;
        at.map(|at| (authenticated, at)).ok_or(refused)
    }
}

/// A layer that lets in only users who have authenticated recently: at the login, or by a later
/// re-authentication.
///
/// Put it inside of an [`AuthLayer`](crate::tower::AuthLayer), around the routes for dangerous
/// actions. A request without a user is answered as by
/// [`AuthLayer::required`](crate::tower::AuthLayer::required). A user whose latest authentication is
/// longer ago than `max_age`, or isn't known, is answered with 401 and
/// [`RECENT_AUTHENTICATION_REQUIRED`](Problem::recent_authentication_required): the client lets the
/// user authenticate again and repeats the request with the same token. A token that belongs to no
/// session is always refused, and a store that doesn't answer gives 503. gRPC clients are answered
/// with a status.
///
/// Each request that reaches the layer costs one read of the session's record, and no write.
///
/// # Examples
///
/// ```
/// # use std::sync::Arc;
/// # use countersign::{Authenticator, User};
/// # struct Member { id: i64 }
/// # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
/// use std::time::Duration;
///
/// use axum::Router;
/// use axum::routing::{delete, get};
/// use countersign::tower::{AuthLayer, RecentLoginLayer};
///
/// # fn router(authenticator: Arc<Authenticator<Member>>) -> Router {
/// let dangerous = Router::new()
///     .route("/account", delete(async || "deleted"))
///     .route_layer(RecentLoginLayer::<Member>::new(Duration::from_mins(5)));
/// Router::new()
///     .route("/", get(async || "welcome"))
///     .merge(dangerous)
///     .layer(AuthLayer::new(authenticator))
/// # }
/// ```
pub struct RecentLoginLayer<U> {
    max_age: Duration,
    user: PhantomData<fn() -> U>,
}

impl<U: User> RecentLoginLayer<U> {
    /// Creates a layer that lets in users whose latest authentication is at most `max_age` ago.
    ///
    /// Clients are told the age in whole seconds, rounded down.
    pub const fn new(max_age: Duration) -> Self {
        Self {
            max_age,
            user: PhantomData,
        }
    }
}

impl<U: User, S> Layer<S> for RecentLoginLayer<U> {
    type Service = RequireRecentLogin<U, S>;

    fn layer(&self, inner: S) -> Self::Service {
        RequireRecentLogin {
            inner,
            max_age: self.max_age,
            user: PhantomData,
        }
    }
}

impl<U> Clone for RecentLoginLayer<U> {
    fn clone(&self) -> Self {
        Self {
            max_age: self.max_age,
            user: PhantomData,
        }
    }
}

impl<U> fmt::Debug for RecentLoginLayer<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RecentLoginLayer")
            .field("max_age", &self.max_age)
            .finish()
    }
}

/// A service that answers requests of users without a recent authentication in place of the inner
/// service, made by [`RecentLoginLayer`].
pub struct RequireRecentLogin<U, S> {
    inner: S,
    max_age: Duration,
    user: PhantomData<fn() -> U>,
}

impl<U, S, B, R> Service<Request<B>> for RequireRecentLogin<U, S>
where
    U: User,
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Self::Response, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Only the service that was polled ready may be called, so it goes with this request.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let max_age = self.max_age;
        let question = Question::<U>::of(request.extensions());
        let grpc = grpc::content_type(request.headers());
        Box::pin(async move {
            let answer = match question {
                Ok(question) => question.ask(max_age).await.map(drop),
                Err(problem) => Err(problem),
            };

            match answer {
                Ok(()) => Ok(inner.call(request).await?.map(ResponseBody::inner)),
                Err(problem) => Ok(match grpc {
                    Some(content_type) => grpc::refuse(problem, content_type),
                    None => problem.into_http(),
                }),
            }
        })
    }
}

impl<U, S: Clone> Clone for RequireRecentLogin<U, S> {
    fn clone(&self) -> Self {
        Self {
            inner: self.inner.clone(),
            max_age: self.max_age,
            user: PhantomData,
        }
    }
}

impl<U, S> fmt::Debug for RequireRecentLogin<U, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireRecentLogin")
            .field("max_age", &self.max_age)
            .finish_non_exhaustive()
    }
}
