//! Applies a migration statement by statement, beside those who read and write its tables.
//!
//! Before each statement the tables are asked whether it was done, so a run that was cut short goes on where it stopped.
//! A statement that wants a strong lock waits for it shortly: whoever comes meanwhile stands behind it in the queue. Then it
//! leaves the queue for a while, and comes again until the patience is over.

use std::future::pending;
use std::pin::pin;
use std::time::Duration;

use tokio::time::{Instant, timeout};

use crate::error::Failure;
use crate::store::sql::ddl::{Ddl, DdlSession};
use crate::store::sql::migrate::progress::Progress;
use crate::store::sql::migrate::schema::{self, Index};
use crate::store::sql::migrate::script::{HISTORY, Record};
use crate::store::sql::migrate::text::{Change, Kind};
use crate::store::sql::migrate::{Applied, Migrator, WAITED_FOR};
use crate::store::sql::{Dialect, Driver, Script, SetupError};

/// How often is told how far an index is.
const TICK: Duration = Duration::from_secs(2);

/// The shortest and the longest pause in which others are let by.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// A wait that has an end, in pauses that grow.
pub(super) struct Wait {
    since: Instant,
    pause: Duration,
    patience: Duration,
}

impl Wait {
    pub(super) fn new(patience: Duration) -> Self {
        Self { since: Instant::now(), pause: FIRST_PAUSE, patience }
    }

    pub(super) fn waited(&self) -> Duration {
        self.since.elapsed()
    }

    /// Waits a while; `false` when the patience is over.
    pub(super) async fn pause(&mut self) -> bool {
        if self.waited() >= self.patience {
            return false;
        }
        rest(self.pause).await;
        self.pause = (self.pause * 2).min(LONGEST_PAUSE);
        true
    }
}

async fn rest(pause: Duration) {
    let _ = timeout(pause, pending::<()>()).await;
}

/// One migration that is being applied.
pub(super) struct Online<'a> {
    pub(super) migrator: &'a Migrator,
    pub(super) driver: &'a dyn Driver,
    pub(super) session: &'a dyn DdlSession,
    pub(super) step: Applied,
}

