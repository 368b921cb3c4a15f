//! The mark in the database, and what else the database tells of its past.

use countersign::store::Value;
use countersign::store::sql::{Database, Dialect, Driver, Script, Statement};
use countersign::{Failure, Timestamp};

use super::agree::CHANGE;
use super::mark::{Fault, Mark};
use crate::compose;
use crate::config::Store;
use crate::error::Error;

const PART: &str = "deployment";

/// What a database is found to be, before anything is written.
#[derive(Clone, Debug, Default)]
pub(super) struct Ground {
    /// Whether a version of this program has made tables here.
    pub(super) has_history: bool,
    /// Whether there are accounts or tokens.
    pub(super) has_rows: bool,
    /// What stands in the record.
    pub(super) recorded: Option<Recorded>,
    /// Why that can't be read; then it counts as a mark that says nothing.
    pub(super) fault: Option<Fault>,
}

/// A mark, and its text, by which it is replaced.
#[derive(Clone, Debug)]
pub(super) struct Recorded {
    pub(super) mark: Mark,
    pub(super) text: String,
}

impl Ground {
    /// What is recorded.
    pub(super) fn mark(&self) -> Option<&Mark> {
        self.recorded.as_ref().map(|recorded| &recorded.mark)
    }

    /// Looks at a database that may have no tables yet.
    pub(super) async fn read(database: &Database) -> Result<Self, Failure> {
        let mut ground = Self::default();
        if has_table(database, "countersign_migration").await? {
            ground.has_history = has_row(database, "countersign_migration").await?;
        }
        for table in ["user", "access_token", "refresh_token"] {
            ground.has_rows =
                ground.has_rows || (has_table(database, table).await? && has_row(database, table).await?);
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

    /// Refuses a mark that can't be read.
    pub(super) fn readable(self, store: &Store) -> Result<Self, Error> {
        match &self.fault {
            Some(fault) => Err(Unread::Mark(fault.clone()).told(store)),
            None => Ok(self),
        }
    }
}

/// Why there is no mark to be had.
#[derive(Debug)]
pub(super) enum Unread {
    /// The database didn't do its work.
    Store(Failure),
    /// What stands there can't be read.
    Mark(Fault),
}

impl From<Failure> for Unread {
    fn from(failure: Failure) -> Self {
        Self::Store(failure)
    }
}

impl Unread {
    /// The same as an error that names the database.
    pub(super) fn told(self, store: &Store) -> Error {
        let place = format!(
            "the deployment's mark (row `mark` of the table countersign_deployment) in the database at {}",
            store.shown()
        );
        match self {
            Self::Store(failure) => compose::unreachable(store, failure),
            Self::Mark(Fault::Garbage(words)) => Error::Mark(format!(
                "{place} can't be read: {words}; put the row back from a backup, or record it anew: run {CHANGE} with all \
                 that its servers are given"
            )),
            Self::Mark(Fault::Newer(form)) => Error::Mark(format!(
                "{place} was written by a newer version: this one doesn't know its form {form}; run that version, or a \
                 newer one"
            )),
        }
    }
}

/// The mark, from a database whose tables are up to date.
pub(super) async fn recorded(database: &dyn Driver) -> Result<Option<Recorded>, Unread> {
    let Some(text) = value_of(database, "mark").await? else { return Ok(None) };
    let mark = Mark::parse(&text).map_err(Unread::Mark)?;
    Ok(Some(Recorded { mark, text }))
}

/// What came of recording a mark.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Replaced {
    /// It is recorded.
    Now,
    /// It was recorded already: by another process, or by this one, whose statement was sent again.
    Before,
    /// Another process was first, with something else.
    Not,
}

/// Records `mark` in place of what was found.
pub(super) async fn replace(database: &dyn Driver, found: Option<&Recorded>, mark: &Mark) -> Result<Replaced, Unread> {
    let dialect = database.dialect();
    let (template, params): (_, Vec<Value>) = match found {
        Some(found) => (
            "UPDATE countersign_deployment SET value = ?1 WHERE name = 'mark' AND value = ?2",
            vec![mark.text().into(), found.text.as_str().into()],
        ),
        None => (insert(dialect), vec![mark.text().into()]),
    };
    let outcome = database.run(&Script::new(dialect, &[template]), &params).await?;
    if outcome.took_effect() {
        return Ok(Replaced::Now);
    }
    let is_same = recorded(database).await?.is_some_and(|recorded| recorded.mark == *mark);
    Ok(if is_same { Replaced::Before } else { Replaced::Not })
}

const fn insert(dialect: Dialect) -> &'static str {
    match dialect {
        Dialect::Mysql => "INSERT IGNORE INTO countersign_deployment (name, value) VALUES ('mark', ?1)",
        Dialect::Sqlite | Dialect::Postgres => {
            "INSERT INTO countersign_deployment (name, value) VALUES ('mark', ?1) ON CONFLICT (name) DO NOTHING"
        }
    }
}

/// When an SQLite file was last served, as far as that was noted.
pub(super) async fn last_served(database: &dyn Driver) -> Result<Option<Timestamp>, Failure> {
    let text = value_of(database, "clock").await?;
    Ok(text.and_then(|text| text.parse().ok()).map(Timestamp::from_micros))
}

/// Notes when an SQLite file was served.
pub(super) async fn note_served(database: &dyn Driver, now: Timestamp) -> Result<(), Failure> {
    let note = "INSERT INTO countersign_deployment (name, value) VALUES ('clock', ?1) \
                ON CONFLICT (name) DO UPDATE SET value = excluded.value";
    let params = [now.as_micros().to_string().into()];
    database.run(&Script::new(database.dialect(), &[note]), &params).await.map(drop)
}

/// The newest migration of each set.
pub(super) async fn schema(database: &dyn Driver) -> Result<Vec<(String, i64)>, Failure> {
    if !has_table(database, "countersign_migration").await? {
        return Ok(Vec::new());
    }
    let template = "SELECT set_name, MAX(version) FROM countersign_migration GROUP BY set_name ORDER BY set_name";
    let rows = database.fetch(&Statement::new(database.dialect(), template), &[]).await?;
    let read = |row: &countersign::store::Row| Some((row.text(0).ok()??.to_owned(), row.int(1).ok()??));
    Ok(rows.iter().filter_map(read).collect())
}

async fn value_of(database: &dyn Driver, name: &str) -> Result<Option<String>, Failure> {
    let template = "SELECT value FROM countersign_deployment WHERE name = ?1";
    let rows = database.fetch(&Statement::new(database.dialect(), template), &[name.into()]).await?;
    let Some(row) = rows.first() else { return Ok(None) };
    Ok(row.text(0).map_err(|error| Failure::internal(PART, error))?.map(str::to_owned))
}

async fn has_table(database: &dyn Driver, table: &str) -> Result<bool, Failure> {
    let template = match database.dialect() {
        Dialect::Sqlite => "SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = ?1",
        Dialect::Postgres => "SELECT 1 WHERE to_regclass(quote_ident(?1::text)) IS NOT NULL",
        Dialect::Mysql => "SELECT 1 FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name = ?1",
    };
    let rows = database.fetch(&Statement::new(database.dialect(), template), &[table.into()]).await?;
    Ok(!rows.is_empty())
}

async fn has_row(database: &dyn Driver, table: &str) -> Result<bool, Failure> {
    let template = format!("SELECT 1 FROM {} LIMIT 1", database.dialect().quote(table));
    Ok(!database.fetch(&Statement::new(database.dialect(), &template), &[]).await?.is_empty())
}
