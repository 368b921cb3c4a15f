//! What a migrator tells while it works.

use std::time::Duration;

use crate::store::sql::migrate::Applied;

/// What a [`Migrator`](crate::store::sql::Migrator) is doing.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Progress {
    /// Another process migrates, and this one comes again.
    WaitsForTurn {
        /// How long it has waited.
        waited: Duration,
    },
    /// A statement begins.
    Runs {
        /// Its migration.
        step: Applied,
        /// Its text, as the database gets it.
        statement: String,
    },
    /// Others hold a lock that a statement wants. They are let by, and it comes again.
    WaitsForLock {
        /// Its migration.
        step: Applied,
        /// The table.
        table: String,
        /// Who holds it up, where the database says so.
        held_by: Option<String>,
        /// How long it has waited.
        waited: Duration,
    },
    /// A statement takes long, as one that builds an index.
    Builds {
        /// Its migration.
        step: Applied,
        /// What is made: `index NAME` or `table NAME`.
        what: String,
        /// What the database says that it is doing.
        phase: Option<String>,
        /// How much of that phase is done, of a hundred.
        percent: Option<u8>,
        /// How long it has taken.
        elapsed: Duration,
    },
    /// The database knows no way to change a table beside writers. They wait until it is done; readers go on.
    WritersWait {
        /// The migration.
        step: Applied,
        /// The table.
        table: String,
    },
}
