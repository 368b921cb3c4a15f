//! What a run of a suite found.

use std::fmt::{self, Write as _};

use crate::testing::violation::Violation;

/// One case's outcome.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CaseReport {
    /// The case's name, as `rotation::has_one_winner`.
    pub name: String,
    /// The clause that the store breaks; `None` when it keeps all that the case checks.
    pub violation: Option<Violation>,
}

/// Every case's outcome on one backend. It prints as a table, one row a case.
#[derive(Clone, Debug, PartialEq, Eq)]
#[must_use]
pub struct SuiteReport {
    /// What the backend is called.
    pub backend: String,
    /// The outcomes, in the order of the suite.
    pub cases: Vec<CaseReport>,
}

/// A store breaks its contract: the cases that failed, and why.
#[derive(Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct SuiteFailed(String);

impl SuiteReport {
    /// The cases that failed.
    pub fn failed(&self) -> impl Iterator<Item = &CaseReport> {
        self.cases.iter().filter(|case| case.violation.is_some())
    }

    /// The number of cases, if all of them passed.
    ///
    /// # Errors
    /// [`SuiteFailed`], which lists the failed cases; also when no case was run.
    pub fn into_result(self) -> Result<usize, SuiteFailed> {
        let reasons: Vec<_> = self.failed().map(reason).collect();
        if reasons.is_empty() && !self.cases.is_empty() {
            return Ok(self.cases.len());
        }
        let heading = format!("{}: {} of {} cases failed", self.backend, reasons.len(), self.cases.len());
        Err(SuiteFailed([heading, reasons.concat()].join("\n")))
    }

    /// Several backends side by side: a row for each case, a column for each backend, and the reasons below.
    ///
    /// A dash stands where a case doesn't concern a backend: user ids of a kind that its tables can't hold.
    pub fn table(reports: &[Self]) -> String {
        let mut names: Vec<&str> = Vec::new();
        for case in reports.iter().flat_map(|report| &report.cases) {
            if !names.contains(&case.name.as_str()) {
                names.push(&case.name);
            }
        }
        let width = names.iter().map(|name| name.len()).max().unwrap_or(0);
        let mut table = format!("{:width$}", "case");
        for report in reports {
            let _ = write!(table, "  {:8}", report.backend);
        }
        for name in names {
            let _ = write!(table, "\n{name:width$}");
            for report in reports {
                let _ = write!(table, "  {:column$}", report.cell(name), column = report.backend.len().max(8));
            }
        }
        for report in reports {
            for case in report.failed() {
                let _ = write!(table, "\n{}: {}", report.backend, reason(case).trim_end());
            }
        }
        table.push('\n');
        table
    }

    fn cell(&self, name: &str) -> &'static str {
        match self.cases.iter().find(|case| case.name == name) {
            None => "-",
            Some(CaseReport { violation: None, .. }) => "pass",
            Some(_) => "FAIL",
        }
    }
}

fn reason(case: &CaseReport) -> String {
    case.violation.as_ref().map_or_else(String::new, |violation| format!("{}: {violation}\n", case.name))
}

impl fmt::Display for SuiteReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Self::table(std::slice::from_ref(self)))
    }
}

/// As its text, so that a failed `unwrap` in a test reads well.
impl fmt::Debug for SuiteFailed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
