//! The trait between the store and the databases: statements and values above it, one database's
//! protocol below it.

use std::ops::ControlFlow;
use std::sync::Arc;

use async_trait::async_trait;

use crate::error::Failure;
use crate::store::sql::{Dialect, Script, Statement};
use crate::store::{Row, Value};

/// The result of running a [`Script`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Outcome {
    /// The number of rows that each step changed, in the order of the steps. For a step that
    /// returned rows, this is at least the number of those rows. If the guard stopped the script,
    /// only the guard's zero is in here.
    pub affected: Vec<u64>,
    /// The rows that the last step returned. Empty if that step returns none, or if the guard
    /// stopped the script.
    pub rows: Vec<Row>,
}

impl Outcome {
    /// Creates the outcome of a script of one step.
    pub fn of_one_step(affected: u64, rows: Vec<Row>) -> Self {
        let mut outcome = Self::default();
        let _guard = outcome.step(affected, rows);
        outcome
    }

    /// Records the result of the next step, and tells if the script goes on.
    ///
    /// This is the rule of the guard, which decides every write that may happen only once. The
    /// first step breaks the script if it changed and returned no row; the driver then runs no
    /// other step and commits nothing. No later step breaks it. `affected` is the number of
    /// rows that the step changed; `rows` are those that it returned.
    ///
    /// # Examples
    ///
    /// ```
    /// use std::ops::ControlFlow;
    ///
    /// use countersign::store::sql::Outcome;
    ///
    /// let mut outcome = Outcome::default();
    /// assert_eq!(outcome.step(1, Vec::new()), ControlFlow::Continue(()));
    /// assert_eq!(outcome.step(0, Vec::new()), ControlFlow::Continue(()));
    /// assert!(outcome.took_effect());
    ///
    /// let mut outcome = Outcome::default();
    /// assert_eq!(outcome.step(0, Vec::new()), ControlFlow::Break(()));
    /// assert!(!outcome.took_effect());
    /// ```
    pub fn step(&mut self, affected: u64, rows: Vec<Row>) -> ControlFlow<()> {
        let returned = u64::try_from(rows.len()).unwrap_or(u64::MAX);
        self.affected.push(affected.max(returned));
        self.rows = rows;
        if self.took_effect() {
            ControlFlow::Continue(())
        } else {
            ControlFlow::Break(())
        }
    }

    /// Returns `true` if the guard let the script of `steps` steps pass and all of them ran, so
    /// that the driver may commit.
    #[cfg(any(
        feature = "mysql",
        feature = "postgres",
        feature = "sqlx-mysql",
        feature = "sqlx-postgres"
    ))]
    pub(crate) fn is_whole(&self, steps: usize) -> bool {
        self.took_effect() && self.affected.len() == steps
    }

    /// Returns `true` if the guard changed or returned a row, so that the whole script took effect.
    pub fn took_effect(&self) -> bool {
        self.affected.first().is_some_and(|rows| *rows > 0)
    }
}

/// The connection of a [`SqlStore`](crate::store::sql::SqlStore) to one database, or to one
/// transaction of the caller.
///
/// The drivers here are `SqliteDriver`, `PostgresDriver` and `MysqlDriver`, usually chosen by
/// [`Database`](crate::store::sql::Database), and `SqlxDriver` on an application's own pool.
/// `SqliteTransaction`, `PostgresSession`, `MysqlSession` and `SqlxSession` run statements inside a
/// transaction that the caller opened.
///
/// # Implementing
///
/// - **Time.** Both methods end within the driver's timeout, waiting for a connection or a lock
///   included. Without an answer by then they fail with [`Failure::unavailable`].
/// - **Cancellation.** A future that is dropped leaves no transaction open, and no connection in an
///   unknown state for the next caller.
/// - **Parameters.** `?1` in a template is `params[0]`. A statement may name any of `params`, in
///   any order and more than once, and needn't name all.
/// - **Updates.** The count of an `UPDATE` is the number of rows that its condition found,
///   including rows that had the new values before.
/// - **Repetition.** A script may be run again by the driver only if the database says that the
///   first run had no effect, or if nothing was sent.
/// - **Secrets.** Errors contain no values: database messages often quote them.
///
/// # Examples
///
/// A driver that counts the scripts that another one runs:
///
/// ```
/// use std::sync::atomic::{AtomicU64, Ordering};
///
/// use async_trait::async_trait;
/// use countersign::Failure;
/// use countersign::store::sql::{Dialect, Driver, Outcome, Script, Statement};
/// use countersign::store::{Row, Value};
///
/// struct Counting<D> {
///     inner: D,
///     scripts: AtomicU64,
/// }
///
/// #[async_trait]
/// impl<D: Driver> Driver for Counting<D> {
///     fn dialect(&self) -> Dialect {
///         self.inner.dialect()
///     }
///
///     async fn fetch(
///         &self,
///         statement: &Statement,
///         params: &[Value],
///     ) -> Result<Vec<Row>, Failure> {
///         self.inner.fetch(statement, params).await
///     }
///
///     async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure> {
///         self.scripts.fetch_add(1, Ordering::Relaxed);
///         self.inner.run(script, params).await
///     }
///
///     fn is_durable(&self) -> bool {
///         self.inner.is_durable()
///     }
/// }
/// ```
#[async_trait]
pub trait Driver: Send + Sync {
    /// Returns the dialect that statements for this driver must be spelled in.
    fn dialect(&self) -> Dialect;

    /// Runs one statement that only reads, and returns its rows.
    ///
    /// A driver may run it twice, so `statement` must change nothing.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] of kind [`Unavailable`](crate::error::FailureKind::Unavailable) if the
    /// database didn't answer, and of kind [`Internal`](crate::error::FailureKind::Internal) if it
    /// refused the statement. A caller may try again after the first kind.
    async fn fetch(&self, statement: &Statement, params: &[Value]) -> Result<Vec<Row>, Failure>;

    /// Runs a script, whole or not at all.
    ///
    /// The first step is the guard. If it changes and returns no row, the other steps aren't run
    /// and nothing is written; [`Outcome::took_effect`] is `false` then. Otherwise all steps take
    /// effect together. Inside a transaction of the caller they take effect with the caller's
    /// commit.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the database didn't answer or refused a step. After the kind
    /// [`Unavailable`](crate::error::FailureKind::Unavailable) the script may have taken effect;
    /// scripts of the store are written so that they may be run again.
    async fn run(&self, script: &Script, params: &[Value]) -> Result<Outcome, Failure>;

    /// Returns `true` if acknowledged writes outlive this process. A database in memory returns
    /// `false`. Defaults to `true`.
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
