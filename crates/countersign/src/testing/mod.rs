//! Test tools: an `Auth` in memory, sessions without a login, a clock that you set, repeatable
//! randomness, and conformance suites for stores.
//!
//! - [`auth`](fn@auth) builds an [`Auth`](crate::Auth) with nothing to set up, and
//!   [`Auth::test_session`](crate::Auth::test_session) opens a session without a password. Both
//!   need the feature `axum`. Without it, [`TestSession::open`] does the same for an
//!   [`Authenticator`](crate::Authenticator).
//! - [`TestSession`] has the headers that a logged-in client sends, and [`TestCookies`] keeps the
//!   cookies that responses set.
//! - [`ManualClock`] and [`SeededEntropy`] take the place of the system's clock and random source.
//!   A test that uses them gives the same tokens and the same expiries in every run.
//! - [`TokenStoreSuite`] checks an implementation of [`TokenStore`](crate::store::TokenStore), and
//!   [`DenylistSuite`] checks one of [`DenylistStore`](crate::denylist::DenylistStore). A suite
//!   runs one named case for each clause of the contract and returns a [`SuiteReport`].
//!
//! The module needs the feature `testing`. Enable it in `[dev-dependencies]` only. The
//! [guide](crate::guide::testing) shows how to test an application with it.
//!
//! # Checking a store
//!
//! Give the suite a name for the report and a function that makes a fresh, empty store. The suite
//! needs a Tokio runtime with several threads; in a test, use `#[tokio::test(flavor =
//! "multi_thread")]`. On a single thread the cases about concurrent calls fail, because their calls
//! would run one after the other.
//!
//! ```
//! use countersign::Failure;
//! use countersign::store::MemoryStore;
//! use countersign::testing::TokenStoreSuite;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), countersign::testing::SuiteFailed> {
//! let suite = TokenStoreSuite::new("memory", |_user_ids| async {
//!     Ok::<_, Failure>(MemoryStore::new())
//! });
//! let report = suite.run().await;
//! println!("{report}");
//! report.into_result()?;
//! # Ok(())
//! # }
//! ```
//!
//! A failed case is named after the function that checks its clause, such as
//! `rotation::works_once`. The documentation of that function, in the source of this module, says
//! what the store must do and why.

#[cfg(feature = "axum")]
mod auth;
mod case;
mod clock;
mod cookies;
mod denylist;
mod entropy;
mod report;
mod session;
mod tokens;
mod violation;

#[cfg(feature = "axum")]
pub use auth::auth;
pub use clock::ManualClock;
pub use cookies::TestCookies;
pub use denylist::DenylistSuite;
pub use entropy::SeededEntropy;
pub use report::{CaseReport, SuiteFailed, SuiteReport};
pub use session::TestSession;
pub use tokens::{TokenStoreSuite, user_ids};
pub use violation::Violation;
