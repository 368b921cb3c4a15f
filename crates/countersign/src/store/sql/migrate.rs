//! Brings a schema up to date. Migrations are numbered, embedded, applied once, and never edited once released.

mod online;
mod plan;
mod progress;
mod schema;
mod script;
mod text;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use crate::clock::{Clock, SystemClock};
use crate::error::{ConfigError, Failure};
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::{Database, Dialect, Driver, SetupError, Statement};
use crate::user::UserKeyKind;
use online::{Online, Wait};
pub use plan::{Planned, TableLock};
pub use progress::Progress;
use script::Record;
use text::Change;

/// How often a migration is tried that fails, as it may when another process is applying it at the same time.
const ATTEMPTS: u32 = 3;

/// The part whose failure says that somebody else was waited for in vain.
const WAITED_FOR: &str = "lock of migrations";

/// The number of PostgreSQL's advisory lock that whoever migrates has.
pub(super) const TURN: u64 = 7_165_072_881;

/// How long a change waits for the lock of a table before it lets others by.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// How long a change is tried that others hold up.
const PATIENCE: Duration = Duration::from_mins(10);

/// One step of a schema's history, in each dialect.
///
/// `{user_id}` in the text stands for the type of the column of user ids. Statements end with `;` at the end of a line.
/// A statement below `-- unless column TABLE.COLUMN`, `-- unless index TABLE.INDEX` or `-- unless collation
/// TABLE.COLUMN NAME` is left out where that is there already. MySQL commits every change of a table at once, so what
/// stands in its text must bear being run again after a crash.
///
/// On PostgreSQL a migration is one transaction. Where it changes a table that has rows, and says nothing but
/// `CREATE TABLE IF NOT EXISTS`, `ALTER TABLE … ADD COLUMN IF NOT EXISTS` (one column) and `CREATE INDEX IF NOT EXISTS`, it is
/// applied statement by statement instead, and indexes are made `CONCURRENTLY`.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    /// Its number, counted from 1.
    pub version: u32,
    /// What it does, in a word or two.
    pub name: &'static str,
    /// Its text for SQLite.
    pub sqlite: &'static str,
    /// Its text for PostgreSQL.
    pub postgres: &'static str,
    /// Its text for MySQL and MariaDB.
    pub mysql: &'static str,
}

impl Migration {
    const fn text(&self, dialect: Dialect) -> &'static str {
        match dialect {
            Dialect::Sqlite => self.sqlite,
            Dialect::Postgres => self.postgres,
            Dialect::Mysql => self.mysql,
        }
    }

    fn checksum(&self, dialect: Dialect) -> String {
        data_encoding::HEXLOWER.encode(&Sha256::digest(self.text(dialect).as_bytes()))
    }
}

/// The history of some tables that belong together.
#[derive(Clone, Copy, Debug)]
pub struct MigrationSet {
    /// Its name: lower-case letters, digits, `_` and `-`.
    pub name: &'static str,
    /// Its steps, in order.
    pub migrations: &'static [Migration],
}

/// The tables of tokens.
const BUNDLED: MigrationSet = MigrationSet {
    name: "countersign",
    migrations: &[
        Migration {
            version: 1,
            name: "tokens",
            sqlite: include_str!("../../../migrations/sqlite/0001_tokens.sql"),
            postgres: include_str!("../../../migrations/postgres/0001_tokens.sql"),
            mysql: include_str!("../../../migrations/mysql/0001_tokens.sql"),
        },
        Migration {
            version: 2,
            name: "sessions",
            sqlite: include_str!("../../../migrations/sqlite/0002_sessions.sql"),
            postgres: include_str!("../../../migrations/postgres/0002_sessions.sql"),
            mysql: include_str!("../../../migrations/mysql/0002_sessions.sql"),
        },
        Migration {
            version: 3,
            name: "endings",
            sqlite: include_str!("../../../migrations/sqlite/0003_endings.sql"),
            postgres: include_str!("../../../migrations/postgres/0003_endings.sql"),
            mysql: include_str!("../../../migrations/mysql/0003_endings.sql"),
        },
        Migration {
            version: 4,
            name: "fence indexes",
            sqlite: include_str!("../../../migrations/sqlite/0004_fence_indexes.sql"),
            postgres: include_str!("../../../migrations/postgres/0004_fence_indexes.sql"),
            mysql: include_str!("../../../migrations/mysql/0004_fence_indexes.sql"),
        },
    ],
};

