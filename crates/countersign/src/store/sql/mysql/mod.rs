//! MySQL and MariaDB through mysql_async.
//!
//! `url` reads the URL, `value` converts values, `error` and `symptom` interpret errors, `session`
//! is the caller's own transaction, and `ddl` changes tables. This file has the driver: pools,
//! attempts and transactions.
//!
//! An operation takes a connection from the pool of readers or writers. A single statement runs
//! without an explicit transaction, a script of several steps between `BEGIN` and `COMMIT`.
//! [`repeat`](MysqlDriver::repeat) decides on another attempt, within one deadline for all.

mod ddl;
mod error;
mod session;
mod symptom;
mod url;
mod value;

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, Row as Answer};
use tokio::time::{Instant, timeout, timeout_at};

use self::error::{StatementError, needs_text};
use self::value::{positional, row};
use crate::error::{ConfigError, Failure, Symptom};
use crate::net::{Renewing, UrlSource};
use crate::store::sql::pool::{Permit, Pool};
use crate::store::sql::queue::Queues;
use crate::store::sql::retry::{Mode, Repeatable, Retry};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};

pub use session::MysqlSession;

/// The idle time after which a connection is tested before a write is sent on it.
const IDLE: Duration = Duration::from_millis(100);

/// The same before a read, as a multiple of the timeout. It is longer, since a read may be sent
/// again.
const IDLE_TIMEOUTS: u32 = 5;

/// The driver for MySQL and MariaDB. Usually made by
/// [`Database::connect`](crate::store::sql::Database::connect).
///
/// Each operation has a connection to itself; reads and writes have separate pools of
/// [`DatabaseOptions::connections`] each. Connections are opened when they are needed, kept, and
/// replaced when they break or when an operation on them was cut short. The count of an `UPDATE` is
/// the number of rows it found, changed or not.
///
/// # Operation
///
/// **Locks.** On MariaDB a write that meets a locked row fails at once in the server, and is tried
/// again until the timeout is over. So it doesn't hold up writes to other rows. MySQL has no wait
/// below a second. Scripts for [one row](Script::one_at_a_time) reach the server one at a time.
///
/// **Outages.** An operation ends within [`DatabaseOptions::timeout`]. A read whose connection
/// breaks is sent once more on a new one. A script is run again only if the server says that it was
/// rolled back, for example after a deadlock, or if its transaction hadn't begun. An idle
/// connection is tested before it is used again; when one doesn't answer, all idle ones are closed.
///
/// **Several hosts** (`mysql://h1,h2/…`) are tried in their order, each for a part of the timeout.
/// The first that accepts writes is used, also after a failover. `socket=/path` in the query names
/// a Unix socket.
///
/// **TLS** follows `ssl-mode` in the URL, with the meaning it has for MySQL's own tools. `disabled`
/// is the default. `required` encrypts and checks nothing, which keeps out listeners but not an
/// impostor. `verify-identity` checks that a trusted authority issued the certificate for this
/// host. Authorities are those of the operating system, or those in the PEM file that `ssl-ca`
/// names. `preferred` and `verify-ca` aren't supported. The driver parses the certificate in each
/// case, so it must be of X.509 version 3, and not an authority's own.
///
/// # Examples
///
/// ```no_run
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{DatabaseOptions, DatabaseTokenModels, MysqlDriver, SqlStore};
///
/// # fn main() -> Result<(), countersign::ConfigError> {
/// let url = "mysql://app:secret@db1,db2:3307/app?ssl-mode=verify-identity";
/// let driver = MysqlDriver::connect(url, &DatabaseOptions::default())?;
/// let store = SqlStore::new(driver, DatabaseTokenModels::bundled(UserKeyKind::Uuid));
/// # drop(store);
/// # Ok(())
/// # }
/// ```
pub struct MysqlDriver {
    /// The settings for each host, renewed when the server refuses the password.
    opts: Renewing<Hosts>,
    timeout: Duration,
    readers: Pool<Conn>,
    writers: Pool<Conn>,
    queues: Queues,
}

/// The settings for each host, in their order: for connections that read, and for those that write.
struct Hosts {
    reading: Vec<Opts>,
    writing: Vec<Opts>,
}

impl fmt::Debug for MysqlDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlDriver")
            .field("timeout", &self.timeout)
            .finish_non_exhaustive()
    }
}

impl MysqlDriver {
    /// Creates a driver for the database at `url` (`mysql://user:password@host:3306/database`, with
    /// special characters percent-encoded).
    ///
    /// It connects when the first statement comes, so this succeeds while the server is down.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `database_url` if the URL can't be read, names no
    /// database, or has an unknown option. It never shows the password.
    pub fn connect(url: &str, options: &DatabaseOptions) -> Result<Self, ConfigError> {
        Self::renewing(url, options, None)
    }

