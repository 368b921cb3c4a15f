//! The caller's own PostgreSQL transaction.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_postgres::Transaction;

use crate::error::Failure;
use crate::store::sql::postgres::connection::{Answer, execute_typed};
use crate::store::sql::postgres::error::{Stage, StatementError};
use crate::store::sql::postgres::pooler::describe;
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

/// A PostgreSQL transaction of the caller, which a strategy can join.
///
/// Pass it to [`with_session`](crate::strategy::DatabaseTokenStrategy::with_session): tokens
/// written through that strategy become valid with the caller's commit. It never commits or rolls
/// back.
///
/// After a failure the transaction must be rolled back; PostgreSQL usually accepts nothing else.
/// Each statement takes a second round trip for the types of its parameters, since a pooler may be
/// in between and nothing is left prepared.
///
/// # Examples
///
/// ```no_run
/// use countersign::store::sql::PostgresSession;
/// # use countersign::store::sql::SqlStore;
/// # use countersign::strategy::DatabaseTokenStrategy;
/// # use countersign::strategy::Strategy;
/// # use countersign::User;
/// # struct Account(i64);
/// # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.0 } }
///
/// # async fn example(
/// #     client: &mut tokio_postgres::Client,
/// #     strategy: &DatabaseTokenStrategy<SqlStore>,
/// #     user: &Account,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let transaction = client.transaction().await?;
/// transaction.execute("INSERT INTO audit VALUES ('login')", &[]).await?;
/// let session = PostgresSession::new(&transaction);
/// let issued = strategy.with_session(session).write_token(user).await?;
/// transaction.commit().await?;
/// # drop(issued);
/// # Ok(())
/// # }
/// ```
pub struct PostgresSession<'a, 't> {
    transaction: &'a Transaction<'t>,
    timeout: Duration,
}

impl fmt::Debug for PostgresSession<'_, '_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresSession").finish_non_exhaustive()
    }
}

impl<'a, 't> PostgresSession<'a, 't> {
    /// Joins `transaction`. The timeout is one second unless [`timeout`](Self::timeout) sets
    /// another.
    pub fn new(transaction: &'a Transaction<'t>) -> Self {
        Self {
            transaction,
            timeout: DatabaseOptions::default().timeout,
        }
    }

    /// Sets the longest time of one operation. Defaults to one second.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Runs one statement, unnamed.
    async fn step(
        &self,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), StatementError> {
        let client = self.transaction.client();
        // A pooler may be in between, so nothing is left prepared.
        let types = describe(client, statement, "")
            .await
            .map_err(|error| StatementError::Reported(Stage::Preparing, error))?;
        let result = execute_typed(client, statement, &types, params).await;
        result
            .map(Answer::into_parts)
            .map_err(|error| StatementError::Reported(Stage::Running, error))
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
impl Driver for PostgresSession<'_, '_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.in_time(self.step(statement, params))
            .await
            .map(|(_, rows)| rows)
    }

    /// Stops at the first error, after which PostgreSQL allows no commit of the transaction.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.in_time(async {
            let mut outcome = Outcome::default();
            for statement in script.steps() {
                let (touched, rows) = self.step(statement, params).await?;
                if outcome.step(touched, rows).is_break() {
                    break;
                }
            }
            Ok(outcome)
        })
        .await
    }
}
