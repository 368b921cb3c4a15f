//! Connections to PostgreSQL, and the running of statements on them.
//!
//! A connection leads either to a PostgreSQL session of its own or to a pooler. On the former,
//! statements are prepared once and kept. On the latter, each statement carries the types of its
//! parameters, and nothing is left behind.

use std::collections::HashMap;
use std::future::poll_fn;
use std::pin::pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::TryStreamExt;
use futures_util::future::join3;
use tokio::task::AbortHandle;
use tokio::time::Instant;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Error, RowStream, Statement as Prepared};

use crate::store::sql::Statement;
use crate::store::sql::postgres::error::{Stage, StatementError};
use crate::store::sql::postgres::pooler::{MOST_STATEMENTS, Types};
use crate::store::sql::postgres::value::{Cell, Param, param_types};
use crate::store::{Row, Value};

/// One connection, closed when it is dropped.
pub(super) struct Connection {
    client: Client,
    mode: Mode,
    task: AbortHandle,
    /// The time of the latest answer.
    heard: Mutex<Instant>,
}

/// The way in which statements travel on a connection.
pub(super) enum Mode {
    /// A connection to a session of its own, with the statements prepared in it.
    Own(Mutex<HashMap<String, Prepared>>),
    /// A connection to a pooler, which passes each transaction to a session that is free.
    Pooled(Pooled),
}

/// The state of a connection to a pooler.
pub(super) struct Pooled {
    /// The parameter types of statements, shared by all connections to this pooler.
    pub(super) types: Arc<Types>,
    /// The settings that limit the time of a statement. They end with the transaction.
    pub(super) limits: String,
    /// The command that begins a transaction: `BEGIN` and the limits. `None` if the pooler allows
    /// no transactions.
    pub(super) begin: Option<String>,
    /// A lock that is held while the three messages of a transaction are sent, so that no other
    /// message comes between them.
    pub(super) order: Mutex<()>,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Wraps a client whose connection task is `task`.
    pub(super) fn new(client: Client, mode: Mode, task: AbortHandle) -> Self {
        Self {
            client,
            mode,
            task,
            heard: Mutex::new(Instant::now()),
        }
    }

    /// Returns the time of the latest answer from PostgreSQL on this connection.
    pub(super) fn heard(&self) -> Instant {
        *lock(&self.heard)
    }

    /// Notes that an answer came, also if it was an error.
    pub(super) fn note_answer(&self) {
        *lock(&self.heard) = Instant::now();
    }

    /// Runs one statement. Returns the number of rows it changed or returned, and the rows.
    ///
    /// Through a pooler this is a transaction, so that the limits of time apply. Its three messages
    /// are sent at once, which takes one round trip.
    pub(super) async fn run(
        &self,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), StatementError> {
        let Mode::Pooled(
            pooled @ Pooled {
                begin: Some(begin), ..
            },
        ) = &self.mode
        else {
            return self.step(statement, params).await;
        };
        let types = self.types(pooled, statement).await?;
        let execute = execute_typed(&self.client, statement, &types, params);
        let mut all = pin!(join3(
            self.client.batch_execute(begin),
            execute,
            self.client.batch_execute("COMMIT")
        ));

        let mut is_sent = false;
        let (began, result, ended) = poll_fn(|cx| {
            // Each future sends its message when it is polled first, so the first poll must not be
            // interleaved with another transaction's.
            let _turn = (!is_sent).then(|| lock(&pooled.order));
            is_sent = true;
            all.as_mut().poll(cx)
        })
        .await;

        // After an error, PostgreSQL answers the commit with a rollback, which isn't an error in
        // itself. So the errors before it count first.
        told(
            pooled,
            statement,
            began.and(result).and_then(|answer| ended.map(|()| answer)),
        )
    }

    /// Runs one statement inside a transaction that has begun, or where none is needed.
    pub(super) async fn step(
        &self,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), StatementError> {
        match &self.mode {
            Mode::Own(cache) => self.run_prepared(cache, statement, params).await,
            Mode::Pooled(pooled) => {
                let types = self.types(pooled, statement).await?;
                told(
                    pooled,
                    statement,
                    execute_typed(&self.client, statement, &types, params).await,
                )
            }
        }
    }

    /// Runs a statement that is prepared on this connection, and prepares it first if necessary.
    async fn run_prepared(
        &self,
        cache: &Mutex<HashMap<String, Prepared>>,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), StatementError> {
        let prepared = self
            .prepared(cache, statement)
            .await
            .map_err(|error| StatementError::Reported(Stage::Preparing, error))?;

        let result = execute(&self.client, &prepared, params).await;
        result.map(Answer::into_parts).map_err(|error| {
            let trouble = StatementError::Reported(Stage::Running, error);
            if trouble.is_stale() {
                lock(cache).remove(statement.text());
            }
            trouble
        })
    }

