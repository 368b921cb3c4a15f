//! The driver over a pool: its connections, its deadline, and what it repeats.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use sqlx::Pool;
use sqlx::pool::PoolConnection;
use tokio::time::{Instant, timeout_at};

use crate::error::Failure;
use crate::store::sql::queue::Queues;
use crate::store::sql::retry::{Mode, Retry};
use crate::store::sql::sqlx_pool::trouble::{Stage, StatementError};
use crate::store::sql::sqlx_pool::wire::{Fault, SqlxDatabase, run};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

/// The driver over an application's own sqlx pool of PostgreSQL, MySQL or MariaDB.
///
/// [`Database`](crate::store::sql::Database) is made from one, or from the pool itself if the
/// defaults are right. Tokens are then kept with the application's connections, and the
/// application's own transaction can be [joined](crate::store::sql::SqlxSession).
///
/// The pool remains the application's: its options (TLS, hosts, `after_connect`, the test before a
/// connection is handed out) hold here too. Give the pool room for both uses.
///
/// # Operation
///
/// **Transactions.** A read is one statement. A write is a transaction of its own at
/// `READ COMMITTED`, also if the connections have another default. Its settings end with it.
///
/// **Locks.** A write that meets a locked row waits in the server for some milliseconds only (on
/// MySQL for a second, which is its shortest wait), and is tried again until the timeout is over.
/// Scripts for [one row](Script::one_at_a_time) take one connection at a time.
///
/// **Outages.** An operation ends within the [`timeout`](Self::timeout), waiting for a connection
/// included, and fails with [`Failure::unavailable`] then. Its connection is closed and leaves the
/// pool. An operation is run again only if it was a read, if the database says that it did nothing,
/// or if its commit hadn't been sent.
///
/// **Poolers.** Behind PgBouncer in transaction mode, switch [`persistent`](Self::persistent) off.
///
/// # Examples
///
/// With another timeout, behind PgBouncer:
///
/// ```
/// # #[cfg(feature = "sqlx-postgres")]
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
/// # let _guard = runtime.enter();
/// use std::time::Duration;
///
/// use countersign::store::sql::sqlx::PgPool;
/// use countersign::store::sql::{Database, SqlxDriver};
///
/// let pool = PgPool::connect_lazy("postgres://app:secret@pgbouncer/app")?;
/// let driver = SqlxDriver::new(pool.clone())
///     .timeout(Duration::from_secs(3))
///     .persistent(false);
/// let database = Database::from(driver);
/// # drop(database);
/// # Ok(())
/// # }
/// # #[cfg(not(feature = "sqlx-postgres"))]
/// # fn main() {}
/// ```
pub struct SqlxDriver<DB: SqlxDatabase> {
    pool: Pool<DB>,
    timeout: Duration,
    persistent: bool,
    queues: Arc<Queues>,
    memory: Arc<DB::Memory>,
}

impl<DB: SqlxDatabase> SqlxDriver<DB> {
    /// Creates a driver on `pool`. It connects when the first statement comes, if the pool does.
    pub fn new(pool: Pool<DB>) -> Self {
        Self {
            pool,
            timeout: DatabaseOptions::default().timeout,
            persistent: true,
            queues: Arc::default(),
            memory: Arc::default(),
        }
    }

    /// Sets the longest time of one operation, waiting for a connection included. Defaults to one
    /// second.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets whether statements stay prepared on their connections. Defaults to `true`.
    ///
    /// With `false`, nothing is left on a connection and reads are transactions too, so a pooler
    /// that gives each transaction another connection may be in between. Each statement takes more
    /// round trips then.
    #[must_use]
    pub const fn persistent(mut self, persistent: bool) -> Self {
        self.persistent = persistent;
        self
    }

    /// Returns the pool.
    pub(super) const fn pool(&self) -> &Pool<DB> {
        &self.pool
    }

    /// Returns `true` if statements stay prepared.
    pub(super) const fn is_persistent(&self) -> bool {
        self.persistent
    }

