//! The mark in the database, and what else the database tells of its past.
//!
//! The table `countersign_deployment` has one row per name: `mark` holds the mark, and in an SQLite
//! file `clock` holds the time at which it was last served. The mark is written by [`replace`]
//! alone, which compares it with what was read before. So of several processes that write at once,
//! one succeeds.

use countersign::store::Value;
use countersign::store::sql::{Database, Dialect, Driver, Script, Statement};
use countersign::{Failure, Timestamp};

use super::mark::{Fault, Mark};
use crate::config::Store;
use crate::error::Error;
use crate::foundation;

/// The command that changes the mark, as errors name it.
pub(super) const CHANGE: &str = "`countersign deployment change`";

/// The name of this part in failures.
const PART: &str = "deployment";

/// The state of a database before anything is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    /// `true` if a version of this program has created tables here.
    pub(super) has_history: bool,
    /// `true` if there are accounts or tokens.
    pub(super) has_rows: bool,
    /// The recorded mark, if there is one.
    pub(super) recorded: Option<Recorded>,
    /// The reason why the mark can't be read. Then `recorded` holds an open mark.
    pub(super) fault: Option<Fault>,
}

/// A mark, with the text that it was parsed from.
///
/// The text is needed to replace the mark: another process may have written the same mark
/// differently.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) mark: Mark,
    pub(super) text: String,
}

impl Ground {
    /// Returns the recorded mark.
    pub(super) fn mark(&self) -> Option<&Mark> {
        self.recorded.as_ref().map(|recorded| &recorded.mark)
    }

    /// Reads the state of a database, which may have no tables yet.
    ///
    /// A mark that can't be read is no error here. It is kept in [`fault`](Self::fault), because a
    /// change of the deployment may replace it.
    ///
    /// # Errors
    /// Returns [`Failure`] if the database can't be used.
    pub(super) async fn read(database: &Database) -> Result<Self, Failure> {
        let mut ground = Self::default();
        if has_table(database, "countersign_migration").await? {
            ground.has_history = has_row(database, "countersign_migration").await?;
        }
        for table in ["user", "access_token", "refresh_token"] {
            ground.has_rows = ground.has_rows
                || (has_table(database, table).await? && has_row(database, table).await?);
        }

        if has_table(database, "countersign_deployment").await?
            && let Some(text) = value_of(database, "mark").await?
        {
            let mark = Mark::parse(&text).unwrap_or_else(|fault| {
                ground.fault = Some(fault);
                Mark::open(None)
            });
            ground.recorded = Some(Recorded { mark, text });
        }

        Ok(ground)
    }

    /// Returns `self` if the mark can be read.
    ///
    /// # Errors
    /// Returns [`Error::Mark`] otherwise.
    pub(super) fn readable(self, store: &Store) -> Result<Self, Error> {
        match &self.fault {
            Some(fault) => Err(Unread::Mark(fault.clone()).told(store)),
            None => Ok(self),
        }
    }
}

/// The reason why a mark couldn't be read.
#[derive(Debug)]
pub(super) enum Unread {
    /// The database failed.
    Store(Failure),
    /// The stored text isn't a mark that this version can read.
    Mark(Fault),
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

impl Unread {
    /// Returns this as an error that names the database and the cure.
    ///
    /// A failure of the database becomes [`Error::Store`], and an unreadable mark [`Error::Mark`].
    pub(super) fn told(self, store: &Store) -> Error {
        let place = format!(
            "the deployment's mark (row `mark` of the table countersign_deployment) in the database at {}",
            store.shown()
        );

        match self {
            Self::Store(failure) => foundation::unreachable(store, failure),
            Self::Mark(Fault::Garbage(words)) => Error::Mark(format!(
                "{place} can't be read: {words}; restore the row from a backup, or run \
                 {CHANGE} with all settings of the servers to record it again"
            )),
            Self::Mark(Fault::Newer(form)) => Error::Mark(format!(
                "{place} was written by a newer version: this version does not know format \
                 {form}; run that version or a newer one"
            )),
        }
    }
}

/// Reads the mark from a database whose tables are up to date.
///
/// # Errors
/// Returns [`Unread`] if the database fails or the mark can't be read.
pub(super) async fn recorded(database: &dyn Driver) -> Result<Option<Recorded>, Unread> {
    let Some(text) = value_of(database, "mark").await? else {
        return Ok(None);
    };
    let mark = Mark::parse(&text).map_err(Unread::Mark)?;
    Ok(Some(Recorded { mark, text }))
}

/// The outcome of recording a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// The mark was recorded by this call.
    Now,
    /// The same mark was recorded already, by another process or by a statement that was sent
    /// twice.
    Before,
    /// Another process recorded a different mark first. Nothing was written.
    Not,
}

