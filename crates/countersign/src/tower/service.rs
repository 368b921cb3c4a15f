//! The service that authenticates: it attaches the outcome to each request, and renews cookies
//! where the layer was told to.

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use http::{HeaderMap, HeaderValue, Method, Request, Response, header};
use tower_service::Service;

use crate::auth::Authenticator;
use crate::tower::page;
use crate::tower::recent::AcceptedBy;
use crate::user::User;

/// A boxed future, as the authentication is an `async` block that has no name.
type BoxFuture<T> = Pin<Box<dyn Future<Output = T> + Send>>;

/// A service that attaches an [`AuthOutcome`](crate::AuthOutcome) to each request, made by
/// [`AuthLayer`](crate::tower::AuthLayer).
pub struct AuthService<U, S> {
    authenticator: Arc<Authenticator<U>>,
    renews: bool,
    inner: S,
}

impl<U, S> AuthService<U, S> {
    pub(super) const fn new(authenticator: Arc<Authenticator<U>>, renews: bool, inner: S) -> Self {
        Self {
            authenticator,
            renews,
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
        let renews = self.renews;

        Box::pin(async move {
            let (mut parts, body) = request.into_parts();
            let mut outcome = authenticator.authenticate_request(&parts).await;
            let mut cookies = HeaderMap::new();
            if renews && parts.method == Method::GET && page::is_wanted(&parts.headers) {
                (outcome, cookies) = authenticator.renew(&parts, outcome).await;
            }

            let is_offered = outcome.is_offered();
            if outcome.accepted().is_some() {
                parts
                    .extensions
                    .insert(AcceptedBy(Arc::clone(&authenticator)));
            }
            parts.extensions.insert(outcome);
            let mut response = inner.call(Request::from_parts(parts, body)).await?;
            let headers = response.headers_mut();
            if cookies.contains_key(header::SET_COOKIE) {
                // A cache that kept this answer would hand the session to others.
                headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
                // Some shared caches obey these in its place (RFC 9213).
                headers.remove("cdn-cache-control");
                headers.remove("surrogate-control");
                add_cookies(headers, &cookies);
            } else if is_offered {
                // The answer may depend on the user. One to a request without credential is
                // everybody's.
                headers
                    .entry(header::CACHE_CONTROL)
                    .or_insert(HeaderValue::from_static("no-store"));
            }
            Ok(response)
        })
    }
}

/// Adds cookies to an answer, before those that the handler set: of two cookies of one name the
/// browser keeps the later one, and a handler that logs somebody in or out has the last word.
fn add_cookies(headers: &mut HeaderMap, cookies: &HeaderMap) {
    let own: Vec<HeaderValue> = headers
        .get_all(header::SET_COOKIE)
        .iter()
        .cloned()
        .collect();
    headers.remove(header::SET_COOKIE);
    let new = cookies.get_all(header::SET_COOKIE).iter().cloned();
    for cookie in new.chain(own) {
        headers.append(header::SET_COOKIE, cookie);
    }
}

impl<U, S: Clone> Clone for AuthService<U, S> {
    fn clone(&self) -> Self {
        Self {
            authenticator: Arc::clone(&self.authenticator),
            renews: self.renews,
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
