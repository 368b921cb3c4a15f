//! The caller's own MySQL transaction.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::Transaction;
use mysql_async::prelude::Queryable;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::mysql::error::StatementError;
use crate::store::sql::mysql::{step, steps};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

/// A MySQL or MariaDB transaction of the caller, which a strategy can join.
///
/// Pass it to [`with_session`](crate::strategy::DatabaseTokenStrategy::with_session): tokens
/// written through that strategy become valid with the caller's commit. It never commits or rolls
/// back more than its own steps.
///
/// After a failure, roll the transaction back. A deadlock has rolled it back already, and after a
/// timeout its state isn't known.
///
/// The connection's settings are the caller's. Open it with `client_found_rows(true)`, because
/// guards count the rows that an `UPDATE` found, and keep the default isolation level,
/// `REPEATABLE READ`.
///
/// # Examples
///
/// ```no_run
/// use countersign::store::sql::MysqlSession;
/// use mysql_async::TxOpts;
/// # use countersign::store::sql::SqlStore;
/// # use countersign::strategy::DatabaseTokenStrategy;
/// # use countersign::strategy::Strategy;
/// # use countersign::User;
/// # struct Account(i64);
/// # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.0 } }
///
/// # async fn example(
/// #     connection: &mut mysql_async::Conn,
/// #     strategy: &DatabaseTokenStrategy<SqlStore>,
/// #     user: &Account,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = connection.start_transaction(TxOpts::default()).await?;
/// // The application writes its own rows through `transaction`.
/// let session = MysqlSession::new(&mut transaction);
/// let issued = strategy.with_session(session).write_token(user).await?;
/// transaction.commit().await?;
/// # drop(issued);
/// # Ok(())
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

/// The savepoint that a failing script is rolled back to. MySQL forgets it with the transaction.
const SAVEPOINT: &str = "countersign_script";

impl<'a, 't> MysqlSession<'a, 't> {
    /// Joins `transaction`. The timeout is one second unless [`timeout`](Self::timeout) sets
    /// another.
    pub fn new(transaction: &'a mut Transaction<'t>) -> Self {
        Self {
            transaction: Mutex::new(transaction),
            timeout: DatabaseOptions::default().timeout,
        }
    }

    /// Sets the longest time of one operation. Defaults to one second.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs `work` within the timeout.
    async fn in_time<T>(
        &self,
        work: impl Future<Output = Result<T, StatementError>>,
    ) -> Result<T, Failure> {
        let result = timeout(self.timeout, work)
            .await
            .unwrap_or(Err(StatementError::Silence(self.timeout)));
        result.map_err(StatementError::into_failure)
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
            step(*transaction, statement, params)
                .await
                .map(|(_, rows)| rows)
        })
        .await
    }

    /// Rolls back to a savepoint if a step fails, so the caller's earlier work is kept.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.in_time(async {
            let mut transaction = self.transaction.lock().await;
            if script.steps().len() < 2 {
                return steps(*transaction, script.steps(), params).await;
            }
            let savepoint = format!("SAVEPOINT {SAVEPOINT}");
            transaction
                .query_drop(savepoint)
                .await
                .map_err(StatementError::Running)?;

            let result = steps(*transaction, script.steps(), params).await;
            if result.is_err() {
                // If this fails too, the connection or the whole transaction is gone, and the
                // script with it.
                let _ = transaction
                    .query_drop(format!("ROLLBACK TO SAVEPOINT {SAVEPOINT}"))
                    .await;
            }
            result
        })
        .await
    }
}
