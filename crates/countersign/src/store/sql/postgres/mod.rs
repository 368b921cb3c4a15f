//! PostgreSQL through tokio-postgres.

mod connection;
mod error;
mod pooler;
mod session;
mod target;
mod tls;
mod url;
mod value;

use std::fmt;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::{Instant, timeout_at};

use self::connection::Connection;
use self::error::Trouble;
use self::target::Target;
use crate::error::{ConfigError, Failure};
use crate::slot::Slot;
use crate::store::sql::pool::Pool;
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

pub use session::PostgresSession;

/// How often a statement is run again that can't have taken effect.
const REPEATS: usize = 10;

/// Runs statements on PostgreSQL.
///
/// A few connections are shared by all callers, whose statements travel on them one behind the other; reads and writes have their
/// own, so that a write which waits for a lock holds up no read. Connections are made when they are needed and come
/// back by themselves. Scripts of several steps run on connections of their own, in a transaction.
///
/// **Outages.** An operation ends within [`DatabaseOptions::timeout`]. A read whose connection breaks is asked once
/// more on another; a write is run again only when PostgreSQL says that it did nothing, or when nothing was sent.
///
/// **Poolers** (PgBouncer) are recognised when a connection is made, and may be in any mode: nothing is prepared or left behind
/// on their connections, and types of parameters are asked for once. `?pgbouncer=true` in the URL saves the question.
/// In statement mode, which allows no transactions, scripts of several steps (migrations are such) are refused, and a
/// statement that was given up goes on until PgBouncer's own `query_timeout`. Columns that are read must
/// have types that are PostgreSQL's own: cast others in a view.
///
/// **TLS** follows `sslmode` in the URL, with the meaning it has for PostgreSQL's own tools: `disable`; `prefer` (when
/// absent) and `require` encrypt and check nothing, which keeps out listeners but not an impostor; `verify-ca` checks
/// that the certificate comes from a trusted authority, `verify-full` also that it is the host's. Authorities are those
/// of the operating system, or those in the PEM file that `sslrootcert` names (with it, `require` means `verify-ca`).
pub struct PostgresDriver {
    target: Target,
    timeout: Duration,
    readers: Slots,
    writers: Slots,
    exclusive: Pool<Connection>,
}

