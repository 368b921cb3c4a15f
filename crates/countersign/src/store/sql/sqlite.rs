//! SQLite through rusqlite: reads on the calling thread, writes through one thread that commits them in groups.

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

use crate::error::{ConfigError, Failure};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::symptom::Symptom;
use crate::value::{Row, Value};
use writer::Writer;

const PART: &str = "database";

/// The most bytes that the write-ahead log keeps when it is begun anew.
const LOG_LIMIT: i64 = 8 << 20;

/// The time of a read after which other tasks of the thread have their turn.
const LONG_READ: Duration = Duration::from_millis(1);

/// Statements kept prepared in each connection.
const PREPARED: usize = 64;

/// One SQLite database: a file, or memory.
///
/// A file is in WAL mode with `synchronous=FULL`. Reads take a connection of their own and never wait for writers.
/// Writes queue for one thread that commits up to 64 of them together; each is acknowledged after its commit.
#[derive(Debug)]
pub struct SqliteDriver {
    reads: Reads,
    writer: Writer,
    timeout: Duration,
}

#[derive(Debug)]
enum Reads {
    File {
        file: File,
        idle: Mutex<Vec<Connection>>,
        keep: usize,
    },
    /// A database in memory has one connection, which its writer shares.
    Memory(Arc<Mutex<Connection>>),
}

impl SqliteDriver {
    /// Opens the database file at `path`, and makes it (readable by its owner only) when there is none.
    ///
    /// # Errors
    /// [`ConfigError`] that names `database_url` when the file can't be opened as a database.
    pub fn open(path: &Path, options: &DatabaseOptions) -> Result<Self, ConfigError> {
        let unusable = |error: &dyn std::fmt::Display| {
            ConfigError::new(
                "database_url",
                format!("can't open the SQLite file: {error}"),
                "check path and permissions",
            )
        };
        create(path).map_err(|error| unusable(&error))?;
        let connection = open_writable(path, options.timeout).map_err(|error| unusable(&error))?;
        let file = File::of(path).map_err(|error| unusable(&error))?;
        let writer = Writer::start(Arc::new(Mutex::new(connection)), Some(file.clone())).map_err(|e| unusable(&e))?;
        let reads = Reads::File { file, idle: Mutex::default(), keep: options.connections };
        Ok(Self { reads, writer, timeout: options.timeout })
    }

    /// A new, empty database in memory, which is gone with the last clone of its handle.
    ///
    /// # Errors
    /// [`ConfigError`] when the process can't have one.
    pub fn in_memory(options: &DatabaseOptions) -> Result<Self, ConfigError> {
        let unusable = |problem: String| ConfigError::new("database_url", problem, "give the process more memory");
        let connection = Connection::open_in_memory().map_err(|error| unusable(error.to_string()))?;
        keep_prepared(&connection).map_err(|error| unusable(error.to_string()))?;
        connection.pragma_update(None, "foreign_keys", true).map_err(|error| unusable(error.to_string()))?;
        let connection = Arc::new(Mutex::new(connection));
        let writer = Writer::start(Arc::clone(&connection), None).map_err(|error| unusable(error.to_string()))?;
        Ok(Self { reads: Reads::Memory(connection), writer, timeout: options.timeout })
    }

    fn read(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        match &self.reads {
            Reads::Memory(connection) => bind::rows(&lock(connection), statement, params).map_err(|e| failure(&e)),
            Reads::File { file, idle, keep } => {
                file.check()?;
                let pooled = lock(idle).pop();
                let connection = match pooled {
                    Some(connection) => connection,
                    None => open_readable(&file.path, self.timeout).map_err(|error| failure(&error))?,
                };
                let rows = bind::rows(&connection, statement, params).map_err(|error| failure(&error));
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
        // A walk of many statements would keep the caller's thread to itself.
        if begun.elapsed() >= LONG_READ {
            tokio::task::yield_now().await;
        }
        rows
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let late = |_| Failure::unavailable(PART, "no answer from SQLite's writer in time");
        tokio::time::timeout(self.timeout, self.writer.run(script, params)).await.map_err(late)?
    }

    fn is_durable(&self) -> bool {
        matches!(self.reads, Reads::File { .. })
    }
}

/// A database file as it was when it was opened. One that is moved, deleted or replaced while we hold it open would go
/// on taking writes that no later start finds.
#[derive(Clone, Debug)]
struct File {
    path: PathBuf,
    identity: (u64, u64),
}

impl File {
    fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self { path: path.to_owned(), identity: identity(path)? })
    }

    fn check(&self) -> Result<(), Failure> {
        match identity(&self.path) {
            Ok(identity) if identity == self.identity => Ok(()),
            _ => Err(Failure::unavailable(PART, "the SQLite file was moved, deleted or replaced")),
        }
    }
}

#[cfg(unix)]
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    use std::os::unix::fs::MetadataExt;
    fs::metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
}

#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|_| (0, 0))
}

fn create(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

fn open_writable(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(timeout)?;
    keep_prepared(&connection)?;
    connection.pragma_update_and_check(None, "journal_mode", "wal", |_| Ok(()))?;
    // One large transaction mustn't leave its size behind: the log is cut to this when it begins anew.
    connection.pragma_update_and_check(None, "journal_size_limit", LOG_LIMIT, |_| Ok(()))?;
    connection.pragma_update(None, "synchronous", "full")?;
    connection.pragma_update(None, "foreign_keys", true)?;
    Ok(connection)
}

fn open_readable(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(timeout)?;
    keep_prepared(&connection)?;
    Ok(connection)
}

/// Keeps statements prepared. Without the stability guarantee SQLite plans most of ours anew each time a value is bound,
/// which costs more than to run them.
fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection.set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true).map(|_| ())
}

/// No code panics while it holds one of these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// What an error of SQLite's means to us. Its text names tables and files, and holds no values.
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

fn symptom(error: &rusqlite::Error) -> Option<Symptom> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Some(Symptom::Full),
        Some(ErrorCode::ReadOnly) => Some(Symptom::ReadOnly),
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Some(Symptom::Rights),
        _ if error.to_string().starts_with("no such ") => Some(Symptom::NoTable),
        _ => None,
    }
}
