//! For tests: a clock that stands still, randomness that repeats, and the suites that every store passes.
//!
//! A store of your own is checked in a few lines. The runtime must have several threads, for the races to be races:
//!
//! ```
//! use countersign::Failure;
//! use countersign::store::MemoryStore;
//! use countersign::testing::TokenStoreSuite;
//!
//! # #[tokio::main]
//! # async fn main() -> Result<(), countersign::testing::SuiteFailed> {
//! let suite = TokenStoreSuite::new("memory", |_user_ids| async { Ok::<_, Failure>(MemoryStore::new()) });
//! let report = suite.run().await;
//! println!("{report}");
//! report.into_result()?;
//! # Ok(())
//! # }
//! ```

mod case;
mod clock;
mod denylist;
mod entropy;
mod report;
mod tokens;
mod violation;

pub use clock::ManualClock;
pub use denylist::DenylistSuite;
pub use entropy::SeededEntropy;
pub use report::{CaseReport, SuiteFailed, SuiteReport};
pub use tokens::{TokenStoreSuite, user_ids};
pub use violation::Violation;
