//! The seam for changes of tables: a session with the database that waits briefly for locks, or outside of transactions.

use std::time::Duration;

use async_trait::async_trait;

use crate::error::Failure;

/// What came of a statement that changes tables.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ddl {
    /// It was done, and touched so many rows, where the database says so.
    Done(u64),
    /// Somebody holds a lock that it wants, and nothing was done.
    Held,
    /// The database can't do it in the way that was asked for, and nothing was done.
    Refused,
}

/// A session with a database server for changes of tables. What it holds ends with it, however it ends.
#[async_trait]
pub(super) trait DdlSession: Send + Sync {
    /// Takes the turn among those who change tables here. Returns `false` when another process has it.
    async fn take_turn(&self) -> Result<bool, Failure>;

    /// Fails when the turn was lost, as with its connection.
    async fn keep_turn(&self) -> Result<(), Failure>;

    /// Runs a statement that waits for a lock as long as stated and no longer.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure>;

    /// Runs a statement outside of any transaction, however long it takes and waits.
    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure>;

    /// Gives the turn back.
    async fn end(&self) -> Result<(), Failure>;
}
