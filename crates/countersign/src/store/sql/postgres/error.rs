//! The meaning of errors from PostgreSQL: which may be tried again, which cost the connection, and
//! which texts may be shown.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::{Failure, Symptom};
use crate::net::tls_fault::{self, Words};
use crate::store::sql::codes::postgres as codes;
use crate::store::sql::pool::is_end;
use crate::store::sql::postgres::symptom;
use crate::store::sql::retry::Repeatable;

/// The stage that an operation had reached when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The connection wasn't open yet.
    Connecting,
    /// The connection was open, and nothing had been run on it.
    Preparing,
    /// The transaction wasn't to be committed yet. It ends with the connection, so nothing was
    /// done.
    Uncommitted,
    /// The statement was sent. It may or may not have taken effect.
    Running,
}

/// The error of an operation.
#[derive(Debug)]
pub(super) enum StatementError {
    /// An error that PostgreSQL reported, or an error of the connection.
    Reported(Stage, tokio_postgres::Error),
    /// No answer arrived within the time.
    Silence(Duration),
    /// The pooler allows no transactions.
    NoTransactions,
    /// A column has a type that isn't built in, and such types can't be looked up through a pooler.
    OwnType,
}

impl Repeatable for StatementError {
    fn is_loss(&self) -> bool {
        match self {
            Self::Silence(_) => true,
            Self::NoTransactions | Self::OwnType => false,
            Self::Reported(_, error) => error
                .code()
                .map_or(is_broken(error), |code| codes::is_loss(code.code())),
        }
    }

    fn may_be_repeated(&self, reads: bool) -> bool {
        match self {
            Self::Silence(_)
            | Self::NoTransactions
            | Self::OwnType
            | Self::Reported(Stage::Connecting, _) => false,
            Self::Reported(stage, error) => {
                let undone = error.code().is_some_and(|code| {
                    codes::is_undone(code.code()) || codes::is_stale(code.code())
                });
                undone || (self.is_loss() && (reads || *stage != Stage::Running))
            }
        }
    }
}

impl StatementError {
    /// Returns the error in the meaning that it has behind a pooler.
    pub(super) fn through_a_pooler(self) -> Self {
        let own = [
            SqlState::INVALID_SQL_STATEMENT_NAME,
            SqlState::DUPLICATE_PSTATEMENT,
        ];

        match self {
            // Nothing is prepared through a pooler, except by tokio-postgres when it meets an
            // unknown type.
            Self::Reported(_, error) if error.code().is_some_and(|code| own.contains(code)) => {
                Self::OwnType
            }
            other => other,
        }
    }

    /// Returns the error for a statement before its transaction's commit.
    pub(super) fn before_commit(self) -> Self {
        match self {
            Self::Reported(Stage::Running, error) => Self::Reported(Stage::Uncommitted, error),
            other => other,
        }
    }

    /// Returns `true` if a connection ended while it was being opened.
    ///
    /// That happens when an administrator ends all connections. Another attempt may succeed at
    /// once.
    pub(super) fn is_ended_connection(&self) -> bool {
        match self {
            Self::Reported(Stage::Connecting, error) => match error.code() {
                Some(code) => *code == SqlState::ADMIN_SHUTDOWN || code.code().starts_with("08"),
                None => error.is_closed() || io_kind(error).is_some_and(is_end),
            },
            _ => false,
        }
    }

    /// Returns `true` if another transaction holds a row. The statement was undone.
    pub(super) fn is_held(&self) -> bool {
        self.code().is_some_and(|code| codes::is_held(code.code()))
    }

    /// Returns `true` for a statement that was cancelled: after its timeout, by an administrator,
    /// or by the wait for a lock.
    ///
    /// After a wait PostgreSQL usually reports "lock not available". It reports a cancellation
    /// instead if the next wait has begun before it gets to the report.
    pub(super) fn is_cancelled(&self) -> bool {
        self.code() == Some(&SqlState::QUERY_CANCELED)
    }