    /// Returns the types of a statement's parameters, for a connection to a pooler.
    async fn types(
        &self,
        pooled: &Pooled,
        statement: &Statement,
    ) -> Result<Arc<[Type]>, StatementError> {
        let types = pooled
            .types
            .of(&self.client, statement, &pooled.limits)
            .await;
        types.map_err(|error| StatementError::Reported(Stage::Preparing, error))
    }

    /// Begins a transaction.
    ///
    /// # Errors
    ///
    /// Returns [`StatementError::NoTransactions`] if the pooler allows none.
    pub(super) async fn begin(&self) -> Result<(), StatementError> {
        let begin = match &self.mode {
            Mode::Own(_) => "BEGIN",
            Mode::Pooled(Pooled {
                begin: Some(begin), ..
            }) => begin,
            Mode::Pooled(Pooled { begin: None, .. }) => return Err(StatementError::NoTransactions),
        };
        self.command(begin).await
    }

    /// Runs a command without parameters and without rows. It may have several statements.
    pub(super) async fn command(&self, command: &str) -> Result<(), StatementError> {
        self.client
            .batch_execute(command)
            .await
            .map_err(|error| StatementError::Reported(Stage::Running, error))
    }

    /// Returns the prepared statement from the cache, or prepares it.
    async fn prepared(
        &self,
        cache: &Mutex<HashMap<String, Prepared>>,
        statement: &Statement,
    ) -> Result<Prepared, Error> {
        let known = lock(cache).get(statement.text()).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let prepared = self
            .client
            .prepare_typed(statement.text(), &param_types(statement))
            .await?;

        let mut cache = lock(cache);
        if cache.len() >= MOST_STATEMENTS {
            cache.clear();
        }
        cache.insert(statement.text().to_owned(), prepared.clone());
        Ok(prepared)
    }

    /// Returns `true` if the connection leads to a session of its own, in which settings stay.
    pub(super) const fn is_own(&self) -> bool {
        matches!(self.mode, Mode::Own(_))
    }

    /// Returns `true` unless the connection is known to be closed.
    pub(super) fn is_open(&self) -> bool {
        !self.client.is_closed()
    }
}

/// Returns the outcome of a statement that went through a pooler.
fn told(
    pooled: &Pooled,
    statement: &Statement,
    result: Result<Answer, Error>,
) -> Result<(u64, Vec<Row>), StatementError> {
    match result {
        Ok(Answer {
            has_own_type: true, ..
        }) => Err(StatementError::OwnType),
        Ok(answer) => Ok(answer.into_parts()),
        Err(error) => {
            let trouble = StatementError::Reported(Stage::Running, error).through_a_pooler();
            if trouble.is_stale() {
                pooled.types.forget(statement);
            }
            Err(trouble)
        }
    }
}

/// Locks `mutex`. A panic of another holder leaves nothing half-done behind these locks.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Runs a prepared statement with as many of `params` as it has.
async fn execute(client: &Client, prepared: &Prepared, params: &[Value]) -> Result<Answer, Error> {
    let params: Vec<_> = params
        .iter()
        .take(prepared.params().len())
        .map(Param)
        .collect();
    collect(client.query_raw(prepared, params).await?).await
}

/// The answer to a statement.
pub(super) struct Answer {
    /// The number of changed or returned rows.
    touched: u64,
    rows: Vec<Row>,
    /// `true` if a column has a type that isn't built into PostgreSQL.
    has_own_type: bool,
}

impl Answer {
    /// Returns the number of rows that were changed or returned, and the rows.
    pub(super) fn into_parts(self) -> (u64, Vec<Row>) {
        (self.touched, self.rows)
    }
}

/// Runs a statement whose parameters have these types, unnamed and in one round trip.
pub(super) async fn execute_typed(
    client: &Client,
    statement: &Statement,
    types: &[Type],
    params: &[Value],
) -> Result<Answer, Error> {
    let params = types
        .iter()
        .zip(params)
        .map(|(ty, value)| (Param(value), ty.clone()));
    collect(client.query_typed_raw(statement.text(), params).await?).await
}

/// Reads an answer to its end.
async fn collect(stream: RowStream) -> Result<Answer, Error> {
    let mut stream = pin!(stream);
    let mut rows = Vec::new();
    let mut has_own_type = false;
    while let Some(row) = stream.try_next().await? {
        if rows.is_empty() {
            has_own_type = row
                .columns()
                .iter()
                .any(|column| Type::from_oid(column.type_().oid()).is_none());
        }

        let cells = (0..row.len()).map(|column| row.try_get::<_, Cell>(column).map(|cell| cell.0));
        rows.push(Row::new(cells.collect::<Result<_, _>>()?));
    }
    let touched = stream
        .rows_affected()
        .unwrap_or(0)
        .max(rows.len().try_into().unwrap_or(u64::MAX));

    Ok(Answer {
        touched,
        rows,
        has_own_type,
    })
}
