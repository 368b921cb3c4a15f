//! Login tokens for axum and tower services: issue, validate, rotate, revoke.
//!
//! ```text
//!   HTTP request → axum / tower → authenticator → backend = transport + strategy → store
//! ```
//!
//! A [transport](transport) takes a credential out of headers. A [strategy](Strategy) says what it is worth:
//! [`DatabaseTokenStrategy`](strategy::DatabaseTokenStrategy) looks random tokens up in a [store](store),
//! `JwtStrategy` (feature `jwt`) checks a signature and a [denylist]. A backend pairs the two, and the
//! [`Authenticator`] selects among backends before it verifies anything.
//!
//! # A service in one screen
//!
//! Your users stay yours: the library needs their id and a way to look one up.
//!
#![cfg_attr(all(feature = "axum", feature = "sqlite"), doc = "```")]
#![cfg_attr(not(all(feature = "axum", feature = "sqlite")), doc = "```ignore")]
//! use std::sync::Arc;
//!
//! use axum::{Router, routing::get};
//! use countersign::axum::{AuthRoutes, CredentialVerifier, CurrentUser, LoginAttempt, LoginVerdict};
//! use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore};
//! use countersign::strategy::DatabaseTokenStrategy;
//! use countersign::tower::AuthLayer;
//! use countersign::transport::BearerTransport;
//! use countersign::{AuthenticationBackend, Authenticator, Failure, Secret, SystemEntropy, User, UserKeyKind};
//!
//! #[derive(Clone)]
//! struct Member { id: i64 }
//!
//! impl User for Member {
//!     type Id = i64;
//!     fn id(&self) -> &i64 { &self.id }
//! }
//!
//! struct Passwords;
//!
//! #[async_trait::async_trait]
//! impl CredentialVerifier<Member> for Passwords {
//!     async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
//!         # let _ = login;
//!         Ok(LoginVerdict::Accepted(Member { id: 7 })) // look the member up, and check the password's hash
//!     }
//! }
//!
//! async fn me(member: CurrentUser<Member>) -> String {
//!     format!("member {}", member.user.id)
//! }
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
//! Migrator::new(&database, UserKeyKind::Int).run().await?;
//! let store = SqlStore::new(database.driver(), DatabaseTokenModels::bundled(UserKeyKind::Int));
//!
//! let secret = Secret::generate(&SystemEntropy)?; // keep yours: tokens can't be found without it
//! let strategy = DatabaseTokenStrategy::builder(store).token_hash_secret(&secret).build()?;
//! let users = |id: i64| async move { Ok::<_, Failure>(Some(Member { id })) };
//!
//! let authenticator = Authenticator::builder(Arc::new(users))
//!     .backend(AuthenticationBackend::new("api", BearerTransport, Arc::new(strategy)))
//!     .build()?;
//! let authenticator = Arc::new(authenticator);
//!
//! let app: Router = Router::new()
//!     .route("/me", get(me))
//!     .layer(AuthLayer::new(Arc::clone(&authenticator)))
//!     .nest("/auth", AuthRoutes::new(authenticator).login(Passwords).build()?);
//! # let _ = app;
//! # Ok(())
//! # }
//! ```
//!
//! # Four answers
//!
//! Reading a credential answers [`NotOffered`](Answer::NotOffered), [`Accepted`](Answer::Accepted) or
//! [`Refused`](Answer::Refused); when a store can't be asked, it answers a [`Failure`] instead. Wrong is not the same as
//! unknown: over HTTP the first is 401, the second 503 with `Retry-After`.
//!
//! # Features
//!
//! Features only add. `jwt`, `sqlite` and `axum` are on by default; `postgres`, `mysql`, `redis` and `tower` (which `axum` brings
//! along) are for those who need them; `testing` has the suite that checks a store of yours.

mod answer;
mod authenticator;
#[cfg(feature = "axum")]
pub mod axum;
mod backend;
mod client;
mod clock;
pub mod denylist;
mod entropy;
mod error;
mod fence;
#[cfg(feature = "jwt")]
pub mod jwt;
mod live;
mod origin;
mod outcome;
mod policy;
#[cfg(feature = "tower")]
mod problem;
mod profile;
#[cfg(feature = "redis")]
pub mod redis;
#[cfg_attr(
    not(any(feature = "postgres", feature = "mysql", feature = "redis")),
    allow(dead_code, reason = "an embedded database refuses no password")
)]
mod renewing;
mod secret;
#[cfg(any(feature = "postgres", feature = "redis"))]
mod slot;
pub mod store;
pub mod strategy;
mod symptom;
#[cfg(feature = "testing")]
pub mod testing;
#[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
mod tls_fault;
mod token;
#[cfg(feature = "tower")]
pub mod tower;
pub mod transport;
mod usage;
mod user;
mod value;

pub use answer::{
    Answer, Authenticated, Destroyed, Invalidated, IssuedToken, LoggedOut, NotASessionId, Refreshed, SessionId,
    TokenPair,
};
pub use authenticator::{Authenticator, AuthenticatorBuilder, Selection};
pub use backend::AuthenticationBackend;
pub use client::Client;
pub use clock::{Clock, SystemClock, Timestamp};
pub use entropy::{Entropy, SystemEntropy};
pub use error::{AuthError, Cause, ConfigError, Failure, FailureKind, Refusal};
pub use live::{LiveSession, SessionEnd, SessionWatcher};
pub use origin::OriginPolicy;
pub use outcome::AuthOutcome;
pub use policy::{Lifetimes, MAX_LIFETIME, ReusePolicy, SessionCap, WhenFull};
#[cfg(feature = "tower")]
pub use problem::Problem;
pub use profile::Profile;
pub use renewing::UrlSource;
pub use secret::{MIN_SECRET_LENGTH, Secret};
pub use strategy::{RefreshableStrategy, SessionControl, Strategy, TokenControl};
pub use symptom::Symptom;
pub use token::{Digest, DigestKeyRing, Locator, PlainToken, StoredToken, TokenFormat, TokenKind, TokenShape};
pub use usage::UseRecorder;
pub use user::{User, UserId, UserKey, UserKeyKind, UserManager};
