//! The caller's own sqlx transaction.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Transaction;
use tokio::sync::Mutex;
use tokio::time::timeout;

use crate::error::Failure;
use crate::store::sql::sqlx_pool::trouble::{Stage, StatementError};
use crate::store::sql::sqlx_pool::wire::{SqlxDatabase, run};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

/// An sqlx transaction of the caller, which a strategy can join.
///
/// Pass it to [`with_session`](crate::strategy::DatabaseTokenStrategy::with_session): tokens
/// written through that strategy become valid with the caller's commit. It never commits or rolls
/// back more than its own steps.
///
/// After a failure, roll the transaction back. PostgreSQL usually accepts nothing else. On MySQL a
/// deadlock has rolled it back already, and after a timeout its state isn't known.
///
/// The transaction's isolation level is the caller's. On MySQL and MariaDB keep their default,
/// `REPEATABLE READ`.
///
/// # Examples
///
/// ```
/// # #[cfg(feature = "sqlx-postgres")]
/// # mod shown {
/// use countersign::store::sql::SqlxSession;
/// use countersign::store::sql::sqlx::{self, PgPool};
/// # use countersign::store::sql::SqlStore;
/// # use countersign::strategy::DatabaseTokenStrategy;
/// # use countersign::strategy::Strategy;
/// # use countersign::User;
/// # struct Account(i64);
/// # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.0 } }
///
/// # async fn example(
/// #     pool: &PgPool,
/// #     strategy: &DatabaseTokenStrategy<SqlStore>,
/// #     user: &Account,
/// # ) -> Result<(), Box<dyn std::error::Error>> {
/// let mut transaction = pool.begin().await?;
/// sqlx::query("INSERT INTO audit VALUES ('login')").execute(&mut *transaction).await?;
/// let session = SqlxSession::new(&mut transaction);
/// let issued = strategy.with_session(session).write_token(user).await?;
/// transaction.commit().await?;
/// # drop(issued);
/// # Ok(())
/// # }
/// # }
/// # fn main() {}
/// ```
pub struct SqlxSession<'a, DB: SqlxDatabase> {
    connection: Mutex<&'a mut DB::Connection>,
    memory: DB::Memory,
    timeout: Duration,
    persistent: bool,
}

impl<'a, DB: SqlxDatabase> SqlxSession<'a, DB> {
    /// Joins `transaction`, which stays borrowed until the session is dropped.
    ///
    /// The timeout is one second unless [`timeout`](Self::timeout) sets
    /// another.
    pub fn new(transaction: &'a mut Transaction<'_, DB>) -> Self {
        Self {
            connection: Mutex::new(&mut **transaction),
            memory: DB::Memory::default(),
            timeout: DatabaseOptions::default().timeout,
            persistent: true,
        }
    }

    /// Sets the longest time of one operation. Defaults to one second.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets whether statements stay prepared on the connection. Defaults to `true`. Use `false`
    /// behind PgBouncer in transaction mode.
    #[must_use]
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Runs steps within the timeout.
    async fn within_time(&self, steps: &[Statement], params: &[Value]) -> Result<Outcome, Failure> {
        timeout(self.timeout, self.steps(steps, params))
            .await
            .unwrap_or_else(|_| Err(StatementError::silence(self.timeout)))
            .map_err(StatementError::into_failure)
    }

    /// Runs steps. Several run in a savepoint where the database needs one, so that those before a
    /// failure leave nothing behind.
    async fn steps(
        &self,
        steps: &[Statement],
        params: &[Value],
    ) -> Result<Outcome, StatementError> {
        let mut connection = self.connection.lock().await;
        let savepoint = DB::SAVEPOINT.filter(|_| steps.len() > 1);
        if let Some((set, _)) = savepoint {
            DB::command(*connection, set.to_owned())
                .await
                .map_err(|error| StatementError::of::<DB>(Stage::Running, &error))?;
        }

        let result = run::<DB>(*connection, &self.memory, steps, params, self.persistent).await;
        if let (Err(_), Some((_, back))) = (&result, savepoint) {
            // If this fails too, the connection or the whole transaction is gone, and the script
            // with it.
            let _ = DB::command(*connection, back.to_owned()).await;
        }
        result.map_err(|error| StatementError::of::<DB>(Stage::Running, &error))
    }
}

#[async_trait]
impl<DB: SqlxDatabase> Driver for SqlxSession<'_, DB> {
    fn dialect(&self) -> Dialect {
        DB::DIALECT
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        let outcome = self.within_time(std::slice::from_ref(statement), params);
        outcome.await.map(|outcome| outcome.rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.within_time(script.steps(), params).await
    }
}

impl<DB: SqlxDatabase> fmt::Debug for SqlxSession<'_, DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlxSession")
            .field("database", &DB::NAME)
            .finish_non_exhaustive()
    }
}