impl fmt::Debug for PostgresDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDriver").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl PostgresDriver {
    /// Prepares to talk to the database at `url` (`postgres://user:password@host:5432/database`). It connects when the
    /// first statement comes, so that a database which is down doesn't stop a start.
    ///
    /// # Errors
    /// [`ConfigError`] that names `database_url` when the URL can't work; it never shows the password.
    pub fn connect(url: &str, options: &DatabaseOptions) -> Result<Self, ConfigError> {
        let url = url::Parsed::parse(url)?;
        let tls = tls::connector(&url)?;
        // PostgreSQL gives up a little before we do, so that its answer arrives and the connection can be kept.
        let target = Target::new(url.config, tls, url.says_pooler, options.timeout.mul_f64(0.9));
        let connections = options.connections.max(1);
        Ok(Self {
            target,
            timeout: options.timeout,
            readers: Slots::new(connections),
            writers: Slots::new(connections),
            exclusive: Pool::new(connections),
        })
    }

    /// Runs one statement on a shared connection.
    async fn shared(&self, slots: &Slots, statement: &Statement, params: &[Value]) -> Result<(u64, Vec<Row>), Failure> {
        let deadline = self.deadline();
        let reads = std::ptr::eq(slots, &raw const self.readers);
        let mut repeats = 0;
        loop {
            let trouble = match self.attempt(slots.next(), deadline, statement, params).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) => trouble,
            };
            repeats += 1;
            let limit = if trouble.is_loss() { 1 } else { REPEATS };
            if repeats > limit || !trouble.may_be_repeated(reads) {
                return Err(trouble.into_failure());
            }
        }
    }

    async fn attempt(
        &self,
        slot: &Slot<Connection>,
        deadline: Instant,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), Trouble> {
        let is_open = |connection: &Connection| !connection.is_closed();
        let connection = match slot.live(is_open) {
            Some(connection) => connection,
            // Boxed, as connecting is rare and its future is large.
            None => Box::pin(self.in_time(deadline, slot.connect(is_open, self.target.connect()))).await?,
        };
        let result = self.in_time(deadline, connection.run(statement, params)).await;
        if result.as_ref().is_err_and(Trouble::is_loss) {
            slot.discard(&connection);
        }
        result
    }

    /// Runs the steps of a script in a transaction, on a connection that nobody shares.
    async fn transaction(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let deadline = self.deadline();
        let mut repeats = 0;
        loop {
            let trouble = match self.attempt_transaction(deadline, script, params).await {
                Ok(outcome) => return Ok(outcome),
                Err(trouble) => trouble,
            };
            repeats += 1;
            if trouble.is_loss() || repeats > REPEATS || !trouble.may_be_repeated(false) {
                return Err(trouble.into_failure());
            }
        }
    }

    async fn attempt_transaction(
        &self,
        deadline: Instant,
        script: &Script,
        params: &[Value],
    ) -> Result<Outcome, Trouble> {
        let turn = self.in_time(deadline, async { Ok(self.exclusive.turn().await) }).await?;
        let idle = std::iter::from_fn(|| turn.idle()).find(|(connection, _)| !connection.is_closed());
        // Wherever this stops, the connection is closed unless its transaction has ended.
        let connection = match idle {
            Some((connection, _)) => connection,
            None => self.in_time(deadline, self.target.connect()).await?,
        };
        self.in_time(deadline, connection.begin()).await?;
        let result = self.in_time(deadline, steps(&connection, script, params)).await;
        let end = if result.as_ref().is_ok_and(|outcome| is_whole(outcome, script)) { "COMMIT" } else { "ROLLBACK" };
        let ended = self.in_time(deadline, connection.command(end)).await;
        if ended.is_ok() {
            turn.give_back(connection);
        }
        result.and_then(|outcome| ended.map(|()| outcome))
    }

    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, Trouble>>,
    ) -> Result<T, Trouble> {
        timeout_at(deadline, work).await.unwrap_or(Err(Trouble::Silence(self.timeout)))
    }
}

#[async_trait]
impl Driver for PostgresDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.shared(&self.readers, statement, params).await.map(|(_, rows)| rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        match script.steps() {
            [] => Ok(Outcome::default()),
            [statement] => {
                let (touched, rows) = self.shared(&self.writers, statement, params).await?;
                Ok(Outcome { affected: vec![touched], rows })
            }
            _ => self.transaction(script, params).await,
        }
    }
}

/// Runs the steps of a script one after the other, and stops after the first when it did nothing.
async fn steps(connection: &Connection, script: &Script, params: &[Value]) -> Result<Outcome, Trouble> {
    let mut outcome = Outcome::default();
    for statement in script.steps() {
        let (touched, rows) = connection.step(statement, params).await?;
        outcome.affected.push(touched);
        outcome.rows = rows;
        if !outcome.took_effect() {
            outcome.rows.clear();
            break;
        }
    }
    Ok(outcome)
}

fn is_whole(outcome: &Outcome, script: &Script) -> bool {
    outcome.took_effect() && outcome.affected.len() == script.steps().len()
}

/// Shared connections, used in turn.
struct Slots {
    first: Slot<Connection>,
    more: Box<[Slot<Connection>]>,
    turn: AtomicUsize,
}

impl Slots {
    fn new(connections: usize) -> Self {
        let more = (1..connections).map(|_| Slot::default()).collect();
        Self { first: Slot::default(), more, turn: AtomicUsize::new(0) }
    }

    fn next(&self) -> &Slot<Connection> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        self.more.get(turn % self.more.len().saturating_add(1)).unwrap_or(&self.first)
    }
}
