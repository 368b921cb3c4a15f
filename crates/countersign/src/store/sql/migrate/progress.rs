//! Reports of a migrator while it works.

use std::sync::Arc;
use std::time::Duration;

use crate::store::sql::migrate::set::Applied;

/// A report of what a [`Migrator`](crate::store::sql::Migrator) is doing.
///
/// [`Migrator::watched_by`](crate::store::sql::Migrator::watched_by) sets the callback that
/// receives it.
///
/// # Examples
///
/// ```
/// use countersign::user::UserKeyKind;
/// use countersign::store::sql::{Database, DatabaseOptions, Migrator, Progress};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// let migrator = Migrator::new(&database, UserKeyKind::Uuid);
/// let migrator = migrator.watched_by(|progress| match progress {
///     Progress::Runs { step, statement } => println!("{}: {statement}", step.name),
///     Progress::WaitsForLock { table, held_by, waited, .. } => {
///         println!("waiting for {table} since {waited:.0?}, held by {held_by:?}");
///     }
///     other => println!("{other:?}"),
/// });
/// migrator.run().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// A wait for another process that migrates. The migrator will try again.
    WaitsForTurn {
        /// The time since the wait began.
        waited: Duration,
    },
    /// The start of a statement.
    Runs {
        /// The migration that the statement belongs to.
        step: Applied,
        /// The text of the statement, in the form that the database receives.
        statement: String,
    },
    /// A wait for a lock that others hold. The migrator gives way to them, and will try again.
    WaitsForLock {
        /// The migration that needs the lock.
        step: Applied,
        /// The name of the table.
        table: String,
        /// The sessions that hold the lock, if the database tells.
        held_by: Option<String>,
        /// The time since the wait began.
        waited: Duration,
    },
    /// A statement that takes long, for example because it builds an index. Reported about every
    /// two seconds.
    Builds {
        /// The migration that the statement belongs to.
        step: Applied,
        /// The object that is built: `index NAME` or `table NAME`.
        what: String,
        /// The database's name for its current step, if it tells. PostgreSQL tells for indexes.
        phase: Option<String>,
        /// The completed part of that step, in percent.
        percent: Option<u8>,
        /// The time since the statement began.
        elapsed: Duration,
    },
    /// The start of a change for which writers have to wait, since the database knows no other way.
    /// Readers go on.
    WritersWait {
        /// The migration that changes the table.
        step: Applied,
        /// The name of the table.
        table: String,
    },
}

/// The callback that receives reports, if there is one.
#[derive(Clone, Default)]
pub(super) struct Watcher(Option<Arc<dyn Fn(Progress) + Send + Sync>>);

impl Watcher {
    /// Creates a watcher that calls `callback` with each report.
    pub(super) fn new(callback: impl Fn(Progress) + Send + Sync + 'static) -> Self {
        Self(Some(Arc::new(callback)))
    }

    /// Makes a report and calls the callback with it. Without a callback, no report is made.
    pub(super) fn tell(&self, progress: impl FnOnce() -> Progress) {
        if let Some(callback) = &self.0 {
            callback(progress());
        }
    }
}
