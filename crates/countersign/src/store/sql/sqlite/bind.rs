//! Conversion of values to SQLite's types and back, and the running of scripts on one connection.

use rusqlite::types::{Type, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql, types::ToSqlOutput};

use crate::store::sql::{Outcome, Script, Statement};
use crate::value::{Row, Value, time_text};

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self {
            Self::Null => ToSqlOutput::Borrowed(ValueRef::Null),
            Self::Bool(truth) => ToSqlOutput::from(*truth),
            Self::Int(int) => ToSqlOutput::from(*int),
            Self::Text(text) => ToSqlOutput::from(text.as_str()),
            Self::Bytes(bytes) => ToSqlOutput::from(bytes.as_slice()),
            Self::Uuid(id) => ToSqlOutput::Borrowed(ValueRef::Blob(id.as_bytes())),
            Self::Time(moment) => ToSqlOutput::from(time_text(*moment)),
        })
    }
}

/// Runs one reading statement, and returns its rows.
pub(super) fn rows(
    connection: &Connection,
    statement: &Statement,
    params: &[Value],
) -> rusqlite::Result<Vec<Row>> {
    let mut prepared = prepare(connection, statement, params)?;
    collect(&mut prepared)
}

/// Runs the steps of a script until its guard stops it. The caller has opened a transaction or
/// savepoint.
pub(super) fn steps(
    connection: &Connection,
    script: &Script,
    params: &[Value],
) -> rusqlite::Result<Outcome> {
    let mut outcome = Outcome::default();
    for step in script.steps() {
        let mut prepared = prepare(connection, step, params)?;
        let (affected, rows) = if prepared.column_count() > 0 {
            (0, collect(&mut prepared)?)
        } else {
            (prepared.raw_execute()?, Vec::new())
        };

        let affected = u64::try_from(affected).unwrap_or(u64::MAX);
        if outcome.step(affected, rows).is_break() {
            break;
        }
    }
    Ok(outcome)
}

/// Prepares a statement, or takes it from the cache, and binds its parameters.
fn prepare<'c>(
    connection: &'c Connection,
    statement: &Statement,
    params: &[Value],
) -> rusqlite::Result<CachedStatement<'c>> {
    let mut prepared = connection.prepare_cached(statement.text())?;
    // The steps of a script share one list of parameters. SQLite counts up to the highest number
    // that this step names.
    for (index, value) in params.iter().enumerate().take(prepared.parameter_count()) {
        prepared.raw_bind_parameter(index.saturating_add(1), value)?;
    }
    Ok(prepared)
}

/// Returns all rows of a statement.
fn collect(prepared: &mut CachedStatement<'_>) -> rusqlite::Result<Vec<Row>> {
    let columns = prepared.column_count();
    let mut found = Vec::new();
    let mut rows = prepared.raw_query();
    while let Some(row) = rows.next()? {
        let values: rusqlite::Result<Vec<_>> = (0..columns)
            .map(|column| value(row.get_ref(column)?))
            .collect();
        found.push(Row::new(values?));
    }
    Ok(found)
}

/// Returns the value of a column. Text that isn't UTF-8 is an error.
fn value(column: ValueRef<'_>) -> rusqlite::Result<Value> {
    Ok(match column {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(int) => Value::Int(int),
        // No column of the store has floating-point values. As a text it is never taken for a
        // number.
        ValueRef::Real(real) => Value::Text(real.to_string()),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            Err(error) => {
                return Err(rusqlite::Error::FromSqlConversionFailure(
                    0,
                    Type::Text,
                    error.into(),
                ));
            }
        },
        ValueRef::Blob(bytes) => Value::Bytes(bytes.to_owned()),
    })
}