    /// Creates a driver like [`connect`](Self::connect) that reads the URL again from `source` when
    /// the server refuses the password.
    pub(super) fn renewing(
        url: &str,
        options: &DatabaseOptions,
        source: Option<UrlSource>,
    ) -> Result<Self, ConfigError> {
        let settings = options.clone();
        let opts = Renewing::new("database", url, source, move |url| {
            let reading = url::parse_all(url, &settings)?;
            let writing = reading
                .iter()
                .map(|opts| url::for_writes(opts.clone(), &settings))
                .collect();
            Ok(Hosts { reading, writing })
        })?;

        Ok(Self {
            opts,
            timeout: options.timeout,
            readers: Pool::new(options.connections),
            writers: Pool::new(options.connections),
            queues: Queues::default(),
        })
    }

    /// Runs statements, again if that is safe and may help, until the deadline.
    async fn repeat(
        &self,
        deadline: Instant,
        script: &[Statement],
        params: &[Value],
        mode: Mode,
    ) -> Result<Outcome, Failure> {
        let reads = mode == Mode::Reads;
        let work = async {
            let mut retry = Retry::until(deadline, reads);
            loop {
                let attempt = self.attempt(script, params, mode, retry.after_loss());
                let trouble = match attempt.await {
                    Ok(outcome) => return Ok(outcome),
                    Err(trouble) => trouble,
                };

                if !retry.again(&trouble, trouble.is_held()).await {
                    return Err(trouble);
                }
            }
        };
        let result = timeout_at(deadline, work).await.unwrap_or_else(|_| {
            self.clear();
            Err(StatementError::Silence(self.timeout))
        });
        result.map_err(StatementError::into_failure)
    }

    /// Closes all idle connections.
    fn clear(&self) {
        self.readers.clear();
        self.writers.clear();
    }

    /// Runs statements once, on a connection from the pool, or on a new one after a lost
    /// connection.
    async fn attempt(
        &self,
        script: &[Statement],
        params: &[Value],
        mode: Mode,
        after_loss: bool,
    ) -> Result<Outcome, StatementError> {
        let reads = mode == Mode::Reads;
        let pool = if reads { &self.readers } else { &self.writers };
        let turn = pool.turn().await;
        // Any early exit closes the connection. It is given back only after what ran on it has
        // ended.
        let mut connection = if after_loss {
            // Connections often end together, so an idle one that was given back meanwhile may have
            // ended too.
            drop(turn.idle());
            self.open(reads).await?
        } else {
            self.connection(&turn, reads).await?
        };

        let result = match script {
            [statement] => step(&mut connection, statement, params)
                .await
                .map(|(touched, rows)| Outcome::of_one_step(touched, rows)),
            _ => transaction(&mut connection, script, params, mode).await,
        };

        match &result {
            Err(trouble) if trouble.is_loss() => {
                self.clear();
            }
            // The steps before the failure may have left something in the session, for example a
            // named lock.
            Err(_) if script.len() > 1 => {}
            _ => turn.give_back(connection),
        }
        result
    }

    /// Returns an idle connection that still works, or a new one.
    async fn connection(
        &self,
        turn: &Permit<'_, Conn>,
        reads: bool,
    ) -> Result<Conn, StatementError> {
        let trusted = if reads {
            self.timeout * IDLE_TIMEOUTS
        } else {
            IDLE
        };

        while let Some((mut connection, idle)) = turn.idle() {
            if idle < trusted {
                return Ok(connection);
            }
            match timeout(self.timeout / 3, connection.ping()).await {
                Ok(Ok(())) => return Ok(connection),
                Ok(Err(_)) => {}
                // The others have been idle for longer, so they don't work either.
                Err(_) => self.clear(),
            }
        }
        self.open(reads).await
    }

    /// Opens a connection with the current user and password. Reads the URL again, once, if they
    /// are refused.
    async fn open(&self, reads: bool) -> Result<Conn, StatementError> {
        let generation = self.opts.generation();
        let outcome = match self.connect_to_current(reads).await {
            Err(trouble) if trouble.is_ended_connection() => self.connect_to_current(reads).await,
            outcome => outcome,
        };

        match outcome {
            Err(trouble)
                if trouble.symptom() == Some(Symptom::Credentials)
                    && self.opts.renew(generation) =>
            {
                self.connect_to_current(reads).await
            }
            outcome => outcome,
        }
    }

    /// Connects to one of the hosts in the current URL, for reads or for writes.
    async fn connect_to_current(&self, reads: bool) -> Result<Conn, StatementError> {
        let hosts = self.opts.current();
        let hosts = if reads {
            &hosts.reading
        } else {
            &hosts.writing
        };
        self.connect_to_one_of(hosts).await
    }

