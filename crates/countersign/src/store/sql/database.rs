//! How a database is reached.

use std::time::Duration;

/// Settings of a database handle.
#[derive(Clone, Debug)]
pub struct DatabaseOptions {
    /// How long one operation may take, waiting for a connection included; then the database counts as unavailable.
    pub timeout: Duration,
    /// How many connections are kept for reads, and as many for writes.
    pub connections: usize,
}

impl Default for DatabaseOptions {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(1), connections: 4 }
    }
}