/// A migration by its set, number and name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Applied {
    /// The set's name.
    pub set: &'static str,
    /// The migration's number.
    pub version: u32,
    /// What it does.
    pub name: &'static str,
}

/// Applies the bundled migrations, and others beside them.
///
/// It may run any number of times and in several processes at once; each migration is applied by one of them. Tables of
/// the original are adopted as they are: rows stay, columns and indexes are added, and whoever reads and writes them goes on
/// meanwhile. A change that wants a table for itself waits for it shortly, lets others by, and comes again.
///
/// ```
/// use countersign::UserKeyKind;
/// use countersign::store::sql::{Database, DatabaseOptions, Migration, MigrationSet, Migrator};
///
/// const NOTE: &str = "CREATE TABLE note (id BIGINT PRIMARY KEY, user_id {user_id} NOT NULL);";
/// const NOTES: MigrationSet = MigrationSet {
///     name: "notes",
///     migrations: &[Migration { version: 1, name: "note", sqlite: NOTE, postgres: NOTE, mysql: NOTE }],
/// };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// let migrator = Migrator::new(&database, UserKeyKind::Uuid).add(NOTES);
/// assert_eq!(migrator.pending().await?.len(), 5);
/// assert_eq!(migrator.run().await?.len(), 5);
/// assert_eq!(migrator.run().await?.len(), 0);
/// assert!(migrator.unknown().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Migrator {
    database: Database,
    user_id: UserKeyKind,
    sets: Vec<MigrationSet>,
    clock: Arc<dyn Clock>,
    lock_timeout: Duration,
    patience: Duration,
    watcher: Option<Arc<Watcher>>,
}

/// Who is told what is being done.
type Watcher = dyn Fn(Progress) + Send + Sync;

impl Migrator {
    /// Brings the bundled tables in `database` up to date, with user ids of the kind `user_id`.
    pub fn new(database: &Database, user_id: UserKeyKind) -> Self {
        Self {
            database: database.clone(),
            user_id,
            sets: vec![BUNDLED],
            clock: Arc::new(SystemClock),
            lock_timeout: LOCK_TIMEOUT,
            patience: PATIENCE,
            watcher: None,
        }
    }

    /// Applies another set too, after those that are there.
    #[must_use]
    #[expect(clippy::should_implement_trait, reason = "it adds to a builder, and nobody would write a sum")]
    pub fn add(mut self, set: MigrationSet) -> Self {
        self.sets.push(set);
        self
    }

    /// Takes the time that is recorded with a migration from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long a change of a table that has rows waits for others before it lets them by: nobody who comes meanwhile waits longer
    /// for it. Defaults to 200 ms; on MySQL and MariaDB a second is the least.
    #[must_use]
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets how long a statement is tried again that others hold up, and how long another process that migrates is waited
    /// for. The work itself may take as long as it does. Defaults to ten minutes.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Tells `watcher` what is being done, and what is waited for.
    #[must_use]
    pub fn watched_by(mut self, watcher: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.watcher = Some(Arc::new(watcher));
        self
    }

    fn tell(&self, progress: impl FnOnce() -> Progress) {
        if let Some(watcher) = &self.watcher {
            watcher(progress());
        }
    }

    /// What [`run`](Migrator::run) would apply. Changes nothing.
    ///
    /// # Errors
    /// [`SetupError::Config`] when a migration was edited after it was applied.
    pub async fn pending(&self) -> Result<Vec<Applied>, SetupError> {
        let driver = self.database.patient_driver()?;
        let mut pending = Vec::new();
        for (set, migration) in self.steps() {
            if !is_applied(&*driver, set, migration).await? {
                pending.push(applied(set, migration));
            }
        }
        Ok(pending)
    }

