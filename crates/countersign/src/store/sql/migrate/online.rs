//! Applying a migration statement by statement, beside readers and writers of its tables.
//!
//! Before each statement the tables are asked whether its effect is there already, so a run that
//! was killed continues where it stopped. A statement that needs a strong lock waits for it briefly
//! only: while it waits, every request for the table queues behind it. Then it leaves the queue for
//! a while, and tries again until the migrator's patience is over.
//!
//! One process migrates at a time. It holds a lock for that, which is checked before each
//! statement.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::Failure;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::progress::{Progress, Watcher};
use crate::store::sql::migrate::schema::{self, Index};
use crate::store::sql::migrate::script::{HISTORY, Record};
use crate::store::sql::migrate::set::Applied;
use crate::store::sql::migrate::text::{Change, Kind};
use crate::store::sql::migrate::turn::WAITED_FOR;
use crate::store::sql::{Dialect, Driver, Script, SetupError};

/// The time between two reports about a statement that takes long.
const TICK: Duration = Duration::from_secs(2);

/// The shortest pause in which other requests get the table.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// The longest pause in which other requests get the table.
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A wait in pauses that double in length, up to a total time.
pub(super) struct Wait {
    since: Instant,
    pause: Duration,
    patience: Duration,
}

impl Wait {
    /// Creates a wait that begins now and lasts for at most `patience`.
    pub(super) fn new(patience: Duration) -> Self {
        Self {
            since: Instant::now(),
            pause: FIRST_PAUSE,
            patience,
        }
    }

