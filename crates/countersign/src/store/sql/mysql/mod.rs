//! MySQL and MariaDB through mysql_async.

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

use self::error::{Trouble, needs_text};
use self::value::{positional, row};
use crate::error::{ConfigError, Failure};
use crate::renewing::{Renewing, UrlSource};
use crate::store::sql::pool::{Pool, Turn};
use crate::store::sql::queue::{Pauses, Queues};
use crate::store::sql::{DatabaseOptions, Dialect, Driver, Outcome, Script, Statement};
use crate::store::{Row, Value};
use crate::symptom::Symptom;

pub use session::MysqlSession;

/// How often a script is run again that the database has rolled back.
const REPEATS: usize = 10;

/// A connection that nobody has used for this long is asked whether it still lives before a write is sent on it.
const IDLE: Duration = Duration::from_millis(100);

/// The same before a read, which may be asked again where the connection was closed: so many timeouts.
const IDLE_TIMEOUTS: u32 = 5;

/// Runs statements on MySQL and MariaDB.
///
/// Each operation has a connection to itself; reads and writes have their own. Connections are made when they are needed, kept, and replaced when they break or when an operation on them
/// was cut short. The number of rows that an `UPDATE` touched is the number that it
/// found, changed or not.
///
/// **Locks.** On MariaDB whoever wants a row that somebody else holds doesn't wait on a connection, and comes again until the
/// timeout is over; so nobody holds up those who want other rows. MySQL knows no wait below a second. Of scripts that go
/// for [one row](Script::one_at_a_time) one at a time comes to the database.
///
/// **Outages.** An operation ends within [`DatabaseOptions::timeout`]. A read whose connection breaks is asked once
/// more on a new one. A connection that was idle is asked first whether it still leads anywhere, before a read after five timeouts;
/// when one is silent, all idle ones are left. A script is run again only when the database says that it was rolled back, as after a deadlock,
/// or when its transaction hadn't begun.
///
/// **Several hosts** (`mysql://h1,h2/…`) are tried in their order, each with a part of the time: the first that takes writes is
/// used, also after a failover. `socket=/path` in the query names a socket.
///
/// **TLS** follows `ssl-mode` in the URL, with the meaning it has for MySQL's own tools: `disabled` (when absent);
/// `required` encrypts and checks nothing, which keeps out listeners but not an impostor; `verify-identity` checks that a
/// trusted authority issued the certificate for this host. Authorities are those of the operating system, or those in
/// the PEM file that `ssl-ca` names. There is no `preferred`, and no `verify-ca`; the driver reads the certificate in each case, so it
/// must be of X.509 version 3, and not an authority's own.
pub struct MysqlDriver {
    /// How to connect, to each host in its order.
    opts: Renewing<Hosts>,
    timeout: Duration,
    readers: Pool<Conn>,
    writers: Pool<Conn>,
    queues: Queues,
}

/// How to connect to each host, in their order.
struct Hosts {
    reading: Vec<Opts>,
    writing: Vec<Opts>,
}

/// What statements are run for.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Manner {
    Reads,
    Writes,
    WritesSeeingAll,
}

impl fmt::Debug for MysqlDriver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MysqlDriver").field("timeout", &self.timeout).finish_non_exhaustive()
    }
}

impl MysqlDriver {
    /// Prepares to talk to the database at `url` (`mysql://user:password@host:3306/database`). It connects when the
    /// first statement comes, so that a database which is down doesn't stop a start.
    ///
    /// # Errors
    /// [`ConfigError`] that names `database_url` when the URL can't work; it never shows the password.
    pub fn connect(url: &str, options: &DatabaseOptions) -> Result<Self, ConfigError> {
        Self::renewing(url, options, None)
    }

    /// As [`connect`](Self::connect), with another URL from `source` once the database refuses the password.
    pub(super) fn renewing(
        url: &str,
        options: &DatabaseOptions,
        source: Option<UrlSource>,
    ) -> Result<Self, ConfigError> {
        let settings = options.clone();
        let opts = Renewing::new("database", url, source, move |url| {
            let reading = url::parse_all(url, &settings)?;
            let writing = reading.iter().map(|opts| url::for_writes(opts.clone(), &settings)).collect();
            Ok(Hosts { reading, writing })
        })?;
        let pool = || Pool::new(options.connections);
        let queues = Queues::default();
        Ok(Self { opts, timeout: options.timeout, readers: pool(), writers: pool(), queues })
    }

