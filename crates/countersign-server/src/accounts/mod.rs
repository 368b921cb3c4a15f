//! Who may log in: accounts, their passwords, and how often a password may be wrong.

mod account;
mod changes;
mod email;
mod hasher;
mod login;
mod password;
mod registrar;
mod store;
mod throttle;

pub use account::{Account, COLUMNS};
pub use changes::{Change, Changes};
pub use email::{Email, MAX_EMAIL_BYTES, NotAnEmail};
pub use hasher::{Checked, Hasher};
pub use login::{Login, Logins};
pub use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, Verdict};
pub use registrar::Registrar;
pub use store::Accounts;
pub use throttle::{Allowance, Attempt, Throttle};