    /// Returns the time since the wait began.
    pub(super) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits for the next pause. Returns `false`, without waiting, if the patience is over.
    pub(super) async fn pause(&mut self) -> bool {
        if self.waited() >= self.patience {
            return false;
        }
        rest(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

/// Waits for `pause`.
async fn rest(pause: Duration) {
    let _ = timeout(pause, pending::<()>()).await;
}

/// A migration that is being applied, with the connections for it.
pub(super) struct Online<'a> {
    pub(super) watcher: &'a Watcher,
    /// The time that a change waits for a table's lock before it gives way.
    pub(super) lock_timeout: Duration,
    /// The time after which a wait for others is given up.
    pub(super) patience: Duration,
    pub(super) driver: &'a dyn Driver,
    pub(super) session: &'a dyn DdlSession,
    pub(super) step: Applied,
}

impl Online<'_> {
    /// Waits for the lock that allows this process to migrate.
    pub(super) async fn take_turn(&self) -> Result<(), Failure> {
        let mut wait = Wait::new(self.patience);
        while !self.session.take_turn().await? {
            self.watcher.tell(|| Progress::WaitsForTurn {
                waited: wait.waited(),
            });

            if !wait.pause().await {
                return Err(Failure::unavailable(
                    WAITED_FOR,
                    "another process is migrating and did not finish in time",
                ));
            }
        }
        Ok(())
    }

    /// Runs the statements and records the migration. Returns `true` if this call recorded it.
    pub(super) async fn apply(
        &self,
        changes: &[Change],
        record: &Record<'_>,
    ) -> Result<bool, SetupError> {
        if !super::script::has_history(self.driver).await? {
            self.insist("countersign_migration", &[HISTORY.to_owned()])
                .await?;
        }
        if self.dialect() == Dialect::Mysql {
            // Statements that change rows take effect together with the record. A change of a table
            // commits what came before it.
            self.session.patiently("BEGIN").await?;
        }

        for change in changes {
            self.session.keep_turn().await?;
            self.change(change).await?;
        }
        self.session.keep_turn().await?;
        let recorded = self.record(record).await?;
        Ok(recorded)
    }

    /// Records the migration. Returns `false` if it was recorded already.
    async fn record(&self, record: &Record<'_>) -> Result<bool, Failure> {
        let (values, dialect) = (record.values(), self.dialect());
        if dialect == Dialect::Mysql {
            let insert = format!("INSERT IGNORE INTO countersign_migration VALUES ({values})");
            let recorded = self.session.patiently(&insert).await?;
            self.session.patiently("COMMIT").await?;
            return Ok(matches!(recorded, Ddl::Done(1..)));
        }

        let insert =
            format!("INSERT INTO countersign_migration VALUES ({values}) ON CONFLICT DO NOTHING");
        Ok(self
            .driver
            .run(&Script::new(dialect, &[&insert]), &[])
            .await?
            .took_effect())
    }

    /// Returns the dialect of the database that is migrated.
    fn dialect(&self) -> Dialect {
        self.driver.dialect()
    }

    /// Runs one statement, if its effect isn't there already.
    async fn change(&self, change: &Change) -> Result<(), Failure> {
        if schema::is_done(self.driver, change).await? {
            return Ok(());
        }
        let table = change.table().unwrap_or_default();
        let has_rows = !table.is_empty() && schema::has_rows(self.driver, table).await?;

        match (self.dialect(), &change.kind) {
            (Dialect::Postgres, Kind::MakeIndex { table, index }) => {
                self.index(change, table, index, has_rows).await
            }
            (Dialect::Mysql, _) if has_rows => self.insist(table, &change.ways()).await,
            _ => self.insist(table, std::slice::from_ref(&change.text)).await,
        }
    }

    /// Runs a statement that needs a strong lock on a table, in the first of `ways` that the
    /// database accepts.
    async fn insist(&self, table: &str, ways: &[String]) -> Result<(), Failure> {
        let (mut wait, what) = (Wait::new(self.patience), format!("table {table}"));
        for (at, way) in ways.iter().enumerate() {
            let is_last = at + 1 == ways.len();
            if is_last && at > 0 {
                self.watcher.tell(|| Progress::WritersWait {
                    step: self.step,
                    table: table.to_owned(),
                });
            }

            self.watcher.tell(|| Progress::Runs {
                step: self.step,
                statement: way.clone(),
            });

            loop {
                match self
                    .watched(table, &what, self.session.briefly(way, self.lock_timeout))
                    .await?
                {
                    Ddl::Done(_) => return Ok(()),
                    Ddl::Refused if !is_last => break,
                    Ddl::Refused => {
                        return Err(Failure::internal(
                            "migrations",
                            "the database accepts no method for this change",
                        ));
                    }
                    Ddl::Held => self.let_by(table, &mut wait).await?,
                }
            }
        }
        Ok(())
    }

    /// Gives way to those who hold a table, for one pause.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] that names them, as far as the database tells, if the patience is
    /// over.
    async fn let_by(&self, table: &str, wait: &mut Wait) -> Result<(), Failure> {
        let held_by = schema::holders(self.driver, table).await;
        let waited = wait.waited();
        let told = held_by.clone();
        self.watcher.tell(|| Progress::WaitsForLock {
            step: self.step,
            table: table.to_owned(),
            held_by: told,
            waited,
        });

        if wait.pause().await {
            return self.session.keep_turn().await;
        }
        let what = if table.is_empty() {
            "rows".to_owned()
        } else {
            format!("the table {table}")
        };
        let by = held_by
            .map(|held_by| format!(", blocked by {held_by}"))
            .unwrap_or_default();

        Err(Failure::unavailable(
            WAITED_FOR,
            format!("could not lock {what} within {waited:.0?}{by}"),
        ))
    }

    /// Creates an index on PostgreSQL, and first removes one that was left unfinished.
    async fn index(
        &self,
        change: &Change,
        table: &str,
        index: &str,
        has_rows: bool,
    ) -> Result<(), Failure> {
        let mut wait = Wait::new(self.patience);
        loop {
            match schema::index(self.driver, index).await? {
                Index::Whole => return Ok(()),
                Index::Missing if !has_rows => {
                    return self.insist(table, std::slice::from_ref(&change.text)).await;
                }
                Index::Missing => {
                    if self.build(table, index, &change.concurrently()).await? == Ddl::Held {
                        self.let_by(table, &mut wait).await?;
                    }
                }
                Index::Unfinished => self.clear_away(table, index, &mut wait).await?,
            }
        }
    }

    /// Deals with an index that isn't valid: waits while another session builds it, and drops it if
    /// none does.
    async fn clear_away(&self, table: &str, index: &str, wait: &mut Wait) -> Result<(), Failure> {
        if let Some(builder) = schema::builder(self.driver, table).await? {
            // No limit here: that session does the work which this one would have to do.
            let (waited, held_by) = (wait.waited(), Some(builder));
            let table = table.to_owned();
            self.watcher.tell(|| Progress::WaitsForLock {
                step: self.step,
                table,
                held_by,
                waited,
            });

            rest(wait.pause).await;
            wait.pause = (wait.pause * 2).min(LONGEST_PAUSE);
            return self.session.keep_turn().await;
        }
        // The session may have finished since the index was looked at.
        if schema::index(self.driver, index).await? == Index::Unfinished
            && self.drop_index(index).await? == Ddl::Held
        {
            self.let_by(table, wait).await?;
        }
        Ok(())
    }

    /// Drops an index without locking out readers and writers.
    async fn drop_index(&self, index: &str) -> Result<Ddl, Failure> {
        let statement = format!(
            "DROP INDEX CONCURRENTLY IF EXISTS {}",
            self.dialect().quote(index)
        );
        self.watcher.tell(|| Progress::Runs {
            step: self.step,
            statement: statement.clone(),
        });
        self.session.patiently(&statement).await
    }

    /// Creates an index without locking out readers and writers.
    async fn build(&self, table: &str, index: &str, statement: &str) -> Result<Ddl, Failure> {
        self.watcher.tell(|| Progress::Runs {
            step: self.step,
            statement: statement.to_owned(),
        });
        let built = self
            .watched(
                table,
                &format!("index {index}"),
                self.session.patiently(statement),
            )
            .await;

        if built.is_err() && self.session.keep_turn().await.is_ok() {
            // An unfinished index still costs every writer time, and a unique one still refuses
            // rows.
            drop(self.drop_index(index).await);
        }
        built
    }

    /// Waits for `work`, reports that it takes long, and keeps the lock for migrations meanwhile.
    async fn watched(
        &self,
        table: &str,
        what: &str,
        work: impl Future<Output = Result<Ddl, Failure>>,
    ) -> Result<Ddl, Failure> {
        let (since, mut work) = (Instant::now(), pin!(work));
        loop {
            if let Ok(outcome) = timeout(TICK, &mut work).await {
                return outcome;
            }

            let (phase, percent) = schema::building(self.driver, table).await;
            let (what, elapsed) = (what.to_owned(), since.elapsed());
            self.watcher.tell(|| Progress::Builds {
                step: self.step,
                what,
                phase,
                percent,
                elapsed,
            });
            // The question keeps an idle connection open. If the lock is lost all the same, the
            // check after the statement says so.
            drop(self.session.keep_turn().await);
        }
    }
}