    /// Runs statements, again if that is safe and may help, until the deadline.
    async fn repeat(
        &self,
        deadline: Instant,
        steps: &[Statement],
        params: &[Value],
        mode: Mode,
    ) -> Result<Outcome, Failure> {
        let reads = mode == Mode::Reads;
        let work = async {
            let mut retry = Retry::until(deadline, reads);
            loop {
                let error = match self.attempt(steps, params, mode).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(error) => error,
                };

                let held = error.fault == Fault::Held || !reads && self.is_early(&error, deadline);
                if !retry.again(&error, held).await {
                    return Err(error);
                }
            }
        };
        timeout_at(deadline, work)
            .await
            .unwrap_or_else(|_| Err(StatementError::silence(self.timeout)))
            .map_err(StatementError::into_failure)
    }

    /// Returns `true` for a write that was cancelled too early for the statement timeout. So it was
    /// cancelled by the wait for a lock, and took no effect.
    fn is_early(&self, error: &StatementError, deadline: Instant) -> bool {
        error.fault == Fault::Cancelled && Instant::now() + self.timeout / 10 < deadline
    }

    /// Runs statements once, on a connection of the pool.
    async fn attempt(
        &self,
        steps: &[Statement],
        params: &[Value],
        mode: Mode,
    ) -> Result<Outcome, StatementError> {
        let connection = self.pool.acquire().await;
        let connection =
            connection.map_err(|error| StatementError::of::<DB>(Stage::Connecting, &error))?;
        // Any early exit closes the connection, also one that drops this future.
        let mut lease = Lease(Some(connection));
        let (result, is_clean) = match &mut lease.0 {
            Some(connection) if mode == Mode::Reads && self.persistent => {
                let result = self.steps(connection, steps, params, Stage::Running).await;
                let spares = StatementError::spares_connection;
                let is_clean = result.as_ref().map_or_else(spares, |_| true);
                (result, is_clean)
            }
            Some(connection) => self.transaction(connection, steps, params, mode).await,
            None => return Err(StatementError::silence(self.timeout)),
        };

        if is_clean {
            lease.give_back();
        }
        result
    }

    /// Runs the steps in a transaction. Returns the outcome, and `true` if the transaction has
    /// ended and left nothing behind, so that the connection may be kept.
    async fn transaction(
        &self,
        connection: &mut DB::Connection,
        script: &[Statement],
        params: &[Value],
        mode: Mode,
    ) -> (Result<Outcome, StatementError>, bool) {
        let begin = DB::begin(self.timeout, mode == Mode::WritesSeeingAll);
        if let Err(error) = DB::command(connection, begin).await {
            return (
                Err(StatementError::of::<DB>(Stage::Uncommitted, &error)),
                false,
            );
        }
        let stage = Stage::Uncommitted;
        let result = self.steps(connection, script, params, stage).await;
        let spares = StatementError::spares_connection;
        if !result.as_ref().map_or_else(spares, |_| true) {
            return (result, false);
        }

        let is_whole = result.as_ref().is_ok_and(|outcome| {
            // All of them were run. A single statement may have written in a part of its own
            // although it changed and returned no row itself.
            script.len() == 1 || outcome.is_whole(script.len())
        });
        let (end, stage) = if is_whole {
            ("COMMIT", Stage::Running)
        } else {
            ("ROLLBACK", Stage::Uncommitted)
        };

        let ended = DB::command(connection, DB::end(end)).await;
        let is_clean = ended.is_ok();
        let ended = ended.map_err(|error| StatementError::of::<DB>(stage, &error));
        (result.and_then(|outcome| ended.map(|_| outcome)), is_clean)
    }

    /// Runs the steps one after the other, and stops after the guard if it did nothing.
    async fn steps(
        &self,
        connection: &mut DB::Connection,
        steps: &[Statement],
        params: &[Value],
        stage: Stage,
    ) -> Result<Outcome, StatementError> {
        run::<DB>(connection, &self.memory, steps, params, self.persistent)
            .await
            .map_err(|error| StatementError::of::<DB>(stage, &error))
    }
}

/// A connection of the pool that is closed unless it is given back.
struct Lease<DB: sqlx::Database>(Option<PoolConnection<DB>>);

impl<DB: sqlx::Database> Lease<DB> {
    /// Returns the connection to the pool. It has no open transaction and no unread answer.
    fn give_back(mut self) {
        drop(self.0.take());
    }
}

impl<DB: sqlx::Database> Drop for Lease<DB> {
    fn drop(&mut self) {
        if let Some(connection) = self.0.take() {
            // The pool would wait for the end of what runs on it.
            drop(connection.detach());
        }
    }
}

#[async_trait]
impl<DB: SqlxDatabase> Driver for SqlxDriver<DB> {
    fn dialect(&self) -> Dialect {
        DB::DIALECT
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let steps = std::slice::from_ref(statement);
        let outcome = self.repeat(deadline, steps, params, Mode::Reads).await;
        outcome.map(|outcome| outcome.rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let deadline = Instant::now() + self.timeout;
        let mode = Mode::of(script);
        let _place = timeout_at(deadline, self.queues.turn(script, params))
            .await
            .map_err(|_| StatementError::silence(self.timeout).into_failure())?;
        match script.steps() {
            [] => Ok(Outcome::default()),
            steps => self.repeat(deadline, steps, params, mode).await,
        }
    }
}

impl<DB: SqlxDatabase> From<Pool<DB>> for SqlxDriver<DB> {
    fn from(pool: Pool<DB>) -> Self {
        Self::new(pool)
    }
}

/// The clone shares the pool and the queues.
impl<DB: SqlxDatabase> Clone for SqlxDriver<DB> {
    fn clone(&self) -> Self {
        Self {
            pool: self.pool.clone(),
            timeout: self.timeout,
            persistent: self.persistent,
            queues: Arc::clone(&self.queues),
            memory: Arc::clone(&self.memory),
        }
    }
}

impl<DB: SqlxDatabase> fmt::Debug for SqlxDriver<DB> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlxDriver")
            .field("database", &DB::NAME)
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}
