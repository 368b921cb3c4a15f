//! Changes of PostgreSQL's tables through sqlx, with two connections: one holds the lock for
//! migrations, the other works. `store/sql/postgres/ddl.rs` says why.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{Error, Pool, Postgres};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::Statement;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::{ONE_CONNECTION, TURN, UNLIMITED};
use crate::store::sql::sqlx_pool::postgres::types::Types;
use crate::store::sql::sqlx_pool::trouble::{Stage, StatementError};
use crate::store::sql::sqlx_pool::wire::{Fault, Wire};

/// The time within which a connection must be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// Two connections: one holds the lock for migrations, the other changes tables.
pub(super) struct SqlxPostgresDdl {
    turn: Mutex<PoolConnection<Postgres>>,
    work: Mutex<PoolConnection<Postgres>>,
}

impl SqlxPostgresDdl {
    /// Opens both connections. The pool is this session's own.
    pub(super) async fn open(pool: &Pool<Postgres>, persistent: bool) -> Result<Self, Failure> {
        let (turn, work) = (connect(pool).await?, connect(pool).await?);
        let ddl = Self {
            turn: Mutex::new(turn),
            work: Mutex::new(work),
        };
        if persistent {
            let unlimited = "SET statement_timeout = 0; SET lock_timeout = 0";
            command(&ddl.work, unlimited).await.map_err(failed)?;
        }
        Ok(ddl)
    }
}

/// Opens a connection.
async fn connect(pool: &Pool<Postgres>) -> Result<PoolConnection<Postgres>, Failure> {
    match timeout(PATIENCE, pool.acquire()).await {
        Ok(connection) => connection.map_err(|error| {
            StatementError::of::<Postgres>(Stage::Connecting, &error).into_failure()
        }),
        Err(_) => Err(StatementError::silence(PATIENCE).into_failure()),
    }
}

/// Runs text on a connection.
async fn command(connection: &Mutex<PoolConnection<Postgres>>, text: &str) -> Result<(), Error> {
    let mut connection = connection.lock().await;
    Postgres::command(&mut connection, text.to_owned())
        .await
        .map(drop)
}

#[async_trait]
impl DdlSession for SqlxPostgresDdl {
    async fn take_turn(&self) -> Result<bool, Failure> {
        let begin = format!("BEGIN; {UNLIMITED}");
        command(&self.turn, &begin).await.map_err(failed)?;
        let question = format!("SELECT 1 WHERE pg_try_advisory_xact_lock({TURN})");
        let question = Statement::new(Postgres::DIALECT, &question);
        let (locks, _) = {
            let mut turn = self.turn.lock().await;
            let types = Types::default();
            let answer = Postgres::step(&mut turn, &types, &question, &[], false).await;
            answer.map_err(failed)?
        };

        // The portal of the question would keep its snapshot. The next statement closes it.
        let next = if locks == 0 { "ROLLBACK" } else { "SELECT 1" };
        command(&self.turn, next).await.map_err(failed)?;
        if locks == 0 {
            return Ok(false);
        }
        match timeout(PATIENCE, command(&self.work, "SELECT 1")).await {
            Ok(answer) => answer.map(|()| true).map_err(failed),
            Err(_) => Err(Failure::internal("database", ONE_CONNECTION)),
        }
    }

    async fn keep_turn(&self) -> Result<(), Failure> {
        command(&self.turn, "SELECT 1").await.map_err(failed)
    }

    /// Sends everything as one message, which makes it one transaction.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure> {
        let wait = lock_timeout.as_millis().max(1);
        let text = format!(
            "SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = {wait}; {statement}"
        );
        outcome(command(&self.work, &text).await)
    }

    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure> {
        outcome(command(&self.work, statement).await)
    }

    async fn end(&self) -> Result<(), Failure> {
        command(&self.turn, "COMMIT").await.map_err(failed)
    }
}

/// Returns the failure for an error on one of the connections.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(error: Error) -> Failure {
    StatementError::of::<Postgres>(Stage::Running, &error).into_failure()
}

/// Returns the outcome of a statement: done, blocked by others, or a failure.
fn outcome(result: Result<(), Error>) -> Result<Ddl, Failure> {
    let trouble = match result {
        Ok(()) => return Ok(Ddl::Done(0)),
        Err(error) => StatementError::of::<Postgres>(Stage::Running, &error),
    };
    match trouble.fault {
        Fault::Held | Fault::Undone => Ok(Ddl::Held),
        _ => Err(trouble.into_failure()),
    }
}
