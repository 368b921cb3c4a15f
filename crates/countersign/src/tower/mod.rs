//! Middleware on `http` and `tower` alone, for hyper, tonic and axum.
//!
//! [`AuthLayer`] authenticates each request that offers a credential, before anything inside runs,
//! and puts the [`AuthOutcome`](crate::AuthOutcome) into the request's extensions. It refuses
//! nothing by itself: public routes stay public. [`AuthLayer::required`] makes a layer that also
//! answers requests without a good credential, for services in which everything is protected.
//! [`RecentLoginLayer`] asks for a recent authentication on top.
//!
//! A request without a credential is told from its headers and never touches a store, so a layer
//! around public routes costs them nothing. A request with one is authenticated at once rather than
//! when a handler first asks: one look-up serves every handler and layer inside, they read its
//! outcome without waiting, and nothing inside can mistake an unanswered question for an anonymous
//! request.
//!
//! ```
//! # use std::convert::Infallible;
//! # use std::sync::Arc;
//! # use countersign::store::MemoryStore;
//! # use countersign::strategy::DatabaseTokenStrategy;
//! # use countersign::transport::BearerTransport;
//! # use countersign::strategy::Strategy;
//! # use countersign::{AuthenticationBackend, Authenticator, Failure, Secret};
//! # use countersign::{SystemEntropy, User};
//! # struct Member { id: i64 }
//! # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! use bytes::Bytes;
//! use countersign::AuthOutcome;
//! use countersign::tower::AuthLayer;
//! use http::{Request, Response, StatusCode};
//! use tower::{ServiceBuilder, ServiceExt, service_fn};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! # let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
//! #     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
//! #     .build()?;
//! # let issued = strategy.write_token(&Member { id: 7 }).await?;
//! # let users = |id: i64| async move { Ok::<_, Failure>(Some(Member { id })) };
//! # let authenticator = Authenticator::builder(Arc::new(users))
//! #     .backend(AuthenticationBackend::new("api", BearerTransport, Arc::new(strategy)))
//! #     .build()?;
//! # let authenticator: Arc<Authenticator<Member>> = Arc::new(authenticator);
//! let service = ServiceBuilder::new().layer(AuthLayer::new(authenticator).required()).service(
//!     service_fn(async |request: Request<()>| {
//!         let outcome = request.extensions().get::<AuthOutcome<Member>>();
//!         let id = outcome.and_then(AuthOutcome::accepted).map(|accepted| accepted.user.id);
//!         Ok::<_, Infallible>(Response::new(Bytes::from(format!("{id:?}"))))
//!     }),
//! );
//!
//! let refused = service.clone().oneshot(Request::new(())).await?;
//! assert_eq!(refused.status(), StatusCode::UNAUTHORIZED);
//!
//! # let access_token = issued.token.expose();
//! let request = Request::get("/").header("authorization", format!("Bearer {access_token}"));
//! let answered = service.oneshot(request.body(())?).await?;
//! assert_eq!(answered.status(), StatusCode::OK);
//! # Ok(())
//! # }
//! ```
//!
//! A layer refuses in the form that its client reads: as `application/problem+json`, as gRPC to
//! gRPC calls, and as pages and redirects to browsers where
//! [`or_redirect_to`](RequireAuthLayer::or_redirect_to) says so. The refusing service wraps
//! response bodies in [`ResponseBody`], so it needs nothing of the inner ones.
//!
//! axum handlers read the outcome with the extractors of [`countersign::axum`](crate::axum). Other
//! services read it from the extensions:
//!
//! ```
//! # use countersign::User;
//! # #[derive(Clone)]
//! # struct Member { id: i64 }
//! # impl User for Member { type Id = i64; fn id(&self) -> &i64 { &self.id } }
//! use countersign::AuthOutcome;
//! use http::Request;
//!
//! fn member_id<B>(request: &Request<B>) -> Option<i64> {
//!     let outcome = request.extensions().get::<AuthOutcome<Member>>()?;
//!     outcome.accepted().map(|authenticated| authenticated.user.id)
//! }
//! # assert_eq!(member_id(&Request::new(())), None);
//! ```

mod body;
mod grpc;
mod guard;
mod layer;
pub(crate) mod local_path;
mod page;
mod problem;
mod recent;
mod require;
mod service;

pub use body::ResponseBody;
pub use guard::Guard;
pub use layer::{AuthLayer, RequireAuthLayer};
pub use problem::Problem;
#[cfg(feature = "axum")]
pub(crate) use recent::Question;
pub use recent::{RecentLoginLayer, RequireRecentLogin};
pub use require::{RequireAccepted, ResponseFuture};
pub use service::AuthService;
