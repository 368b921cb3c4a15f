//! The types of parameters, as PostgreSQL infers them.
//!
//! sqlx declares the type of each parameter by the value. Here one value may go into columns of
//! several types (an id into `uuid` or `text`), so PostgreSQL is asked which one a statement wants:
//! it prepares the statement under a passing name, within one message, and names the types. That
//! leaves nothing behind, so it also works through a pooler.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgConnection, PgRow};
use sqlx::{AssertSqlSafe, Error, Row};

use crate::store::sql::Statement;

/// The number of statements whose types are remembered. Texts are few, unless an application
/// writes values into them.
const REMEMBERED: usize = 1024;

/// The type of a parameter.
#[derive(Clone, Copy, Debug)]
pub(super) struct ParamType {
    /// The type that is declared.
    pub(super) oid: Oid,
    /// The type beneath a domain, or the same.
    pub(super) base: Oid,
    /// `true` if the binary format of the type is the text itself, as with enums and `citext`.
    pub(super) is_text: bool,
}

/// The types of the parameters of each statement, by its text.
#[derive(Debug, Default)]
pub struct Types(Mutex<HashMap<Arc<str>, Arc<[ParamType]>>>);

impl Types {
    /// Returns the types of a statement's parameters, and asks for them if they aren't known.
    pub(super) async fn of(
        &self,
        connection: &mut PgConnection,
        statement: &Statement,
    ) -> Result<Arc<[ParamType]>, Error> {
        if let Some(known) = self.lock().get(statement.text()) {
            return Ok(Arc::clone(known));
        }
        let types: Arc<[_]> = match statement.order().iter().max() {
            None => Arc::default(),
            Some(last) => ask(connection, statement, *last).await?.into(),
        };

        let mut known = self.lock();
        if known.len() >= REMEMBERED {
            known.clear();
        }
        known.insert(statement.shared_text(), Arc::clone(&types));
        Ok(types)
    }

    /// Forgets the types of a statement, since tables have changed.
    pub(super) fn forget(&self, statement: &Statement) {
        self.lock().remove(statement.text());
    }

    /// Locks the known types. No task holds this lock across an await.
    fn lock(&self) -> MutexGuard<'_, HashMap<Arc<str>, Arc<[ParamType]>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Asks PostgreSQL for the types of the parameters up to the one with the index `last`.
///
/// All of it is one message, which costs one round trip and reaches one server also through a
/// pooler. If the statement can't be prepared, its own error comes back.
async fn ask(
    connection: &mut PgConnection,
    statement: &Statement,
    last: usize,
) -> Result<Vec<ParamType>, Error> {
    // After a question that was cut short its name may be left on a connection.
    static NUMBER: AtomicU64 = AtomicU64::new(0);
    let name = format!(
        "countersign_types_{}",
        NUMBER.fetch_add(1, Ordering::Relaxed)
    );

    // A parameter that the statement doesn't use has no type to infer.
    let declared: Vec<&str> = (0..=last)
        .map(|number| {
            if statement.order().contains(&number) {
                "unknown"
            } else {
                "text"
            }
        })
        .collect();

    let question = format!(
        "PREPARE {name} ({}) AS {}; \
         SELECT p.oid, b.oid, b.typtype = 'e' OR b.typname = 'citext' \
         FROM pg_prepared_statements s, \
             unnest(s.parameter_types::oid[]) WITH ORDINALITY AS p (oid, n) \
         JOIN pg_type t ON t.oid = p.oid \
         JOIN pg_type b ON b.oid = CASE t.typtype WHEN 'd' THEN t.typbasetype ELSE t.oid END \
         WHERE s.name = '{name}' \
         ORDER BY p.n; \
         DEALLOCATE {name}",
        declared.join(", "),
        statement.text(),
    );
    let rows = sqlx::raw_sql(AssertSqlSafe(question))
        .fetch_all(connection)
        .await?;

    rows.iter().map(param_type).collect()
}

/// Reads the type in a row of the answer: its own number, the number of the type beneath it, and
/// whether its binary format is text.
fn param_type(row: &PgRow) -> Result<ParamType, Error> {
    Ok(ParamType {
        oid: oid(row, 0)?,
        base: oid(row, 1)?,
        is_text: text(row, 2)? == "t",
    })
}

/// Returns the object id in a column.
fn oid(row: &PgRow, column: usize) -> Result<Oid, Error> {
    text(row, column)?
        .parse()
        .map(Oid)
        .map_err(|error| Error::Decode(Box::new(error)))
}

/// Returns the text in a column.
fn text(row: &PgRow, column: usize) -> Result<String, Error> {
    let raw = row.try_get_raw(column)?;
    raw.as_str().map(str::to_owned).map_err(Error::Decode)
}