    /// Runs `script`, again if need be, within the timeout.
    async fn repeat(
        &self,
        deadline: Instant,
        script: &[Statement],
        params: &[Value],
        manner: Manner,
    ) -> Result<Outcome, Failure> {
        let reads = manner == Manner::Reads;
        let work = async {
            let (mut repeats, mut pauses, mut after_loss) = (0, Pauses::until(deadline), false);
            loop {
                let trouble = match self.attempt(script, params, manner, after_loss).await {
                    Ok(outcome) => return Ok(outcome),
                    Err(trouble) => trouble,
                };
                if trouble.is_held() && pauses.pause().await {
                    continue;
                }
                repeats += 1;
                after_loss = trouble.is_loss();
                let limit = if after_loss { 1 } else { REPEATS };
                if trouble.is_held() || repeats > limit || !trouble.may_be_repeated(reads) {
                    return Err(trouble);
                }
            }
        };
        let result = timeout_at(deadline, work).await.unwrap_or_else(|_| {
            self.clear();
            Err(Trouble::Silence(self.timeout))
        });
        result.map_err(Trouble::into_failure)
    }

    /// Closes all idle connections.
    fn clear(&self) {
        self.readers.clear();
        self.writers.clear();
    }

    async fn attempt(
        &self,
        script: &[Statement],
        params: &[Value],
        manner: Manner,
        after_loss: bool,
    ) -> Result<Outcome, Trouble> {
        let reads = manner == Manner::Reads;
        let pool = if reads { &self.readers } else { &self.writers };
        let turn = pool.turn().await;
        // Wherever this stops, the connection is closed unless what ran on it has ended.
        let mut connection = if after_loss {
            // Where connections end, many do at once: one that was given back since may have ended too.
            drop(turn.idle());
            self.open(reads).await?
        } else {
            self.connection(&turn, reads).await?
        };
        let result = match script {
            [statement] => step(&mut connection, statement, params).await.map(|(touched, rows)| {
                let rows = if touched == 0 && !reads { Vec::new() } else { rows };
                Outcome { affected: vec![touched], rows }
            }),
            _ => transaction(&mut connection, script, params, manner).await,
        };
        match &result {
            Err(trouble) if trouble.is_loss() => {
                self.clear();
            }
            // What the steps before the failure have left in the session, as a named lock, ends with it.
            Err(_) if script.len() > 1 => {}
            _ => turn.give_back(connection),
        }
        result
    }

    async fn connection(&self, turn: &Turn<'_, Conn>, reads: bool) -> Result<Conn, Trouble> {
        let trusted = if reads { self.timeout * IDLE_TIMEOUTS } else { IDLE };
        while let Some((mut connection, idle)) = turn.idle() {
            if idle < trusted {
                return Ok(connection);
            }
            match timeout(self.timeout / 3, connection.ping()).await {
                Ok(Ok(())) => return Ok(connection),
                Ok(Err(_)) => {}
                // Those that were idle as long lead nowhere either.
                Err(_) => self.clear(),
            }
        }
        self.open(reads).await
    }

    /// A new connection, with the user and the password that are good now.
    async fn open(&self, reads: bool) -> Result<Conn, Trouble> {
        let connect = async || {
            let hosts = self.opts.current();
            self.connect_to_one_of(if reads { &hosts.reading } else { &hosts.writing }).await
        };
        let generation = self.opts.generation();
        let outcome = match connect().await {
            Err(trouble) if trouble.is_ended_connection() => connect().await,
            outcome => outcome,
        };
        match outcome {
            Err(trouble) if trouble.symptom() == Some(Symptom::Credentials) && self.opts.renew(generation) => {
                connect().await
            }
            outcome => outcome,
        }
    }

