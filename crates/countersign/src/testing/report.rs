//! The results of a suite: one report per case, and a table of them.

use std::fmt::{self, Write};

use crate::testing::violation::Violation;

/// The result of one case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CaseReport {
    /// The case's name, for example `rotation::has_one_winner`, or `users::owners_are_told_apart
    /// (uuid)` for a case that runs once per kind of user id.
    pub name: String,
    /// The clause that the store breaks, or `None` if the case passed.
    pub violation: Option<Violation>,
}

/// The results of all cases on one backend.
///
/// `Display` prints a table with one row per case, followed by the reason for each failure. To
/// compare several backends, use [`SuiteReport::table`]. To fail a test, use
/// [`SuiteReport::into_result`].
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
#[non_exhaustive]
pub struct SuiteReport {
    /// The backend's name, as it was given to the suite.
    pub backend: String,
    /// The results, in the order in which the cases ran.
    pub cases: Vec<CaseReport>,
}

/// The error for a store that breaks its contract. Its text lists the failed cases and their
/// reasons.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SuiteFailed(String);

impl SuiteReport {
    /// Returns the cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| case.violation.is_some())
    }

    /// Returns the number of cases if all of them passed.
    ///
    /// # Errors
    /// Returns [`SuiteFailed`] if a case failed. Also returns it if no case ran, for example
    /// because no name begins with the prefix given to `only`.
    pub fn into_result(self) -> Result<usize, SuiteFailed> {
        let reasons: Vec<_> = self.failed().map(reason).collect();
        if reasons.is_empty() && !self.cases.is_empty() {
            return Ok(self.cases.len());
        }
        let heading = format!(
            "{}: {} of {} cases failed",
            self.backend,
            reasons.len(),
            self.cases.len()
        );
        Err(SuiteFailed([heading, reasons.concat()].join("\n")))
    }

    /// Returns a table of several backends: a row for each case, a column for each backend, and
    /// below it the reasons for the failures.
    ///
    /// A dash means that the case did not run on that backend, for example because the backend
    /// cannot hold user ids of that kind.
    pub fn table(reports: &[Self]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for case in reports.iter().flat_map(|report| &report.cases) {
            if !names.contains(&case.name.as_str()) {
                names.push(&case.name);
            }
        }
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut table = String::new();
        // Writing to a string can't fail.
        let _ = write_table(&mut table, reports, &names, width);
        table
    }

    /// Returns the table's cell for the case `name` of this backend.
    fn cell(&self, name: &str) -> &'static str {
        match self.cases.iter().find(|case| case.name == name) {
            None => "-",
            Some(CaseReport {
                violation: None, ..
            }) => "pass",
            Some(_) => "FAIL",
        }
    }
}

fn write_table(
    table: &mut String,
    reports: &[SuiteReport],
    names: &[&str],
    width: usize,
) -> fmt::Result {
    write!(table, "{:width$}", "case")?;
    for report in reports {
        write!(table, "  {:8}", report.backend)?;
    }
    for name in names {
        write!(table, "\n{name:width$}")?;
        for report in reports {
            write!(
                table,
                "  {:column$}",
                report.cell(name),
                column = report.backend.len().max(8)
            )?;
        }
    }

    for report in reports {
        for case in report.failed() {
            write!(table, "\n{}: {}", report.backend, reason(case).trim_end())?;
        }
    }
    writeln!(table)
}

/// Returns a line with the case's name and its violation, or nothing if it passed.
fn reason(case: &CaseReport) -> String {
    case.violation
        .as_ref()
        .map_or_else(String::new, |violation| {
            format!("{}: {violation}\n", case.name)
        })
}

impl fmt::Display for SuiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::table(std::slice::from_ref(self)))
    }
}

/// Shows the same text as `Display`, so that a failed `unwrap` in a test lists the failed cases.
impl fmt::Debug for SuiteFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
