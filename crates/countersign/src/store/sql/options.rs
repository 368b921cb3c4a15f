//! The options of a connection to a database.

use std::time::Duration;

/// The timeout and the number of connections of a [`Database`](crate::store::sql::Database).
///
/// ```
/// use std::time::Duration;
/// use countersign::store::sql::DatabaseOptions;
///
/// let options = DatabaseOptions { timeout: Duration::from_secs(3), ..DatabaseOptions::default() };
/// assert_eq!(options.connections, 4);
/// ```
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// The longest time of one operation, waiting for a connection included. Defaults to one
    /// second.
    ///
    /// An operation that takes longer fails with
    /// [`Failure::unavailable`](crate::Failure::unavailable). SQLite stops waiting for locks and
    /// for its writing thread after this time, but doesn't interrupt a read that is running.
    pub timeout: Duration,
    /// The number of connections that are kept for reads, and the number for writes. Defaults to 4.
    ///
    /// PostgreSQL keeps up to the same number once more for scripts of several steps. SQLite has
    /// one connection for writes, and opens further ones for reads that run at the same time.
    pub connections: usize,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            connections: 4,
        }
    }
}
