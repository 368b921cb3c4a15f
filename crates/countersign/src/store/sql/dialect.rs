//! How three databases spell the same statement.

use std::sync::Arc;

/// A database's dialect of SQL.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Dialect {
    /// SQLite.
    Sqlite,
    /// PostgreSQL.
    Postgres,
    /// MySQL and MariaDB.
    Mysql,
}

impl Dialect {
    /// `name` as a quoted identifier. Names are checked where they are configured; this only spells them.
    pub fn quote(self, name: &str) -> String {
        match self {
            Self::Sqlite | Self::Postgres => format!("\"{}\"", name.replace('"', "\"\"")),
            Self::Mysql => format!("`{}`", name.replace('`', "``")),
        }
    }
}

/// One statement, spelled for one dialect.
///
/// It is written with numbered parameters `?1`, `?2`, …, each of which may occur more than once; a question mark stands
/// for nothing else. Values always travel as parameters, never inside the text (SECURITY row O-05).
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
    /// `template` in the spelling of `dialect`.
    pub fn new(dialect: Dialect, template: &str) -> Self {
        let mut text = String::with_capacity(template.len());
        let mut order = Vec::new();
        let mut rest = template;
        while let Some((before, after)) = rest.split_once('?') {
            let digits = after.len() - after.trim_start_matches(|c: char| c.is_ascii_digit()).len();
            let (number, tail) = after.split_at(digits);
            text.push_str(before);
            order.push(number.parse::<usize>().map_or(0, |number| number.saturating_sub(1)));
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
        Self { text: text.into(), order: order.into() }
    }

    /// The statement's text in its dialect.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Which parameter (counted from 0) stands at each place where one occurs: for dialects whose parameters have no
    /// number.
    pub fn order(&self) -> &[usize] {
        &self.order
    }
}

/// Statements that take effect together or not at all. They share one list of parameters.
///
/// The first is the guard: when it touches no row and returns none, the others aren't run, nothing is written, and the
/// outcome says so.
#[derive(Clone, Debug)]
pub struct Script {
    steps: Arc<[Statement]>,
    sees_all: bool,
    row: Option<usize>,
}

impl Script {
    /// A script of these statements, in this order.
    pub fn new(dialect: Dialect, templates: &[&str]) -> Self {
        let steps = templates.iter().map(|template| Statement::new(dialect, template)).collect();
        Self { steps, sees_all: false, row: None }
    }

    /// Finds every row that its conditions fit, also one that is moved to another key while the script runs. InnoDB needs to
    /// be told: a row whose key changes is another row there, and may turn up where the search has been already.
    #[must_use]
    pub fn seeing_all(mut self) -> Self {
        self.sees_all = true;
        self
    }

    /// Waits, before it is run, for scripts of the same handle that go for the same row: those whose parameter of this number,
    /// counted from 1 as in the text, is equal. Where many come for one account's row at once, or somebody else holds
    /// its lock, they wait for each other here, and not each on a connection that others need.
    #[must_use]
    pub const fn one_at_a_time(mut self, number: usize) -> Self {
        self.row = number.checked_sub(1);
        self
    }

    /// The parameter, counted from 0, that names the row which scripts go for [one at a time](Self::one_at_a_time).
    pub const fn row(&self) -> Option<usize> {
        self.row
    }

    /// Whether it was [told so](Self::seeing_all).
    pub const fn sees_all(&self) -> bool {
        self.sees_all
    }

    /// The statements.
    pub fn steps(&self) -> &[Statement] {
        &self.steps
    }
}
