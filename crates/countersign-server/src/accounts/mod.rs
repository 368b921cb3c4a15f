//! Who may log in.

mod email;
mod hasher;
mod password;

pub use email::{Email, MAX_EMAIL_BYTES, NotAnEmail};
pub use hasher::{Checked, Hasher};
pub use password::{MAX_PASSWORD_BYTES, MIN_PASSWORD_BYTES, Verdict};
