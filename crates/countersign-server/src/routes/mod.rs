//! The server's own routes, beside those that the library brings.

mod change;
mod check;
mod health;
mod me;
mod register;

use std::net::{IpAddr, Ipv4Addr};

use countersign::axum::ClientAddress;

pub use change::{ACCOUNT_EMAIL_TAKEN, CURRENT_PASSWORD_INVALID, OwnChange, change};
pub use check::{checks, is_check};
pub use health::{healthz, readyz};
pub use me::{Me, me};
pub use register::{REGISTER_EMAIL_TAKEN, REGISTRATION_OFF, no_registration, register};

/// What a request without an address comes from.
const NOWHERE: ClientAddress = ClientAddress(IpAddr::V4(Ipv4Addr::UNSPECIFIED));
