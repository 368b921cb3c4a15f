//! Who may log in: accounts, their passwords, and how often a password may be wrong.

mod account;
mod changes;
mod email;
mod hasher;
mod in_use;
mod invisible;
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
pub use invisible::{is_invisible, spelled_out};
pub use login::{Login, Logins, Recognised};
pub use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, ORIGINAL, OURS, Verdict, is_of_fitting_length};
pub use queue::Line;
pub use registrar::Registrar;
pub use setting::{Argon2Setting, HashSetting};
pub use store::Accounts;
pub use survey::Survey;
pub use throttle::{Allowance, Attempt, Source, Throttle};