    /// Connects to the first host that accepts writes, or else to one that answers.
    async fn connect_to_one_of(&self, hosts: &[Opts]) -> Result<Conn, StatementError> {
        if let [only] = hosts {
            return Conn::new(only.clone())
                .await
                .map_err(StatementError::Connecting);
        }

        // A host that doesn't answer must leave time for the next ones.
        let patience = self.timeout / u32::try_from(hosts.len()).unwrap_or(1).saturating_add(1);
        let (mut answers, mut trouble) = (None, StatementError::Silence(patience));
        for opts in hosts {
            let connected = timeout(patience, async {
                let mut connection = Conn::new(opts.clone()).await?;
                let is_read_only: Option<bool> =
                    connection.query_first("SELECT @@global.read_only").await?;
                Ok((connection, is_read_only == Some(true)))
            });

            match connected.await {
                Ok(Ok((connection, false))) => return Ok(connection),
                Ok(Ok((connection, true))) => answers = answers.or(Some(connection)),
                Ok(Err(error)) => trouble = StatementError::Connecting(error),
                Err(_) => {}
            }
        }
        answers.ok_or(trouble)
    }
}

#[async_trait]
impl Driver for MysqlDriver {
    fn dialect(&self) -> Dialect {
        Dialect::Mysql
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        let deadline = Instant::now() + self.timeout;
        let answer = self
            .repeat(
                deadline,
                std::slice::from_ref(statement),
                params,
                Mode::Reads,
            )
            .await;
        answer.map(|outcome| outcome.rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let mode = Mode::of(script);
        let deadline = Instant::now() + self.timeout;
        let _place = timeout_at(deadline, self.queues.turn(script, params))
            .await
            .map_err(|_| StatementError::Silence(self.timeout).into_failure())?;

        match script.steps() {
            [] => Ok(Outcome::default()),
            steps => self.repeat(deadline, steps, params, mode).await,
        }
    }
}

/// Runs the steps in a transaction. It has ended when this returns, unless the connection is lost.
async fn transaction(
    connection: &mut Conn,
    script: &[Statement],
    params: &[Value],
    mode: Mode,
) -> Result<Outcome, StatementError> {
    if mode == Mode::WritesSeeingAll {
        // For the next transaction only. This level locks the gaps between the rows of a search, so
        // no row moves into them.
        let locks_gaps = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        connection
            .query_drop(locks_gaps)
            .await
            .map_err(StatementError::Beginning)?;
    }

    connection
        .query_drop("BEGIN")
        .await
        .map_err(StatementError::Beginning)?;
    let result = steps(connection, script, params).await;
    let whole = result
        .as_ref()
        .is_ok_and(|outcome| outcome.is_whole(script.len()));
    let end = if whole { "COMMIT" } else { "ROLLBACK" };
    let ended = connection
        .query_drop(end)
        .await
        .map_err(StatementError::Running);

    match result {
        Ok(outcome) => ended.map(|()| outcome),
        // If the rollback got no answer, the connection must not be used again, so that error
        // counts.
        Err(trouble) => Err(ended.err().unwrap_or(trouble)),
    }
}

/// Runs the steps one after the other, and stops after the guard if it did nothing.
async fn steps<C: Queryable>(
    connection: &mut C,
    script: &[Statement],
    params: &[Value],
) -> Result<Outcome, StatementError> {
    let mut outcome = Outcome::default();
    for statement in script {
        let (touched, rows) = step(connection, statement, params).await?;
        if outcome.step(touched, rows).is_break() {
            break;
        }
    }
    Ok(outcome)
}

/// Runs one statement. Returns the number of rows it changed, and the rows it returned.
async fn step<C: Queryable>(
    connection: &mut C,
    statement: &Statement,
    params: &[Value],
) -> Result<(u64, Vec<Row>), StatementError> {
    let params = positional(statement, params);
    let result = if params.is_empty() {
        bare(connection, statement.text()).await
    } else {
        prepared(connection, statement.text(), params).await
    };
    let (affected, answers) = result.map_err(StatementError::Running)?;
    let rows: Vec<Row> = answers.into_iter().map(row).collect();
    Ok((affected, rows))
}

/// The number of changed rows, and the returned rows.
type Answers = (u64, Vec<Answer>);

/// Runs a statement prepared. mysql_async keeps it prepared on the connection.
async fn prepared<C: Queryable>(
    connection: &mut C,
    text: &str,
    params: Vec<mysql_async::Value>,
) -> Result<Answers, mysql_async::Error> {
    let mut result = connection.exec_iter(text, params).await?;
    let rows = result.collect().await?;
    let affected = result.affected_rows();
    result.drop_result().await?;
    Ok((affected, rows))
}

/// Runs a statement without parameters. If it can't be prepared, it is sent as text.
async fn bare<C: Queryable>(connection: &mut C, text: &str) -> Result<Answers, mysql_async::Error> {
    match prepared(connection, text, Vec::new()).await {
        Err(error) if needs_text(&error) => {}
        answers => return answers,
    }
    let result = connection.query_iter(text).await?;
    let affected = result.affected_rows();
    result.drop_result().await?;
    Ok((affected, Vec::new()))
}
