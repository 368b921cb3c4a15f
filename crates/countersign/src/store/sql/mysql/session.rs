//! The caller's own MySQL transaction.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::Transaction;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::mysql::error::Trouble;
use crate::store::sql::mysql::{step, steps};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

/// Runs statements inside a transaction of the caller's (promise P12).
///
/// What it writes takes effect with the caller's commit, and it never commits or rolls back more than its own steps.
/// After a failure the transaction should be rolled back: a deadlock has rolled it back already, and what a timeout
/// has left behind is not known.
///
/// ```no_run
/// # async fn example(connection: &mut mysql_async::Conn) -> Result<(), mysql_async::Error> {
/// use countersign::store::sql::MysqlSession;
/// use mysql_async::TxOpts;
///
/// let mut transaction = connection.start_transaction(TxOpts::default()).await?;
/// let session = MysqlSession::new(&mut transaction);
/// // Tokens are written through `session`.
/// # drop(session);
/// transaction.commit().await
/// # }
/// ```
pub struct MysqlSession<'a, 't> {
    transaction: Mutex<&'a mut Transaction<'t>>,
    timeout: Duration,
}

impl fmt::Debug for MysqlSession<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlSession").finish_non_exhaustive()
    }
}

/// The point to which a script that fails is rolled back. MySQL forgets it with the transaction.
const SAVEPOINT: &str = "countersign_script";

impl<'a, 't> MysqlSession<'a, 't> {
    /// Joins `transaction`.
    pub fn new(transaction: &'a mut Transaction<'t>) -> Self {
        Self { transaction: Mutex::new(transaction), timeout: DatabaseOptions::default().timeout }
    }

    /// Sets how long one operation may take; a second when it isn't set.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Failure> {
        let result = timeout(self.timeout, work).await.unwrap_or(Err(Trouble::Silence(self.timeout)));
        result.map_err(Trouble::into_failure)
    }
}

#[async_trait]
impl Driver for MysqlSession<'_, '_> {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.in_time(async {
            let mut transaction = self.transaction.lock().await;
            step(*transaction, statement, params).await.map(|(_, rows)| rows)
        })
        .await
    }

    /// A script whose later step fails is undone; the caller's own work before it is kept.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.in_time(async {
            let mut transaction = self.transaction.lock().await;
            if script.steps().len() < 2 {
                return steps(*transaction, script.steps(), params).await;
            }
            let savepoint = format!("SAVEPOINT {SAVEPOINT}");
            transaction.query_drop(savepoint).await.map_err(Trouble::Running)?;
            let result = steps(*transaction, script.steps(), params).await;
            if result.is_err() {
                // When this fails too, the connection or the whole transaction is gone, and with it the script.
                let _ = transaction.query_drop(format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}")).await;
            }
            result
        })
        .await
    }
}
