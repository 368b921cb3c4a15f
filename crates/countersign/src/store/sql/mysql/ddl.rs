//! Changes of MySQL's and MariaDB's tables while others work on them. A named lock of the session is the turn.

use std::time::Duration;

use async_trait::async_trait;
use mysql_async::Conn;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::mysql::MysqlDriver;
use crate::store::sql::mysql::error::Trouble;

/// How many seconds MySQL waits for the turn before it is asked anew.
const TURN_WAIT: u32 = 2;

/// One connection for changes of tables.
pub(in crate::store::sql) struct MysqlDdl {
    connection: Mutex<Conn>,
}

impl MysqlDriver {
    /// Connects, apart from all other connections.
    pub(in crate::store::sql) async fn ddl(&self) -> Result<MysqlDdl, Failure> {
        let connected = timeout(self.timeout, self.open(false)).await.unwrap_or(Err(Trouble::Silence(self.timeout)));
        let mut connection = connected.map_err(Trouble::into_failure)?;
        // Whatever takes long is done step by step and told; MariaDB alone has such a limit.
        let unlimited = "SET SESSION innodb_lock_wait_timeout = 1 /*M! , max_statement_time = 0 */";
        connection.query_drop(unlimited).await.map_err(failed)?;
        Ok(MysqlDdl { connection: Mutex::new(connection) })
    }
}

fn failed(error: mysql_async::Error) -> Failure {
    Trouble::Running(error).into_failure()
}

impl MysqlDdl {
    async fn run(&self, statement: &str) -> Result<Ddl, Failure> {
        let mut connection = self.connection.lock().await;
        let result = match connection.query_iter(statement).await {
            Ok(result) => {
                let affected = result.affected_rows();
                result.drop_result().await.map(|()| affected)
            }
            Err(error) => Err(error),
        };
        match result.map_err(Trouble::Running) {
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
        let question = format!("SELECT GET_LOCK('countersign_migration', {TURN_WAIT})");
        let answer: Option<Option<i64>> = self.connection.lock().await.query_first(question).await.map_err(failed)?;
        Ok(answer.flatten() == Some(1))
    }

    /// It is lost with the connection alone, and then nothing more is run.
    async fn keep_turn(&self) -> Result<(), Failure> {
        Ok(())
    }

    /// The shortest wait for the lock of a table is a second.
    async fn briefly(&self, statement: &str, lock_timeout: Duration) -> Result<Ddl, Failure> {
        let wait = lock_timeout.as_secs().max(1);
        let limit = format!("SET SESSION lock_wait_timeout = {wait}");
        self.connection.lock().await.query_drop(limit).await.map_err(failed)?;
        self.run(statement).await
    }

    async fn patiently(&self, statement: &str) -> Result<Ddl, Failure> {
        self.run(statement).await
    }

    async fn end(&self) -> Result<(), Failure> {
        let release = "SELECT RELEASE_LOCK('countersign_migration')";
        self.connection.lock().await.query_drop(release).await.map_err(failed)
    }
}
