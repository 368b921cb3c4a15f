//! SQLite through rusqlite: reads on the calling thread, writes on one thread that commits them in
//! groups.
//!
//! `file` opens the database's file, `bind` runs statements on a connection, `writer` is the
//! writing thread, `transaction` is the caller's own transaction, and `error` sorts SQLite's
//! errors.

mod bind;
mod error;
mod file;
mod transaction;
mod writer;

use std::fmt::Display;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::Connection;

pub use transaction::SqliteTransaction;

use crate::error::{ConfigError, Failure};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::value::{Row, Value};
use error::{PART, failure};
use file::{File, create, keep_prepared, lock, open_readable, open_writable};
use writer::Writer;

/// The time of a read after which other tasks of the thread get a turn.
const LONG_READ: Duration = Duration::from_millis(1);

/// The driver for one SQLite database, in a file or in memory. Usually made by
/// [`Database::connect`](crate::store::sql::Database::connect).
///
/// A file is used in WAL mode with `synchronous=FULL`, so acknowledged writes survive a power
/// failure.
///
/// - **Reads** run on the calling thread, on a connection of their own. They don't wait for writes.
/// - **Writes** queue for one thread, which commits up to 64 scripts together. Each is acknowledged
///   after its commit. If 4,096 scripts are waiting, further ones fail at once with
///   [`Failure::unavailable`].
/// - **Timeouts.** A script that isn't committed within [`DatabaseOptions::timeout`] fails. It may
///   still take effect if it had begun; if it was waiting, it is dropped.
/// - **The file.** On Unix, operations fail when the file was moved, deleted or replaced while it
///   is open: what is written then would be lost.
///
/// Several processes may use one file. A write waits for another process's lock for at most the
/// timeout.
#[derive(Debug)]
pub struct SqliteDriver {
    reads: Reads,
    writer: Writer,
    timeout: Duration,
}

/// The connections for reads.
#[derive(Debug)]
enum Reads {
    File {
        file: File,
        idle: Mutex<Vec<Connection>>,
        keep: usize,
    },
    /// The one connection of a database in memory, shared with the writer.
    Memory(Arc<Mutex<Connection>>),
}

impl SqliteDriver {
    /// Opens the database file at `path`. If it doesn't exist, creates it, readable and writable by
    /// its owner only.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `database_url` if the file can't be opened as a
    /// database.
    pub fn open(path: &Path, options: &DatabaseOptions) -> Result<Self, ConfigError> {
        create(path).map_err(|error| unusable(&error))?;
        let connection = open_writable(path, options.timeout).map_err(|error| unusable(&error))?;
        let file = File::of(path).map_err(|error| unusable(&error))?;
        let writer = Writer::start(Arc::new(Mutex::new(connection)), Some(file.clone()))
            .map_err(|e| unusable(&e))?;

        let reads = Reads::File {
            file,
            idle: Mutex::default(),
            keep: options.connections,
        };

        Ok(Self {
            reads,
            writer,
            timeout: options.timeout,
        })
    }

    /// Creates an empty database in memory. It is deleted with the driver.
    ///
    /// It has one connection, so reads wait for a write that is running.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `database_url` if memory or a thread can't be had.
    pub fn in_memory(options: &DatabaseOptions) -> Result<Self, ConfigError> {
        let connection = Connection::open_in_memory().map_err(|error| no_room(&error))?;
        keep_prepared(&connection).map_err(|error| no_room(&error))?;
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(|error| no_room(&error))?;

        let connection = Arc::new(Mutex::new(connection));
        let writer =
            Writer::start(Arc::clone(&connection), None).map_err(|error| no_room(&error))?;
        Ok(Self {
            reads: Reads::Memory(connection),
            writer,
            timeout: options.timeout,
        })
    }

    /// Runs one reading statement on an idle connection, or on a new one.
    fn read(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        match &self.reads {
            Reads::Memory(connection) => {
                bind::rows(&lock(connection), statement, params).map_err(|e| failure(&e))
            }
            Reads::File { file, idle, keep } => {
                file.check()?;

                let pooled = lock(idle).pop();
                let connection = match pooled {
                    Some(connection) => connection,
                    None => {
                        open_readable(&file.path, self.timeout).map_err(|error| failure(&error))?
                    }
                };

                let rows =
                    bind::rows(&connection, statement, params).map_err(|error| failure(&error));
                let mut idle = lock(idle);
                if idle.len() < *keep {
                    idle.push(connection);
                }
                rows
            }
        }
    }
}

/// Returns the error for a file that can't be opened as a database.
fn unusable(error: &dyn Display) -> ConfigError {
    ConfigError::new(
        "database_url",
        format!("can't open the SQLite file: {error}"),
        "check its path and permissions",
    )
}

/// Returns the error for a database in memory that can't be created.
fn no_room(error: &dyn Display) -> ConfigError {
    ConfigError::new(
        "database_url",
        error.to_string(),
        "give the process more memory",
    )
}

#[async_trait]
impl Driver for SqliteDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        let begun = Instant::now();
        let rows = self.read(statement, params);
        // A loop over many statements would otherwise keep the thread from its other tasks.
        if begun.elapsed() >= LONG_READ {
            tokio::task::yield_now().await;
        }
        rows
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        tokio::time::timeout(self.timeout, self.writer.run(script, params))
            .await
            .map_err(|_| Failure::unavailable(PART, "no answer from SQLite's writer in time"))?
    }

    fn is_durable(&self) -> bool {
        matches!(self.reads, Reads::File { .. })
    }
}
