//! The server's own routes, beside those that the library brings.

mod health;
mod me;
mod register;

pub use health::{healthz, readyz};
pub use me::{Me, me};
pub use register::{REGISTER_EMAIL_TAKEN, register};
