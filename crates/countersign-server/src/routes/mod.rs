//! The server's own routes. The routes of logins and sessions come from the library.
//!
//! The handlers translate between HTTP and [`accounts`](crate::accounts). Every error is a
//! [`Problem`](countersign::Problem). The [`router`](crate::router) says which handler serves which
//! path.

mod change;
mod check;
mod health;
mod me;
mod register;

pub use change::{ACCOUNT_EMAIL_TAKEN, CURRENT_PASSWORD_INVALID, OwnChange, change};
pub use check::{checks, is_check};
pub use health::{healthz, readyz};
pub use me::{Me, me};
pub use register::{REGISTER_EMAIL_TAKEN, REGISTRATION_OFF, no_registration, register};
