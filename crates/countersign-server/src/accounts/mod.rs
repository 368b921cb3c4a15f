//! Accounts: storage, passwords, login limits, registration and changes.
//!
//! - [`Logins`] checks a login: [`Throttle`] limits failures, [`Accounts`] loads the [`Account`],
//!   and [`Hasher`] checks the password on threads of its own.
//! - [`Registrar`] creates accounts.
//! - [`Changes`] makes changes that end the sessions of an account.
//! - [`Email`] and [`Lookup`] hold the canonical form of an address and the forms that may be
//!   stored.
//! - [`InUse`] and [`Survey`] know which hash settings the stored passwords have. They keep the
//!   duration of a login independent of the account.
//!
//! Nothing in here knows of HTTP. The routes are in [`routes`](crate::routes) and in the library.

mod account;
mod changes;
mod email;
mod hasher;
mod hashing;
mod in_use;
mod login;
mod memory;
mod password;
mod queue;
mod registrar;
mod setting;
mod store;
mod survey;
mod throttle;

pub use account::{Account, COLUMNS};
pub use changes::{Change, Changes};
pub use email::{Email, Lookup, MAX_EMAIL_BYTES, NotAnEmail};
pub use hasher::{Checked, Hasher};
pub use in_use::InUse;
pub use login::{Login, Logins, Recognised};
pub use password::{
    MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, ORIGINAL, OURS, Verdict, is_of_fitting_length,
};
pub use queue::Line;
pub use registrar::Registrar;
pub use setting::{Argon2Setting, HashSetting};
pub use store::Accounts;
pub use survey::Survey;
pub use throttle::{Allowance, Attempt, Throttle};
