//! The differences between the databases, as a trait that the driver and the session are generic
//! over.
//!
//! sqlx's own traits would do for a part of it, but each use of them with a database left open
//! needs bounds on borrowed connections. An implementation of [`Wire`] for one database knows its
//! types, and returns what is the same for all: rows, counts, and verdicts on errors.

use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::BoxFuture;
use sqlx::error::DatabaseError;
use sqlx::{Error, Pool};

use crate::error::{Failure, Symptom};
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::{Dialect, Outcome, Statement};
use crate::store::{Row, Value};

/// The number of rows that a statement changed or returned, and the rows.
pub(super) type Answer = (u64, Vec<Row>);

/// The part of a driver that differs between the databases.
///
/// An implementation leaves nothing on a connection that outlives the transaction: the pool is the
/// application's, and the next user of a connection may rely on its defaults.
#[async_trait]
pub trait Wire: sqlx::Database {
    /// The spelling of statements.
    const DIALECT: Dialect;
    /// The commands that set a savepoint in the caller's transaction and that roll back to it.
    /// `None` if an error ends the transaction anyway.
    const SAVEPOINT: Option<(&'static str, &'static str)>;

    /// The memory of a driver about the statements that it has run.
    type Memory: Default + Send + Sync + 'static;

    /// Returns the text that begins a transaction whose statements end within `timeout`.
    ///
    /// The limits are the server's own, so that a statement whose caller has gone away, or whose
    /// connection was closed, doesn't go on waiting for a lock.
    fn begin(timeout: Duration, sees_all: bool) -> String;

    /// Returns the text that ends a transaction and leaves nothing of it on the connection.
    fn end(command: &'static str) -> String;

    /// Runs one statement.
    ///
    /// With `persistent` it may stay prepared on the connection. Without, nothing is left there.
    fn step<'a>(
        connection: &'a mut Self::Connection,
        memory: &'a Self::Memory,
        statement: &'a Statement,
        params: &'a [Value],
        persistent: bool,
    ) -> BoxFuture<'a, Result<Answer, Error>>;

    /// Runs text without parameters, which may have several statements. Returns the number of
    /// changed rows.
    fn command(
        connection: &mut Self::Connection,
        text: String,
    ) -> BoxFuture<'_, Result<u64, Error>>;

    /// Interprets an error that the database reported.
    fn verdict(error: &dyn DatabaseError) -> Verdict;

    /// Opens a session that changes tables, with connections from a pool of its own.
    async fn ddl(pool: Pool<Self>, persistent: bool) -> Result<Box<dyn DdlSession>, Failure>;
}

/// A database that sqlx connects to and that tokens can be kept in.
///
/// Implemented for `sqlx::Postgres` with the feature `sqlx-postgres`, and for `sqlx::MySql`, which
/// is also MariaDB, with the feature `sqlx-mysql`. The trait is sealed: no other crate can
/// implement it. For another pool or another database implement
/// [`Driver`](crate::store::sql::Driver).
pub trait SqlxDatabase: Wire {}

/// The meaning of an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fault {
    /// The connection can't be used any more.
    Lost,
    /// No answer arrived within the time.
    Silent,
    /// Another transaction holds a row. The statement was undone.
    Held,
    /// The statement was cancelled: after the server's timeout, by an administrator, or by the wait
    /// for a lock.
    #[cfg_attr(
        not(feature = "sqlx-postgres"),
        allow(dead_code, reason = "PostgreSQL alone says so")
    )]
    Cancelled,
    /// The transaction was rolled back in favour of another.
    Undone,
    /// The tables have changed since the statement was prepared.
    #[cfg_attr(
        not(feature = "sqlx-postgres"),
        allow(dead_code, reason = "PostgreSQL alone says so")
    )]
    Stale,
    /// The database can't do this now, but may later.
    Busy,
    /// The database doesn't know this way to change a table.
    #[cfg_attr(
        not(feature = "sqlx-mysql"),
        allow(dead_code, reason = "MySQL alone refuses a way")
    )]
    WayRefused,
    /// The database refused the statement.
    Refused,
}

/// The meaning of an error that the database itself reported, with the text for the log.
///
/// The text names codes, and tables or constraints. It never quotes the database's message where
/// that may contain values.
#[derive(Debug)]
pub struct Verdict {
    pub(super) fault: Fault,
    pub(super) symptom: Option<Symptom>,
    pub(super) told: String,
}

/// Runs steps on a connection one after the other, and stops after the guard if it did nothing.
pub(super) async fn run<DB: Wire>(
    connection: &mut DB::Connection,
    memory: &DB::Memory,
    steps: &[Statement],
    params: &[Value],
    persistent: bool,
) -> Result<Outcome, Error> {
    let mut outcome = Outcome::default();
    for statement in steps {
        let (touched, rows) = DB::step(connection, memory, statement, params, persistent).await?;
        if outcome.step(touched, rows).is_break() {
            break;
        }
    }
    Ok(outcome)
}

/// Returns the text for a database's own error: its code, and the name that it concerns.
pub(super) fn told(code: &str, error: &dyn DatabaseError, names_only: bool) -> String {
    if names_only {
        return format!("{code} ({})", error.message());
    }
    error
        .constraint()
        .or_else(|| error.table())
        .map_or_else(|| code.to_owned(), |place| format!("{code} at {place}"))
}
