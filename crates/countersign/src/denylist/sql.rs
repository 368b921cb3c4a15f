//! The denylist in an SQL table.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::denylist::{CLOCK_SLACK, DenylistStore, stored_id};
use crate::error::Failure;
use crate::store::sql::{Database, Dialect, Driver, Script, Statement};
use crate::value::Value;

/// A [`DenylistStore`] in the table `denied_token` of a [`Database`].
///
/// The table is one of those that [`Migrator`](crate::store::sql::Migrator) creates. Entries
/// outlive restarts and are seen by every process that uses the database, unless that is SQLite in
/// memory. Nothing that was acknowledged is lost, as far as the database keeps it.
/// [Sweep](DenylistStore::sweep) it from time to time: entries that have ended stay until then.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use countersign::denylist::{DenylistStore, SqlDenylist};
/// use countersign::store::sql::{Database, DatabaseOptions, Migrator};
/// use countersign::clock::{Clock, SystemClock};
/// use countersign::user::UserKeyKind;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// Migrator::new(&database, UserKeyKind::Uuid).run().await?;
/// let denylist = SqlDenylist::new(&database);
/// let now = SystemClock.now();
/// denylist.deny("4b7c", now.saturating_add(Duration::from_secs(900)), now).await?;
/// assert!(denylist.is_any_denied(&["4b7c"], now).await?);
/// # Ok(())
/// # }
/// ```
pub struct SqlDenylist {
    database: Database,
    deny: Script,
    sweep: Script,
    /// The lookup statement for each number of ids that was ever asked for at once. There are a
    /// handful.
    asks: Mutex<HashMap<usize, Statement>>,
}

/// Statements that record an entry, or move the end of an existing one to a later time: for SQLite,
/// PostgreSQL and MySQL.
const DENY: [&str; 3] = [
    "INSERT INTO denied_token (id, expires_at) VALUES (?1, ?2) \
     ON CONFLICT (id) DO UPDATE SET expires_at = MAX(denied_token.expires_at, excluded.expires_at)",
    "INSERT INTO denied_token (id, expires_at) VALUES (?1, ?2) \
     ON CONFLICT (id) DO UPDATE SET expires_at = GREATEST(denied_token.expires_at, excluded.expires_at)",
    "INSERT INTO denied_token (id, expires_at) VALUES (?1, ?2) \
     ON DUPLICATE KEY UPDATE expires_at = GREATEST(expires_at, VALUES(expires_at))",
];

/// Statements that delete a batch of entries that have ended, for SQLite, PostgreSQL and MySQL.
///
/// The condition is repeated outside of the subquery, where PostgreSQL looks at the row as it is by
/// then: so an entry that is extended meanwhile stays. On PostgreSQL, rows that others have locked
/// are left to the next sweep, so that a sweep waits for nobody.
const SWEEP: [&str; 3] = [
    "DELETE FROM denied_token WHERE expires_at <= ?1 \
     AND id IN (SELECT id FROM denied_token WHERE expires_at <= ?1 LIMIT ?2)",
    "DELETE FROM denied_token WHERE expires_at <= ?1 \
     AND id IN (SELECT id FROM denied_token WHERE expires_at <= ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED)",
    "DELETE FROM denied_token WHERE expires_at <= ?1 ORDER BY expires_at LIMIT ?2",
];

impl SqlDenylist {
    /// Creates a denylist in `database`. The table must exist.
    pub fn new(database: &Database) -> Self {
        let dialect = database.dialect();
        Self {
            database: database.clone(),
            deny: spelled(dialect, DENY),
            sweep: spelled(dialect, SWEEP),
            asks: Mutex::default(),
        }
    }

    /// Returns the lookup statement for this number of ids.
    fn ask(&self, ids: usize) -> Statement {
        let mut asks = self.asks.lock().unwrap_or_else(PoisonError::into_inner);
        asks.entry(ids)
            .or_insert_with(|| lookup(self.database.dialect(), ids))
            .clone()
    }
}

/// Builds the statement that is spelled for this dialect.
fn spelled(dialect: Dialect, [sqlite, postgres, mysql]: [&str; 3]) -> Script {
    let template = match dialect {
        Dialect::Sqlite => sqlite,
        Dialect::Postgres => postgres,
        Dialect::Mysql => mysql,
    };
    Script::new(dialect, &[template])
}

/// Builds the lookup statement for this number of ids.
fn lookup(dialect: Dialect, ids: usize) -> Statement {
    let places: Vec<_> = (2..ids.saturating_add(2))
        .map(|place| format!("?{place}"))
        .collect();
    let template = format!(
        "SELECT 1 FROM denied_token WHERE expires_at > ?1 AND id IN ({}) LIMIT 1",
        places.join(", ")
    );
    Statement::new(dialect, &template)
}

#[async_trait]
impl DenylistStore for SqlDenylist {
    async fn deny(&self, id: &str, until: Timestamp, _now: Timestamp) -> Result<(), Failure> {
        self.database
            .run(&self.deny, &[key(id), until.as_micros().into()])
            .await
            .map(|_| ())
    }

    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure> {
        if ids.is_empty() {
            return Ok(false);
        }
        let params: Vec<Value> = std::iter::once(now.as_micros().into())
            .chain(ids.iter().map(|id| key(id)))
            .collect();
        let rows = self.database.fetch(&self.ask(ids.len()), &params).await?;
        Ok(!rows.is_empty())
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        let params = [
            now.saturating_sub(CLOCK_SLACK).as_micros().into(),
            i64::from(limit).into(),
        ];
        let outcome = self.database.run(&self.sweep, &params).await?;
        Ok(outcome.affected.first().copied().unwrap_or(0))
    }

    fn is_durable(&self) -> bool {
        self.database.is_durable()
    }
}

fn key(id: &str) -> Value {
    stored_id(id).into()
}

impl fmt::Debug for SqlDenylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqlDenylist")
            .field("database", &self.database)
            .finish_non_exhaustive()
    }
}
