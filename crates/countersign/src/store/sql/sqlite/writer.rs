//! The writing thread. It commits scripts that have queued up together, so that many callers share
//! the cost of one sync.
//!
//! Each script runs in a savepoint, so one that fails doesn't affect the others of its group. The
//! result of the commit applies to all.

use std::io;
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;

use rusqlite::Connection;
use tokio::sync::oneshot;

use super::bind;
use super::error::{PART, failure};
use super::file::{File, lock};
use crate::error::Failure;
use crate::store::sql::{Outcome, Script};
use crate::value::Value;

/// The largest number of scripts in one commit.
const GROUP: usize = 64;

/// The largest number of waiting scripts.
const QUEUE: usize = 4096;

/// The queue of the writing thread. The thread ends when this is dropped.
#[derive(Debug)]
pub(super) struct Writer {
    queue: SyncSender<Job>,
}

/// A script in the queue, with the channel for its outcome.
struct Job {
    script: Script,
    params: Vec<Value>,
    reply: oneshot::Sender<Result<Outcome, Failure>>,
}

impl Writer {
    /// Starts the writing thread.
    pub(super) fn start(
        connection: Arc<Mutex<Connection>>,
        file: Option<File>,
    ) -> io::Result<Self> {
        let (queue, jobs) = sync_channel(QUEUE);
        thread::Builder::new()
            .name("countersign-sqlite".to_owned())
            .spawn(move || write_all(&connection, file.as_ref(), &jobs))?;
        Ok(Self { queue })
    }

    /// Queues a script, and returns its outcome after the commit.
    pub(super) async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        let (reply, answer) = oneshot::channel();
        let job = Job {
            script: script.clone(),
            params: params.to_vec(),
            reply,
        };

        self.queue
            .try_send(job)
            .map_err(|_| Failure::unavailable(PART, "SQLite's write queue is full"))?;
        answer
            .await
            .map_err(|_| Failure::unavailable(PART, "SQLite's writer has ended"))?
    }
}

/// Commits groups of scripts until the queue is closed.
fn write_all(connection: &Mutex<Connection>, file: Option<&File>, jobs: &Receiver<Job>) {
    while let Ok(first) = jobs.recv() {
        // A caller that is gone has been told nothing, so its script isn't run.
        let group = std::iter::once(first).chain(jobs.try_iter()).take(GROUP);
        let group: Vec<Job> = group.filter(|job| !job.reply.is_closed()).collect();
        if group.is_empty() {
            continue;
        }

        let outcomes = match file.map_or(Ok(()), File::check) {
            Ok(()) => commit(&lock(connection), &group),
            Err(moved) => Err(moved.to_string()),
        };
        answer(group, outcomes);
    }
}

/// Sends each caller its outcome, or the reason why nothing was committed.
fn answer(group: Vec<Job>, outcomes: Result<Vec<Result<Outcome, Failure>>, String>) {
    match outcomes {
        Ok(outcomes) => {
            for (job, outcome) in group.into_iter().zip(outcomes) {
                // A caller that went away after the commit doesn't change that it happened.
                let _ = job.reply.send(outcome);
            }
        }
        Err(reason) => {
            for job in group {
                let _ = job
                    .reply
                    .send(Err(Failure::unavailable(PART, reason.clone())));
            }
        }
    }
}

/// Runs the scripts of a group in one transaction, and returns the outcome of each, or the reason
/// why nothing was committed.
fn commit(connection: &Connection, group: &[Job]) -> Result<Vec<Result<Outcome, Failure>>, String> {
    execute(connection, "BEGIN IMMEDIATE").map_err(|error| error.to_string())?;
    let outcomes = group
        .iter()
        .map(|job| in_savepoint(connection, &job.script, &job.params))
        .collect();

    // Some errors, for example a full disk, make SQLite roll back the whole transaction.
    if connection.is_autocommit() {
        return Err("SQLite rolled the transaction back".to_owned());
    }
    match execute(connection, "COMMIT") {
        Ok(()) => Ok(outcomes),
        Err(error) => {
            let _ = execute(connection, "ROLLBACK");
            Err(error.to_string())
        }
    }
}

/// Runs a script in a savepoint, so that it takes effect whole or not at all within the open
/// transaction.
///
/// If SQLite has ended that transaction by itself, nothing is run: the savepoint would then be a
/// transaction of its own, and its release a commit.
pub(super) fn in_savepoint(
    connection: &Connection,
    script: &Script,
    params: &[Value],
) -> Result<Outcome, Failure> {
    if connection.is_autocommit() {
        return Err(Failure::unavailable(
            PART,
            "SQLite rolled the transaction back",
        ));
    }

    execute(connection, "SAVEPOINT script").map_err(|error| failure(&error))?;
    match bind::steps(connection, script, params) {
        Ok(outcome) => {
            execute(connection, "RELEASE script").map_err(|error| failure(&error))?;
            Ok(outcome)
        }
        Err(error) => {
            let _ = execute(connection, "ROLLBACK TO script");
            let _ = execute(connection, "RELEASE script");
            Err(failure(&error))
        }
    }
}

/// Runs a statement without parameters and without rows, from the cache.
pub(super) fn execute(connection: &Connection, statement: &str) -> rusqlite::Result<()> {
    connection
        .prepare_cached(statement)?
        .raw_execute()
        .map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::{Dialect, Driver, SqliteTransaction};

    const FULL: &str = "\
        CREATE TABLE t (x INT); \
        CREATE TRIGGER full BEFORE INSERT ON t WHEN NEW.x = 2 \
        BEGIN SELECT RAISE(ROLLBACK, 'full'); END;";

    fn insert(x: i64) -> Script {
        Script::new(Dialect::Sqlite, &[&format!("INSERT INTO t VALUES ({x})")])
    }

    fn rows(connection: &Connection) -> i64 {
        connection
            .query_row("SELECT count(*) FROM t", [], |row| row.get(0))
            .unwrap()
    }

    /// Some errors end the transaction that all share. Those who come after must not be told "no"
    /// and be written.
    #[test]
    fn nothing_is_written_after_a_rollback_that_sqlite_made() {
        let connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(FULL).unwrap();
        let job = |x| Job {
            script: insert(x),
            params: Vec::new(),
            reply: oneshot::channel().0,
        };
        commit(&connection, &[job(1), job(2), job(3)]).unwrap_err();
        assert_eq!(rows(&connection), 0);
    }

    /// The same inside a transaction of the caller's, which nobody else may commit.
    #[tokio::test]
    async fn a_transaction_that_is_over_takes_nothing() {
        let mut connection = Connection::open_in_memory().unwrap();
        connection.execute_batch(FULL).unwrap();
        let transaction = SqliteTransaction::begin(&mut connection).unwrap();
        transaction.run(&insert(1), &[]).await.unwrap();
        transaction.run(&insert(2), &[]).await.unwrap_err();
        assert!(transaction.run(&insert(3), &[]).await.is_err());
        drop(transaction);
        assert_eq!(rows(&connection), 0);
    }
}