    /// Connects to the first host that takes writes. Where none does, one that answers must do.
    async fn connect_to_one_of(&self, hosts: &[Opts]) -> Result<Conn, Trouble> {
        if let [only] = hosts {
            return Conn::new(only.clone()).await.map_err(Trouble::Connecting);
        }
        // A host that is silent mustn't take the time of those after it.
        let patience = self.timeout / u32::try_from(hosts.len()).unwrap_or(1).saturating_add(1);
        let (mut answers, mut trouble) = (None, Trouble::Silence(patience));
        for opts in hosts {
            let connected = timeout(patience, async {
                let mut connection = Conn::new(opts.clone()).await?;
                let is_read_only: Option<bool> = connection.query_first("SELECT @@global.read_only").await?;
                Ok((connection, is_read_only == Some(true)))
            });
            match connected.await {
                Ok(Ok((connection, false))) => return Ok(connection),
                Ok(Ok((connection, true))) => answers = answers.or(Some(connection)),
                Ok(Err(error)) => trouble = Trouble::Connecting(error),
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
        let answer = self.repeat(deadline, std::slice::from_ref(statement), params, Manner::Reads).await;
        answer.map(|outcome| outcome.rows)
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let manner = if script.sees_all() { Manner::WritesSeeingAll } else { Manner::Writes };
        let deadline = Instant::now() + self.timeout;
        let silence = |_| Trouble::Silence(self.timeout).into_failure();
        let _place = timeout_at(deadline, self.queues.turn(script, params)).await.map_err(silence)?;
        match script.steps() {
            [] => Ok(Outcome::default()),
            steps => self.repeat(deadline, steps, params, manner).await,
        }
    }
}

/// Runs the steps in a transaction, which has ended when this returns, except when the connection is lost.
async fn transaction(
    connection: &mut Conn,
    script: &[Statement],
    params: &[Value],
    manner: Manner,
) -> Result<Outcome, Trouble> {
    if manner == Manner::WritesSeeingAll {
        // For the next transaction alone: it locks the gaps between the rows that it searches.
        let locks_gaps = "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ";
        connection.query_drop(locks_gaps).await.map_err(Trouble::Beginning)?;
    }
    connection.query_drop("BEGIN").await.map_err(Trouble::Beginning)?;
    let result = steps(connection, script, params).await;
    let whole = result.as_ref().is_ok_and(|outcome| outcome.affected.len() == script.len() && outcome.took_effect());
    let end = if whole { "COMMIT" } else { "ROLLBACK" };
    let ended = connection.query_drop(end).await.map_err(Trouble::Running);
    match result {
        Ok(outcome) => ended.map(|()| outcome),
        // Without the rollback's answer nobody may have the connection.
        Err(trouble) => Err(ended.err().unwrap_or(trouble)),
    }
}

/// Runs the steps of a script one after the other, and stops after the first when it did nothing.
async fn steps<C: Queryable>(connection: &mut C, script: &[Statement], params: &[Value]) -> Result<Outcome, Trouble> {
    let mut outcome = Outcome::default();
    for statement in script {
        let (touched, rows) = step(connection, statement, params).await?;
        outcome.affected.push(touched);
        outcome.rows = rows;
        if !outcome.took_effect() {
            outcome.rows.clear();
            break;
        }
    }
    Ok(outcome)
}

/// Runs one statement: how many rows it touched or returned, and which it returned.
async fn step<C: Queryable>(
    connection: &mut C,
    statement: &Statement,
    params: &[Value],
) -> Result<(u64, Vec<Row>), Trouble> {
    let params = positional(statement, params);
    let result = if params.is_empty() {
        bare(connection, statement.text()).await
    } else {
        prepared(connection, statement.text(), params).await
    };
    let (affected, answers) = result.map_err(Trouble::Running)?;
    let rows: Vec<Row> = answers.into_iter().map(row).collect();
    Ok((affected.max(rows.len().try_into().unwrap_or(u64::MAX)), rows))
}

type Answers = (u64, Vec<Answer>);

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

/// A statement without parameters, which may be of a kind that can't be prepared.
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
