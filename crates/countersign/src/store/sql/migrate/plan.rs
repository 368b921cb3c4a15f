//! The plan of a migration: the statements that would run, and the locks that they would take.

use std::fmt;

use crate::error::Failure;
use crate::store::sql::migrate::schema;
use crate::store::sql::migrate::set::Applied;
use crate::store::sql::migrate::text::{Change, Kind};
use crate::store::sql::{Dialect, Driver};

/// One statement that [`Migrator::run`](crate::store::sql::Migrator::run) would run.
///
/// [`Migrator::plan`](crate::store::sql::Migrator::plan) returns these in the order of their
/// execution.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// The migration that the statement belongs to.
    pub step: Applied,
    /// The text of the statement, in the form that the database would receive.
    pub statement: String,
    /// The table that the statement changes or creates, if it is known.
    pub table: Option<String>,
    /// The approximate number of rows in that table, from the database's statistics. `None` if the
    /// table doesn't exist.
    pub rows: Option<u64>,
    /// The lock that the statement takes, and who has to wait for it.
    pub lock: TableLock,
}

/// The lock that a change of a table takes, by its effect on other requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableLock {
    /// No lock on existing rows: the table is new.
    Nobody,
    /// A lock that readers and writers don't notice, for as long as the work takes.
    Online,
    /// An exclusive lock for a moment. No rows are copied. The change waits for the lock for a
    /// fraction of a second, gives way, and tries again.
    Moment,
    /// A lock that makes writers wait while the table is copied. Some versions copy without it.
    WritersWhileCopied,
    /// Locks on rows or tables that are held until the migration ends.
    Transaction,
}

impl TableLock {
    /// Returns a stable name for programs, for example `writers_while_copied`.
    /// [`Display`](fmt::Display) gives a text for people.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Nobody => "nobody",
            Self::Online => "online",
            Self::Moment => "moment",
            Self::WritersWhileCopied => "writers_while_copied",
            Self::Transaction => "transaction",
        }
    }
}

impl fmt::Display for TableLock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Nobody => "none (new table)",
            Self::Online => "none for reads and writes (online)",
            Self::Moment => "exclusive, for a moment",
            Self::WritersWhileCopied => {
                "blocks writes while the table is copied, if the database has no online method"
            }
            Self::Transaction => "exclusive, until the migration ends",
        })
    }
}

/// Returns the statements of one migration whose effect isn't there yet.
pub(super) async fn of(
    driver: &dyn Driver,
    step: Applied,
    changes: &[Change],
    is_online: bool,
) -> Result<Vec<Planned>, Failure> {
    let mut planned = Vec::new();
    for change in changes {
        if schema::is_done(driver, change).await? {
            continue;
        }

        let rows = match change.table() {
            Some(table) => schema::rows(driver, table).await?,
            None => None,
        };
        let has_rows = match change.table() {
            Some(table) => schema::has_rows(driver, table).await?,
            None => false,
        };
        let concurrently = is_online && has_rows && driver.dialect() == Dialect::Postgres;
        let statement = match change.kind {
            Kind::MakeIndex { .. } if concurrently => change.concurrently(),
            _ => change.text.clone(),
        };

        let lock = match (driver.dialect(), &change.kind) {
            (_, Kind::MakeTable(_)) => TableLock::Nobody,
            _ if rows.is_none() && change.table().is_some() => TableLock::Nobody,
            (Dialect::Sqlite, _) | (_, Kind::Other) => TableLock::Transaction,
            (Dialect::Postgres, _) if !is_online && has_rows => TableLock::Transaction,
            (_, Kind::MakeIndex { .. }) if has_rows => TableLock::Online,
            (Dialect::Mysql, Kind::Alter(_)) if has_rows => TableLock::WritersWhileCopied,
            // A nullable column, or a table without rows.
            _ => TableLock::Moment,
        };

        let table = change.table().map(str::to_owned);
        planned.push(Planned {
            step,
            statement,
            table,
            rows,
            lock,
        });
    }
    Ok(planned)
}