    /// Returns the statements that [`run`](Migrator::run) would run, with the rows of their tables and whom they would keep waiting.
    /// Changes nothing. What somebody else changes meanwhile may change it.
    ///
    /// # Errors
    /// As for [`run`](Migrator::run).
    pub async fn plan(&self) -> Result<Vec<Planned>, SetupError> {
        let driver = self.database.patient_driver()?;
        let (mut planned, mut seen) = (Vec::new(), Vec::new());
        for (set, migration) in self.steps() {
            if is_applied(&*driver, set, migration).await? {
                continue;
            }
            let mut changes = self.changes(&*driver, set, migration).await?;
            let is_online = is_online(&*driver, &changes).await?;
            // A later migration finds that an earlier one has done what both say.
            changes.retain(|change| !(change.is_resumable() && seen.contains(&change.kind)));
            seen.extend(changes.iter().map(|change| change.kind.clone()));
            planned.extend(plan::of(&*driver, applied(set, migration), &changes, is_online).await?);
        }
        Ok(planned)
    }

    /// The statements of a migration, unless they would change tables of something else.
    async fn changes(&self, driver: &dyn Driver, set: &str, migration: &Migration) -> Result<Vec<Change>, SetupError> {
        check_name(set)?;
        let dialect = driver.dialect();
        let changes = text::changes(&text::filled(migration.text(dialect), dialect, self.user_id));
        script::refuse_foreign_tables(driver, &changes).await?;
        Ok(changes)
    }

    /// Returns the migrations of these sets that the database records and this version doesn't know, each with its set's name:
    /// a newer version has been here. Changes nothing.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked.
    pub async fn unknown(&self) -> Result<Vec<(&'static str, i64)>, Failure> {
        if !script::has_history(&self.database).await? {
            return Ok(Vec::new());
        }
        let template =
            "SELECT version FROM countersign_migration WHERE set_name = ?1 AND version > ?2 ORDER BY version";
        let statement = Statement::new(self.database.dialect(), template);
        let mut unknown = Vec::new();
        for set in &self.sets {
            let newest = set.migrations.iter().map(|migration| i64::from(migration.version)).max().unwrap_or(0);
            for row in self.database.fetch(&statement, &[set.name.into(), newest.into()]).await? {
                let version = row.int(0).map_err(|error| Failure::internal("migrations", error))?;
                unknown.extend(version.map(|version| (set.name, version)));
            }
        }
        Ok(unknown)
    }

    /// Applies what isn't applied yet, in order; what this call applied.
    ///
    /// # Errors
    /// [`SetupError::Config`] when a migration was edited after it was applied; [`SetupError::Store`] when the
    /// database refuses one, or can't be asked. Those before it stay applied, and it may be called again.
    pub async fn run(&self) -> Result<Vec<Applied>, SetupError> {
        let driver = self.database.patient_driver()?;
        let mut done = Vec::new();
        for (set, migration) in self.steps() {
            if self.apply(&*driver, set, migration).await? {
                tracing::info!(event = "migration_applied", set, version = migration.version, name = migration.name);
                done.push(applied(set, migration));
            }
        }
        Ok(done)
    }

    fn steps(&self) -> impl Iterator<Item = (&'static str, &'static Migration)> {
        self.sets.iter().flat_map(|set| set.migrations.iter().map(|migration| (set.name, migration)))
    }

    /// Whether this call applied it. Another process may do so at any moment, and one of both then fails or waits: so a
    /// failure counts only when the migration isn't there afterwards.
    async fn apply(&self, driver: &dyn Driver, set: &'static str, migration: &Migration) -> Result<bool, SetupError> {
        let (mut attempt, mut wait) = (0, Wait::new(self.patience));
        loop {
            if is_applied(driver, set, migration).await? {
                return Ok(false);
            }
            let failure = match self.attempt(driver, set, migration).await {
                Ok(Some(applied)) => return Ok(applied),
                Ok(None) => {
                    self.tell(|| Progress::WaitsForTurn { waited: wait.waited() });
                    if wait.pause().await {
                        continue;
                    }
                    attempt = ATTEMPTS;
                    Failure::unavailable(WAITED_FOR, "another process migrates and doesn't come to an end").into()
                }
                Err(error @ SetupError::Config(_)) => return Err(error),
                Err(error) => error,
            };
            attempt += 1;
            let is_final = matches!(&failure, SetupError::Store(failure) if failure.part() == WAITED_FOR);
            if is_final || attempt >= ATTEMPTS {
                let what = format!("migration {set}/{} {}", migration.version, migration.name);
                let applied = is_applied(driver, set, migration).await?;
                return if applied { Ok(false) } else { Err(during(failure, what)) };
            }
        }
    }

