//! The caller's own transaction on the caller's own connection.

use std::fmt;
use std::sync::Mutex;

use async_trait::async_trait;
use rusqlite::Connection;

use super::bind;
use super::error::failure;
use super::file::lock;
use super::writer::{execute, in_savepoint};
use crate::error::Failure;
use crate::store::sql::{Dialect, Driver, Outcome, Script, Statement};
use crate::value::{Row, Value};

/// An open SQLite transaction of the caller, which a strategy can join.
///
/// Pass it to [`with_session`](crate::strategy::DatabaseTokenStrategy::with_session): tokens
/// written through that strategy become valid with [`commit`](SqliteTransaction::commit). Dropping
/// the transaction without a commit rolls it back. It wraps the connection because rusqlite's own
/// transaction can't be shared between threads.
///
/// While the transaction is open, it has SQLite's only write lock. Other writes wait for it, so
/// keep it short.
///
/// # Examples
///
/// ```
/// # use countersign::strategy::Strategy;
/// # use countersign::user::UserKeyKind;
/// # use countersign::{Failure, Secret, SystemEntropy, User};
/// # use countersign::strategy::DatabaseTokenStrategy;
/// # use countersign::store::sql::*;
/// # struct Account(i64);
/// # impl User for Account { type Id = i64; fn id(&self) -> &i64 { &self.0 } }
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let directory = tempfile::tempdir()?;
/// # let path = directory.path().join("app.sqlite");
/// # let url = format!("sqlite://{}", path.display());
/// # let database = Database::connect(&url, DatabaseOptions::default())?;
/// # Migrator::new(&database, UserKeyKind::Int).run().await?;
/// # let models = DatabaseTokenModels::bundled(UserKeyKind::Int);
/// # let store = SqlStore::new(database.driver(), models);
/// # let secret = Secret::generate(&SystemEntropy)?;
/// # let strategy = DatabaseTokenStrategy::builder(store).token_hash_secret(&secret).build()?;
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
    /// Begins a transaction that may write.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] of kind [`Unavailable`](crate::error::FailureKind::Unavailable) if
    /// another connection holds the write lock for longer than this connection's busy timeout.
    /// Returns a [`Failure`] of kind [`Internal`](crate::error::FailureKind::Internal) if the
    /// connection is in a transaction already.
    pub fn begin(connection: &'c mut Connection) -> Result<Self, Failure> {
        execute(connection, "BEGIN IMMEDIATE").map_err(|error| failure(&error))?;
        Ok(Self {
            connection: Mutex::new(connection),
        })
    }

    /// Runs `work` of the caller on the connection, inside the transaction.
    ///
    /// `work` must not use this transaction again, directly or through a strategy: the connection
    /// is locked meanwhile. It must not end the transaction either; use [`commit`](Self::commit)
    /// and [`rollback`](Self::rollback).
    pub fn with<T>(&self, work: impl FnOnce(&Connection) -> T) -> T {
        work(&lock(&self.connection))
    }

    /// Commits the transaction. Tokens that were issued in it are valid from now on.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the transaction can't be committed. It is rolled back then, and
    /// nothing took effect.
    pub fn commit(self) -> Result<(), Failure> {
        self.with(|connection| execute(connection, "COMMIT"))
            .map_err(|error| failure(&error))
    }

    /// Rolls the transaction back. Tokens that were issued in it never become valid.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if SQLite reports an error. The transaction is over all the same.
    pub fn rollback(self) -> Result<(), Failure> {
        self.with(|connection| execute(connection, "ROLLBACK"))
            .map_err(|error| failure(&error))
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
        self.with(|connection| bind::rows(connection, statement, params))
            .map_err(|error| failure(&error))
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
