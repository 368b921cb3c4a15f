//! The error of an operation on a pool of sqlx: what it means, and the text that may be shown.
//!
//! Messages of databases often quote values, so an error is reduced at once to its meaning, its
//! code and the names in it.

use std::time::Duration;

use sqlx::Error;

use crate::error::{Failure, Symptom};
use crate::store::sql::retry::Repeatable;
use crate::store::sql::sqlx_pool::wire::{Fault, Verdict, Wire};

/// The stage that an operation had reached when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The pool hadn't given a connection yet.
    Connecting,
    /// The transaction wasn't to be committed yet. It ends with the connection, so nothing was
    /// done.
    Uncommitted,
    /// The statement or the commit was sent. It may or may not have taken effect.
    Running,
}

/// The error of an operation.
#[derive(Debug)]
pub(super) struct StatementError {
    pub(super) stage: Stage,
    pub(super) fault: Fault,
    symptom: Option<Symptom>,
    told: String,
}

impl StatementError {
    /// Interprets an error of sqlx.
    pub(super) fn of<DB: Wire>(stage: Stage, error: &Error) -> Self {
        let Verdict {
            fault,
            symptom,
            told,
        } = match error {
            Error::Database(error) => DB::verdict(&**error),
            other => verdict(other),
        };

        let doing = match stage {
            Stage::Connecting => "connecting to",
            Stage::Uncommitted | Stage::Running => "running a statement on",
        };
        Self {
            stage,
            fault,
            symptom,
            told: format!("{doing} {}: {told}", DB::NAME),
        }
    }

    /// Returns the error for an operation that got no answer in time.
    pub(super) fn silence(timeout: Duration) -> Self {
        Self {
            stage: Stage::Running,
            fault: Fault::Silent,
            symptom: Some(Symptom::Silent),
            told: format!("no answer within {timeout:?}"),
        }
    }

    /// Returns `true` if the connection is as usable as before.
    pub(super) fn spares_connection(&self) -> bool {
        !matches!(self.fault, Fault::Lost | Fault::Silent | Fault::Stale)
    }

    /// Returns the failure: unavailable if waiting may help, else internal.
    pub(super) fn into_failure(self) -> Failure {
        let may_pass = matches!(
            self.fault,
            Fault::Lost
                | Fault::Silent
                | Fault::Held
                | Fault::Cancelled
                | Fault::Undone
                | Fault::Busy
        );

        let failure = if may_pass || self.stage == Stage::Connecting {
            Failure::unavailable("database", self.told)
        } else {
            Failure::internal("database", self.told)
        };
        failure.with_symptom(self.symptom)
    }
}

impl Repeatable for StatementError {
    /// Returns `true` for a connection that couldn't be opened, or to a server that is read-only: a
    /// new one that fails twice will fail again. Connections that are lost otherwise often end
    /// together, so several of the pool may be lost one after the other.
    fn is_loss(&self) -> bool {
        self.stage == Stage::Connecting || self.symptom == Some(Symptom::ReadOnly)
    }

    fn may_be_repeated(&self, reads: bool) -> bool {
        match self.fault {
            Fault::Undone | Fault::Stale => true,
            Fault::Lost => match self.stage {
                Stage::Connecting | Stage::Uncommitted => true,
                Stage::Running => reads,
            },
            _ => false,
        }
    }
}

/// Interprets an error that isn't the database's own.
fn verdict(error: &Error) -> Verdict {
    let (fault, symptom, told) = match error {
        Error::Io(error) => (Fault::Lost, Symptom::of_io(error), error.kind().to_string()),
        Error::Tls(_) => (Fault::Lost, None, "TLS failed".to_owned()),
        Error::PoolTimedOut => {
            let told = "the pool had no connection in time";
            (Fault::Busy, Some(Symptom::Busy), told.to_owned())
        }
        Error::PoolClosed => (Fault::Refused, None, "the pool is closed".to_owned()),
        Error::Encode(_) | Error::Decode(_) | Error::ColumnDecode { .. } => (
            Fault::Refused,
            None,
            "a value doesn't fit its type".to_owned(),
        ),
        Error::Configuration(_) => {
            let told = "the options of the connection can't be used";
            (Fault::Refused, None, told.to_owned())
        }
        _ => {
            let told = "the connection or the protocol failed";
            (Fault::Lost, None, told.to_owned())
        }
    };

    Verdict {
        fault,
        symptom,
        told,
    }
}
