//! The meaning of errors from MySQL and MariaDB: which may be tried again, which cost the
//! connection, and which texts may be shown.

use std::time::Duration;

use mysql_async::{DriverError, Error, IoError};

use crate::error::{Failure, Symptom};
use crate::net::tls_fault::{self, Words};
use crate::store::sql::codes::mysql as codes;
use crate::store::sql::mysql::symptom;
use crate::store::sql::pool::is_end;
use crate::store::sql::retry::Repeatable;

/// The error of an operation, with the stage that it had reached.
#[derive(Debug)]
pub(super) enum StatementError {
    /// No connection could be opened.
    Connecting(Error),
    /// No transaction could be begun. Nothing was done.
    Beginning(Error),
    /// The statement was sent. It may or may not have taken effect.
    Running(Error),
    /// No answer arrived within the time.
    Silence(Duration),
}

/// The settings that error texts about TLS mention.
const WORDS: Words = Words {
    unchecked: Some("ssl-mode=required, which checks nothing"),
    authority: "ssl-ca, or set ssl-mode=required, which checks nothing",
    any_host: Some("ssl-mode=required, which checks nothing"),
};

impl Repeatable for StatementError {
    fn is_loss(&self) -> bool {
        match self {
            Self::Connecting(_) => false,
            Self::Silence(_) => true,
            Self::Beginning(error) | Self::Running(error) => match error {
                Error::Driver(DriverError::StmtParamsMismatch { .. }) => false,
                Error::Server(error) => codes::is_loss(error.code),
                _ => true,
            },
        }
    }

    fn may_be_repeated(&self, reads: bool) -> bool {
        match self {
            Self::Silence(_) | Self::Connecting(_) => false,
            Self::Running(Error::Server(error)) if codes::is_undone(error.code) => true,
            Self::Beginning(_) => self.is_loss(),
            Self::Running(_) => reads && self.is_loss(),
        }
    }
}

impl StatementError {
    /// Returns `true` if a connection ended while it was being opened.
    ///
    /// That happens when an administrator ends all connections. Another attempt may succeed at
    /// once.
    pub(super) fn is_ended_connection(&self) -> bool {
        match self {
            Self::Connecting(Error::Server(error)) => error.code == 1927,
            Self::Connecting(Error::Driver(DriverError::ConnectionClosed)) => true,
            Self::Connecting(Error::Io(IoError::Io(error))) => is_end(error.kind()),
            _ => false,
        }
    }

    /// Returns `true` if another transaction holds a row. The statement was undone.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Running(Error::Server(error)) if codes::is_held(error.code))
    }

    /// Returns `true` if a change of a table isn't possible in the requested way: the server
    /// doesn't know that way, or not for this change.
    pub(super) fn is_way_refused(&self) -> bool {
        matches!(self, Self::Running(Error::Server(error)) if codes::is_way_refused(error.code))
    }

    /// Returns the failure, with the symptom that it shows.
    pub(super) fn into_failure(self) -> Failure {
        let symptom = self.symptom();
        self.failure().with_symptom(symptom)
    }

    /// Returns what the error shows of the server's state, if anything.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        match self {
            Self::Silence(_) => Some(Symptom::Silent),
            Self::Connecting(error) | Self::Beginning(error) | Self::Running(error) => {
                symptom::of(error)
            }
        }
    }

    /// Returns the failure: unavailable if waiting may help, else internal.
    fn failure(self) -> Failure {
        match &self {
            Self::Silence(timeout) => {
                Failure::unavailable("database", format!("no answer within {timeout:?}"))
            }
            Self::Connecting(error) => {
                Failure::unavailable("database", told("connecting to MySQL", error))
            }
            Self::Beginning(error) | Self::Running(error) if self.is_loss() || is_busy(error) => {
                Failure::unavailable("database", told("running a statement on MySQL", error))
            }
            Self::Beginning(error) | Self::Running(error) => {
                Failure::internal("database", told("running a statement on MySQL", error))
            }
        }
    }
}

/// Returns `true` if the statement can't be prepared and must be sent as text
/// (`ER_UNSUPPORTED_PS`).
pub(super) fn needs_text(error: &Error) -> bool {
    matches!(error, Error::Server(error) if codes::needs_text(error.code))
}

/// Returns `true` if the server can't do this now, but may later.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Server(error) if codes::is_busy(error.code))
}

/// Returns a text for the log. It has the error's code, and leaves out messages, since they may
/// quote values.
fn told(doing: &str, error: &Error) -> String {
    if let Some(fault) = tls_fault::told(error, &WORDS) {
        return format!("{doing}: {fault}");
    }

    match error {
        Error::Server(error) if codes::names_only(error.code) => {
            format!(
                "{doing}: error {} ({}): {}",
                error.code, error.state, error.message
            )
        }
        Error::Server(error) => format!("{doing}: error {} ({})", error.code, error.state),
        Error::Io(IoError::Io(error)) => format!("{doing}: {}", error.kind()),
        Error::Io(IoError::Tls(error)) => tls_fault::told(error, &WORDS).map_or_else(
            || format!("{doing}: TLS failed"),
            |fault| format!("{doing}: {fault}"),
        ),
        Error::Driver(DriverError::NoClientSslFlagFromServer) => {
            format!("{doing}: the server does not support TLS")
        }
        Error::Driver(DriverError::StmtParamsMismatch { required, supplied }) => {
            format!("{doing}: expected {required} parameters, got {supplied}")
        }
        _ => format!("{doing}: the connection or the protocol failed"),
    }
}
