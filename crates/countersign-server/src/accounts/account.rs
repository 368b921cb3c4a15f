//! An account, and how it is read from its row.

use std::fmt;

use countersign::store::{Row, ValueError};
use countersign::{Timestamp, User};
use uuid::Uuid;

/// The columns of an account's row, in the order in which [`Account::from_row`] reads them.
pub const COLUMNS: [&str; 6] = ["id", "email", "hashed_password", "is_active", "is_verified", "created_at"];

/// Who may log in. Its `Debug` shows nothing of the person (SECURITY row G-01).
#[derive(Clone, PartialEq, Eq)]
pub struct Account {
    /// The account's id; never shown in logs.
    pub id: Uuid,
    /// The email address in canonical form.
    pub email: String,
    /// The password's hash, a PHC string.
    pub hashed_password: String,
    /// Whether the account may be used.
    pub is_active: bool,
    /// Whether the address is known to be the user's.
    pub is_verified: bool,
    /// When the account was made; rows that the original wrote don't say.
    pub created_at: Option<Timestamp>,
}

impl Account {
    /// Reads a row of [`COLUMNS`].
    ///
    /// # Errors
    /// [`ValueError`] when a column holds something else than it must.
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
        f.debug_struct("Account").field("is_active", &self.is_active).finish_non_exhaustive()
    }
}
