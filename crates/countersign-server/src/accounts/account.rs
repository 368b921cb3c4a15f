//! An account, and how it is read from a row of the table `user`.
//!
//! [`COLUMNS`] and [`Account::from_row`] belong together: the order of the columns is the order in
//! which the row is read. The token store joins the same columns to a token's row, so that checking
//! a token and loading its account is one query.

use std::fmt;

use countersign::store::{Row, ValueError};
use countersign::{Timestamp, User};
use uuid::Uuid;

/// The columns of an account's row, in the order in which [`Account::from_row`] reads them.
pub const COLUMNS: [&str; 6] = [
    "id",
    "email",
    "hashed_password",
    "is_active",
    "is_verified",
    "created_at",
];

/// An account that can log in with an email address and a password.
///
/// Its `Debug` output shows only `is_active`, so that no personal data reaches the logs.
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The id of the account. It never appears in logs.
    pub id: Uuid,
    /// The email address in its canonical form (see [`Email`](crate::accounts::Email)). Rows from
    /// other programs may hold another form.
    pub email: String,
    /// The hash of the password: a PHC string for Argon2, or a bcrypt hash.
    pub hashed_password: String,
    /// `true` unless the account is disabled. A disabled account can't log in, and its tokens are
    /// refused.
    pub is_active: bool,
    /// `true` if the email address is known to belong to the user.
    pub is_verified: bool,
    /// The time at which the account was created. `None` for rows that litestar-auth wrote.
    pub created_at: Option<Timestamp>,
}

impl Account {
    /// Reads an account from a row whose first columns are [`COLUMNS`].
    ///
    /// # Errors
    /// [`ValueError`] if a column holds a value of another type than expected.
    pub fn from_row(row: &Row) -> Result<Self, ValueError> {
        Ok(Self {
            id: row.uuid(0)?.unwrap_or_default(),
            email: row.text(1)?.unwrap_or_default().to_owned(),
            hashed_password: row.text(2)?.unwrap_or_default().to_owned(),
            is_active: row.bool(3)?,
            is_verified: row.bool(4)?,
            created_at: row.time(5)?,
        })
    }
}

impl User for Account {
    type Id = Uuid;

    fn id(&self) -> &Uuid {
        &self.id
    }

    fn email(&self) -> Option<&str> {
        Some(&self.email)
    }

    fn password_hash(&self) -> Option<&str> {
        Some(&self.hashed_password)
    }

    fn is_active(&self) -> bool {
        self.is_active
    }
}

impl fmt::Debug for Account {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Account")
            .field("is_active", &self.is_active)
            .finish_non_exhaustive()
    }
}
