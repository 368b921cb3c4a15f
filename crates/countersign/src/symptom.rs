//! What a store did when it failed, told apart as far as somebody has to do something else about it.

use std::fmt;

/// What a store did when it failed, as far as it tells.
///
/// It is for starts, log lines and operators: a request is answered by the [kind](crate::Failure::kind) of a failure alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Symptom {
    /// Nobody listens there, or no way leads there.
    Unreachable,
    /// The name of its host isn't known.
    UnknownHost,
    /// It is starting or stopping.
    Starting,
    /// It takes connections, and doesn't answer.
    Silent,
    /// It has as many connections as it takes.
    Busy,
    /// It refuses user or password.
    Credentials,
    /// Its user lacks a right.
    Rights,
    /// It has no database of that name.
    NoDatabase,
    /// A table or a column is missing.
    NoTable,
    /// It only reads.
    ReadOnly,
    /// It has no room left.
    Full,
}

impl Symptom {
    /// Returns whether it may pass without anybody's doing.
    pub const fn may_pass(self) -> bool {
        matches!(self, Self::Unreachable | Self::UnknownHost | Self::Starting | Self::Silent | Self::Busy)
    }

    /// Returns what there is to do about it.
    pub const fn cure(self) -> &'static str {
        match self {
            Self::Unreachable => "start it, or correct host and port",
            Self::UnknownHost => "correct the host's name, or make it known",
            Self::Starting => "wait until it has started",
            Self::Silent => "see what keeps it, or what lies between",
            Self::Busy => "allow it more connections",
            Self::Credentials => "correct user and password, or the rules of access there",
            Self::Rights => "grant the user what is missing",
            Self::NoDatabase => "create the database, or correct its name",
            Self::NoTable => "run `countersign migrate`, or restore the table",
            Self::ReadOnly => "name the server that takes writes",
            Self::Full => "give it room",
        }
    }

    /// What an error of the operating system's means while there is no answer yet.
    #[cfg(any(feature = "postgres", feature = "mysql", feature = "redis"))]
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
            // The standard library has no kind of its own for it, and this text.
            _ => error.to_string().contains("failed to lookup address").then_some(Self::UnknownHost),
        }
    }
}

/// What goes on after the store's name, as `doesn't answer`.
impl fmt::Display for Symptom {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unreachable => "can't be reached: nobody listens there",
            Self::UnknownHost => "can't be reached: its host's name isn't known",
            Self::Starting => "is starting or stopping",
            Self::Silent => "doesn't answer",
            Self::Busy => "takes no more connections",
            Self::Credentials => "refuses user or password",
            Self::Rights => "answers, but its user lacks a right",
            Self::NoDatabase => "has no database of that name",
            Self::NoTable => "lacks a table or a column",
            Self::ReadOnly => "only reads",
            Self::Full => "has no room left",
        })
    }
}
