//! PostgreSQL through tokio-postgres.
//!
//! `url` reads the URL, `tls` and `target` open connections, `pooler` recognises poolers,
//! `connection` runs statements, `value` converts values, `error` and `symptom` interpret errors,
//! `session` is the caller's own transaction, and `ddl` changes tables. This file has the driver:
//! shared connections for single statements, exclusive ones for scripts of several steps, and
//! repetition.
//!
//! # The way of an operation
//!
//! - A single statement goes to [`shared`](PostgresDriver::shared): a lane of the readers or
//!   writers, pipelined behind the statements of others.
//! - If it is a write and meets a lock, it goes on to [`alone`](PostgresDriver::alone), since
//!   waiting on a lane would hold up everything behind it. There it is tried again, in growing
//!   pauses.
//! - A script of several steps begins there, in a transaction on a connection from the pool.
//!
//! All of it shares one deadline. PostgreSQL's own `statement_timeout` is a little shorter, so that
//! a statement which takes too long ends with an answer, and its connection stays usable.

mod connection;
mod ddl;
mod error;
mod pooler;
mod session;
mod symptom;
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
use self::error::StatementError;
use self::target::{Target, Waits};
use crate::error::{ConfigError, Failure, Symptom};
use crate::net::{Renewing, SharedConnection, UrlSource};
use crate::store::sql::pool::{Permit, Pool};
use crate::store::sql::queue::Queues;
use crate::store::sql::retry::{Repeatable, Retry};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

pub use session::PostgresSession;

/// The idle time after which a connection is tested before it is used, as a multiple of the
/// timeout.
const IDLE_TIMEOUTS: u32 = 5;

/// The driver for PostgreSQL. Usually made by
/// [`Database::connect`](crate::store::sql::Database::connect).
///
/// Reads and writes have [`DatabaseOptions::connections`] shared connections each. Statements of
/// all callers are pipelined on them, each on the least busy one. Scripts of several steps run in a
/// transaction, on up to as many connections of their own. Connections are opened when they are
/// needed, and replaced when they break.
///
/// # Operation
///
/// **Locks.** A write that meets a locked row waits in the server for some milliseconds only, and
/// is tried again until the timeout is over. So it doesn't hold up writes to other rows. Scripts
/// for [one row](Script::one_at_a_time) reach the server one at a time.
///
/// **Outages.** An operation ends within [`DatabaseOptions::timeout`]. A read whose connection
/// breaks is sent once more on a new one. A write is run again only if PostgreSQL says that it did
/// nothing, if nothing was sent, or if its transaction wasn't to be committed yet. A connection
/// that was idle for five timeouts is tested before it is used. When one doesn't answer, the others
/// that were idle as long are closed.
///
/// **Poolers** (PgBouncer) are recognised when a connection is opened, and may be in any mode:
/// nothing is prepared or left behind on their connections. `?pgbouncer=true` in the URL saves the
/// question. In statement mode, which allows no transactions, scripts of several steps (such as
/// migrations) are refused, and a statement that was given up runs on until PgBouncer's own
/// `query_timeout`. Through a pooler, columns that are read must have built-in types: cast others
/// in a view.
///
/// **Several hosts** (`postgres://h1,h2/…`) are tried in their order, each for a part of the
/// timeout. With `target_session_attrs=read-write` the first that accepts writes is used, also
/// after a failover. `host=/directory` in the query names the directory of a Unix socket.
///
/// **TLS** follows `sslmode` in the URL, with the meaning it has for PostgreSQL's own tools.
/// `prefer` is the default and encrypts if the server can; `require` insists on it. Neither checks
/// the certificate, which keeps out listeners but not an impostor. `verify-ca` checks that a
/// trusted authority issued the certificate, `verify-full` also that it is for this host. `disable`
/// turns TLS off. Authorities are those of the operating system, or those in the PEM file that
/// `sslrootcert` names (with it, `require` means `verify-ca`). A server certificate in that file is
/// trusted itself.
///
/// # Examples
///
/// ```no_run
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{DatabaseOptions, DatabaseTokenModels, PostgresDriver, SqlStore};
///
/// # fn main() -> Result<(), countersign::ConfigError> {
/// let url = "postgres://app:secret@db1,db2/app?target_session_attrs=read-write";
/// let driver = PostgresDriver::connect(url, &DatabaseOptions::default())?;
/// let store = SqlStore::new(driver, DatabaseTokenModels::bundled(UserKeyKind::Uuid));
/// # drop(store);
/// # Ok(())
/// # }
/// ```
pub struct PostgresDriver {
    target: Renewing<Target>,
    timeout: Duration,
    readers: Slots,
    writers: Slots,
    exclusive: Pool<Connection>,
    queues: Queues,
}