    /// Whether this call applied it; `None` when another process has the turn.
    async fn attempt(
        &self,
        driver: &dyn Driver,
        set: &'static str,
        migration: &Migration,
    ) -> Result<Option<bool>, SetupError> {
        let changes = self.changes(driver, set, migration).await?;
        let record = Record { set, migration, checksum: migration.checksum(driver.dialect()), now: self.clock.now() };
        if !is_online(driver, &changes).await? {
            let tell = |statement: &str| {
                let (step, statement) = (applied(set, migration), statement.to_owned());
                self.tell(|| Progress::Runs { step, statement });
            };
            return script::run(driver, &changes, &record, &tell).await;
        }
        let session: Box<dyn DdlSession> = self.database.ddl().await?;
        let online = Online { migrator: self, driver, session: &*session, step: applied(set, migration) };
        online.take_turn().await?;
        // Whoever had the turn before may have done it.
        if is_applied(driver, set, migration).await? {
            session.end().await?;
            return Ok(Some(false));
        }
        let applied = online.apply(&changes, &record).await?;
        session.end().await?;
        Ok(Some(applied))
    }
}

const fn applied(set: &'static str, migration: &Migration) -> Applied {
    Applied { set, version: migration.version, name: migration.name }
}

/// Whether a migration is applied statement by statement. MySQL knows nothing else. On PostgreSQL a transaction is as good
/// where nobody can be using the tables, and nothing else will do where a statement can't be told to be done.
async fn is_online(driver: &dyn Driver, changes: &[Change]) -> Result<bool, Failure> {
    match driver.dialect() {
        Dialect::Sqlite => return Ok(false),
        Dialect::Mysql => return Ok(true),
        Dialect::Postgres => {}
    }
    if !changes.iter().all(Change::is_resumable) {
        return Ok(false);
    }
    for table in changes.iter().filter_map(Change::table) {
        if schema::has_rows(driver, table).await? {
            return Ok(true);
        }
    }
    Ok(false)
}

/// The error, with the migration's name.
fn during(error: SetupError, what: String) -> SetupError {
    match error {
        SetupError::Store(failure) => failure.during(what).into(),
        other => other,
    }
}

async fn is_applied(driver: &dyn Driver, set: &str, migration: &Migration) -> Result<bool, SetupError> {
    let dialect = driver.dialect();
    if !script::has_history(driver).await? {
        return Ok(false);
    }
    let template = "SELECT checksum FROM countersign_migration WHERE set_name = ?1 AND version = ?2";
    let params = [set.into(), i64::from(migration.version).into()];
    let rows = driver.fetch(&Statement::new(dialect, template), &params).await?;
    let Some(row) = rows.first() else { return Ok(false) };
    let recorded = row.text(0).map_err(|error| Failure::internal("migrations", error))?;
    if recorded == Some(migration.checksum(dialect).as_str()) {
        return Ok(true);
    }
    let problem = format!("{set}/{} was edited after it was applied", migration.version);
    Err(ConfigError::new("migrations", problem, "restore its text and put the change into a new one").into())
}

fn check_name(set: &str) -> Result<(), ConfigError> {
    let fits = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_' || byte == b'-';
    if (1..=64).contains(&set.len()) && set.bytes().all(fits) {
        return Ok(());
    }
    Err(ConfigError::new("migrations", "a set has an unusable name", "use 1 to 64 of a-z, 0-9, _ and -"))
}

impl fmt::Debug for Migrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migrator").field("database", &self.database).field("sets", &self.sets).finish_non_exhaustive()
    }
}
