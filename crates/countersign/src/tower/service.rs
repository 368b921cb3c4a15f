//! The services that the layers make. [`AuthService`] authenticates; [`RequireAccepted`] sits
//! inside of it and turns every outcome without a user into an answer.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tower_service::Service;

use crate::auth::{AuthOutcome, Authenticator};
use crate::tower::Problem;
use crate::tower::recent::AcceptedBy;
use crate::user::User;

/// A boxed future, as the authentication is an `async` block that has no name.
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A service that attaches an [`AuthOutcome`] to each request, made by
/// [`AuthLayer`](crate::tower::AuthLayer).
pub struct AuthService<U, S> {
    authenticator: Arc<Authenticator<U>>,
    inner: S,
}

impl<U, S> AuthService<U, S> {
    pub(super) const fn new(authenticator: Arc<Authenticator<U>>, inner: S) -> Self {
        Self {
            authenticator,
            inner,
        }
    }
}

impl<U, S, B, R> Service<Request<B>> for AuthService<U, S>
where
    U: User,
    S: Service<Request<B>, Response = Response<R>> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Only the service that was polled ready may be called, so it goes with this request and
        // the clone waits for the next one.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let authenticator = Arc::clone(&self.authenticator);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let outcome = authenticator.authenticate_request(&parts).await;
            let is_offered = outcome.is_offered();
            if outcome.accepted().is_some() {
                parts
                    .extensions
                    .insert(AcceptedBy(Arc::clone(&authenticator)));
            }
            parts.extensions.insert(outcome);
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            // The answer may depend on the user. One to a request without credential is
            // everybody's.
            if is_offered {
                let headers = response.headers_mut();
                headers
                    .entry(header::CACHE_CONTROL)
                    .or_insert(HeaderValue::from_static("no-store"));
            }
            Ok(response)
        })
    }
}

impl<U, S: Clone> Clone for AuthService<U, S> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            inner: self.inner.clone(),
        }
    }
}

impl<U, S> fmt::Debug for AuthService<U, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService")
            .field("authenticator", &self.authenticator)
            .finish_non_exhaustive()
    }
}

/// A service that answers requests without an accepted user in place of the inner service, made by
/// [`AuthLayer::required`](crate::tower::AuthLayer::required).
///
/// A request without any [`AuthOutcome`] is answered with
/// [`AUTH_LAYER_MISSING`](Problem::AUTH_LAYER_MISSING).
pub struct RequireAccepted<U, S> {
    inner: S,
    user: PhantomData<fn() -> U>,
}

impl<U, S> RequireAccepted<U, S> {
    pub(super) const fn new(inner: S) -> Self {
        Self {
            inner,
            user: PhantomData,
        }
    }
}

impl<U, S, B, R> Service<Request<B>> for RequireAccepted<U, S>
where
    U: User,
    S: Service<Request<B>, Response = Response<R>>,
    S::Future: Send + 'static,
    R: From<Bytes>,
{
    type Response = Response<R>;
    type Error = S::Error;
    type Future = BoxFuture<Result<Response<R>, S::Error>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        // Made only inside of an `AuthLayer`, so an outcome is always there. A missing one must not
        // let anybody in.
        let outcome = request.extensions().get::<AuthOutcome<U>>();
        match outcome.map_or(Some(Problem::AUTH_LAYER_MISSING), Problem::from_outcome) {
            Some(problem) => Box::pin(async move { Ok(problem.into_http()) }),
            None => Box::pin(self.inner.call(request)),
        }
    }
}

impl<U, S: Clone> Clone for RequireAccepted<U, S> {
    fn clone(&self) -> Self {
        Self::new(self.inner.clone())
    }
}

impl<U, S> fmt::Debug for RequireAccepted<U, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireAccepted").finish_non_exhaustive()
    }
}
