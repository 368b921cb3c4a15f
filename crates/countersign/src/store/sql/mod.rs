//! Tokens in SQL: SQLite, PostgreSQL, MySQL and MariaDB.

mod account;
mod database;
#[cfg_attr(not(feature = "mysql"), allow(dead_code, reason = "MySQL alone refuses a way"))]
mod ddl;
mod dialect;
mod driver;
mod list;
mod migrate;
mod models;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod queue;
#[cfg(feature = "sqlite")]
mod sqlite;
mod statements;
mod store;

pub use account::AccountChange;
pub use database::{Database, DatabaseOptions};
pub use dialect::{Dialect, Script, Statement};
pub use driver::{Driver, Outcome};
pub use migrate::{Applied, Migration, MigrationSet, Migrator, Planned, Progress, TableLock};
pub use models::{DatabaseTokenModels, SetupError, TokenTable, UserTable};
#[cfg(feature = "mysql")]
pub use mysql::{MysqlDriver, MysqlSession};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDriver, PostgresSession};
#[cfg(feature = "sqlite")]
pub use sqlite::{SqliteDriver, SqliteTransaction};
pub use store::SqlStore;
