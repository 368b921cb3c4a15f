//! Statements and scripts, and their spelling in three dialects of SQL.
//!
//! Templates are written once, with numbered parameters. [`Statement`] translates the parameters
//! and nothing else: where the databases need different SQL, the templates differ.

use std::sync::Arc;

/// A dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[expect(
    clippy::exhaustive_enums,
    reason = "each dialect has a spelling of every statement"
)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Dialect {
    /// Returns `name` as a quoted identifier, with quotes inside it doubled.
    ///
    /// Names from a configuration are also checked where they are configured
    /// ([`DatabaseTokenModels`](crate::store::sql::DatabaseTokenModels)).
    ///
    /// ```
    /// use countersign::store::sql::Dialect;
    ///
    /// assert_eq!(Dialect::Postgres.quote("user"), "\"user\"");
    /// assert_eq!(Dialect::Mysql.quote("user"), "`user`");
    /// ```
    pub fn quote(self, name: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
        }
    }
}

/// One statement in the spelling of one dialect.
///
/// A template has numbered parameters `?1`, `?2`, …, each of which may occur several times. A
/// question mark must not occur anywhere else, not even in a string literal. Values are always
/// passed as parameters, never inside the text.
///
/// # Examples
///
/// ```
/// use countersign::store::sql::{Dialect, Statement};
///
/// let statement = Statement::new(Dialect::Postgres, "SELECT ?2 WHERE ?1 = ?1");
/// assert_eq!(statement.text(), "SELECT $2 WHERE $1 = $1");
/// ```
#[derive(Clone, Debug)]
pub struct Statement {
    text: Arc<str>,
    order: Arc<[usize]>,
}

impl Statement {
    /// Creates a statement from `template`, spelled for `dialect`.
    ///
    /// The text isn't parsed as SQL, so mistakes show when the statement runs.
    pub fn new(dialect: Dialect, template: &str) -> Self {
        let mut text = String::with_capacity(template.len());
        let mut order = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('?') {
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = after.split_at(digits);

            text.push_str(before);
            order.push(
                number
                    .parse::<usize>()
                    .map_or(0, |number| number.saturating_sub(1)),
            );
            text.push_str(match dialect {
                Dialect::Postgres => "$",
                Dialect::Sqlite | Dialect::Mysql => "?",
            });
            if dialect != Dialect::Mysql {
                text.push_str(number);
            }

            rest = tail;
        }
        text.push_str(rest);
        Self {
            text: text.into(),
            order: order.into(),
        }
    }

    /// Returns the text in the statement's dialect: `$1` for PostgreSQL, `?1` for SQLite, `?` for
    /// MySQL.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the text with a share in it.
    #[cfg(any(feature = "sqlx-mysql", feature = "sqlx-postgres"))]
    pub(super) fn shared_text(&self) -> Arc<str> {
        Arc::clone(&self.text)
    }

    /// Returns the index, counted from 0, of the parameter at each place in the text.
    ///
    /// Drivers whose parameters have no number (MySQL) arrange the values by it.
    ///
    /// ```
    /// use countersign::store::sql::{Dialect, Statement};
    ///
    /// let statement = Statement::new(Dialect::Mysql, "SELECT ?2, ?1, ?2");
    /// assert_eq!((statement.text(), statement.order()), ("SELECT ?, ?, ?", &[1, 0, 1][..]));
    /// ```
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// A list of statements that take effect together or not at all.
///
/// The statements share one list of parameters. The first is the guard. If it changes no row and
/// returns none, the others aren't run and nothing is written.
/// [`Outcome::took_effect`](crate::store::sql::Outcome::took_effect) tells. Start with `SELECT 1`
/// where the rest shall always run.
///
/// # Examples
///
/// A transfer that needs a sufficient balance:
///
/// ```
/// use countersign::store::Value;
/// use countersign::store::sql::{Database, DatabaseOptions, Driver, Script};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let database = Database::connect("sqlite::memory:", DatabaseOptions::default())?;
/// # let table = "CREATE TABLE account (id BIGINT PRIMARY KEY, balance BIGINT NOT NULL)";
/// # database.run(&Script::new(database.dialect(), &["SELECT 1", table]), &[]).await?;
/// # let rows = "INSERT INTO account VALUES (1, 10), (2, 0)";
/// # database.run(&Script::new(database.dialect(), &[rows]), &[]).await?;
/// let transfer = Script::new(database.dialect(), &[
///     "UPDATE account SET balance = balance - ?3 WHERE id = ?1 AND balance >= ?3",
///     "UPDATE account SET balance = balance + ?3 WHERE id = ?2",
/// ]);
/// let ten = [Value::Int(1), Value::Int(2), Value::Int(10)];
/// assert!(database.run(&transfer, &ten).await?.took_effect());
/// assert!(!database.run(&transfer, &ten).await?.took_effect());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Script {
    steps: Arc<[Statement]>,
    sees_all: bool,
    row: Option<usize>,
}

impl Script {
    /// Creates a script of these templates, in this order. The first is the guard.
    pub fn new(dialect: Dialect, templates: &[&str]) -> Self {
        let steps = templates
            .iter()
            .map(|template| Statement::new(dialect, template))
            .collect();
        Self {
            steps,
            sees_all: false,
            row: None,
        }
    }

    /// Requires the script to see rows whose primary key changes while it runs.
    ///
    /// On InnoDB this runs the transaction at `REPEATABLE READ`, because an updated key can
    /// otherwise move a row behind the scan. The drivers of the other databases ignore it.
    #[must_use]
    pub fn seeing_all(mut self) -> Self {
        self.sees_all = true;
        self
    }

    /// Makes scripts for the same row wait for each other in this process.
    ///
    /// The row is named by the parameter with this `number`, counted from 1 as in the text: scripts
    /// wait for each other, before they take a connection, if the values of that parameter are
    /// equal. The PostgreSQL and MySQL drivers do this, per driver. Otherwise many requests for one
    /// account's row, or one foreign lock on it, would occupy connections that other requests need.
    /// SQLite runs writes one after another in any case.
    #[must_use]
    pub const fn one_at_a_time(mut self, number: usize) -> Self {
        self.row = number.checked_sub(1);
        self
    }

    /// Returns the index, counted from 0, of the parameter that names the row of
    /// [`one_at_a_time`](Self::one_at_a_time).
    pub const fn row(&self) -> Option<usize> {
        self.row
    }

    /// Returns `true` if [`seeing_all`](Self::seeing_all) was called.
    pub const fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// Returns the statements, the guard first.
    pub fn steps(&self) -> &[Statement] {
        &self.steps
    }
}
