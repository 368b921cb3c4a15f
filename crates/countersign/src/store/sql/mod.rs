//! Tokens in SQL: SQLite, PostgreSQL, MySQL and MariaDB.

mod dialect;
mod driver;

pub use dialect::{Dialect, Script, Statement};
pub use driver::{Driver, Outcome};
