//! Changes of MySQL's and MariaDB's tables while others use them.
//!
//! One connection does everything. The lock for migrations is a named lock of its session
//! (`GET_LOCK`), which ends with the connection.

use std::time::Duration;

use async_trait::async_trait;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::{GIVE_BACK, PATIENT, TAKE};
use crate::store::sql::mysql::MysqlDriver;
use crate::store::sql::mysql::error::StatementError;

/// The connection that changes tables.
pub(in crate::store::sql) struct MysqlDdl {
    connection: Mutex<Conn>,
}

impl MysqlDriver {
    /// Opens the connection, apart from the driver's pools.
    pub(in crate::store::sql) async fn ddl(&self) -> Result<MysqlDdl, Failure> {
        let connected = timeout(self.timeout, self.open(false))
            .await
            .unwrap_or(Err(StatementError::Silence(self.timeout)));
        let mut connection = connected.map_err(StatementError::into_failure)?;
        connection.query_drop(PATIENT).await.map_err(failed)?;
        Ok(MysqlDdl {
            connection: Mutex::new(connection),
        })
    }
}

/// Returns the failure for an error on this connection.
fn failed(error: mysql_async::Error) -> Failure {
    StatementError::Running(error).into_failure()
}

impl MysqlDdl {
    /// Runs a statement as text, and tells whether it was done, was blocked, or isn't possible this
    /// way.
    async fn run(&self, statement: &str) -> Result<Ddl, Failure> {
        let mut connection = self.connection.lock().await;
        let result = match connection.query_iter(statement).await {
            Ok(result) => {
                let affected = result.affected_rows();
                result.drop_result().await.map(|()| affected)
            }
            Err(error) => Err(error),
        };

        match result.map_err(StatementError::Running) {
            Ok(affected) => Ok(Ddl::Done(affected)),
            Err(trouble) if trouble.is_held() => Ok(Ddl::Held),
            Err(trouble) if trouble.is_way_refused() => Ok(Ddl::Refused),
            Err(trouble) => Err(trouble.into_failure()),
        }
    }
}

#[async_trait]
impl DdlSession for MysqlDdl {
    async fn take_turn(&self) -> Result<bool, Failure> {
        let answer: Option<Option<i64>> = self
            .connection
            .lock()
            .await
            .query_first(TAKE)
            .await
            .map_err(failed)?;
        Ok(answer.flatten() == Some(1))
    }

    /// Always succeeds: the lock is lost only with the connection, and then nothing more is run.
    async fn keep_turn(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// Waits for at least one second: the server has no shorter wait for the lock of a table.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure> {
        let wait = lock_timeout.as_secs().max(1);
        let limit = format!("SET SESSION lock_wait_timeout = {wait}");
        self.connection
            .lock()
            .await
            .query_drop(limit)
            .await
            .map_err(failed)?;
        self.run(statement).await
    }

    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure> {
        self.run(statement).await
    }

    async fn end(&self) -> Result<(), Failure> {
        self.connection
            .lock()
            .await
            .query_drop(GIVE_BACK)
            .await
            .map_err(failed)
    }
}
