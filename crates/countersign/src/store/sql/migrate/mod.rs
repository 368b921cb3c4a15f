//! Migrations: numbered changes of the schema that are embedded in the binary and applied once.
//!
//! [`Migrator`] is the entry point. `text` takes a migration's text apart, `schema` asks the live
//! database what is there, and a migration is then applied in one of two ways: `script` runs it as
//! one transaction, `online` runs it statement by statement beside readers and writers. `plan` says
//! beforehand what would happen, `progress` reports it meanwhile.
//!
//! The text of a released migration must never change: its checksum is recorded, and a different
//! one is refused.

mod online;
mod plan;
mod progress;
mod schema;
mod script;
mod set;
mod text;
mod turn;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock, SystemClock};
use crate::error::{ConfigError, Failure};
use crate::store::sql::ddl::DdlSession;
use crate::store::sql::user_ids::refuse_another_kind;
use crate::store::sql::{Database, Dialect, Driver, SetupError, Statement};
use crate::user::UserKeyKind;
use online::{Online, Wait};
pub use plan::{Planned, TableLock};
pub use progress::Progress;
use progress::Watcher;
use script::Record;
pub(super) use set::BUNDLED;
pub use set::{Applied, Migration, MigrationSet};
use text::Change;
use turn::WAITED_FOR;
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(super) use turn::{GIVE_BACK, PATIENT, TAKE};
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
pub(super) use turn::{ONE_CONNECTION, TURN, UNLIMITED};

/// The number of attempts at a migration that fails. It may fail because another process applies it
/// at the same time.
const ATTEMPTS: u32 = 3;

/// The default time that a change waits for the lock of a table before it leaves the lock's queue.
const LOCK_TIMEOUT: Duration = Duration::from_millis(200);

/// The default time after which a change that others hold up is given up.
const PATIENCE: Duration = Duration::from_mins(10);

/// A runner of schema migrations: the bundled ones, and sets that are added to them.
///
/// [`run`](Self::run) may be called any number of times and by several processes at once: each
/// migration is applied by one of them. It may be killed at any time; the next run continues.
/// Tables of litestar-auth are adopted as they are: rows stay, and missing columns and indexes are
/// added.
///
/// Readers and writers may go on meanwhile. A change that needs a table for itself waits for its
/// lock briefly, gives way to others, and tries again ([`lock_timeout`](Self::lock_timeout),
/// [`patience`](Self::patience)). On PostgreSQL it needs at least two connections at a time.
///
/// # Examples
///
/// With a table of the application in a set of its own:
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{Database, DatabaseOptions, Migration, MigrationSet, Migrator};
///
/// const NOTE: &str = "CREATE TABLE note (id BIGINT PRIMARY KEY, user_id {user_id} NOT NULL);";
/// const STEP: Migration =
///     Migration { version: 1, name: "note", sqlite: NOTE, postgres: NOTE, mysql: NOTE };
/// const NOTES: MigrationSet = MigrationSet { name: "notes", migrations: &[STEP] };
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// let migrator = Migrator::new(&database, UserKeyKind::Uuid).add(NOTES);
/// let pending = migrator.pending().await?;
/// assert_eq!(pending.last().map(|step| step.set), Some("notes"));
/// assert_eq!(migrator.run().await?, pending);
/// assert!(migrator.run().await?.is_empty());
/// assert!(migrator.unknown().await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Migrator {
    database: Database,
    user_id: UserKeyKind,
    sets: Vec<MigrationSet>,
    /// The realms whose tables are among the sets.
    pub(super) realms: Vec<String>,
    clock: Arc<dyn Clock>,
    lock_timeout: Duration,
    patience: Duration,
    watcher: Watcher,
}

