//! What a case says of a store that breaks a clause.

use std::error::Error;
use std::fmt::Debug;

use crate::answer::NotASessionId;
use crate::error::{ConfigError, Failure};

/// A clause that a store breaks, in words.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct Violation(String);

/// What a case comes to.
pub(super) type Verdict = Result<(), Violation>;

impl Violation {
    pub(super) fn new(message: impl Into<String>) -> Self {
        Self(message.into())
    }
}

/// The clause holds.
pub(super) fn ensure(holds: bool, clause: &str) -> Verdict {
    if holds { Ok(()) } else { Err(Violation::new(clause)) }
}

/// The store answers what it must.
pub(super) fn same<T: PartialEq + Debug>(clause: &str, got: &T, expected: &T) -> Verdict {
    if got == expected { Ok(()) } else { Err(Violation::new(format!("{clause}: expected {expected:?}, got {got:?}"))) }
}

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
