//! A member, as the table has it and as tokens need it.

use std::fmt;
use std::str::FromStr;

use countersign::User;
use serde::Serialize;
use sqlx::postgres::PgRow;
use sqlx::{FromRow, Row};
use uuid::Uuid;

/// A row of the table `member`.
#[derive(Clone)]
pub struct Member {
    /// The id, which never changes.
    pub id: Uuid,
    /// The email address, in lower case.
    pub email: String,
    /// The argon2id hash of the password, in the PHC format.
    pub password_hash: String,
    /// The role. It is read with each request, so a role that is taken away is gone at once.
    pub role: Role,
    /// `true` if the account may be used.
    pub is_active: bool,
}

/// The role of a member.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
#[expect(clippy::exhaustive_enums, reason = "the application's own roles")]
pub enum Role {
    /// A member without further rights.
    Member,
    /// A member who may disable others.
    Admin,
}

impl User for Member {
    type Id = Uuid;

    fn id(&self) -> &Uuid {
        &self.id
    }

    // With the hash, a login notices at the cost of one query that the password was changed while
    // it was being checked.
    fn password_hash(&self) -> Option<&str> {
        Some(&self.password_hash)
    }

    // Asked on each request, on each refresh and at each login.
    fn is_active(&self) -> bool {
        self.is_active
    }
}

/// With sqlx's feature `derive`, `#[derive(FromRow)]` takes its place: `role` then needs
/// `#[sqlx(try_from = "String")]`, and `Role` needs `TryFrom<String>`.
impl FromRow<'_, PgRow> for Member {
    fn from_row(row: &PgRow) -> Result<Self, sqlx::Error> {
        let role: &str = row.try_get("role")?;
        Ok(Self {
            id: row.try_get("id")?,
            email: row.try_get("email")?,
            password_hash: row.try_get("password_hash")?,
            role: role.parse().map_err(|error| sqlx::Error::ColumnDecode {
                index: "role".to_owned(),
                source: Box::<UnknownRole>::new(error),
            })?,
            is_active: row.try_get("is_active")?,
        })
    }
}

/// The error of a text that names no role.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("no role has this name")]
#[non_exhaustive]
pub struct UnknownRole;

impl FromStr for Role {
    type Err = UnknownRole;

    fn from_str(text: &str) -> Result<Self, UnknownRole> {
        match text {
            "member" => Ok(Self::Member),
            "admin" => Ok(Self::Admin),
            _ => Err(UnknownRole),
        }
    }
}

/// Shows no field: neither addresses nor hashes belong into a log.
impl fmt::Debug for Member {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Member").finish_non_exhaustive()
    }
}
