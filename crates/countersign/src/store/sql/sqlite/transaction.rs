//! A transaction of the caller's on a connection of the caller's.

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use rusqlite::Connection;

use super::writer::{execute, in_savepoint};
use super::{bind, failure, lock};
use crate::error::Failure;
use crate::store::sql::{Dialect, Driver, Outcome, Script, Statement};
use crate::value::{Row, Value};

/// An open transaction, which a strategy can join with
/// [`with_session`](crate::strategy::DatabaseTokenStrategy::with_session).
///
/// It wraps the connection because rusqlite's own transaction can't be shared between threads. Dropped without
/// [`commit`](SqliteTransaction::commit), it is rolled back.
///
/// ```
/// # use countersign::{Failure, Secret, Strategy, SystemEntropy, User, UserKeyKind};
/// # use countersign::strategy::DatabaseTokenStrategy;
/// # use countersign::store::sql::*;
/// # struct Account(i64);
/// # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.0 } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("app.sqlite");
/// # let database = Database::connect(&format!("sqlite://{}", path.display()), DatabaseOptions::default())?;
/// # Migrator::new(&database, UserKeyKind::Int).run().await?;
/// # let store = SqlStore::new(database.driver(), DatabaseTokenModels::bundled(UserKeyKind::Int));
/// # let strategy = DatabaseTokenStrategy::builder(store).token_hash_secret(&Secret::generate(&SystemEntropy)?).build()?;
/// let mut connection = rusqlite::Connection::open(&path)?;
/// connection.execute("CREATE TABLE audit (line TEXT)", [])?;
///
/// let transaction = SqliteTransaction::begin(&mut connection)?;
/// transaction.with(|own| own.execute("INSERT INTO audit VALUES ('login')", []))?;
/// let issued = strategy.with_session(&transaction).write_token(&Account(7)).await?;
/// transaction.commit()?;
/// # let users = |id: i64| async move { Ok::<_, Failure>(Some(Account(id))) };
/// # assert!(strategy.read_token(Some(&issued.token), &users).await?.accepted().is_some());
/// # Ok(())
/// # }
/// ```
pub struct SqliteTransaction<'c> {
    connection: Mutex<&'c mut Connection>,
}

impl<'c> SqliteTransaction<'c> {
    /// Begins a writing transaction.
    ///
    /// # Errors
    /// [`Failure`] when the connection is in a transaction already, or the database is locked for longer than the
    /// connection's busy timeout.
    pub fn begin(connection: &'c mut Connection) -> Result<Self, Failure> {
        execute(connection, "BEGIN IMMEDIATE").map_err(|error| failure(&error))?;
        Ok(Self { connection: Mutex::new(connection) })
    }

    /// Lets the caller do work of its own inside the transaction.
    pub fn with<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&lock(&self.connection))
    }

    /// Commits. What was issued inside is valid from now on.
    ///
    /// # Errors
    /// [`Failure`] when it could not be committed; nothing took effect then.
    pub fn commit(self) -> Result<(), Failure> {
        self.with(|connection| execute(connection, "COMMIT")).map_err(|error| failure(&error))
    }

    /// Rolls back.
    ///
    /// # Errors
    /// [`Failure`] when SQLite can't; the transaction is over all the same.
    pub fn rollback(self) -> Result<(), Failure> {
        self.with(|connection| execute(connection, "ROLLBACK")).map_err(|error| failure(&error))
    }
}

impl Drop for SqliteTransaction<'_> {
    fn drop(&mut self) {
        self.with(|connection| {
            if !connection.is_autocommit() {
                let _ = execute(connection, "ROLLBACK");
            }
        });
    }
}

#[async_trait]
impl Driver for SqliteTransaction<'_> {
    fn dialect(&self) -> Dialect {
        Dialect::Sqlite
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        self.with(|connection| bind::rows(connection, statement, params)).map_err(|error| failure(&error))
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        self.with(|connection| in_savepoint(connection, script, params))
    }
}

impl fmt::Debug for SqliteTransaction<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SqliteTransaction").finish_non_exhaustive()
    }
}
