//! The file of a SQLite database, and the connections to it.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, OpenFlags};

use crate::error::Failure;
use crate::store::sql::sqlite::error::PART;

/// The size in bytes that the write-ahead log is cut to when it starts over.
const LOG_LIMIT: i64 = 8 << 20;

/// The number of statements that stay prepared on each connection.
const PREPARED: usize = 64;

/// A database file, with its identity when it was opened.
///
/// A file that is moved, deleted or replaced while it is open would still accept writes, which no
/// later start finds.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    identity: (u64, u64),
}

impl File {
    /// Remembers the file that is at `path` now.
    pub(super) fn of(path: &Path) -> std::io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }

    /// Checks that the same file is still at its path.
    pub(super) fn check(&self) -> Result<(), Failure> {
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

/// Returns the same value for every file, because the standard library has no file ids on this
/// system.
#[cfg(not(unix))]
fn identity(path: &Path) -> std::io::Result<(u64, u64)> {
    fs::metadata(path).map(|_| (0, 0))
}

/// Creates the file if it doesn't exist. SQLite itself would create it readable by others.
pub(super) fn create(path: &Path) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.append(true).create(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    options.open(path).map(|_| ())
}

/// Opens the connection for writes, and sets the database's modes.
pub(super) fn open_writable(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
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
pub(super) fn open_readable(path: &Path, timeout: Duration) -> rusqlite::Result<Connection> {
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
pub(super) fn keep_prepared(connection: &Connection) -> rusqlite::Result<()> {
    connection.set_prepared_statement_cache_capacity(PREPARED);
    connection
        .set_db_config(DbConfig::SQLITE_DBCONFIG_ENABLE_QPSG, true)
        .map(|_| ())
}

/// Locks a mutex. No code panics while it holds one, so a poisoned mutex is used as it is.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
