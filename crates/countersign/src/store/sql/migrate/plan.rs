//! What would be done, and whom it would keep waiting.

use std::fmt;

use crate::error::Failure;
use crate::store::sql::migrate::Applied;
use crate::store::sql::migrate::schema;
use crate::store::sql::migrate::text::{Change, Kind};
use crate::store::sql::{Dialect, Driver};

/// One statement that [`Migrator::run`](crate::store::sql::Migrator::run) would run.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Planned {
    /// Its migration.
    pub step: Applied,
    /// Its text, as the database would get it.
    pub statement: String,
    /// The table that it changes or makes, where that is known.
    pub table: Option<String>,
    /// About how many rows that table has; `None` when it isn't there.
    pub rows: Option<u64>,
    /// Whom it keeps waiting.
    pub lock: TableLock,
}

/// Whom a change of a table keeps waiting, and for how long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum TableLock {
    /// Nobody: the table is new.
    Nobody,
    /// Nobody: readers and writers go on while it takes its time.
    Online,
    /// Everybody, for a moment: nothing is copied. It waits for the lock itself for a fraction of a second and comes again.
    Moment,
    /// Writers, or on some versions nobody, while the table is copied.
    WritersWhileCopied,
    /// Everybody who wants the same rows or tables, until the migration has ended.
    Transaction,
}

impl TableLock {
    /// A stable name, for programs.
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
            Self::Nobody => "none: a new table",
            Self::Online => "readers and writers go on",
            Self::Moment => "exclusive, for a moment",
            Self::WritersWhileCopied => "writers wait while the table is copied, where there is no other way",
            Self::Transaction => "held until the migration ends",
        })
    }
}

/// The statements of one migration that aren't done yet.
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
            // A column that may be null, or a table without rows.
            _ => TableLock::Moment,
        };
        let table = change.table().map(str::to_owned);
        planned.push(Planned { step, statement, table, rows, lock });
    }
    Ok(planned)
}