impl Migrator {
    /// Creates a migrator for the bundled tables in `database`, with user ids of the kind
    /// `user_id`.
    ///
    /// The kind can't be changed later: it is the type of a column, and [`run`](Self::run) refuses
    /// a database that was made for another kind.
    pub fn new(database: &Database, user_id: UserKeyKind) -> Self {
        Self {
            database: database.clone(),
            user_id,
            sets: vec![BUNDLED],
            realms: Vec::new(),
            clock: Arc::new(SystemClock),
            lock_timeout: LOCK_TIMEOUT,
            patience: PATIENCE,
            watcher: Watcher::default(),
        }
    }

    /// Adds a set of migrations, to be applied after those that are there.
    ///
    /// Its name is checked when the migrations are planned or applied.
    #[must_use]
    #[expect(
        clippy::should_implement_trait,
        reason = "it adds to a builder, and nobody would write a sum"
    )]
    pub fn add(mut self, set: MigrationSet) -> Self {
        self.sets.push(set);
        self
    }

    /// Sets the clock whose time is recorded with each migration. Defaults to [`SystemClock`].
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets how long a change of a table that has rows waits for the table's lock before it gives
    /// way. Defaults to 200 ms.
    ///
    /// Requests that arrive meanwhile wait behind the change, so this bounds their delay. On MySQL
    /// and MariaDB the shortest wait is one second.
    #[must_use]
    pub const fn lock_timeout(mut self, timeout: Duration) -> Self {
        self.lock_timeout = timeout;
        self
    }

    /// Sets how long to try again for a lock that others hold, and how long to wait for another
    /// process that migrates. Defaults to ten minutes.
    ///
    /// The work itself, for example building an index, has no limit where it runs statement by
    /// statement. A migration that is one transaction must be done within nine minutes.
    #[must_use]
    pub const fn patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Sets a callback that receives a [`Progress`] before each statement, and about every two
    /// seconds while one takes long or waits.
    ///
    /// It runs on the migrating task, so it must not block.
    #[must_use]
    pub fn watched_by(mut self, watcher: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        self.watcher = Watcher::new(watcher);
        self
    }

    /// Returns the migrations that [`run`](Migrator::run) would apply, in order. Changes nothing.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError::Config`] if a migration was edited after it was applied, and
    /// [`SetupError::Store`] if the database can't be asked.
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

    /// Returns the statements that [`run`](Migrator::run) would run, with their tables' sizes and
    /// locks. Changes nothing.
    ///
    /// Statements whose effect is there already are left out. The plan describes the present:
    /// changes by others may change it.
    ///
    /// ```
    /// # use countersign::user::UserKeyKind;
    /// # use countersign::store::sql::{Database, DatabaseOptions, Migrator};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
    /// let plan = Migrator::new(&database, UserKeyKind::Uuid).plan().await?;
    /// for planned in &plan {
    ///     println!("{} ({})", planned.statement, planned.lock);
    /// }
    /// # assert!(!plan.is_empty());
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// Returns the same errors as [`run`](Migrator::run).
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

    /// Returns the statements of a migration.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError::Config`] if the set's name is unusable, or if a table with one of the
    /// migration's names belongs to something else.
    async fn changes(
        &self,
        driver: &dyn Driver,
        set: &str,
        migration: &Migration,
    ) -> Result<Vec<Change>, SetupError> {
        check_name(set)?;
        let dialect = driver.dialect();
        let changes = text::changes(&text::filled(
            migration.text(dialect),
            dialect,
            self.user_id,
        ));
        script::refuse_foreign_tables(driver, &changes).await?;
        Ok(changes)
    }

    /// Returns the migrations that the database records and this version doesn't know, with the
    /// name of their set. Changes nothing.
    ///
    /// If there are any, a newer version has migrated this database. Only the sets of this migrator
    /// are looked at.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the database can't be asked.
    pub async fn unknown(&self) -> Result<Vec<(&'static str, i64)>, Failure> {
        if !script::has_history(&self.database).await? {
            return Ok(Vec::new());
        }
        let template = "\
            SELECT version \
            FROM countersign_migration \
            WHERE set_name = ?1 \
              AND version > ?2 \
            ORDER BY version";
        let statement = Statement::new(self.database.dialect(), template);

        let mut unknown = Vec::new();
        for set in &self.sets {
            let newest = set
                .migrations
                .iter()
                .map(|migration| i64::from(migration.version))
                .max()
                .unwrap_or(0);

            for row in self
                .database
                .fetch(&statement, &[set.name.into(), newest.into()])
                .await?
            {
                let version = row
                    .int(0)
                    .map_err(|error| Failure::internal("migrations", error))?;
                unknown.extend(version.map(|version| (set.name, version)));
            }
        }
        Ok(unknown)
    }

    /// Applies what isn't applied yet, in order. Returns the migrations that this call applied.
    ///
    /// Each one is logged with the event `migration_applied`. Migrations that another process
    /// applies meanwhile aren't among those returned.
    ///
    /// # Errors
    ///
    /// Returns [`SetupError::Config`] if a migration was edited after it was applied, if a set has
    /// an unusable name, if a table with one of the names belongs to something else, or if the
    /// tables keep user ids of another kind. Returns
    /// [`SetupError::Store`] if the database refuses a statement, can't be asked, or doesn't grant
    /// a lock within the [`patience`](Self::patience). Migrations before the failed one stay
    /// applied, and `run` may be called again.
    pub async fn run(&self) -> Result<Vec<Applied>, SetupError> {
        let driver = self.database.patient_driver()?;
        self.refuse_other_user_ids(&*driver).await?;

        let mut done = Vec::new();
        for (set, migration) in self.steps() {
            if self.apply(&*driver, set, migration).await? {
                tracing::info!(
                    event = "migration_applied",
                    set,
                    version = migration.version,
                    name = migration.name
                );
                done.push(applied(set, migration));
            }
        }
        Ok(done)
    }

    /// Refuses a database whose tables were made for user ids of another kind.
    async fn refuse_other_user_ids(&self, driver: &dyn Driver) -> Result<(), SetupError> {
        // A realm's users may have ids of another kind than those of the bundled tables beside it.
        if self.realms.is_empty() {
            return refuse_another_kind(driver, ("access_token", "user_id"), self.user_id).await;
        }
        for realm in &self.realms {
            let table = format!("{realm}_access_token");
            refuse_another_kind(driver, (&table, "user_id"), self.user_id).await?;
        }
        Ok(())
    }

    /// Returns all migrations with the names of their sets, in order.
    fn steps(&self) -> impl Iterator<Item = (&'static str, &'static Migration)> {
        self.sets
            .iter()
            .flat_map(|set| set.migrations.iter().map(|migration| (set.name, migration)))
    }

    /// Applies a migration. Returns `true` if this call applied it.
    ///
    /// Another process may apply it at any moment, and one of the two then waits or fails. So a
    /// failure counts only if the migration still isn't applied afterwards.
    async fn apply(
        &self,
        driver: &dyn Driver,
        set: &'static str,
        migration: &Migration,
    ) -> Result<bool, SetupError> {
        let (mut attempt, mut wait) = (0, Wait::new(self.patience));
        loop {
            if is_applied(driver, set, migration).await? {
                return Ok(false);
            }

            let failure = match self.attempt(driver, set, migration).await {
                Ok(Some(applied)) => return Ok(applied),
                Ok(None) => {
                    self.watcher.tell(|| Progress::WaitsForTurn {
                        waited: wait.waited(),
                    });
                    if wait.pause().await {
                        continue;
                    }

                    attempt = ATTEMPTS;
                    Failure::unavailable(
                        WAITED_FOR,
                        "another process is migrating and did not finish in time",
                    )
                    .into()
                }
                Err(error @ SetupError::Config(_)) => return Err(error),
                Err(error) => error,
            };

            attempt += 1;
            let is_final =
                matches!(&failure, SetupError::Store(failure) if failure.part() == WAITED_FOR);
            if is_final || attempt >= ATTEMPTS {
                let what = format!("migration {set}/{} {}", migration.version, migration.name);
                let applied = is_applied(driver, set, migration).await?;
                return if applied {
                    Ok(false)
                } else {
                    Err(during(failure, what))
                };
            }
        }
    }

    /// Tries to apply a migration once. Returns `true` if this call applied it, and `None` if
    /// another process holds the lock for migrations.
    async fn attempt(
        &self,
        driver: &dyn Driver,
        set: &'static str,
        migration: &Migration,
    ) -> Result<Option<bool>, SetupError> {
        let changes = self.changes(driver, set, migration).await?;
        let record = Record {
            set,
            migration,
            checksum: migration.checksum(driver.dialect()),
            now: self.clock.now(),
        };
        if !is_online(driver, &changes).await? {
            return script::run(driver, &changes, &record, &|statement| {
                self.watcher.tell(|| Progress::Runs {
                    step: applied(set, migration),
                    statement: statement.to_owned(),
                });
            })
            .await;
        }

        let session: Box<dyn DdlSession> = self.database.ddl().await?;
        let online = Online {
            watcher: &self.watcher,
            lock_timeout: self.lock_timeout,
            patience: self.patience,
            driver,
            session: &*session,
            step: applied(set, migration),
        };

        online.take_turn().await?;
        // Another process may have applied it while it held the lock.
        if is_applied(driver, set, migration).await? {
            session.end().await?;
            return Ok(Some(false));
        }
        let applied = online.apply(&changes, &record).await?;
        session.end().await?;
        Ok(Some(applied))
    }
}

