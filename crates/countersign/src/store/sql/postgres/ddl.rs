//! Changes of PostgreSQL's tables while others use them.
//!
//! There are two connections: one holds the lock for migrations, the other works. The lock is an
//! advisory lock of a transaction that stays open, because a pooler would lose a lock of the
//! session, or leave it behind.
//!
//! The holding transaction has no snapshot while it is idle, so an index that is built concurrently
//! doesn't wait for it. For the same reason a process without the lock doesn't wait for it in the
//! database, where waiting would need a snapshot, but asks again.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::{ONE_CONNECTION, TURN, UNLIMITED};
use crate::store::sql::postgres::PostgresDriver;
use crate::store::sql::postgres::connection::Connection;
use crate::store::sql::postgres::error::StatementError;
use crate::store::sql::postgres::target::Waits;
use crate::store::sql::{Dialect, Statement};

/// The time within which a second connection must answer.
const SECOND: Duration = Duration::from_secs(30);

/// Two connections: one holds the lock for migrations, the other changes tables.
pub(in crate::store::sql) struct PostgresDdl {
    turn: Connection,
    work: Connection,
}

impl PostgresDriver {
    /// Opens both connections, apart from the driver's others.
    pub(in crate::store::sql) async fn ddl(&self) -> Result<PostgresDdl, Failure> {
        let ddl = PostgresDdl {
            turn: self.connect_apart().await?,
            work: self.connect_apart().await?,
        };

        if ddl.work.is_own() {
            ddl.work
                .command("SET statement_timeout = 0; SET lock_timeout = 0")
                .await
                .map_err(StatementError::into_failure)?;
        }
        Ok(ddl)
    }

    /// Opens one connection, apart from those of the driver.
    async fn connect_apart(&self) -> Result<Connection, Failure> {
        Box::pin(self.in_time(self.deadline(), self.open(Waits::ForLocks)))
            .await
            .map_err(StatementError::into_failure)
    }
}

impl PostgresDdl {
    /// Begins the holding transaction and asks for the lock. Returns `false`, with the transaction
    /// ended, if another process has it.
    async fn ask_for_turn(&self) -> Result<bool, StatementError> {
        self.turn.begin().await?;
        self.turn.command(UNLIMITED).await?;
        let question = Statement::new(
            Dialect::Postgres,
            &format!("SELECT 1 WHERE pg_try_advisory_xact_lock({TURN})"),
        );
        let (_, rows) = self.turn.step(&question, &[]).await?;

        // The portal of the question would keep its snapshot. The next statement closes it.
        self.turn
            .command(if rows.is_empty() {
                "ROLLBACK"
            } else {
                "SELECT 1"
            })
            .await?;
        Ok(!rows.is_empty())
    }
}

#[async_trait]
impl DdlSession for PostgresDdl {
    async fn take_turn(&self) -> Result<bool, Failure> {
        if !self
            .ask_for_turn()
            .await
            .map_err(StatementError::into_failure)?
        {
            return Ok(false);
        }

        match timeout(SECOND, self.work.command("SELECT 1")).await {
            Ok(answer) => answer.map(|()| true).map_err(StatementError::into_failure),
            Err(_) => Err(Failure::internal("database", ONE_CONNECTION)),
        }
    }

    async fn keep_turn(&self) -> Result<(), Failure> {
        self.turn
            .command("SELECT 1")
            .await
            .map_err(StatementError::into_failure)
    }

    /// Sends everything as one message, which makes it one transaction.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure> {
        let wait = lock_timeout.as_millis().max(1);
        let text = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {wait}; {statement}"
        );
        told(self.work.command(&text).await)
    }

    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure> {
        told(self.work.command(statement).await)
    }

    async fn end(&self) -> Result<(), Failure> {
        self.turn
            .command("COMMIT")
            .await
            .map_err(StatementError::into_failure)
    }
}

/// Returns the outcome of a statement: done, blocked by others, or a failure.
fn told(result: Result<(), StatementError>) -> Result<Ddl, Failure> {
    match result {
        Ok(()) => Ok(Ddl::Done(0)),
        Err(trouble) if trouble.is_held() || trouble.is_deadlock() => Ok(Ddl::Held),
        Err(trouble) => Err(trouble.into_failure()),
    }
}
