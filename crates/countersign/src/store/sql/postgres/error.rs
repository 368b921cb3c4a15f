//! What PostgreSQL's errors mean to us.

use std::fmt;
use std::time::Duration;

use tokio_postgres::error::SqlState;

use crate::error::Failure;
use crate::store::sql::pool::is_end;
use crate::store::sql::postgres::symptom;
use crate::symptom::Symptom;
use crate::tls_fault::{self, Words};

/// How far an operation had come when it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// No connection yet.
    Connecting,
    /// A connection, and nothing run on it.
    Preparing,
    /// In a transaction that isn't to be committed yet: it ends with the connection, and nothing was done.
    Uncommitted,
    /// The statement was on its way: it may or may not have taken effect.
    Running,
}

/// An operation that failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// PostgreSQL or the connection to it said so.
    Said(Stage, tokio_postgres::Error),
    /// Nobody answered in time.
    Silence(Duration),
    /// The pooler in between allows no transactions.
    NoTransactions,
    /// A pooler in between can't be asked for a type that isn't PostgreSQL's own.
    OwnType,
}

impl Trouble {
    /// The same, as it is meant when a pooler stands in between.
    pub(super) fn through_a_pooler(self) -> Self {
        let own = [SqlState::INVALID_SQL_STATEMENT_NAME, SqlState::DUPLICATE_PSTATEMENT];
        match self {
            // We prepare nothing there; the driver does, when it meets a type that it doesn't know.
            Self::Said(_, error) if error.code().is_some_and(|code| own.contains(code)) => Self::OwnType,
            other => other,
        }
    }

    /// The same, before the end of a transaction.
    pub(super) fn before_commit(self) -> Self {
        match self {
            Self::Said(Stage::Running, error) => Self::Said(Stage::Uncommitted, error),
            other => other,
        }
    }

    /// Whether the connection is of no use any more.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Silence(_) => true,
            Self::NoTransactions | Self::OwnType => false,
            Self::Said(_, error) => error.code().map_or(is_broken(error), |code| {
                // Shutting down, crashed, or become a replica behind our back.
                let class = code.code().get(..2);
                matches!(class, Some("08")) || is_stopping(code) || *code == SqlState::READ_ONLY_SQL_TRANSACTION
            }),
        }
    }

    /// Whether a connection ended while it was being made, as all that there are do when somebody ends all. The next one may
    /// do better at once.
    pub(super) fn is_ended_connection(&self) -> bool {
        match self {
            Self::Said(Stage::Connecting, error) => match error.code() {
                Some(code) => *code == SqlState::ADMIN_SHUTDOWN || code.code().starts_with("08"),
                None => error.is_closed() || io_kind(error).is_some_and(is_end),
            },
            _ => false,
        }
    }

    /// Whether running it again can't do it twice: PostgreSQL says that it did nothing, or nothing was sent yet, or
    /// it only reads.
    pub(super) fn may_be_repeated(&self, reads: bool) -> bool {
        match self {
            Self::Silence(_) | Self::NoTransactions | Self::OwnType | Self::Said(Stage::Connecting, _) => false,
            Self::Said(stage, error) => {
                let undone = error.code().is_some_and(|code| is_undone(code) || is_stale(code));
                undone || (self.is_loss() && (reads || *stage != Stage::Running))
            }
        }
    }

    /// Whether somebody else holds a row, and what wanted it was undone.
    pub(super) fn is_held(&self) -> bool {
        matches!(self, Self::Said(_, error) if error.code() == Some(&SqlState::LOCK_NOT_AVAILABLE))
    }

    /// Returns true for a statement that was cancelled: after its timeout, by hand, or after the wait for a lock. Of that
    /// PostgreSQL says "lock not available", but this where the next wait had begun before it came to say so.
    pub(super) fn is_cancelled(&self) -> bool {
        matches!(self, Self::Said(_, error) if error.code() == Some(&SqlState::QUERY_CANCELED))
    }

    /// Returns true for what was undone because it and others waited for each other.
    pub(super) fn is_deadlock(&self) -> bool {
        matches!(self, Self::Said(_, error) if error.code() == Some(&SqlState::T_R_DEADLOCK_DETECTED))
    }

    /// Whether the prepared statement doesn't fit the database any more.
    pub(super) fn is_stale(&self) -> bool {
        matches!(self, Self::Said(_, error) if error.code().is_some_and(is_stale))
    }

    pub(super) fn into_failure(self) -> Failure {
        let symptom = self.symptom();
        self.failure().with_symptom(symptom)
    }

    /// What it says of PostgreSQL's state.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        match self {
            Self::Silence(_) => Some(Symptom::Silent),
            Self::Said(_, error) => symptom::of(error),
            Self::NoTransactions | Self::OwnType => None,
        }
    }

    fn failure(self) -> Failure {
        match self {
            Self::Silence(timeout) => Failure::unavailable("database", format!("no answer within {timeout:?}")),
            Self::NoTransactions => Failure::internal("database", NO_TRANSACTIONS),
            Self::OwnType => Failure::internal("database", OWN_TYPE),
            Self::Said(stage, ref error) if stage == Stage::Connecting || self.is_loss() || is_busy(error) => {
                Failure::unavailable("database", Said::of(stage, error))
            }
            Self::Said(stage, error) => Failure::internal("database", Said::of(stage, &error)),
        }
    }
}