/// Returns the identity of a migration.
const fn applied(set: &'static str, migration: &Migration) -> Applied {
    Applied {
        set,
        version: migration.version,
        name: migration.name,
    }
}

/// Returns `true` if a migration has to be applied statement by statement.
///
/// MySQL knows no other way. On PostgreSQL a transaction is better where nobody can be using the
/// tables, and necessary where it can't be told afterwards which statements were done.
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

/// Adds the migration's name to an error.
fn during(error: SetupError, what: String) -> SetupError {
    match error {
        SetupError::Store(failure) => failure.during(what).into(),
        other => other,
    }
}

/// Returns `true` if the migration is recorded as applied.
///
/// # Errors
///
/// Returns [`SetupError::Config`] if the recorded checksum is another.
async fn is_applied(
    driver: &dyn Driver,
    set: &str,
    migration: &Migration,
) -> Result<bool, SetupError> {
    let dialect = driver.dialect();
    if !script::has_history(driver).await? {
        return Ok(false);
    }
    let template = "\
        SELECT checksum \
        FROM countersign_migration \
        WHERE set_name = ?1 \
          AND version = ?2";
    let params = [set.into(), i64::from(migration.version).into()];
    let rows = driver
        .fetch(&Statement::new(dialect, template), &params)
        .await?;
    let Some(row) = rows.first() else {
        return Ok(false);
    };

    let recorded = row
        .text(0)
        .map_err(|error| Failure::internal("migrations", error))?;
    if recorded == Some(migration.checksum(dialect).as_str()) {
        return Ok(true);
    }

    let problem = format!(
        "migration {set}/{} was edited after it was applied",
        migration.version
    );
    Err(ConfigError::new(
        "migrations",
        problem,
        "restore its text, and put the change into a new migration",
    )
    .into())
}

/// Returns `true` if a byte may stand in the name of a set.
const fn fits_in_a_name(byte: u8) -> bool {
    matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-')
}

/// Checks the name of a set, which becomes part of SQL texts.
fn check_name(set: &str) -> Result<(), ConfigError> {
    if (1..=64).contains(&set.len()) && set.bytes().all(fits_in_a_name) {
        return Ok(());
    }

    Err(ConfigError::new(
        "migrations",
        "the name of a set is not valid",
        "use 1 to 64 characters of a-z, 0-9, `_` and `-`",
    ))
}

impl fmt::Debug for Migrator {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Migrator")
            .field("database", &self.database)
            .field("sets", &self.sets)
            .finish_non_exhaustive()
    }
}
