//! Questions to the live database: its columns, indexes and row counts, and the sessions that hold
//! locks.
//!
//! Answers that decide what is run return errors. Answers that are only reported to the watcher
//! turn errors into "unknown".

use crate::error::Failure;
use crate::store::sql::migrate::text::{Change, Kind};
use crate::store::sql::models::columns_of;
use crate::store::sql::{Dialect, Driver, Statement};
use crate::value::Value;

/// The state of an index.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Index {
    /// No relation of that name.
    Missing,
    /// An index whose creation was interrupted, or is still going on. Queries don't use it.
    Unfinished,
    /// A finished index, or another relation of that name.
    Whole,
}

/// Returns `true` if the effect of a statement is there already.
pub(super) async fn is_done(driver: &dyn Driver, change: &Change) -> Result<bool, Failure> {
    if let Some(condition) = &change.unless {
        return already(driver, condition, change.table_is_new).await;
    }

    match (&change.kind, driver.dialect()) {
        (Kind::MakeTable(table), Dialect::Postgres | Dialect::Mysql) => {
            Ok(!columns_of(driver, table).await?.is_empty())
        }
        (Kind::AddColumn { table, column }, Dialect::Postgres) if change.is_resumable() => {
            Ok(columns_of(driver, table)
                .await?
                .iter()
                .any(|live| live == column))
        }
        (Kind::MakeIndex { index: name, .. }, Dialect::Postgres) if change.is_resumable() => {
            Ok(index(driver, name).await? == Index::Whole)
        }
        _ => Ok(false),
    }
}

/// Returns `true` if the condition above a statement holds, so that the statement is skipped.
async fn already(
    driver: &dyn Driver,
    condition: &str,
    table_is_new: bool,
) -> Result<bool, Failure> {
    let mut words = condition.split([' ', '.']);
    let what = next_word(&mut words)?;
    let table = next_word(&mut words)?;
    let name = next_word(&mut words)?;

    let columns = columns_of(driver, table).await?;
    if columns.is_empty() && table_is_new {
        // The migration creates the table with all its columns and indexes.
        return Ok(true);
    }
    if what == "column" {
        return Ok(columns.iter().any(|column| column == name));
    }

    let (template, params): (_, Vec<Value>) = match what {
        "index" => (
            "SELECT 1 \
             FROM information_schema.statistics \
             WHERE table_schema = DATABASE() \
               AND table_name = ?1 \
               AND index_name = ?2 \
             LIMIT 1",
            vec![table.into(), name.into()],
        ),
        "collation" => (
            "SELECT 1 \
             FROM information_schema.columns \
             WHERE table_schema = DATABASE() \
               AND table_name = ?1 \
               AND column_name = ?2 \
               AND collation_name = ?3",
            vec![table.into(), name.into(), next_word(&mut words)?.into()],
        ),
        _ => return Err(Failure::internal("migrations", "a condition is unknown")),
    };
    Ok(!driver
        .fetch(&Statement::new(driver.dialect(), template), &params)
        .await?
        .is_empty())
}

/// Returns the next word of a condition.
///
/// # Errors
///
/// Returns a [`Failure`] if the condition has no further word.
fn next_word<'a>(words: &mut impl Iterator<Item = &'a str>) -> Result<&'a str, Failure> {
    words
        .next()
        .ok_or_else(|| Failure::internal("migrations", "a condition is incomplete"))
}

/// Returns the state of an index on PostgreSQL.
pub(super) async fn index(driver: &dyn Driver, name: &str) -> Result<Index, Failure> {
    let template = "\
        SELECT CASE \
            WHEN i.indisvalid THEN 'whole' \
            WHEN i.indisvalid IS NULL THEN 'whole' \
            ELSE '' \
        END \
        FROM pg_class c \
        LEFT JOIN pg_index i ON i.indexrelid = c.oid \
        WHERE c.oid = to_regclass(quote_ident(?1::text))";
    Ok(match text(driver, template, name).await?.as_deref() {
        None => Index::Missing,
        Some("whole") => Index::Whole,
        Some(_) => Index::Unfinished,
    })
}

/// Returns the PostgreSQL session that builds an index on a table, or vacuums it. The two take the
/// same lock.
pub(super) async fn builder(driver: &dyn Driver, table: &str) -> Result<Option<String>, Failure> {
    let template = "\
        SELECT 'process ' || l.pid || ', which builds an index or vacuums' \
        FROM pg_locks l \
        JOIN pg_database d ON d.oid = l.database \
          AND d.datname = current_database() \
        WHERE l.locktype = 'relation' \
          AND l.relation = to_regclass(quote_ident(?1::text)) \
          AND l.mode = 'ShareUpdateExclusiveLock' \
          AND l.granted \
        LIMIT 1";
    text(driver, template, table).await
}

