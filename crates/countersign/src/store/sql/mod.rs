//! Tokens in SQL: SQLite, PostgreSQL, MySQL and MariaDB.

mod database;
mod dialect;
mod driver;
#[cfg(feature = "postgres")]
mod postgres;

pub use database::DatabaseOptions;
pub use dialect::{Dialect, Script, Statement};
pub use driver::{Driver, Outcome};
#[cfg(feature = "postgres")]
pub use postgres::{PostgresDriver, PostgresSession};
