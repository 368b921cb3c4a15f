//! The seam between what is asked and who is asked: everything above speaks in statements and values, everything
//! below binds them to one database.

use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Failure;
use crate::store::sql::{Dialect, Script, Statement};
use crate::store::{Row, Value};

/// What came of a [`Script`].
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// How many rows each step touched, in order; a step that returned rows counts those. Steps after a guard that
    /// touched nothing are missing.
    pub affected: Vec<u64>,
    /// The rows that the last step returned, if it was run.
    pub rows: Vec<Row>,
}

impl Outcome {
    /// Whether the guard touched a row, so that everything took effect.
    pub fn took_effect(&self) -> bool {
        self.affected.first().is_some_and(|rows| *rows > 0)
    }
}

/// Runs statements on one database, or inside one transaction of the caller's.
///
/// Both methods end within the stated timeout, with [`Failure::unavailable`] when the database didn't answer, and
/// leave no transaction open when their future is dropped. A parameter's number counts from 1 in the text and from 0
/// in `params`.
#[async_trait]
pub trait Driver: Send + Sync {
    /// The dialect that statements must be written in.
    fn dialect(&self) -> Dialect;

    /// Runs one reading statement.
    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure>;

    /// Runs a script: whole or not at all. Inside the caller's transaction it takes effect with the caller's commit,
    /// and a script that was cut short by its guard has written nothing.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure>;

    /// Whether what it acknowledged outlives this process; not so for a database in memory.
    fn is_durable(&self) -> bool {
        true
    }
}

#[async_trait]
impl<D: Driver + ?Sized> Driver for Arc<D> {
    fn dialect(&self) -> Dialect {
        (**self).dialect()
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        (**self).fetch(statement, params).await
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        (**self).run(script, params).await
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }
}

#[async_trait]
impl<D: Driver + ?Sized> Driver for &D {
    fn dialect(&self) -> Dialect {
        (**self).dialect()
    }

    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure> {
        (**self).fetch(statement, params).await
    }

    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
        (**self).run(script, params).await
    }

    fn is_durable(&self) -> bool {
        (**self).is_durable()
    }
}
