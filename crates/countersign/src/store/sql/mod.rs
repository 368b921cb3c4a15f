//! Tokens in SQL: SQLite, PostgreSQL, MySQL and MariaDB.

mod database;
mod dialect;
mod driver;
#[cfg(feature = "mysql")]
mod mysql;
#[cfg(any(feature = "mysql", feature = "postgres"))]
mod pool;
#[cfg(feature = "postgres")]
mod postgres;

pub use database::DatabaseOptions;
pub use dialect::{Dialect, Script, Statement};
pub use driver::{Driver, Outcome};
#[cfg(feature = "mysql")]
pub use mysql::{MysqlDriver, MysqlSession};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDriver, PostgresSession};
