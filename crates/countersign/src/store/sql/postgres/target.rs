//! The opening of connections, directly or through a pooler, with their limits of time.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::AbortHandle;
use tokio_postgres::error::SqlState;
use tokio_postgres::{Client, Config, Error, NoTls};
use tokio_postgres_rustls::MakeRustlsConnect;

use crate::store::sql::postgres::connection::{Connection, Mode, Pooled};
use crate::store::sql::postgres::error::{Stage, StatementError};
use crate::store::sql::postgres::pooler::{self, Types};

/// The time that statements may wait for locks of others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Waits {
    /// The whole time that the statement may take.
    ForLocks,
    /// A few milliseconds. The write is then tried again, and holds up no others meanwhile. This is
    /// shorter than the second after which PostgreSQL looks for deadlocks, so it ends those too.
    Briefly,
}

/// The shortest brief wait. Its length depends on the timeout.
const SHORTEST_WAIT: Duration = Duration::from_millis(5);
/// The longest brief wait.
const LONGEST_WAIT: Duration = Duration::from_millis(20);

/// The settings of a database, with what was learned about the way to it.
pub(super) struct Target {
    config: Config,
    tls: Option<MakeRustlsConnect>,
    /// The time that PostgreSQL itself may spend on one statement.
    patience: Duration,
    /// `true` if the URL says that there is a pooler. Otherwise each new connection is tested.
    says_pooler: bool,
    /// `true` if the pooler has refused a transaction.
    no_transactions: AtomicBool,
    /// The parameter types of statements, for connections to a pooler.
    types: Arc<Types>,
}

impl Target {
    /// Creates a target to which nobody has connected yet.
    pub(super) fn new(
        config: Config,
        tls: Option<MakeRustlsConnect>,
        says_pooler: bool,
        patience: Duration,
    ) -> Self {
        Self {
            config,
            tls,
            patience,
            says_pooler,
            no_transactions: AtomicBool::new(false),
            types: Arc::default(),
        }
    }

    /// Opens a connection.
    pub(super) async fn connect(&self, waits: Waits) -> Result<Connection, StatementError> {
        self.open(waits)
            .await
            .map_err(|error| StatementError::Reported(Stage::Connecting, error))
    }

    /// Opens a connection, finds out what it leads to, and sets its limits.
    async fn open(&self, waits: Waits) -> Result<Connection, Error> {
        let (client, task) = self.dial().await?;
        if !self.says_pooler && !pooler::is_between(&client).await? {
            // A statement whose caller has given up must not go on waiting for a lock.
            client
                .batch_execute(&format!(
                    "{}; SET TIME ZONE 'UTC'",
                    self.limits("SET", waits)
                ))
                .await?;
            return Ok(Connection::new(client, Mode::Own(Mutex::default()), task));
        }

        if !self.no_transactions.load(Ordering::Relaxed) {
            if allows_transactions(&client).await? {
                return Ok(self.pooled(client, task, waits, true));
            }
            self.no_transactions.store(true, Ordering::Relaxed);
        }

        // The pooler has closed the connection on which a transaction was tried.
        let (client, task) = if client.is_closed() {
            self.dial().await?
        } else {
            (client, task)
        };
        Ok(self.pooled(client, task, waits, false))
    }

    /// Opens a connection, with or without TLS, and starts its task.
    async fn dial(&self) -> Result<(Client, AbortHandle), Error> {
        Ok(match &self.tls {
            None => {
                let (client, connection) = self.config.connect(NoTls).await?;
                (
                    client,
                    tokio::spawn(async { drop(connection.await) }).abort_handle(),
                )
            }
            Some(tls) => {
                let (client, connection) = self.config.connect(tls.clone()).await?;
                (
                    client,
                    tokio::spawn(async { drop(connection.await) }).abort_handle(),
                )
            }
        })
    }

    /// Wraps a connection to a pooler.
    fn pooled(
        &self,
        client: Client,
        task: AbortHandle,
        waits: Waits,
        has_transactions: bool,
    ) -> Connection {
        let limits = self.limits("SET LOCAL", waits);
        let begin = has_transactions.then(|| format!("BEGIN; {limits}"));
        let pooled = Pooled {
            types: Arc::clone(&self.types),
            limits,
            begin,
            order: Mutex::default(),
        };
        Connection::new(client, Mode::Pooled(pooled), task)
    }

    /// Returns the commands that limit the time of statements and of waits for locks.
    fn limits(&self, set: &str, waits: Waits) -> String {
        let patience = self.patience.as_millis().max(1);
        let lock = match waits {
            Waits::ForLocks => 0,
            Waits::Briefly => (self.patience / 100)
                .clamp(SHORTEST_WAIT, LONGEST_WAIT)
                .as_millis(),
        };
        format!("{set} statement_timeout = {patience}; {set} lock_timeout = {lock}")
    }
}

/// Returns `true` if a pooler allows transactions. PgBouncer does, except in statement mode.
async fn allows_transactions(client: &Client) -> Result<bool, Error> {
    match client.batch_execute("BEGIN").await {
        Ok(()) => client.batch_execute("ROLLBACK").await.map(|()| true),
        Err(error) if error.code() == Some(&SqlState::PROTOCOL_VIOLATION) => Ok(false),
        Err(error) => Err(error),
    }
}
