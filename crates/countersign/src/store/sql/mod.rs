//! Tokens in SQL: SQLite, PostgreSQL, MySQL and MariaDB.
//!
//! A [`Database`] is a handle on one database, opened from a URL. A [`Migrator`] creates and
//! updates the tables in it. A [`SqlStore`] is the [`TokenStore`](crate::store::TokenStore) in
//! these tables, and is what a strategy is built on. Set them up in this order:
//!
//! ```
//! use countersign::store::sql::{
//!     Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore,
//! };
//! use countersign::strategy::DatabaseTokenStrategy;
//! use countersign::user::UserKeyKind;
//! use countersign::{Secret, SystemEntropy};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
//! Migrator::new(&database, UserKeyKind::Uuid).run().await?;
//! let models = DatabaseTokenModels::bundled(UserKeyKind::Uuid);
//! models.verify(&database).await?;
//!
//! let strategy = DatabaseTokenStrategy::builder(SqlStore::new(database.driver(), models))
//!     .token_hash_secret(&Secret::generate(&SystemEntropy)?)
//!     .build()?;
//! # drop(strategy);
//! # Ok(())
//! # }
//! ```
//!
//! # Own tables, own transactions
//!
//! - [`DatabaseTokenModels`] names tables and columns that differ from the bundled ones, and can
//!   join the application's user table to each read of an access token.
//! - `SqliteTransaction`, `PostgresSession`, `MysqlSession` and `SqlxSession` wrap a transaction of
//!   the application. A store [within](SqlStore::within) one writes tokens that become valid with
//!   the application's commit.
//! - [`SqlStore::change_account`] changes a user's row and ends the user's sessions in one
//!   transaction.
//! - [`Migrator::add`] applies the application's own migrations after the bundled ones.
//!
//! # Own pool
//!
//! An application with an sqlx pool passes it instead of a URL: `Database::from(pool.clone())`,
//! with the feature `sqlx-postgres` or `sqlx-mysql`. `SqlxDriver` describes what holds then, and
//! `SqlxSession` joins a transaction of the pool.
//!
//! # Other databases
//!
//! Everything above the [`Driver`] trait speaks in [`Statement`]s, [`Script`]s and
//! [`Value`](crate::store::Value)s. A new driver for one of the three [`Dialect`]s needs nothing
//! else. A new dialect also needs its spelling of each statement, in the private module
//! `statements`.

mod account;
#[cfg(any(
    feature = "mysql",
    feature = "postgres",
    feature = "sqlx-mysql",
    feature = "sqlx-postgres"
))]
mod codes;
mod database;
#[cfg_attr(
    not(any(feature = "mysql", feature = "sqlx-mysql")),
    allow(dead_code, reason = "MySQL alone refuses a way")
)]
mod ddl;
mod dialect;
mod driver;
mod list;
mod maintenance;
mod migrate;
mod models;
#[cfg(feature = "mysql")]
mod mysql;
mod options;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(
    feature = "mysql",
    feature = "postgres",
    feature = "sqlx-mysql",
    feature = "sqlx-postgres"
))]
mod queue;
mod realm;
#[cfg(any(
    feature = "mysql",
    feature = "postgres",
    feature = "sqlx-mysql",
    feature = "sqlx-postgres"
))]
mod retry;
mod rows;
mod setup_error;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
mod sqlx_pool;
mod statements;
mod store;
#[cfg(any(
    feature = "mysql",
    feature = "postgres",
    feature = "sqlx-mysql",
    feature = "sqlx-postgres"
))]
mod times;
mod user_ids;

pub use account::AccountChange;
pub use database::Database;
pub use dialect::{Dialect, Script, Statement};
pub use driver::{Driver, Outcome};
pub use migrate::{Applied, Migration, MigrationSet, Migrator, Planned, Progress, TableLock};
pub use models::{DatabaseTokenModels, TokenTable, UserTable};
#[cfg(feature = "mysql")]
pub use mysql::{MysqlDriver, MysqlSession};
pub use options::DatabaseOptions;
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDriver, PostgresSession};
pub use setup_error::SetupError;
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteDriver, SqliteTransaction};
#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
pub use sqlx_pool::{SqlxDatabase, SqlxDriver, SqlxSession};
pub use store::SqlStore;

#[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
pub use ::sqlx;
