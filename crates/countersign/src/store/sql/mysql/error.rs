//! The meaning of errors from MySQL and MariaDB: which may be tried again, which cost the
//! connection, and which texts may be shown.

use std::time::Duration;

use mysql_async::{DriverError, Error, IoError};

use crate::error::{Failure, Symptom};
use crate::net::tls_fault::{self, Words};
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

/// Errors after which nothing has taken effect: `ER_LOCK_DEADLOCK`, `ER_LOCK_WAIT_TIMEOUT`,
/// `ER_CHECKREAD`, `ER_NEED_REPREPARE` and `ER_UNKNOWN_STMT_HANDLER`.
const UNDONE: [u16; 5] = [1213, 1205, 1020, 1615, 1243];

/// Errors of a server that is out of connections, memory or disk, is shutting down, has killed the
/// statement, or is read-only.
const BUSY: [u16; 18] = [
    1021, 1037, 1038, 1040, 1041, 1053, 1079, 1114, 1129, 1152, 1158, 1159, 1160, 1161, 1203, 1226,
    1290, 1317,
];
/// The same, with the numbers of later versions and of MariaDB.
const BUSY_TOO: [u16; 8] = [1836, 1927, 1969, 3024, 3100, 3168, 3169, 4031];

/// Errors that refuse the account, its password or its privileges.
const DENIED: [u16; 9] = [1044, 1045, 1142, 1143, 1227, 1370, 1410, 1524, 1698];
/// Errors whose message quotes nothing but the name of a column, a table or a database.
const NAMES: [u16; 3] = [1049, 1054, 1146];

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
                Error::Server(error) => [1053, 1079, 1290, 1836, 1927, 4031].contains(&error.code),
                _ => true,
            },
        }
    }

    fn may_be_repeated(&self, reads: bool) -> bool {
        match self {
            Self::Silence(_) | Self::Connecting(_) => false,
            Self::Running(Error::Server(error)) if UNDONE.contains(&error.code) => true,
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
        matches!(self, Self::Running(Error::Server(error)) if error.code == 1205)
    }

    /// Returns `true` if a change of a table isn't possible in the requested way: the server
    /// doesn't know that way, or not for this change.
    pub(super) fn is_way_refused(&self) -> bool {
        matches!(self, Self::Running(Error::Server(error)) if [1800, 1801, 1845, 1846].contains(&error.code))
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
    matches!(error, Error::Server(error) if error.code == 1295)
}

/// Returns `true` if the server can't do this now, but may later.
fn is_busy(error: &Error) -> bool {
    matches!(error, Error::Server(error)
        if BUSY.contains(&error.code) || BUSY_TOO.contains(&error.code) || UNDONE.contains(&error.code))
}

/// Returns a text for the log. It has the error's code, and leaves out messages, since they may
/// quote values.
fn told(doing: &str, error: &Error) -> String {
    if let Some(fault) = tls_fault::told(error, &WORDS) {
        return format!("{doing}: {fault}");
    }
    match error {
        Error::Server(error) if DENIED.contains(&error.code) || NAMES.contains(&error.code) => {
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
