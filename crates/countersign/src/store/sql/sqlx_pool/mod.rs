//! The SQL store on an application's own sqlx pool.
//!
//! `engine` is what both databases share: a [`SqlxDriver`] takes connections from the pool, keeps
//! the deadline, and decides about repetition. `wire` names what differs, and `postgres` and
//! `mysql` have it: values, the text that begins and ends a transaction, the meaning of errors, and
//! changes of tables. `trouble` is the error of an operation, `session` is the caller's own
//! transaction, and `apart` is the access to the same database beside the pool, for migrations and
//! maintenance.
//!
//! The pool is the application's, so nothing is set on its connections that outlives an operation.
//! A connection whose operation was cut short leaves the pool and is closed.

mod apart;
mod engine;
#[cfg(feature = "sqlx-mysql")]
mod mysql;
#[cfg(feature = "sqlx-postgres")]
mod postgres;
mod session;
mod trouble;
mod wire;

pub use engine::SqlxDriver;
pub use session::SqlxSession;
pub use wire::SqlxDatabase;
