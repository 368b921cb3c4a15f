//! SQLite through rusqlite: reads on the calling thread, writes on one thread that commits them in
//! groups.
//!
//! `bind` runs statements on a connection, `writer` is the writing thread, `transaction` is the
//! caller's own transaction.

mod bind;
mod transaction;
mod writer;

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags};

pub use transaction::SqliteTransaction;

use crate::error::{ConfigError, Failure, Symptom};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::value::{Row, Value};
use writer::Writer;

/// The part that failures of this driver name.
const PART: &str = "database";

/// The size in bytes that the write-ahead log is cut to when it starts over.
const LOG_LIMIT: i64 = 8 << 20;

/// The time of a read after which other tasks of the thread get a turn.
const LONG_READ: Duration = Duration::from_millis(1);

/// The number of statements that stay prepared on each connection.
const PREPARED: usize = 64;

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
        let unusable = |error: &dyn std::fmt::Display| {
            ConfigError::new(
                "database_url",
                format!("can't open the SQLite file: {error}"),
                "check its path and permissions",
            )
        };
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
        let unusable = |problem: String| {
            ConfigError::new("database_url", problem, "give the process more memory")
        };
        let connection =
            Connection::open_in_memory().map_err(|error| unusable(error.to_string()))?;
        keep_prepared(&connection).map_err(|error| unusable(error.to_string()))?;
        connection
            .pragma_update(None, "foreign_keys", true)
            .map_err(|error| unusable(error.to_string()))?;
        let connection = Arc::new(Mutex::new(connection));
        let writer = Writer::start(Arc::clone(&connection), None)
            .map_err(|error| unusable(error.to_string()))?;
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
        let late = |_| Failure::unavailable(PART, "no answer from SQLite's writer in time");
        tokio::time::timeout(self.timeout, self.writer.run(script, params))
            .await
            .map_err(late)?
    }

    fn is_durable(&self) -> bool {
        matches!(self.reads, Reads::File { .. })
    }
}

/// A database file, with its identity when it was opened.
///
/// A file that is moved, deleted or replaced while it is open would still accept writes, which no
/// later start finds.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    identity: (u64, u64),
}

impl File {
    /// Remembers the file that is at `path` now.
    fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    /// Checks that the same file is still at its path.
    fn check(&self) -> Result<(), Failure> {
        match identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            _ => Err(Failure::unavailable(
                PART,
                "the SQLite file was moved, deleted or replaced",
            )),
        }
    }
}

/// Returns the device and inode of the file. Other systems than Unix only check that there is a
/// file.
#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|_| (0, 0))
}

/// Creates the file if it doesn't exist. SQLite itself would create it readable by others.
fn create(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

/// Opens the connection for writes, and sets the database's modes.
fn open_writable(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(timeout)?;
    keep_prepared(&connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // Without a limit, one large transaction would leave the log at its size for ever.
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

/// Opens a connection for reads.
fn open_readable(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(timeout)?;
    keep_prepared(&connection)?;
    Ok(connection)
}

/// Sets up the cache of prepared statements.
///
/// Without the query planner's stability guarantee, SQLite plans most statements anew each time a
/// value is bound, which costs more than to run them.
fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(|_| ())
}

/// Locks a mutex. No code panics while it holds one, so a poisoned mutex is used as it is.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Returns the failure for an error of SQLite. Its text names tables and files, and contains no
/// values.
fn failure(error: &rusqlite::Error) -> Failure {
    let out_of_reach = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
        )
    );
    let failure = if out_of_reach {
        Failure::unavailable(PART, error.to_string())
    } else {
        Failure::internal(PART, error.to_string())
    };
    failure.with_symptom(symptom(error))
}

/// Returns the symptom that an error shows, if any.
fn symptom(error: &rusqlite::Error) -> Option<Symptom> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Some(Symptom::Full),
        Some(ErrorCode::ReadOnly) => Some(Symptom::ReadOnly),
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Some(Symptom::Rights),
        _ if error.to_string().starts_with("no such ") => Some(Symptom::NoTable),
        _ => None,
    }
}
