//! The service that turns every outcome without an allowed user into an answer. It sits inside of
//! [`AuthService`](crate::tower::AuthService).

use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use http::{Request, Response};
use pin_project_lite::pin_project;
use tower_service::Service;

use crate::auth::AuthOutcome;
use crate::tower::guard::Rule;
use crate::tower::page::{self, Pages};
use crate::tower::{Problem, ResponseBody, grpc};
use crate::user::User;

/// The decisions of a layer: the rules about users, and the form of refusals.
pub(super) struct Terms<U> {
    pub(super) rules: Vec<Rule<U>>,
    pub(super) pages: Option<Pages>,
}

impl<U: User> Terms<U> {
    /// Returns the terms of a layer that lets every user in.
    pub(super) const fn new() -> Self {
        Self {
            rules: Vec::new(),
            pages: None,
        }
    }

    /// Returns the refusal of a request, or `None` if it may go on.
    fn refusal<B>(&self, request: &Request<B>) -> Option<Problem> {
        // Made only inside of an `AuthLayer`, so an outcome is always there. A missing one must not
        // let anybody in.
        let Some(outcome) = request.extensions().get::<AuthOutcome<U>>() else {
            return Some(Problem::AUTH_LAYER_MISSING);
        };
        match outcome.accepted() {
            Some(accepted) => self
                .rules
                .iter()
                .find_map(|rule| rule.refuses(&accepted.user)),
            None => Some(Problem::from_outcome(outcome).unwrap_or(Problem::INTERNAL)),
        }
    }

    /// Returns the refusal in the form that the client reads: gRPC, a page, or a problem document.
    fn refuse<B, R>(&self, problem: Problem, request: &Request<B>) -> Response<ResponseBody<R>> {
        if let Some(content_type) = grpc::content_type(request.headers()) {
            return grpc::refuse(problem, content_type);
        }
        match &self.pages {
            Some(pages) if page::is_wanted(request.headers()) => {
                let uri = page::original_uri(request.uri(), request.extensions());
                pages.refuse(problem, request.method(), uri)
            }
            _ => problem.into_http(),
        }
    }
}

impl<U> Clone for Terms<U> {
    fn clone(&self) -> Self {
        Self {
            rules: self.rules.clone(),
            pages: self.pages.clone(),
        }
    }
}

/// A service that answers requests without an accepted user, or with one whom a rule doesn't allow,
/// in place of the inner service. Made by
/// [`AuthLayer::required`](crate::tower::AuthLayer::required).
///
/// A request without any [`AuthOutcome`] is answered with
/// [`AUTH_LAYER_MISSING`](Problem::AUTH_LAYER_MISSING).
pub struct RequireAccepted<U, S> {
    inner: S,
    terms: Arc<Terms<U>>,
}

impl<U, S> RequireAccepted<U, S> {
    pub(super) const fn new(terms: Arc<Terms<U>>, inner: S) -> Self {
        Self { inner, terms }
    }
}

impl<U, S, B, R> Service<Request<B>> for RequireAccepted<U, S>
where
    U: User,
    S: Service<Request<B>, Response = Response<R>>,
{
    type Response = Response<ResponseBody<R>>;
    type Error = S::Error;
    type Future = ResponseFuture<S::Future, R>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(context)
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        ResponseFuture {
            kind: match self.terms.refusal(&request) {
                Some(problem) => Kind::Refused {
                    response: Some(self.terms.refuse(problem, &request)),
                },
                None => Kind::Inner {
                    future: self.inner.call(request),
                },
            },
        }
    }
}

impl<U, S: Clone> Clone for RequireAccepted<U, S> {
    fn clone(&self) -> Self {
        Self::new(Arc::clone(&self.terms), self.inner.clone())
    }
}

impl<U, S> fmt::Debug for RequireAccepted<U, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RequireAccepted").finish_non_exhaustive()
    }
}

pin_project! {
    #[project = FutureKind]
    enum Kind<F, B> {
        Inner { #[pin] future: F },
        Refused { response: Option<Response<ResponseBody<B>>> },
    }
}

pin_project! {
    /// The response future of [`RequireAccepted`]: the inner service's, or a refusal that is ready.
    pub struct ResponseFuture<F, B> {
        #[pin]
        kind: Kind<F, B>,
    }
}

impl<F, B, E> Future for ResponseFuture<F, B>
where
    F: Future<Output = Result<Response<B>, E>>,
{
    type Output = Result<Response<ResponseBody<B>>, E>;

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Self::Output> {
        match self.project().kind.project() {
            FutureKind::Inner { future } => {
                let response = ready!(future.poll(context));
                Poll::Ready(response.map(|response| response.map(ResponseBody::inner)))
            }
            // A future isn't polled after it was ready.
            FutureKind::Refused { response } => response
                .take()
                .map_or(Poll::Pending, |response| Poll::Ready(Ok(response))),
        }
    }
}

impl<F, B> fmt::Debug for ResponseFuture<F, B> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseFuture").finish_non_exhaustive()
    }
}
