//! The server's own routes, beside those that the library brings.

mod change;
mod health;
mod me;
mod register;

pub use change::{ACCOUNT_EMAIL_TAKEN, CURRENT_PASSWORD_INVALID, OwnChange, change};
pub use health::{healthz, readyz};
pub use me::{Me, me};
pub use register::{REGISTER_EMAIL_TAKEN, register};
