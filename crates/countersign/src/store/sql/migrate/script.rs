//! Applying a migration as one script, which also records it.

use crate::clock::Timestamp;
use crate::error::{ConfigError, Failure};
use crate::store::sql::migrate::schema;
use crate::store::sql::migrate::set::Migration;
use crate::store::sql::migrate::text::{Change, asked};
use crate::store::sql::migrate::turn::TURN;
use crate::store::sql::models::columns_of;
use crate::store::sql::{Dialect, Driver, Script, SetupError};

/// The table of applied migrations. It is the same in all dialects.
pub(super) const HISTORY: &str = "\
    CREATE TABLE IF NOT EXISTS countersign_migration (\
        set_name VARCHAR(64) NOT NULL, \
        version BIGINT NOT NULL, \
        name VARCHAR(64) NOT NULL, \
        checksum VARCHAR(64) NOT NULL, \
        applied_at BIGINT NOT NULL, \
        PRIMARY KEY (set_name, version)\
    )";

/// Returns `true` if the table of applied migrations exists.
pub(super) async fn has_history(driver: &dyn Driver) -> Result<bool, Failure> {
    Ok(!columns_of(driver, "countersign_migration")
        .await?
        .is_empty())
}

/// Applies a migration as one transaction, unless it turns out to be applied already. Returns
/// `true` if this call applied it, and `None` if another process holds the lock for migrations.
pub(super) async fn run(
    driver: &dyn Driver,
    changes: &[Change],
    record: &Record<'_>,
    tell: &(dyn Fn(&str) + Sync),
) -> Result<Option<bool>, SetupError> {
    let mut texts = Vec::new();
    for change in changes {
        if !schema::is_done(driver, change).await? {
            tell(&change.text);
            texts.push(change.text.as_str());
        }
    }

    if driver.dialect() == Dialect::Postgres {
        let outcome = driver.run(&one_statement(&texts, record), &[]).await?;
        let applied = outcome
            .rows
            .iter()
            .any(|row| matches!(row.text(0), Ok(Some("yes"))));
        return Ok(outcome.took_effect().then_some(applied));
    }
    let script = in_transaction(driver, &texts, record).await?;
    Ok(Some(driver.run(&script, &[]).await?.took_effect()))
}

/// Checks that the migration's tables, where they exist, are the ones that it is meant for.
///
/// # Errors
///
/// Returns [`SetupError::Config`] if a table of the same name lacks a column that the migration
/// relies on.
pub(super) async fn refuse_foreign_tables(
    driver: &dyn Driver,
    changes: &[Change],
) -> Result<(), SetupError> {
    for (table, columns) in asked(changes) {
        let live = columns_of(driver, &table).await?;
        let missing: Vec<_> = columns
            .into_iter()
            .filter(|column| !live.contains(column))
            .collect();

        if !live.is_empty() && !missing.is_empty() {
            return Err(foreign(&table, &missing).into());
        }
    }
    Ok(())
}

/// Returns the error for a table that has the expected name but other columns.
fn foreign(table: &str, missing: &[String]) -> ConfigError {
    let problem = format!(
        "the database has a table `{table}` that does not belong to countersign: it has no \
         column {}",
        missing.join(", ")
    );
    ConfigError::new(
        "database_url",
        problem,
        "use another database or, in PostgreSQL, another schema",
    )
}

/// The row that records an applied migration.
pub(super) struct Record<'a> {
    pub(super) set: &'a str,
    pub(super) migration: &'a Migration,
    pub(super) checksum: String,
    pub(super) now: Timestamp,
}

impl Record<'_> {
    /// Returns the values as SQL literals. They are constants of the program, checked names and
    /// numbers, so nothing needs escaping but the name's quotes.
    pub(super) fn values(&self) -> String {
        let Self {
            set,
            migration,
            checksum,
            now,
        } = self;
        let (version, name) = (migration.version, migration.name.replace('\'', "''"));

        format!(
            "'{set}', {version}, '{name}', '{checksum}', {}",
            now.as_micros()
        )
    }

    /// Returns the condition that the migration is recorded.
    fn exists(&self) -> String {
        let (set, version) = (self.set, self.migration.version);
        format!(
            "EXISTS (\
                 SELECT 1 \
                 FROM countersign_migration \
                 WHERE set_name = '{set}' \
                   AND version = {version}\
             )"
        )
    }
}

/// Returns the script for SQLite. Inserting the record is the guard: if it is there already, no
/// table is changed.
async fn in_transaction(
    driver: &dyn Driver,
    changes: &[&str],
    record: &Record<'_>,
) -> Result<Script, Failure> {
    driver
        .run(&Script::new(Dialect::Sqlite, &["SELECT 1", HISTORY]), &[])
        .await?;
    let guard = format!(
        "INSERT INTO countersign_migration \
         SELECT {} \
         WHERE NOT {}",
        record.values(),
        record.exists()
    );

    let steps: Vec<&str> = std::iter::once(guard.as_str())
        .chain(changes.iter().copied())
        .collect();
    Ok(Script::new(Dialect::Sqlite, &steps))
}

/// Returns the script for PostgreSQL: the lock for migrations as guard, then everything else in one
/// anonymous block.
///
/// The lock ends with the transaction, and isn't waited for in the database: a waiting session
/// would hold a snapshot, and block an index that is built concurrently. An anonymous block returns
/// nothing, so a third statement asks whether this transaction wrote the record.
fn one_statement(changes: &[&str], record: &Record<'_>) -> Script {
    let turn = format!("SELECT 1 WHERE pg_try_advisory_xact_lock({TURN})");
    let changes = if changes.is_empty() {
        String::new()
    } else {
        changes.join(";\n") + ";"
    };
    let block = format!(
        "DO $countersign$ BEGIN \
             {HISTORY}; \
             IF NOT {} THEN \
                 {changes} \
                 INSERT INTO countersign_migration VALUES ({}); \
             END IF; \
         END $countersign$",
        record.exists(),
        record.values()
    );

    let (set, version) = (record.set, record.migration.version);
    let ours = format!(
        "SELECT CASE \
             WHEN xmin::text::bigint = txid_current() % 4294967296 THEN 'yes' \
             ELSE 'no' \
         END \
         FROM countersign_migration \
         WHERE set_name = '{set}' \
           AND version = {version}"
    );
    Script::new(Dialect::Postgres, &[&turn, &block, &ours])
}
