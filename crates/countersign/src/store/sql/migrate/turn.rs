//! The turn: of several processes that migrate one database, one at a time changes tables.

/// The part that a failure names when a wait for another process or for a lock was in vain.
pub(super) const WAITED_FOR: &str = "lock of migrations";

/// The number of the PostgreSQL advisory lock that the migrating process holds.
pub(in crate::store::sql) const TURN: u64 = 7_165_072_881;