const NO_TRANSACTIONS: &str = "the pooler in front of PostgreSQL allows no transactions, which this operation needs: \
     set pool_mode = transaction";
const OWN_TYPE: &str = "a column that is read has a type that isn't PostgreSQL's own, which can't be looked up through \
     a pooler: cast it to one that is, as in a view";

fn is_broken(error: &tokio_postgres::Error) -> bool {
    error.is_closed() || io_kind(error).is_some()
}

fn io_kind(error: &tokio_postgres::Error) -> Option<std::io::ErrorKind> {
    use std::error::Error;
    error.source().and_then(<dyn Error>::downcast_ref::<std::io::Error>).map(std::io::Error::kind)
}

fn is_stopping(code: &SqlState) -> bool {
    [SqlState::ADMIN_SHUTDOWN, SqlState::CRASH_SHUTDOWN, SqlState::CANNOT_CONNECT_NOW].contains(code)
}

/// The whole transaction was rolled back in favour of another.
fn is_undone(code: &SqlState) -> bool {
    [SqlState::T_R_SERIALIZATION_FAILURE, SqlState::T_R_DEADLOCK_DETECTED, SqlState::LOCK_NOT_AVAILABLE].contains(code)
}

/// The tables have changed, and the types of parameters with them.
fn is_stale(code: &SqlState) -> bool {
    let codes = [
        SqlState::INVALID_SQL_STATEMENT_NAME,
        SqlState::FEATURE_NOT_SUPPORTED,
        SqlState::UNDEFINED_FUNCTION,
        SqlState::DATATYPE_MISMATCH,
    ];
    codes.contains(code)
}

/// Out of connections, memory or disk; cancelled after the statement timeout; beaten by others too often.
fn is_busy(error: &tokio_postgres::Error) -> bool {
    error.code().is_some_and(|code| {
        let class = code.code().get(..2);
        matches!(class, Some("53" | "57" | "58" | "55")) || is_undone(code)
    })
}

/// Whether PostgreSQL's words about an error quote names alone: of what is missing, or of what isn't allowed.
fn names_only(code: &SqlState) -> bool {
    [
        SqlState::UNDEFINED_COLUMN,
        SqlState::UNDEFINED_TABLE,
        SqlState::INSUFFICIENT_PRIVILEGE,
        SqlState::INVALID_PASSWORD,
        SqlState::INVALID_AUTHORIZATION_SPECIFICATION,
        SqlState::INVALID_CATALOG_NAME,
    ]
    .contains(code)
}

/// An error's code and place. The message isn't told, because it can quote values.
struct Said {
    stage: Stage,
    code: Option<SqlState>,
    place: Option<String>,
    io: Option<std::io::ErrorKind>,
    tls: Option<String>,
    /// PostgreSQL's own words, where they name only tables, columns and rights.
    names: Option<String>,
}

const WORDS: Words = Words {
    unchecked: Some("sslmode=require, which checks nothing"),
    authority: "sslrootcert, or say sslmode=require, which checks nothing",
    any_host: Some("sslmode=verify-ca"),
};

impl Said {
    fn of(stage: Stage, error: &tokio_postgres::Error) -> Box<dyn std::error::Error + Send + Sync> {
        let io = io_kind(error);
        let place = error.as_db_error().and_then(|error| error.constraint().or_else(|| error.table()));
        let tls = tls_fault::told(error, &WORDS);
        let names = error.as_db_error().filter(|error| names_only(error.code()));
        let names = names.map(|error| error.message().to_owned());
        Box::new(Self { stage, code: error.code().cloned(), place: place.map(str::to_owned), io, tls, names })
    }
}

impl std::error::Error for Said {}

impl fmt::Display for Said {
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
        self.place.as_ref().map_or(Ok(()), |place| write!(f, " at {place}"))
    }
}

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
