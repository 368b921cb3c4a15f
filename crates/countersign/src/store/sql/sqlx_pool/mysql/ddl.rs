//! Changes of MySQL's and MariaDB's tables through sqlx. One connection does everything, and holds
//! the lock for migrations, which ends with it.

use std::time::Duration;

use async_trait::async_trait;
use sqlx::pool::PoolConnection;
use sqlx::{Error, MySql, Pool};
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::Statement;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::{GIVE_BACK, PATIENT, TAKE};
use crate::store::sql::sqlx_pool::trouble::{Stage, StatementError};
use crate::store::sql::sqlx_pool::wire::{Fault, Wire};

/// The time within which the connection must be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// The connection that changes tables.
pub(super) struct SqlxMysqlDdl(Mutex<PoolConnection<MySql>>);

impl SqlxMysqlDdl {
    /// Opens the connection. The pool is this session's own.
    pub(super) async fn open(pool: &Pool<MySql>) -> Result<Self, Failure> {
        let connection = timeout(PATIENCE, pool.acquire())
            .await
            .map_err(|_| StatementError::silence(PATIENCE).into_failure())?;
        let connection = connection.map_err(|error| {
            StatementError::of::<MySql>(Stage::Connecting, &error).into_failure()
        })?;
        let ddl = Self(Mutex::new(connection));
        ddl.command(PATIENT).await.map_err(failed)?;
        Ok(ddl)
    }

    /// Runs text, and returns the number of changed rows.
    async fn command(&self, text: &str) -> Result<u64, Error> {
        let mut connection = self.0.lock().await;
        MySql::command(&mut connection, text.to_owned()).await
    }

    /// Runs a statement as text, and tells whether it was done, was blocked, or isn't possible this
    /// way.
    async fn run(&self, statement: &str) -> Result<Ddl, Failure> {
        let trouble = match self.command(statement).await {
            Ok(touched) => return Ok(Ddl::Done(touched)),
            Err(error) => StatementError::of::<MySql>(Stage::Running, &error),
        };
        match trouble.fault {
            Fault::Held => Ok(Ddl::Held),
            Fault::WayRefused => Ok(Ddl::Refused),
            _ => Err(trouble.into_failure()),
        }
    }
}

/// Returns the failure for an error on this connection.
#[expect(clippy::needless_pass_by_value, reason = "it is what `map_err` gives")]
fn failed(error: Error) -> Failure {
    StatementError::of::<MySql>(Stage::Running, &error).into_failure()
}

#[async_trait]
impl DdlSession for SqlxMysqlDdl {
    async fn take_turn(&self) -> Result<bool, Failure> {
        let question = Statement::new(MySql::DIALECT, TAKE);
        let mut connection = self.0.lock().await;
        let answer = MySql::step(&mut connection, &(), &question, &[], false).await;
        let (_, rows) = answer.map_err(failed)?;
        let answer = rows.first().map(|row| row.int(0));
        Ok(matches!(answer, Some(Ok(Some(1)))))
    }

    /// Always succeeds: the lock is lost only with the connection, and then nothing more is run.
    async fn keep_turn(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Waits for at least one second: the server has no shorter wait for the lock of a table.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure> {
        let wait = lock_timeout.as_secs().max(1);
        let limit = format!("SET SESSION lock_wait_timeout = {wait}");
        self.command(&limit).await.map_err(failed)?;
        self.run(statement).await
    }

    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure> {
        self.run(statement).await
    }

    async fn end(&self) -> Result<(), Failure> {
        self.command(GIVE_BACK).await.map(drop).map_err(failed)
    }
}