impl fmt::Debug for PostgresDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresDriver")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl PostgresDriver {
    /// Creates a driver for the database at `url` (`postgres://user:password@host:5432/database`,
    /// with special characters percent-encoded).
    ///
    /// It connects when the first statement comes, so this succeeds while the server is down.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `database_url` if the URL can't be read, names no host,
    /// has an unknown option, or names a certificate file that can't be read. It never shows the
    /// password.
    pub fn connect(url: &str, options: &DatabaseOptions) -> Result<Self, ConfigError> {
        Self::renewing(url, options, None)
    }

    /// Creates a driver like [`connect`](Self::connect) that reads the URL again from `source` when
    /// PostgreSQL refuses the password.
    pub(super) fn renewing(
        url: &str,
        options: &DatabaseOptions,
        source: Option<UrlSource>,
    ) -> Result<Self, ConfigError> {
        // PostgreSQL gives up a little before the driver does, so that its answer arrives and the
        // connection can be kept.
        let (timeout, patience) = (options.timeout, options.timeout.mul_f64(0.9));

        let target = Renewing::new("database", url, source, move |url| {
            let mut url = url::Parsed::parse(url)?;
            // A host that doesn't answer must leave time for the next ones.
            let hosts = u32::try_from(url.config.get_hosts().len()).unwrap_or(1);
            if hosts > 1 && url.config.get_connect_timeout().is_none() {
                url.config
                    .connect_timeout(timeout / hosts.saturating_add(1));
            }
            let tls = tls::connector(&url)?;
            Ok(Target::new(url.config, tls, url.says_pooler, patience))
        })?;

        let connections = options.connections.max(1);
        Ok(Self {
            target,
            timeout: options.timeout,
            readers: Slots::new(connections, Waits::ForLocks),
            writers: Slots::new(connections, Waits::Briefly),
            exclusive: Pool::new(connections),
            queues: Queues::default(),
        })
    }

    /// Runs one statement on a shared connection. A write that is blocked by a lock moves to a
    /// connection of its own.
    async fn shared(
        &self,
        slots: &Slots,
        deadline: Instant,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), Failure> {
        let reads = std::ptr::eq(slots, &raw const self.readers);
        let mut retry = Retry::until(deadline, reads);
        let mut busy = slots.least_busy();

        loop {
            let trouble = match self
                .attempt(busy.0, slots.waits, deadline, statement, params)
                .await
            {
                Ok(answer) => return Ok(answer),
                Err(trouble)
                    if trouble.is_held() || !reads && self.is_early(&trouble, deadline) =>
                {
                    let outcome =
                        Box::pin(self.alone(deadline, std::slice::from_ref(statement), params))
                            .await?;
                    return Ok((outcome.affected.first().copied().unwrap_or(0), outcome.rows));
                }
                Err(trouble) => trouble,
            };

            if !retry.again(&trouble, false).await {
                return Err(trouble.into_failure());
            }
            // Connections often end together, and others may not have noticed yet. On the same
            // lane, the next connection is opened after this one has ended.
            if !retry.after_loss() {
                busy = slots.least_busy();
            }
        }
    }

    /// Runs steps on a connection of their own, again and again while others hold locks that they
    /// need.
    async fn alone(
        &self,
        deadline: Instant,
        steps: &[Statement],
        params: &[Value],
    ) -> Result<Outcome, Failure> {
        let mut retry = Retry::until(deadline, false);
        loop {
            let trouble = match self
                .attempt_alone(deadline, steps, params, retry.after_loss())
                .await
            {
                Ok(outcome) => return Ok(outcome),
                Err(trouble) => trouble,
            };

            let held = trouble.is_held() || self.is_early(&trouble, deadline);
            if !retry.again(&trouble, held).await {
                return Err(trouble.into_failure());
            }
        }
    }

    /// Returns `true` for a write that was cancelled too early for the statement timeout. So it was
    /// cancelled by the wait for a lock, and took no effect.
    fn is_early(&self, trouble: &StatementError, deadline: Instant) -> bool {
        trouble.is_cancelled() && Instant::now() + self.timeout / 10 < deadline
    }

    /// Runs one statement once, on the connection of a lane, or on a new one if there is none.
    async fn attempt(
        &self,
        lane: &Lane,
        waits: Waits,
        deadline: Instant,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), StatementError> {
        let live = match lane.slot.live(Connection::is_open) {
            Some(connection) if !self.still_answers(deadline, &connection).await => {
                lane.slot.discard(&connection);
                None
            }
            live => live,
        };

        let connection = if let Some(connection) = live {
            connection
        } else {
            // Boxed, since connecting is rare and its future is large.
            let connect = lane.slot.connect(Connection::is_open, self.open(waits));
            Box::pin(self.in_time(deadline, connect)).await?
        };
        let sent = Instant::now();
        let result = self
            .in_time(deadline, connection.run(statement, params))
            .await;

        match &result {
            Err(StatementError::Silence(_)) => {
                lane.slot.discard(&connection);
                self.discard_unheard_since(sent);
            }
            Err(trouble) if trouble.is_loss() => lane.slot.discard(&connection),
            _ => connection.note_answer(),
        }
        result
    }

    /// Returns `true` if a connection still works. One that was idle for long is tested, with a
    /// part of the time.
    ///
    /// Address translators and firewalls forget idle connections without telling either side.
    async fn still_answers(&self, deadline: Instant, connection: &Connection) -> bool {
        let now = Instant::now();
        if now.duration_since(connection.heard()) < self.timeout * IDLE_TIMEOUTS {
            return true;
        }
        let patience = deadline.min(now + self.timeout / 3);
        let answer = self.in_time(patience, connection.command("")).await;

        if answer.is_ok() {
            connection.note_answer();
        } else {
            self.discard_unheard_since(now);
        }
        answer.is_ok()
    }

    /// Drops the connections without an answer since `moment`: they may be as dead as the one that
    /// just didn't answer.
    fn discard_unheard_since(&self, moment: Instant) {
        for lane in self.readers.lanes().chain(self.writers.lanes()) {
            if let Some(connection) = lane.slot.live(|connection| connection.heard() < moment) {
                lane.slot.discard(&connection);
            }
        }
        self.exclusive.clear();
    }

    /// Runs steps once, on an exclusive connection.
    async fn attempt_alone(
        &self,
        deadline: Instant,
        steps: &[Statement],
        params: &[Value],
        after_loss: bool,
    ) -> Result<Outcome, StatementError> {
        let turn = self
            .in_time(deadline, async { Ok(self.exclusive.turn().await) })
            .await?;
        let idle = if after_loss {
            // Connections often end together, and an idle one may not have noticed yet.
            drop(turn.idle());
            None
        } else {
            self.idle(deadline, &turn).await
        };

        // Any early exit closes the connection, unless its transaction has ended.
        let connection = match idle {
            Some(connection) => connection,
            None => Box::pin(self.in_time(deadline, self.open(Waits::Briefly))).await?,
        };

        let sent = Instant::now();
        let (result, is_clean) = match steps {
            [statement] => {
                let result = self
                    .in_time(deadline, connection.run(statement, params))
                    .await;
                let is_clean = !result.as_ref().is_err_and(StatementError::is_loss);
                (
                    result.map(|(touched, rows)| Outcome::of_one_step(touched, rows)),
                    is_clean,
                )
            }
            _ => {
                self.transaction(deadline, &connection, steps, params)
                    .await?
            }
        };

        match &result {
            Err(StatementError::Silence(_)) => self.discard_unheard_since(sent),
            _ if is_clean => {
                connection.note_answer();
                turn.give_back(connection);
            }
            _ => {}
        }
        result
    }

    /// Returns an idle exclusive connection that still works, if there is one.
    async fn idle(&self, deadline: Instant, turn: &Permit<'_, Connection>) -> Option<Connection> {
        while let Some((connection, _)) = turn.idle() {
            if connection.is_open() && self.still_answers(deadline, &connection).await {
                return Some(connection);
            }
        }
        None
    }

    /// Runs the steps of a script in a transaction. Returns the outcome, and `true` if the
    /// transaction has ended, so that the connection may be kept.
    async fn transaction(
        &self,
        deadline: Instant,
        connection: &Connection,
        steps: &[Statement],
        params: &[Value],
    ) -> Result<(Result<Outcome, StatementError>, bool), StatementError> {
        self.in_time(deadline, connection.begin())
            .await
            .map_err(StatementError::before_commit)?;
        let result = self
            .in_time(deadline, run_steps(connection, steps, params))
            .await;
        let result = result.map_err(StatementError::before_commit);
        let whole = result
            .as_ref()
            .is_ok_and(|outcome| outcome.is_whole(steps.len()));

        let end = if whole { "COMMIT" } else { "ROLLBACK" };
        let ended = self.in_time(deadline, connection.command(end)).await;
        let is_clean = ended.is_ok();
        Ok((result.and_then(|outcome| ended.map(|()| outcome)), is_clean))
    }

    /// Opens a connection with the current user and password. Reads the URL again, once, if they
    /// are refused.
    async fn open(&self, waits: Waits) -> Result<Connection, StatementError> {
        let generation = self.target.generation();
        let outcome = match self.target.current().connect(waits).await {
            Err(trouble) if trouble.is_ended_connection() => {
                self.target.current().connect(waits).await
            }
            outcome => outcome,
        };

        match outcome {
            Err(trouble)
                if trouble.symptom() == Some(Symptom::Credentials)
                    && self.target.renew(generation) =>
            {
                self.target.current().connect(waits).await
            }
            outcome => outcome,
        }
    }

    /// Returns the end of the time for an operation that begins now.
    fn deadline(&self) -> Instant {
        Instant::now() + self.timeout
    }

    /// Runs `work` until the deadline.
    async fn in_time<T>(
        &self,
        deadline: Instant,
        work: impl Future<Output = Result<T, StatementError>>,
    ) -> Result<T, StatementError> {
        timeout_at(deadline, work)
            .await
            .unwrap_or(Err(StatementError::Silence(self.timeout)))
    }
}

