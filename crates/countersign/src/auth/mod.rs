//! Authentication of requests: backends, and the choice among them.
//!
//! - `backend.rs` pairs a transport with a strategy.
//! - `authenticator.rs` chooses the backend of a request, and reads the user.
//! - `outcome.rs` is what came of it: a user, nobody, a refusal or a failure.
//! - `origin/` decides which pages may send cookies.
//! - `usage.rs` records when sessions were used, and `live.rs` watches for their end.

mod authenticator;
mod backend;
mod live;
mod origin;
mod outcome;
mod usage;

pub use authenticator::{Authenticator, AuthenticatorBuilder, Selection};
pub use backend::AuthenticationBackend;
pub use live::{LiveSession, SessionEnd, SessionWatcher};
pub use origin::OriginPolicy;
#[cfg(feature = "axum")]
pub(crate) use origin::is_json;
pub use outcome::AuthOutcome;
pub use usage::UseRecorder;
