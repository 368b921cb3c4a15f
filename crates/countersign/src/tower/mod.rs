//! Middleware on `http` and `tower` alone, for hyper, tonic and axum.
//!
//! [`AuthLayer`] authenticates each request that offers a credential, before anything inside runs, and attaches the
//! [`AuthOutcome`](crate::AuthOutcome) to the request's extensions. It does so at once rather than when first asked:
//! one look-up serves every handler and layer inside, they read it without waiting, and nothing inside can tell an
//! unasked question from an anonymous request. A request without a credential is told from its headers, and never
//! touches a store; so a layer around public routes costs them nothing.

mod layer;
mod service;

pub use layer::{AuthLayer, RequireAuthLayer};
pub use service::{AuthService, RequireAccepted};
