//! Changes of PostgreSQL's tables while others work on them.
//!
//! Two connections: one holds the turn, the other works. The turn is an advisory lock of a transaction, and that transaction
//! stays open: a lock of the session would be lost or left behind at a pooler. A transaction that has asked nothing since
//! holds no snapshot, so that an index that is built concurrently doesn't wait for it. Whoever has no turn doesn't wait for the
//! lock in the database either, where the waiting itself would hold a snapshot, but comes again.

use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::TURN;
use crate::store::sql::postgres::PostgresDriver;
use crate::store::sql::postgres::connection::Connection;
use crate::store::sql::postgres::error::Trouble;
use crate::store::sql::postgres::target::Waits;
use crate::store::sql::{Dialect, Statement};

/// Without a snapshot that stays, and without the limits that a server may put on idle transactions.
const UNLIMITED: &str = "SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
     SELECT set_config(name, '0', true) FROM pg_settings \
     WHERE name IN ('statement_timeout', 'idle_in_transaction_session_timeout', 'transaction_timeout')";

/// How long a second connection may be wanting.
const SECOND: Duration = Duration::from_secs(30);

const ONE_CONNECTION: &str = "the pooler in front of PostgreSQL gives no second connection beside the one that holds the \
     lock of migrations: let its pool have two, or migrate at PostgreSQL's own address";

/// Two connections for changes of tables.
pub(in crate::store::sql) struct PostgresDdl {
    turn: Connection,
    work: Connection,
}

impl PostgresDriver {
    /// Connects twice, apart from all other connections.
    pub(in crate::store::sql) async fn ddl(&self) -> Result<PostgresDdl, Failure> {
        let connect = async || {
            let connected = Box::pin(self.in_time(self.deadline(), self.open(Waits::ForLocks))).await;
            connected.map_err(Trouble::into_failure)
        };
        let ddl = PostgresDdl { turn: connect().await?, work: connect().await? };
        if ddl.work.is_own() {
            ddl.work.command("SET statement_timeout = 0; SET lock_timeout = 0").await.map_err(Trouble::into_failure)?;
        }
        Ok(ddl)
    }
}

impl PostgresDdl {
    async fn ask_for_turn(&self) -> Result<bool, Trouble> {
        self.turn.begin().await?;
        self.turn.command(UNLIMITED).await?;
        let question = Statement::new(Dialect::Postgres, &format!("SELECT 1 WHERE pg_try_advisory_xact_lock({TURN})"));
        let (_, rows) = self.turn.step(&question, &[]).await?;
        // The portal of the question would keep its snapshot, and what comes next closes it.
        self.turn.command(if rows.is_empty() { "ROLLBACK" } else { "SELECT 1" }).await?;
        Ok(!rows.is_empty())
    }
}

#[async_trait]
impl DdlSession for PostgresDdl {
    async fn take_turn(&self) -> Result<bool, Failure> {
        if !self.ask_for_turn().await.map_err(Trouble::into_failure)? {
            return Ok(false);
        }
        match timeout(SECOND, self.work.command("SELECT 1")).await {
            Ok(answer) => answer.map(|()| true).map_err(Trouble::into_failure),
            Err(_) => Err(Failure::internal("database", ONE_CONNECTION)),
        }
    }

    async fn keep_turn(&self) -> Result<(), Failure> {
        self.turn.command("SELECT 1").await.map_err(Trouble::into_failure)
    }

    /// All of it is one message, and so one transaction.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure> {
        let wait = lock_timeout.as_millis().max(1);
        let text = format!("SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {wait}; {statement}");
        told(self.work.command(&text).await)
    }

    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure> {
        told(self.work.command(statement).await)
    }

    async fn end(&self) -> Result<(), Failure> {
        self.turn.command("COMMIT").await.map_err(Trouble::into_failure)
    }
}

fn told(result: Result<(), Trouble>) -> Result<Ddl, Failure> {
    match result {
        Ok(()) => Ok(Ddl::Done(0)),
        Err(trouble) if trouble.is_held() || trouble.is_deadlock() => Ok(Ddl::Held),
        Err(trouble) => Err(trouble.into_failure()),
    }
}
