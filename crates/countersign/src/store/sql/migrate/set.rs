//! Migrations, and the ordered sets that they belong to.

use sha2::{Digest as _, Sha256};

use crate::store::sql::Dialect;

/// One migration: its number, its name, and its SQL in each dialect.
///
/// # Text
///
/// - `{user_id}` stands for the column type of user ids, which depends on the
///   [`UserKeyKind`](crate::user::UserKeyKind).
/// - A statement ends with `;` at the end of a line. Lines that begin with `--` are comments.
/// - A statement below `-- unless column TABLE.COLUMN` is skipped if the column exists. On MySQL
///   and MariaDB there are also `-- unless index TABLE.INDEX` and
///   `-- unless collation TABLE.COLUMN NAME`.
///
/// Once released, a text must not change. Put further changes into a new migration.
///
/// # Atomicity
///
/// On SQLite a migration is one transaction. On MySQL and MariaDB every change of a table commits
/// at once, so each statement must be safe to run again after a crash.
///
/// On PostgreSQL a migration is one transaction, with one exception. If it changes a table that has
/// rows, and consists only of `CREATE TABLE IF NOT EXISTS`,
/// `ALTER TABLE … ADD COLUMN IF NOT EXISTS` (one column each) and `CREATE INDEX IF NOT EXISTS`, it
/// is applied statement by statement, and indexes are created `CONCURRENTLY`.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "migrations are written as constants"
)]
pub struct Migration {
    /// The number of the migration, counted from 1 within its set.
    pub version: u32,
    /// The name of the migration, in a word or two.
    pub name: &'static str,
    /// The text for SQLite.
    pub sqlite: &'static str,
    /// The text for PostgreSQL.
    pub postgres: &'static str,
    /// The text for MySQL and MariaDB.
    pub mysql: &'static str,
}

impl Migration {
    /// Returns the text for `dialect`.
    pub(super) const fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
            Dialect::Mysql => self.mysql,
        }
    }

    /// Returns the SHA-256 of the text for `dialect`, as 64 hexadecimal digits.
    pub(super) fn checksum(&self, dialect: Dialect) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(self.text(dialect).as_bytes()))
    }
}

/// An ordered list of migrations for tables that belong together.
///
/// Sets are numbered independently of each other, so an application's set may begin with 1.
/// [`Migrator::add`](crate::store::sql::Migrator::add) adds one to the bundled set.
#[derive(Clone, Copy, Debug)]
#[expect(
    clippy::exhaustive_structs,
    reason = "migrations are written as constants"
)]
pub struct MigrationSet {
    /// The name of the set: 1 to 64 lower-case letters, digits, `_` and `-`. `countersign` is the
    /// bundled set.
    pub name: &'static str,
    /// The migrations, in the order of their numbers.
    pub migrations: &'static [Migration],
}

/// The migrations of the token tables.
pub(in crate::store::sql) const BUNDLED: MigrationSet = MigrationSet {
    name: "countersign",
    migrations: &[
        Migration {
            version: 1,
            name: "tokens",
            sqlite: include_str!("../../../../migrations/sqlite/0001_tokens.sql"),
            postgres: include_str!("../../../../migrations/postgres/0001_tokens.sql"),
            mysql: include_str!("../../../../migrations/mysql/0001_tokens.sql"),
        },
        Migration {
            version: 2,
            name: "sessions",
            sqlite: include_str!("../../../../migrations/sqlite/0002_sessions.sql"),
            postgres: include_str!("../../../../migrations/postgres/0002_sessions.sql"),
            mysql: include_str!("../../../../migrations/mysql/0002_sessions.sql"),
        },
        Migration {
            version: 3,
            name: "endings",
            sqlite: include_str!("../../../../migrations/sqlite/0003_endings.sql"),
            postgres: include_str!("../../../../migrations/postgres/0003_endings.sql"),
            mysql: include_str!("../../../../migrations/mysql/0003_endings.sql"),
        },
        Migration {
            version: 4,
            name: "fence indexes",
            sqlite: include_str!("../../../../migrations/sqlite/0004_fence_indexes.sql"),
            postgres: include_str!("../../../../migrations/postgres/0004_fence_indexes.sql"),
            mysql: include_str!("../../../../migrations/mysql/0004_fence_indexes.sql"),
        },
        Migration {
            version: 5,
            name: "authentication",
            sqlite: include_str!("../../../../migrations/sqlite/0005_authentication.sql"),
            postgres: include_str!("../../../../migrations/postgres/0005_authentication.sql"),
            mysql: include_str!("../../../../migrations/mysql/0005_authentication.sql"),
        },
    ],
};

/// The identity of a migration: its set, number and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Applied {
    /// The name of the migration's set.
    pub set: &'static str,
    /// The number of the migration within its set.
    pub version: u32,
    /// The name of the migration.
    pub name: &'static str,
}
