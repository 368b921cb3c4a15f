//! The turn: of several processes that migrate one database, one at a time changes tables.

/// The part that a failure names when a wait for another process or for a lock was in vain.
pub(super) const WAITED_FOR: &str = "lock of migrations";

/// The number of the PostgreSQL advisory lock that the migrating process holds.
pub(in crate::store::sql) const TURN: u64 = 7_165_072_881;

/// The question for the lock of MySQL and MariaDB that the migrating process holds. The server
/// waits for two seconds, so that the caller learns of the end of another process soon.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(in crate::store::sql) const TAKE: &str = "SELECT GET_LOCK('countersign_migration', 2)";

/// The statement that gives that lock back.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(in crate::store::sql) const GIVE_BACK: &str = "SELECT RELEASE_LOCK('countersign_migration')";

/// The settings of the connection that holds that lock. Building an index may take long, and only
/// MariaDB limits the time of a statement.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(in crate::store::sql) const PATIENT: &str =
    "SET SESSION innodb_lock_wait_timeout = 1 /*M! , max_statement_time = 0 */";

/// The settings of the PostgreSQL transaction that holds the lock: no lasting snapshot, and no
/// limit of the server for idle transactions.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
pub(in crate::store::sql) const UNLIMITED: &str = "\
    SET TRANSACTION ISOLATION LEVEL READ COMMITTED; \
    SELECT set_config(name, '0', true) \
    FROM pg_settings \
    WHERE name IN (\
        'statement_timeout', \
        'idle_in_transaction_session_timeout', \
        'transaction_timeout'\
    )";

/// The cure for a pooler that has only one connection to give.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
pub(in crate::store::sql) const ONE_CONNECTION: &str = "\
    the pooler in front of PostgreSQL provides no second connection beside the one that holds \
    the migration lock: allow at least two connections in its pool, or migrate with the \
    address of PostgreSQL itself";
