//! The observable states of a store that failed, each with a different cure.

use std::fmt;

/// The state of a store that failed, as far as its error reveals it.
///
/// Symptoms are for starts, log lines and operators. [`Display`](fmt::Display) writes words that
/// follow the name of the store, and [`cure`](Self::cure) says what to do. The answer to a request
/// depends only on the [kind](crate::Failure::kind) of the failure.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Symptom {
    /// No server listens at the address, or no network route leads to it.
    Unreachable,
    /// The host name can't be resolved.
    UnknownHost,
    /// The server is starting or stopping.
    Starting,
    /// The server accepts connections but doesn't answer.
    Silent,
    /// The server has reached its limit of connections.
    Busy,
    /// The server refuses the user or the password.
    Credentials,
    /// The user lacks a right.
    Rights,
    /// The server has no database with the configured name.
    NoDatabase,
    /// A table or a column is missing.
    NoTable,
    /// The server accepts no writes, for example because it is a replica.
    ReadOnly,
    /// The server has no room left.
    Full,
}

impl Symptom {
    /// Returns `true` if the symptom may pass without an intervention, so that waiting makes sense.
    pub const fn may_pass(self) -> bool {
        matches!(
            self,
            Self::Unreachable | Self::UnknownHost | Self::Starting | Self::Silent | Self::Busy
        )
    }

    /// Returns what an operator can do, as an imperative without a full stop.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Unreachable => "start it, or correct the host and port",
            Self::UnknownHost => "correct the host name, or add it to DNS",
            Self::Starting => "wait until it has started",
            Self::Silent => "check its load and the network in between",
            Self::Busy => "raise its connection limit",
            Self::Credentials => "correct the user name and password, or its access rules",
            Self::Rights => "grant the user the missing privilege",
            Self::NoDatabase => "create the database, or correct its name",
            Self::NoTable => "run `countersign migrate`, or restore the table",
            Self::ReadOnly => "use the URL of the server that accepts writes",
            Self::Full => "free up space, or raise its limit",
        }
    }

    /// Returns the symptom that an I/O error shows while there is no answer yet.
    #[cfg(any(
        feature = "postgres",
        feature = "mysql",
        feature = "sqlx-postgres",
        feature = "sqlx-mysql",
        feature = "redis"
    ))]
    pub(crate) fn of_io(error: &std::io::Error) -> Option<Self> {
        use std::io::ErrorKind;

        match error.kind() {
            ErrorKind::ConnectionRefused
            | ErrorKind::HostUnreachable
            | ErrorKind::NetworkUnreachable
            | ErrorKind::NetworkDown
            | ErrorKind::AddrNotAvailable
            | ErrorKind::NotFound => Some(Self::Unreachable),
            ErrorKind::ConnectionReset
            | ErrorKind::ConnectionAborted
            | ErrorKind::BrokenPipe
            | ErrorKind::UnexpectedEof => Some(Self::Starting),
            ErrorKind::TimedOut | ErrorKind::WouldBlock => Some(Self::Silent),
            // The standard library has no error kind for a failed name resolution, only this text.
            _ => error
                .to_string()
                .contains("failed to lookup address")
                .then_some(Self::UnknownHost),
        }
    }
}

/// Writes words that follow the name of the store, such as `doesn't answer`.
impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "can't be reached: nothing is listening there",
            Self::UnknownHost => "can't be reached: its host name is unknown",
            Self::Starting => "is starting or stopping",
            Self::Silent => "doesn't answer",
            Self::Busy => "accepts no more connections",
            Self::Credentials => "rejects the user name or password",
            Self::Rights => "denies access: its user lacks a privilege",
            Self::NoDatabase => "has no database with that name",
            Self::NoTable => "is missing a table or a column",
            Self::ReadOnly => "is read-only",
            Self::Full => "is out of space",
        })
    }
}
