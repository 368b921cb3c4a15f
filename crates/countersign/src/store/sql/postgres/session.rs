//! The caller's own PostgreSQL transaction.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::timeout;
use tokio_postgres::Transaction;

use crate::error::Failure;
use crate::store::sql::postgres::connection::{Answer, execute_typed};
use crate::store::sql::postgres::error::{Stage, Trouble};
use crate::store::sql::postgres::pooler::describe;
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

/// Runs statements inside a transaction of the caller's (promise P12).
///
/// What it writes takes effect with the caller's commit, and it never commits or rolls back. After a failure the
/// transaction must be rolled back; PostgreSQL accepts nothing else in most cases.
///
/// ```no_run
/// # async fn example(client: &mut tokio_postgres::Client) -> Result<(), tokio_postgres::Error> {
/// use countersign::store::sql::PostgresSession;
///
/// let transaction = client.transaction().await?;
/// let session = PostgresSession::new(&transaction);
/// // Tokens are written through `session`, the application's own rows through `transaction`.
/// # drop(session);
/// transaction.commit().await
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
    /// Joins `transaction`.
    pub fn new(transaction: &'a Transaction<'t>) -> Self {
        Self { transaction, timeout: DatabaseOptions::default().timeout }
    }

    /// Sets how long one operation may take; a second when it isn't set.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    async fn step(&self, statement: &Statement, params: &[Value]) -> Result<(u64, Vec<Row>), Trouble> {
        let client = self.transaction.client();
        // A pooler may stand in between, so nothing is left prepared.
        let types = describe(client, statement, "").await.map_err(|error| Trouble::Said(Stage::Preparing, error))?;
        let result = execute_typed(client, statement, &types, params).await;
        result.map(Answer::into_parts).map_err(|error| Trouble::Said(Stage::Running, error))
    }

    async fn in_time<T>(&self, work: impl Future<Output = Result<T, Trouble>>) -> Result<T, Failure> {
        let result = timeout(self.timeout, work).await.unwrap_or(Err(Trouble::Silence(self.timeout)));
        result.map_err(Trouble::into_failure)
    }
}

#[async_trait]
impl Driver for PostgresSession<'_, '_> {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.in_time(self.step(statement, params)).await.map(|(_, rows)| rows)
    }

    /// An error in any step leaves the transaction in a state from which PostgreSQL lets nobody commit.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.in_time(async {
            let mut outcome = Outcome::default();
            for statement in script.steps() {
                let (touched, rows) = self.step(statement, params).await?;
                outcome.affected.push(touched);
                outcome.rows = rows;
                if !outcome.took_effect() {
                    outcome.rows.clear();
                    break;
                }
            }
            Ok(outcome)
        })
        .await
    }
}