#[async_trait]
impl Driver for PostgresDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Postgres
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.shared(&self.readers, self.deadline(), statement, params)
            .await
            .map(|(_, rows)| rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let deadline = self.deadline();
        let _place = timeout_at(deadline, self.queues.turn(script, params))
            .await
            .map_err(|_| StatementError::Silence(self.timeout).into_failure())?;

        match script.steps() {
            [] => Ok(Outcome::default()),
            [statement] => {
                let (touched, rows) = self
                    .shared(&self.writers, deadline, statement, params)
                    .await?;
                Ok(Outcome::of_one_step(touched, rows))
            }
            steps => self.alone(deadline, steps, params).await,
        }
    }
}

/// Runs the steps one after the other, and stops after the guard if it did nothing.
async fn run_steps(
    connection: &Connection,
    steps: &[Statement],
    params: &[Value],
) -> Result<Outcome, StatementError> {
    let mut outcome = Outcome::default();
    for statement in steps {
        let (touched, rows) = connection.step(statement, params).await?;
        if outcome.step(touched, rows).is_break() {
            break;
        }
    }
    Ok(outcome)
}

/// Shared connections for one purpose: reads or writes.
struct Slots {
    first: Lane,
    more: Box<[Lane]>,
    waits: Waits,
    turn: AtomicUsize,
}

/// A shared connection, with the number of statements that wait for its answers.
#[derive(Default)]
struct Lane {
    slot: SharedConnection<Connection>,
    busy: AtomicUsize,
}

impl Slots {
    /// Creates as many lanes as there shall be connections.
    fn new(connections: usize, waits: Waits) -> Self {
        let more = (1..connections).map(|_| Lane::default()).collect();
        Self {
            first: Lane::default(),
            more,
            waits,
            turn: AtomicUsize::new(0),
        }
    }

    /// Returns all lanes.
    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// Returns the lane on which the fewest statements wait. Of several such lanes, each is taken
    /// in turn.
    fn least_busy(&self) -> Busy<'_> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.more.len().saturating_add(1);
        let least = self.lanes().enumerate().min_by_key(|(at, lane)| {
            (
                lane.busy.load(Ordering::Relaxed),
                at.wrapping_add(turn) % count,
            )
        });

        let lane = least.map_or(&self.first, |(_, lane)| lane);
        lane.busy.fetch_add(1, Ordering::Relaxed);
        Busy(lane)
    }
}

/// A statement that waits on a lane, counted until it is dropped.
struct Busy<'a>(&'a Lane);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