impl Online<'_> {
    /// Waits for the turn.
    pub(super) async fn take_turn(&self) -> Result<(), Failure> {
        let mut wait = Wait::new(self.migrator.patience);
        while !self.session.take_turn().await? {
            self.migrator.tell(|| Progress::WaitsForTurn { waited: wait.waited() });
            if !wait.pause().await {
                return Err(Failure::unavailable(WAITED_FOR, "another process migrates and doesn't come to an end"));
            }
        }
        Ok(())
    }

    /// Runs the statements and records them. Returns whether this call was the one.
    pub(super) async fn apply(&self, changes: &[Change], record: &Record<'_>) -> Result<bool, SetupError> {
        if !super::script::has_history(self.driver).await? {
            self.insist("countersign_migration", &[HISTORY.to_owned()]).await?;
        }
        if self.dialect() == Dialect::Mysql {
            // What changes no table is done with the record or not at all.
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

    async fn record(&self, record: &Record<'_>) -> Result<bool, Failure> {
        let (values, dialect) = (record.values(), self.dialect());
        if dialect == Dialect::Mysql {
            let insert = format!("INSERT IGNORE INTO countersign_migration VALUES ({values})");
            let recorded = self.session.patiently(&insert).await?;
            self.session.patiently("COMMIT").await?;
            return Ok(matches!(recorded, Ddl::Done(1..)));
        }
        let insert = format!("INSERT INTO countersign_migration VALUES ({values}) ON CONFLICT DO NOTHING");
        Ok(self.driver.run(&Script::new(dialect, &[&insert]), &[]).await?.took_effect())
    }

    fn dialect(&self) -> Dialect {
        self.driver.dialect()
    }

    async fn change(&self, change: &Change) -> Result<(), Failure> {
        if schema::is_done(self.driver, change).await? {
            return Ok(());
        }
        let table = change.table().unwrap_or_default();
        let has_rows = !table.is_empty() && schema::has_rows(self.driver, table).await?;
        match (self.dialect(), &change.kind) {
            (Dialect::Postgres, Kind::MakeIndex { table, index }) => self.index(change, table, index, has_rows).await,
            (Dialect::Mysql, _) if has_rows => self.insist(table, &change.ways()).await,
            _ => self.insist(table, std::slice::from_ref(&change.text)).await,
        }
    }

    /// Runs a statement that wants a strong lock on a table, in the first of `ways` that the database takes.
    async fn insist(&self, table: &str, ways: &[String]) -> Result<(), Failure> {
        let (mut wait, what) = (Wait::new(self.migrator.patience), format!("table {table}"));
        for (at, way) in ways.iter().enumerate() {
            let is_last = at + 1 == ways.len();
            if is_last && at > 0 {
                self.migrator.tell(|| Progress::WritersWait { step: self.step, table: table.to_owned() });
            }
            self.migrator.tell(|| Progress::Runs { step: self.step, statement: way.clone() });
            loop {
                match self.watched(table, &what, self.session.briefly(way, self.migrator.lock_timeout)).await? {
                    Ddl::Done(_) => return Ok(()),
                    Ddl::Refused if !is_last => break,
                    Ddl::Refused => {
                        return Err(Failure::internal("migrations", "the database takes no way of a change"));
                    }
                    Ddl::Held => self.let_by(table, &mut wait).await?,
                }
            }
        }
        Ok(())
    }

    /// Lets those by who hold a table, for a while.
    async fn let_by(&self, table: &str, wait: &mut Wait) -> Result<(), Failure> {
        let held_by = schema::holders(self.driver, table).await;
        let waited = wait.waited();
        let told = held_by.clone();
        self.migrator.tell(|| Progress::WaitsForLock {
            step: self.step,
            table: table.to_owned(),
            held_by: told,
            waited,
        });
        if wait.pause().await {
            return self.session.keep_turn().await;
        }
        let what = if table.is_empty() { "rows".to_owned() } else { format!("the table {table}") };
        let by = held_by.map(|held_by| format!(", held up by {held_by}")).unwrap_or_default();
        Err(Failure::unavailable(WAITED_FOR, format!("no lock on {what} within {waited:.0?}{by}")))
    }

    /// Makes an index of PostgreSQL.
    async fn index(&self, change: &Change, table: &str, index: &str, has_rows: bool) -> Result<(), Failure> {
        let mut wait = Wait::new(self.migrator.patience);
        loop {
            match schema::index(self.driver, index).await? {
                Index::Whole => return Ok(()),
                Index::Missing if !has_rows => return self.insist(table, std::slice::from_ref(&change.text)).await,
                Index::Missing => {
                    if self.build(table, index, &change.concurrently()).await? == Ddl::Held {
                        self.let_by(table, &mut wait).await?;
                    }
                }
                Index::Unfinished => self.clear_away(table, index, &mut wait).await?,
            }
        }
    }

    /// An index that isn't whole is being built by somebody, or was left by one who was stopped.
    async fn clear_away(&self, table: &str, index: &str, wait: &mut Wait) -> Result<(), Failure> {
        if let Some(builder) = schema::builder(self.driver, table).await? {
            // It may take as long as it does: it is what this one would do.
            let (waited, held_by) = (wait.waited(), Some(builder));
            let table = table.to_owned();
            self.migrator.tell(|| Progress::WaitsForLock { step: self.step, table, held_by, waited });
            rest(wait.pause).await;
            wait.pause = (wait.pause * 2).min(LONGEST_PAUSE);
            return self.session.keep_turn().await;
        }
        // The builder may have come to its end in between.
        if schema::index(self.driver, index).await? == Index::Unfinished && self.drop_index(index).await? == Ddl::Held {
            self.let_by(table, wait).await?;
        }
        Ok(())
    }

    async fn drop_index(&self, index: &str) -> Result<Ddl, Failure> {
        let statement = format!("DROP INDEX CONCURRENTLY IF EXISTS {}", self.dialect().quote(index));
        self.migrator.tell(|| Progress::Runs { step: self.step, statement: statement.clone() });
        self.session.patiently(&statement).await
    }

    async fn build(&self, table: &str, index: &str, statement: &str) -> Result<Ddl, Failure> {
        self.migrator.tell(|| Progress::Runs { step: self.step, statement: statement.to_owned() });
        let built = self.watched(table, &format!("index {index}"), self.session.patiently(statement)).await;
        if built.is_err() && self.session.keep_turn().await.is_ok() {
            // What is left keeps writers at work for nothing, and of a unique index it refuses rows.
            drop(self.drop_index(index).await);
        }
        built
    }

    /// Tells of what takes long, and keeps the turn meanwhile.
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
            self.migrator.tell(|| Progress::Builds { step: self.step, what, phase, percent, elapsed });
            // Were it lost, others would wait for the index that is being built here. Asking keeps the connection.
            drop(self.session.keep_turn().await);
        }
    }
}
