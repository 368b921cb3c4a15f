//! Middleware on `http` and `tower` alone, for hyper, tonic and axum.
//!
//! [`AuthLayer`] authenticates each request that offers a credential, before anything inside runs,
//! and puts the [`AuthOutcome`](crate::AuthOutcome) into the request's extensions. It refuses
//! nothing by itself: public routes stay public. [`AuthLayer::required`] makes a layer that also
//! answers requests without a good credential, for services in which everything is protected. [`RecentLoginLayer`] asks for a
//! recent authentication on top.
//!
//! A request without a credential is told from its headers and never touches a store, so a layer
//! around public routes costs them nothing. A request with one is authenticated at once rather than
//! when a handler first asks: one look-up serves every handler and layer inside, they read its
//! outcome without waiting, and nothing inside can mistake an unanswered question for an anonymous
//! request.
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

mod layer;
mod problem;
mod recent;
mod service;

pub use layer::{AuthLayer, RequireAuthLayer};
pub use problem::Problem;
#[cfg(feature = "axum")]
pub(crate) use recent::Question;
pub use recent::{RecentLoginLayer, RequireRecentLogin};
pub use service::{AuthService, RequireAccepted};
