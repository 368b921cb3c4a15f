//! The interface for changes of tables on a server: a session that waits for locks only briefly, or
//! works outside of transactions.
//!
//! The migrator decides what to run and how often to try; an implementation knows how its database
//! limits a wait, and which of its errors mean "locked". SQLite has no implementation: it changes
//! tables inside a script.

#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use crate::error::Failure;
#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
use crate::store::sql::Driver;

/// The outcome of a statement that changes tables.
#[cfg_attr(
    not(any(feature = "sqlx-mysql", feature = "sqlx-postgres")),
    allow(unreachable_pub, reason = "a sealed public trait over sqlx names it")
)]
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ddl {
    /// The statement took effect. Contains the number of rows it changed, or zero where the
    /// database doesn't say.
    Done(u64),
    /// Another session holds a lock that the statement needs. Nothing was done.
    Held,
    /// The database can't make the change in the requested way, for example without locking out
    /// writers. Nothing was done.
    Refused,
}

/// A session with a database server for changes of tables. Its locks end with it, however it ends.
#[cfg_attr(
    not(any(feature = "sqlx-mysql", feature = "sqlx-postgres")),
    allow(unreachable_pub, reason = "a sealed public trait over sqlx names it")
)]
#[async_trait]
pub trait DdlSession: Send + Sync {
    /// Takes the lock that allows one process at a time to migrate. Returns `false` if another
    /// process has it.
    async fn take_turn(&self) -> Result<bool, Failure>;

    /// Checks that this session still has the lock of [`take_turn`](Self::take_turn).
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the connection that held it is lost, and the lock with it.
    async fn keep_turn(&self) -> Result<(), Failure>;

    /// Runs a statement that waits for locks for at most `lock_timeout`. Its work may take longer.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure>;

    /// Runs a statement outside of any transaction, without a limit for its waits and its work.
    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure>;

    /// Releases the lock of [`take_turn`](Self::take_turn).
    async fn end(&self) -> Result<(), Failure>;
}

/// A pool of an application whose database can also be reached with connections of one's own.
#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
#[async_trait]
pub(super) trait Apart: Send + Sync {
    /// Returns a driver with one connection of its own, whose operations may take as long as
    /// `timeout`.
    fn patient(&self, timeout: Duration) -> Arc<dyn Driver>;

    /// Opens a session that changes tables.
    async fn ddl(&self) -> Result<Box<dyn DdlSession>, Failure>;
}
