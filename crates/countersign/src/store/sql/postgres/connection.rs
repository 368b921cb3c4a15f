//! Connections to PostgreSQL, and the shared ones that come back by themselves.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::{TryStreamExt, pin_mut};
use tokio::task::AbortHandle;
use tokio_postgres::types::Type;
use tokio_postgres::{Client, Config, Error, NoTls, Statement as Prepared};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::sql::Statement;
use crate::store::sql::postgres::error::{Stage, Trouble};
use crate::store::sql::postgres::value::{Cell, Param};
use crate::store::{Row, Value};

/// Where to connect, and how.
pub(super) struct Target {
    pub(super) config: Config,
    pub(super) tls: Option<MakeRustlsConnect>,
    /// How long PostgreSQL itself may work on one statement.
    pub(super) patience: Duration,
}

impl Target {
    /// A new connection.
    pub(super) async fn connect(&self) -> Result<Connection, Trouble> {
        self.open().await.map_err(|error| Trouble::Said(Stage::Connecting, error))
    }

    async fn open(&self) -> Result<Connection, Error> {
        let (client, task) = match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                (client, tokio::spawn(async { drop(connection.await) }))
            }
        };
        let connection = Connection { client, statements: Mutex::default(), task: task.abort_handle() };
        // A statement that we have stopped waiting for must not go on waiting for a lock.
        let settings = format!("SET statement_timeout = {}; SET TIME ZONE 'UTC'", self.patience.as_millis().max(1));
        connection.client.batch_execute(&settings).await?;
        Ok(connection)
    }
}

/// More texts than this in one connection's cache are a bug elsewhere; the cache then starts afresh.
const MOST_STATEMENTS: usize = 256;

/// One connection with the statements prepared on it. It is closed when dropped, whatever was going on.
pub(super) struct Connection {
    client: Client,
    statements: Mutex<HashMap<String, Prepared>>,
    task: AbortHandle,
}

impl Drop for Connection {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Connection {
    /// Runs one statement: how many rows it touched or returned, and which it returned.
    pub(super) async fn run(&self, statement: &Statement, params: &[Value]) -> Result<(u64, Vec<Row>), Trouble> {
        let prepared = self.prepared(statement).await.map_err(|error| Trouble::Said(Stage::Preparing, error))?;
        let result = execute(&self.client, &prepared, params).await;
        result.map_err(|error| {
            let trouble = Trouble::Said(Stage::Running, error);
            if trouble.is_stale() {
                self.cache().remove(statement.text());
            }
            trouble
        })
    }

    /// Runs a command that has no parameters and no answer.
    pub(super) async fn command(&self, command: &str) -> Result<(), Trouble> {
        self.client.batch_execute(command).await.map_err(|error| Trouble::Said(Stage::Running, error))
    }

    async fn prepared(&self, statement: &Statement) -> Result<Prepared, Error> {
        let known = self.cache().get(statement.text()).cloned();
        if let Some(known) = known {
            return Ok(known);
        }
        let prepared = self.client.prepare_typed(statement.text(), &param_types(statement)).await?;
        let mut cache = self.cache();
        if cache.len() >= MOST_STATEMENTS {
            cache.clear();
        }
        cache.insert(statement.text().to_owned(), prepared.clone());
        Ok(prepared)
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, HashMap<String, Prepared>> {
        self.statements.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn is_closed(&self) -> bool {
        self.client.is_closed()
    }
}

/// Types for a statement's parameters: PostgreSQL finds them itself, except for those that the statement leaves out.
pub(super) fn param_types(statement: &Statement) -> Vec<Type> {
    let count = statement.order().iter().max().map_or(0, |last| last.saturating_add(1));
    (0..count).map(|n| if statement.order().contains(&n) { Type::UNKNOWN } else { Type::TEXT }).collect()
}

/// Runs a prepared statement with as many of `params` as it has.
pub(super) async fn execute(client: &Client, prepared: &Prepared, params: &[Value]) -> Result<(u64, Vec<Row>), Error> {
    let params: Vec<_> = params.iter().take(prepared.params().len()).map(Param).collect();
    let stream = client.query_raw(prepared, params).await?;
    pin_mut!(stream);
    let mut rows = Vec::new();
    while let Some(row) = stream.try_next().await? {
        let cells = (0..row.len()).map(|column| row.try_get::<_, Cell>(column).map(|cell| cell.0));
        rows.push(Row::new(cells.collect::<Result<_, _>>()?));
    }
    let touched = stream.rows_affected().unwrap_or(0).max(rows.len().try_into().unwrap_or(u64::MAX));
    Ok((touched, rows))
}