/// Records `mark`, unless the record is no longer the one that was `found`.
///
/// This is one statement: an insert, or an update that names the text it replaces. So no
/// transaction is needed, and a retry after a lost answer is recognised ([`Replaced::Before`]).
///
/// # Errors
/// Returns [`Unread`] if the database fails, or if nothing was written and the present mark can't
/// be read. It is safe to call this function again.
pub(super) async fn replace(
    database: &dyn Driver,
    found: Option<&Recorded>,
    mark: &Mark,
) -> Result<Replaced, Unread> {
    let dialect = database.dialect();
    let (template, params): (_, Vec<Value>) = match found {
        Some(found) => (
            "UPDATE countersign_deployment SET value = ?1 WHERE name = 'mark' AND value = ?2",
            vec![mark.text().into(), found.text.as_str().into()],
        ),
        None => (insert(dialect), vec![mark.text().into()]),
    };

    let outcome = database
        .run(&Script::new(dialect, &[template]), &params)
        .await?;
    if outcome.took_effect() {
        return Ok(Replaced::Now);
    }

    let is_same = recorded(database)
        .await?
        .is_some_and(|recorded| recorded.mark == *mark);
    Ok(if is_same {
        Replaced::Before
    } else {
        Replaced::Not
    })
}

/// Returns the statement that records a first mark and does nothing if there is one.
const fn insert(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mysql => {
            "INSERT IGNORE INTO countersign_deployment (name, value) VALUES ('mark', ?1)"
        }
        Dialect::Sqlite | Dialect::Postgres => {
            "INSERT INTO countersign_deployment (name, value) VALUES ('mark', ?1) ON CONFLICT (name) DO NOTHING"
        }
    }
}

/// Returns the time at which an SQLite file was last served.
///
/// Returns `None` if it was never noted, or if the note isn't a number.
pub(super) async fn last_served(database: &dyn Driver) -> Result<Option<Timestamp>, Failure> {
    let text = value_of(database, "clock").await?;
    Ok(text
        .and_then(|text| text.parse().ok())
        .map(Timestamp::from_micros))
}

/// Notes the time at which an SQLite file was served, in microseconds since the Unix epoch.
///
/// Only SQLite knows this statement; other databases have a clock of their own.
pub(super) async fn note_served(database: &dyn Driver, now: Timestamp) -> Result<(), Failure> {
    let note = "INSERT INTO countersign_deployment (name, value) VALUES ('clock', ?1) \
                ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let params = [now.as_micros().to_string().into()];
    database
        .run(&Script::new(database.dialect(), &[note]), &params)
        .await
        .map(drop)
}

/// Returns the version of the newest migration of each set, sorted by the name of the set.
///
/// Empty if no version of this program has created tables here.
pub(super) async fn schema(database: &dyn Driver) -> Result<Vec<(String, i64)>, Failure> {
    if !has_table(database, "countersign_migration").await? {
        return Ok(Vec::new());
    }
    let template = "SELECT set_name, MAX(version) FROM countersign_migration GROUP BY set_name ORDER BY set_name";
    let rows = database
        .fetch(&Statement::new(database.dialect(), template), &[])
        .await?;
    Ok(rows
        .iter()
        .filter_map(|row| Some((row.text(0).ok()??.to_owned(), row.int(1).ok()??)))
        .collect())
}

/// Returns the value of a row of the table `countersign_deployment`.
async fn value_of(database: &dyn Driver, name: &str) -> Result<Option<String>, Failure> {
    let template = "SELECT value FROM countersign_deployment WHERE name = ?1";
    let rows = database
        .fetch(
            &Statement::new(database.dialect(), template),
            &[name.into()],
        )
        .await?;
    let Some(row) = rows.first() else {
        return Ok(None);
    };

    Ok(row
        .text(0)
        .map_err(|error| Failure::internal(PART, error))?
        .map(str::to_owned))
}

/// Returns `true` if the database has a table of this name.
async fn has_table(database: &dyn Driver, table: &str) -> Result<bool, Failure> {
    let template = match database.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1",
        Dialect::Postgres => "SELECT 1 WHERE to_regclass(quote_ident(?1::text)) IS NOT NULL",
        Dialect::Mysql => {
            "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?1"
        }
    };

    let rows = database
        .fetch(
            &Statement::new(database.dialect(), template),
            &[table.into()],
        )
        .await?;
    Ok(!rows.is_empty())
}

/// Returns `true` if the table has a row.
async fn has_row(database: &dyn Driver, table: &str) -> Result<bool, Failure> {
    let template = format!("SELECT 1 FROM {} LIMIT 1", database.dialect().quote(table));
    Ok(!database
        .fetch(&Statement::new(database.dialect(), &template), &[])
        .await?
        .is_empty())
}
