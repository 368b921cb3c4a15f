//! The result of a case, and helpers that make one.
//!
//! Cases use [`ensure`] for a condition and [`same`] for an expected value. The text of the clause
//! becomes the reason in the report, so it says what the store did wrong.

use std::error::Error;
use std::fmt::Debug;

use crate::error::{ConfigError, Failure};
use crate::session::NotASessionId;

/// A broken clause of a store's contract, described in words.
///
/// A [`CaseReport`](crate::testing::CaseReport) carries it as the reason for its failure.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// The result of a case: `Ok` if the clause holds.
pub(super) type Verdict = Result<(), Violation>;

impl Violation {
    /// Creates a violation with this description.
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// Returns a violation that says `clause`, unless `holds` is `true`.
pub(super) fn ensure(holds: bool, clause: &str) -> Verdict {
    if holds {
        Ok(())
    } else {
        Err(Violation::new(clause))
    }
}

/// Returns a violation that shows both values, unless `got` equals `expected`.
pub(super) fn same<T: PartialEq + Debug>(clause: &str, got: &T, expected: &T) -> Verdict {
    if got == expected {
        Ok(())
    } else {
        Err(Violation::new(format!(
            "{clause}: expected {expected:?}, got {got:?}"
        )))
    }
}

/// Reports a failure that the case did not expect, with all its causes.
impl From<Failure> for Violation {
    fn from(failure: Failure) -> Self {
        let mut message = format!("unexpected failure: {failure}");
        let mut source = failure.source();
        while let Some(cause) = source {
            message = format!("{message}: {cause}");
            source = cause.source();
        }
        Self(message)
    }
}

impl From<ConfigError> for Violation {
    fn from(error: ConfigError) -> Self {
        Self(error.to_string())
    }
}

impl From<NotASessionId> for Violation {
    fn from(error: NotASessionId) -> Self {
        Self(error.to_string())
    }
}