    /// Returns `true` for a statement that was undone because of a deadlock.
    pub(super) fn is_deadlock(&self) -> bool {
        self.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED)
    }

    /// Returns `true` if the prepared statement doesn't fit the tables any more.
    pub(super) fn is_stale(&self) -> bool {
        self.code().is_some_and(|code| codes::is_stale(code.code()))
    }

    /// Returns the code that PostgreSQL reported, if it did.
    fn code(&self) -> Option<&SqlState> {
        match self {
            Self::Reported(_, error) => error.code(),
            _ => None,
        }
    }

    /// Returns the failure, with the symptom that it shows.
    pub(super) fn into_failure(self) -> Failure {
        let symptom = self.symptom();
        self.failure().with_symptom(symptom)
    }

    /// Returns what the error shows of PostgreSQL's state, if anything.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        match self {
            Self::Silence(_) => Some(Symptom::Silent),
            Self::Reported(_, error) => symptom::of(error),
            Self::NoTransactions | Self::OwnType => None,
        }
    }

    /// Returns the failure: unavailable if waiting may help, else internal.
    fn failure(self) -> Failure {
        match self {
            Self::Silence(timeout) => {
                Failure::unavailable("database", format!("no answer within {timeout:?}"))
            }
            Self::NoTransactions => Failure::internal("database", NO_TRANSACTIONS),
            Self::OwnType => Failure::internal("database", OWN_TYPE),
            Self::Reported(stage, ref error)
                if stage == Stage::Connecting
                    || self.is_loss()
                    || error.code().is_some_and(|code| codes::is_busy(code.code())) =>
            {
                Failure::unavailable("database", ErrorText::of(stage, error))
            }
            Self::Reported(stage, error) => {
                Failure::internal("database", ErrorText::of(stage, &error))
            }
        }
    }
}

/// The cure for a pooler in statement mode.
const NO_TRANSACTIONS: &str = "\
    the pooler in front of PostgreSQL allows no transactions, which this operation needs: \
    set pool_mode = transaction";
/// The cure for a column whose type isn't built in.
const OWN_TYPE: &str = "\
    a column has a type that is not built into PostgreSQL and can't be looked up through a \
    pooler: cast it to a built-in type, for example in a view";

/// Returns `true` for an error of the connection itself.
fn is_broken(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || io_kind(error).is_some()
}

/// Returns the kind of the I/O error beneath an error, if there is one.
fn io_kind(error: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    use std::error::Error;
    error
        .source()
        .and_then(<dyn Error>::downcast_ref::<std::io::Error>)
        .map(std::io::Error::kind)
}

/// The text of an error for the log: its code and place. Messages are left out, since they may
/// quote values.
struct ErrorText {
    stage: Stage,
    code: Option<SqlState>,
    place: Option<String>,
    io: Option<std::io::ErrorKind>,
    tls: Option<String>,
    /// PostgreSQL's message, if it names only tables, columns and privileges.
    names: Option<String>,
}

/// The settings that error texts about TLS mention.
const WORDS: Words = Words {
    unchecked: Some("sslmode=require, which checks nothing"),
    authority: "sslrootcert, or set sslmode=require, which checks nothing",
    any_host: Some("sslmode=verify-ca"),
};

impl ErrorText {
    /// Takes from an error what may be shown of it.
    fn of(stage: Stage, error: &tokio_postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
        let io = io_kind(error);
        let place = error
            .as_db_error()
            .and_then(|error| error.constraint().or_else(|| error.table()));
        let tls = tls_fault::told(error, &WORDS);
        let names = error
            .as_db_error()
            .filter(|error| codes::names_only(error.code().code()));
        let names = names.map(|error| error.message().to_owned());

        Box::new(Self {
            stage,
            code: error.code().cloned(),
            place: place.map(str::to_owned),
            io,
            tls,
            names,
        })
    }
}

impl std::error::Error for ErrorText {}

impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.stage {
            Stage::Connecting => "connecting to PostgreSQL",
            Stage::Preparing => "preparing a statement on PostgreSQL",
            Stage::Uncommitted | Stage::Running => "running a statement on PostgreSQL",
        })?;
        if let Some(tls) = &self.tls {
            return write!(f, ": {tls}");
        }

        match (&self.code, self.io) {
            (Some(code), _) => write!(f, ": SQLSTATE {}", code.code())?,
            (None, Some(io)) => write!(f, ": {io}")?,
            (None, None) => f.write_str(": the connection or the protocol failed")?,
        }
        if let Some(names) = &self.names {
            return write!(f, " ({names})");
        }
        self.place
            .as_ref()
            .map_or(Ok(()), |place| write!(f, " at {place}"))
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
