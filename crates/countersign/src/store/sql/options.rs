//! The options of a connection to a database.

use std::time::Duration;

/// The timeout and the number of connections of a [`Database`](crate::store::sql::Database).
///
/// ```
/// use std::time::Duration;
/// use countersign::store::sql::DatabaseOptions;
///
/// let options = DatabaseOptions::default().with_timeout(Duration::from_secs(3));
/// assert_eq!(options.connections, 4);
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
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

impl DatabaseOptions {
    /// Sets the longest time of one operation.
    #[must_use]
    pub const fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Sets the number of connections that are kept for reads, and the number for writes.
    #[must_use]
    pub const fn with_connections(mut self, connections: usize) -> Self {
        self.connections = connections;
        self
    }
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(1),
            connections: 4,
        }
    }
}
