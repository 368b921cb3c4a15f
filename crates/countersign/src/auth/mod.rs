//! Authentication of requests: backends, and the choice among them.
//!
//! - An [`AuthenticationBackend`] pairs a transport with a strategy.
//! - An [`Authenticator`] chooses the backend of a request, and reads the user.
//! - [`AuthOutcome`] is the result: a user, nobody, a refusal or a failure.
//! - [`LoggedIn`] and [`LoginError`] are the result of a login, and a [`LoginVerdict`] decides it.
//! - An [`OriginPolicy`] decides which pages may send cookies.
//! - A [`UseRecorder`] records when sessions were used, and a [`SessionWatcher`] watches for their
//!   end.

mod authenticator;
mod backend;
mod foreign;
mod live;
mod login;
mod origin;
mod outcome;
#[cfg(feature = "tower")]
mod renewal;
mod usage;

pub use authenticator::{Authenticator, AuthenticatorBuilder, Selection};
pub use backend::AuthenticationBackend;
pub use live::{LiveSession, SessionEnd, SessionWatcher};
#[cfg(feature = "axum")]
pub(crate) use login::JUDGED;
pub use login::{LoggedIn, LoginError, LoginVerdict};
pub use origin::OriginPolicy;
#[cfg(feature = "axum")]
pub(crate) use origin::is_json;
pub use outcome::AuthOutcome;
pub use usage::UseRecorder;