/// Returns a description of the sessions that hold up a change of a table, as far as the database
/// tells.
pub(super) async fn holders(driver: &dyn Driver, table: &str) -> Option<String> {
    let template = match driver.dialect() {
        Dialect::Sqlite => return None,
        Dialect::Postgres => {
            "SELECT string_agg(\
                 'process ' || pid \
                     || ' (' || state || ', its transaction is ' || age || ' s old)', \
                 ', '\
             ) \
             FROM (\
                 SELECT DISTINCT a.pid, \
                     COALESCE(a.state, 'state unknown') AS state, \
                     COALESCE(\
                         extract(epoch FROM clock_timestamp() - a.xact_start)::bigint, 0\
                     ) AS age \
                 FROM pg_locks l \
                 JOIN pg_database d ON d.oid = l.database \
                   AND d.datname = current_database() \
                 JOIN pg_stat_activity a ON a.pid = l.pid \
                 WHERE l.locktype = 'relation' \
                   AND l.relation = to_regclass(quote_ident(?1::text)) \
                   AND l.granted \
                   AND l.pid <> pg_backend_pid() \
                 ORDER BY age DESC \
                 LIMIT 3\
             ) h"
        }
        // MySQL names the holder of a table lock only if it was configured to.
        Dialect::Mysql => {
            "SELECT CONCAT('perhaps connection ', trx_mysql_thread_id, \
                 ', whose transaction is the oldest') \
             FROM information_schema.innodb_trx \
             WHERE trx_mysql_thread_id <> CONNECTION_ID() \
               AND ?1 <> '' \
             ORDER BY trx_started \
             LIMIT 1"
        }
    };

    // This is for reports only, so an error must not stop the migration.
    text(driver, template, table).await.ok().flatten()
}

/// Returns the step that PostgreSQL is in while it builds an index, and the completed part in
/// percent.
pub(super) async fn building(driver: &dyn Driver, table: &str) -> (Option<String>, Option<u8>) {
    if driver.dialect() != Dialect::Postgres {
        return (None, None);
    }
    let template = "\
        SELECT phase || '|' || CASE \
            WHEN blocks_total > 0 THEN (100 * blocks_done / blocks_total)::text \
            WHEN tuples_total > 0 THEN (100 * tuples_done / tuples_total)::text \
            WHEN lockers_total > 0 THEN (100 * lockers_done / lockers_total)::text \
            ELSE '' \
        END \
        FROM pg_stat_progress_create_index \
        WHERE relid = to_regclass(quote_ident(?1::text)) \
          AND phase IS NOT NULL \
        LIMIT 1";

    let told = text(driver, template, table).await.ok().flatten();
    match told.as_deref().and_then(|told| told.split_once('|')) {
        Some((phase, percent)) => (Some(phase.to_owned()), percent.parse().ok()),
        None => (None, None),
    }
}

/// Returns `true` if a table exists and has rows.
pub(super) async fn has_rows(driver: &dyn Driver, table: &str) -> Result<bool, Failure> {
    if columns_of(driver, table).await?.is_empty() {
        return Ok(false);
    }
    let dialect = driver.dialect();
    let question = format!("SELECT 1 FROM {} LIMIT 1", dialect.quote(table));
    Ok(!driver
        .fetch(&Statement::new(dialect, &question), &[])
        .await?
        .is_empty())
}

/// Returns the number of rows of a table, approximately, from the database's statistics. SQLite
/// counts them. `None` if the table doesn't exist.
pub(super) async fn rows(driver: &dyn Driver, table: &str) -> Result<Option<u64>, Failure> {
    if columns_of(driver, table).await?.is_empty() {
        return Ok(None);
    }

    let dialect = driver.dialect();
    let count = format!("SELECT count(*) FROM {}", dialect.quote(table));
    let (template, params): (&str, Vec<Value>) = match dialect {
        Dialect::Sqlite => (&count, Vec::new()),
        Dialect::Postgres => (
            "SELECT CASE \
                 WHEN c.reltuples > 0 THEN c.reltuples::bigint \
                 ELSE COALESCE(s.n_live_tup, 0) \
             END \
             FROM pg_class c \
             LEFT JOIN pg_stat_user_tables s ON s.relid = c.oid \
             WHERE c.oid = to_regclass(quote_ident(?1::text))",
            vec![table.into()],
        ),
        Dialect::Mysql => (
            "SELECT CAST(table_rows AS SIGNED) \
             FROM information_schema.tables \
             WHERE table_schema = DATABASE() \
               AND table_name = ?1",
            vec![table.into()],
        ),
    };

    let rows = driver
        .fetch(&Statement::new(dialect, template), &params)
        .await?;
    let number = rows.first().and_then(|row| row.int(0).ok().flatten());
    Ok(Some(
        number
            .and_then(|number| u64::try_from(number).ok())
            .unwrap_or(0),
    ))
}

/// Returns the text in the first column of the first row, for a template with one parameter.
async fn text(driver: &dyn Driver, template: &str, param: &str) -> Result<Option<String>, Failure> {
    let rows = driver
        .fetch(&Statement::new(driver.dialect(), template), &[param.into()])
        .await?;
    let first = rows.first().map(|row| row.text(0)).transpose();
    let first = first.map_err(|error| Failure::internal("migrations", error))?;
    Ok(first.flatten().map(str::to_owned))
}
