//! The services that the layers make.

use std::fmt;
use std::future::Future;
use std::marker::PhantomData;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http::{HeaderValue, Request, Response, header};
use tower_service::Service;

use crate::authenticator::Authenticator;
use crate::outcome::AuthOutcome;
use crate::problem::Problem;
use crate::user::User;

type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// Attaches an [`AuthOutcome`] to each request.
pub struct AuthService<U, S> {
    authenticator: Arc<Authenticator<U>>,
    inner: S,
}

impl<U, S> AuthService<U, S> {
    pub(super) const fn new(authenticator: Arc<Authenticator<U>>, inner: S) -> Self {
        Self { authenticator, inner }
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
        // The service that was polled ready goes with this request; the clone waits for the next.
        let clone = self.inner.clone();
        let mut inner = std::mem::replace(&mut self.inner, clone);
        let authenticator = Arc::clone(&self.authenticator);
        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let outcome = authenticator.authenticate_request(&parts).await;
            let is_offered = outcome.is_offered();
            parts.extensions.insert(outcome);
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            if is_offered {
                let headers = response.headers_mut();
                headers.entry(header::CACHE_CONTROL).or_insert(HeaderValue::from_static("no-store"));
            }
            Ok(response)
        })
    }
}

impl<U, S: Clone> Clone for AuthService<U, S> {
    fn clone(&self) -> Self {
        Self { authenticator: Arc::clone(&self.authenticator), inner: self.inner.clone() }
    }
}

impl<U, S> fmt::Debug for AuthService<U, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthService").field("authenticator", &self.authenticator).finish_non_exhaustive()
    }
}

/// Answers a request whose [`AuthOutcome`] isn't an accepted user, in place of what is inside.
pub struct RequireAccepted<U, S> {
    inner: S,
    user: PhantomData<fn() -> U>,
}

impl<U, S> RequireAccepted<U, S> {
    pub(super) const fn new(inner: S) -> Self {
        Self { inner, user: PhantomData }
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
