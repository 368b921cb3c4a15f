//! PostgreSQL through tokio-postgres.

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
use self::error::Trouble;
use self::target::{Target, Waits};
use crate::error::{ConfigError, Failure};
use crate::renewing::{Renewing, UrlSource};
use crate::slot::Slot;
use crate::store::sql::pool::{Pool, Turn};
use crate::store::sql::queue::{Pauses, Queues};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};
use crate::symptom::Symptom;

pub use session::PostgresSession;

/// How often a statement is run again that can't have taken effect.
const REPEATS: usize = 10;

/// A connection that was idle for so many timeouts is asked whether it still leads anywhere.
const IDLE_TIMEOUTS: u32 = 5;

/// Runs statements on PostgreSQL.
///
/// A few connections are shared by all callers, whose statements travel on them one behind the other, each on the least busy; reads
/// and writes have their own. Connections are made when they are needed and come back by themselves. Scripts of several
/// steps run on connections of their own, in a transaction.
///
/// **Locks.** Whoever wants a row that somebody else holds waits some milliseconds on a connection, and comes again until the
/// timeout is over; so nobody holds up those who want other rows. Of scripts that go for
/// [one row](Script::one_at_a_time) one at a time comes to the database.
///
/// **Outages.** An operation ends within [`DatabaseOptions::timeout`]. A read whose connection breaks is asked once
/// more on one that was made after that; a write is run again only when PostgreSQL says that it did nothing, when nothing was sent, or when its transaction wasn't
/// to be committed yet. A
/// connection that was idle for five timeouts is asked first whether it still leads anywhere; when one is silent, all that
/// were idle as long are left.
///
/// **Poolers** (PgBouncer) are recognised when a connection is made, and may be in any mode: nothing is prepared or left behind
/// on their connections, and types of parameters are asked for once. `?pgbouncer=true` in the URL saves the question.
/// In statement mode, which allows no transactions, scripts of several steps (migrations are such) are refused, and a
/// statement that was given up goes on until PgBouncer's own `query_timeout`. Columns that are read must
/// have types that are PostgreSQL's own: cast others in a view.
///
/// **Several hosts** (`postgres://h1,h2/…`) are tried in their order, each with a part of the time; with
/// `target_session_attrs=read-write` the first that takes writes is used, also after a failover. `host=/directory` in the query
/// names a socket's directory.
///
/// **TLS** follows `sslmode` in the URL, with the meaning it has for PostgreSQL's own tools: `disable`; `prefer` (when
/// absent) and `require` encrypt and check nothing, which keeps out listeners but not an impostor; `verify-ca` checks
/// that the certificate comes from a trusted authority, `verify-full` also that it is the host's. Authorities are those
/// of the operating system, or those in the PEM file that `sslrootcert` names (with it, `require` means `verify-ca`); a
/// certificate that is named there itself is good, too.
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
        Self::renewing(url, options, None)
    }

    /// As [`connect`](Self::connect), with another URL from `source` once PostgreSQL refuses the password.
    pub(super) fn renewing(
        url: &str,
        options: &DatabaseOptions,
        source: Option<UrlSource>,
    ) -> Result<Self, ConfigError> {
        // PostgreSQL gives up a little before we do, so that its answer arrives and the connection can be kept.
        let (timeout, patience) = (options.timeout, options.timeout.mul_f64(0.9));
        let target = Renewing::new("database", url, source, move |url| {
            let mut url = url::Parsed::parse(url)?;
            // A host that is silent mustn't take the time of those after it.
            let hosts = u32::try_from(url.config.get_hosts().len()).unwrap_or(1);
            if hosts > 1 && url.config.get_connect_timeout().is_none() {
                url.config.connect_timeout(timeout / hosts.saturating_add(1));
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

    /// Runs one statement on a shared connection.
    async fn shared(
        &self,
        slots: &Slots,
        deadline: Instant,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), Failure> {
        let reads = std::ptr::eq(slots, &raw const self.readers);
        let mut repeats = 0;
        let mut busy = slots.least_busy();
        loop {
            let trouble = match self.attempt(busy.0, slots.waits, deadline, statement, params).await {
                Ok(answer) => return Ok(answer),
                Err(trouble) if trouble.is_held() || !reads && self.is_early(&trouble, deadline) => {
                    let outcome = Box::pin(self.alone(deadline, std::slice::from_ref(statement), params)).await?;
                    return Ok((outcome.affected.first().copied().unwrap_or(0), outcome.rows));
                }
                Err(trouble) => trouble,
            };
            repeats += 1;
            let limit = if trouble.is_loss() { 1 } else { REPEATS };
            if repeats > limit || !trouble.may_be_repeated(reads) {
                return Err(trouble.into_failure());
            }
            // Where connections end, many do at once, and the others may not have heard of it yet. On the same lane the next
            // one was made after this one had ended.
            if !trouble.is_loss() {
                busy = slots.least_busy();
            }
        }
    }

    /// Runs steps on connections that nobody shares, again and again while others hold what they want.
    async fn alone(&self, deadline: Instant, steps: &[Statement], params: &[Value]) -> Result<Outcome, Failure> {
        let (mut repeats, mut pauses, mut after_loss) = (0, Pauses::until(deadline), false);
        loop {
            let trouble = match self.attempt_alone(deadline, steps, params, after_loss).await {
                Ok(outcome) => return Ok(outcome),
                Err(trouble) => trouble,
            };
            let again = if trouble.is_held() || self.is_early(&trouble, deadline) {
                pauses.pause().await
            } else {
                repeats += 1;
                after_loss = trouble.is_loss();
                let limit = if after_loss { 1 } else { REPEATS };
                repeats <= limit && trouble.may_be_repeated(false)
            };
            if !again {
                return Err(trouble.into_failure());
            }
        }
    }

    /// Returns true for a write that was cancelled before PostgreSQL's patience can have been over, so that it was the wait
    /// for a lock. It took no effect.
    fn is_early(&self, trouble: &Trouble, deadline: Instant) -> bool {
        trouble.is_cancelled() && Instant::now() + self.timeout / 10 < deadline
    }

    async fn attempt(
        &self,
        lane: &Lane,
        waits: Waits,
        deadline: Instant,
        statement: &Statement,
        params: &[Value],
    ) -> Result<(u64, Vec<Row>), Trouble> {
        let is_open = |connection: &Connection| !connection.is_closed();
        let live = match lane.slot.live(is_open) {
            Some(connection) if !self.still_answers(deadline, &connection).await => {
                lane.slot.discard(&connection);
                None
            }
            live => live,
        };
        let connection = if let Some(connection) = live {
            connection
        } else {
            // Boxed, as connecting is rare and its future is large.
            let connect = lane.slot.connect(is_open, self.open(waits));
            Box::pin(self.in_time(deadline, connect)).await?
        };
        let sent = Instant::now();
        let result = self.in_time(deadline, connection.run(statement, params)).await;
        match &result {
            Err(Trouble::Silence(_)) => {
                lane.slot.discard(&connection);
                self.discard_unheard_since(sent);
            }
            Err(trouble) if trouble.is_loss() => lane.slot.discard(&connection),
            _ => connection.note_answer(),
        }
        result
    }

    /// Whether a connection still leads to PostgreSQL. One that was idle for long is asked, and gets a part of the time for
    /// its answer: translators of addresses forget connections, and tell nobody.
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

    /// Leaves the connections on which nothing came since then: they may lead nowhere, as one does that was silent now.
    fn discard_unheard_since(&self, moment: Instant) {
        for lane in self.readers.lanes().chain(self.writers.lanes()) {
            if let Some(connection) = lane.slot.live(|connection| connection.heard() < moment) {
                lane.slot.discard(&connection);
            }
        }
        self.exclusive.clear();
    }

    async fn attempt_alone(
        &self,
        deadline: Instant,
        steps: &[Statement],
        params: &[Value],
        after_loss: bool,
    ) -> Result<Outcome, Trouble> {
        let turn = self.in_time(deadline, async { Ok(self.exclusive.turn().await) }).await?;
        let idle = if after_loss {
            // Where connections end, many do at once, and another may not have heard of it yet.
            drop(turn.idle());
            None
        } else {
            self.idle(deadline, &turn).await
        };
        // Wherever this stops, the connection is closed unless its transaction has ended.
        let connection = match idle {
            Some(connection) => connection,
            None => Box::pin(self.in_time(deadline, self.open(Waits::Briefly))).await?,
        };
        let sent = Instant::now();
        let (result, is_clean) = match steps {
            [statement] => {
                let result = self.in_time(deadline, connection.run(statement, params)).await;
                let is_clean = !result.as_ref().is_err_and(Trouble::is_loss);
                (result.map(|(touched, rows)| Outcome { affected: vec![touched], rows }), is_clean)
            }
            _ => self.transaction(deadline, &connection, steps, params).await?,
        };
        match &result {
            Err(Trouble::Silence(_)) => self.discard_unheard_since(sent),
            _ if is_clean => {
                connection.note_answer();
                turn.give_back(connection);
            }
            _ => {}
        }
        result
    }

    /// A connection that nobody uses, and that is open as far as can be told.
    async fn idle(&self, deadline: Instant, turn: &Turn<'_, Connection>) -> Option<Connection> {
        while let Some((connection, _)) = turn.idle() {
            if !connection.is_closed() && self.still_answers(deadline, &connection).await {
                return Some(connection);
            }
        }
        None
    }

    /// Runs the steps of a script in a transaction: what came of it, and whether the transaction has ended.
    async fn transaction(
        &self,
        deadline: Instant,
        connection: &Connection,
        steps: &[Statement],
        params: &[Value],
    ) -> Result<(Result<Outcome, Trouble>, bool), Trouble> {
        self.in_time(deadline, connection.begin()).await.map_err(Trouble::before_commit)?;
        let result = self.in_time(deadline, run_steps(connection, steps, params)).await;
        let result = result.map_err(Trouble::before_commit);
        let end = if result.as_ref().is_ok_and(|outcome| is_whole(outcome, steps)) { "COMMIT" } else { "ROLLBACK" };
        let ended = self.in_time(deadline, connection.command(end)).await;
        let is_clean = ended.is_ok();
        Ok((result.and_then(|outcome| ended.map(|()| outcome)), is_clean))
    }

    /// A new connection, with the user and the password that are good now.
    async fn open(&self, waits: Waits) -> Result<Connection, Trouble> {
        let generation = self.target.generation();
        let outcome = match self.target.current().connect(waits).await {
            Err(trouble) if trouble.is_ended_connection() => self.target.current().connect(waits).await,
            outcome => outcome,
        };
        match outcome {
            Err(trouble) if trouble.symptom() == Some(Symptom::Credentials) && self.target.renew(generation) => {
                self.target.current().connect(waits).await
            }
            outcome => outcome,
        }
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
        self.shared(&self.readers, self.deadline(), statement, params).await.map(|(_, rows)| rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let deadline = self.deadline();
        let silence = |_| Trouble::Silence(self.timeout).into_failure();
        let _place = timeout_at(deadline, self.queues.turn(script, params)).await.map_err(silence)?;
        match script.steps() {
            [] => Ok(Outcome::default()),
            [statement] => {
                let (touched, rows) = self.shared(&self.writers, deadline, statement, params).await?;
                Ok(Outcome { affected: vec![touched], rows })
            }
            steps => self.alone(deadline, steps, params).await,
        }
    }
}

/// Runs the steps of a script one after the other, and stops after the first when it did nothing.
async fn run_steps(connection: &Connection, steps: &[Statement], params: &[Value]) -> Result<Outcome, Trouble> {
    let mut outcome = Outcome::default();
    for statement in steps {
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

fn is_whole(outcome: &Outcome, steps: &[Statement]) -> bool {
    outcome.took_effect() && outcome.affected.len() == steps.len()
}

/// Shared connections.
struct Slots {
    first: Lane,
    more: Box<[Lane]>,
    waits: Waits,
    turn: AtomicUsize,
}

/// A shared connection, and how many wait for its answers.
#[derive(Default)]
struct Lane {
    slot: Slot<Connection>,
    busy: AtomicUsize,
}

impl Slots {
    fn new(connections: usize, waits: Waits) -> Self {
        let more = (1..connections).map(|_| Lane::default()).collect();
        Self { first: Lane::default(), more, waits, turn: AtomicUsize::new(0) }
    }

    fn lanes(&self) -> impl Iterator<Item = &Lane> {
        std::iter::once(&self.first).chain(&self.more)
    }

    /// The lane on which the fewest wait; of several, each in its turn.
    fn least_busy(&self) -> Busy<'_> {
        let turn = self.turn.fetch_add(1, Ordering::Relaxed);
        let count = self.more.len().saturating_add(1);
        let least = self
            .lanes()
            .enumerate()
            .min_by_key(|(at, lane)| (lane.busy.load(Ordering::Relaxed), at.wrapping_add(turn) % count));
        let lane = least.map_or(&self.first, |(_, lane)| lane);
        lane.busy.fetch_add(1, Ordering::Relaxed);
        Busy(lane)
    }
}

/// One who waits on a lane.
struct Busy<'a>(&'a Lane);

impl Drop for Busy<'_> {
    fn drop(&mut self) {
        self.0.busy.fetch_sub(1, Ordering::Relaxed);
    }
}
