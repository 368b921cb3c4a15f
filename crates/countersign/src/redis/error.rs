//! The meaning of Redis's errors: which are outages, which are bugs, and what a log may show of
//! them.

use std::error::Error;
use std::fmt;
use std::io;
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use crate::error::{Failure, Symptom};
use crate::net::tls_fault::{self, Words};
use crate::redis::symptom::{self, cause};

/// The name of this part in failures.
pub(crate) const PART: &str = "redis";

/// The error of one operation.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No connection could be made, so no command was sent.
    Unconnected(RedisError),
    /// An error that Redis returned, or that the connection reported.
    Reported(RedisError),
    /// No answer within the timeout. Redis may have executed the command.
    Silence(Duration),
}

impl Trouble {
    /// Returns the same error, marked as one that occurred before a command was sent.
    pub(super) fn while_connecting(self) -> Self {
        match self {
            Self::Reported(error) => Self::Unconnected(error),
            other => other,
        }
    }

    /// Returns `true` for an error of this kind that Redis returned.
    pub(super) fn is(&self, kind: ServerErrorKind) -> bool {
        matches!(self, Self::Reported(error) if error.kind() == ErrorKind::Server(kind))
    }

    /// Returns an empty value if Redis only refused a right, because then a node has answered.
    pub(super) fn unless_forbidden(self) -> Result<Value, Self> {
        let forbidden = matches!(&self, Self::Reported(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm));
        if forbidden { Ok(Value::Nil) } else { Err(self) }
    }

    /// Returns `true` if the key holds another type of value than the command works on.
    pub(super) fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Reported(error) if error.code() == Some("WRONGTYPE"))
    }

    /// Returns the failure that callers get, with its symptom.
    pub(super) fn into_failure(self) -> Failure {
        let symptom = self.symptom();
        self.failure().with_symptom(symptom)
    }

    /// Returns the state of Redis that the error reveals.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        match self {
            Self::Silence(_) => Some(Symptom::Silent),
            Self::Unconnected(error) | Self::Reported(error) => symptom::of(error),
        }
    }

    /// Returns the failure without its symptom.
    fn failure(self) -> Failure {
        match self {
            Self::Silence(timeout) => {
                Failure::unavailable(PART, format!("no answer within {timeout:?}"))
            }
            Self::Unconnected(error) => {
                Failure::unavailable(PART, ErrorText::of("connecting to Redis", &error))
            }
            Self::Reported(error) if is_unavailable(&error) => {
                Failure::unavailable(PART, ErrorText::of("running a command on Redis", &error))
            }
            Self::Reported(error) => {
                Failure::internal(PART, ErrorText::of("running a command on Redis", &error))
            }
        }
    }
}

/// Returns `true` if Redis can't answer now.
///
/// It is unreachable, loading, full, stuck, a replica or without a quorum, or it refuses our login
/// or a right.
fn is_unavailable(error: &RedisError) -> bool {
    const CODES: [&str; 12] = [
        "LOADING",
        "READONLY",
        "MASTERDOWN",
        "CLUSTERDOWN",
        "TRYAGAIN",
        "MOVED",
        "ASK",
        "OOM",
        "BUSY",
        "MISCONF",
        "NOREPLICAS",
        "UNKILLABLE",
    ];
    const CLOSED: [&str; 4] = ["NOAUTH", "WRONGPASS", "NOPERM", "DENIED"];

    let said = error
        .code()
        .is_some_and(|code| CODES.contains(&code) || CLOSED.contains(&code));
    said || is_closed(error)
        || is_ungreeted(error)
        || is_broken(error)
        || error.is_timeout()
        || error.kind() == ErrorKind::AuthenticationFailed
}

/// Returns `true` for permission errors that carry no error code.
///
/// These are a longer command of a client that hasn't logged in, and a denial by the access rules
/// inside a script, which Redis 7.0 and later versions word differently.
fn is_closed(error: &RedisError) -> bool {
    const SAYINGS: [&str; 3] = [
        "Protocol error: unauthenticated",
        "The user executing the script can't",
        "ACL failure in script",
    ];
    let generic = error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError);
    let detail = error.detail().unwrap_or_default();
    generic && SAYINGS.iter().any(|saying| detail.starts_with(saying))
}

/// Returns `true` if a server didn't complete the client's handshake.
///
/// The client reports that as an error of its own. Its other own errors are about commands and
/// settings that this crate doesn't use.
fn is_ungreeted(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Client
}

/// The words for TLS errors. No setting switches off the check of a certificate.
const WORDS: Words = Words {
    unchecked: None,
    authority: "sslrootcert in the URL",
    any_host: None,
};

/// An error's code and kind, for logs.
///
/// The message is left out, because it can quote the command, and with it tokens or passwords.
struct ErrorText {
    stage: &'static str,
    code: Option<String>,
    io: Option<io::ErrorKind>,
    category: String,
    /// The fault of TLS and its cure, if that is what failed.
    tls: Option<String>,
}

impl ErrorText {
    fn of(stage: &'static str, error: &RedisError) -> Box<dyn Error + Send + Sync> {
        let cause = cause(error);
        let io = cause.and_then(|cause| cause.downcast_ref::<io::Error>());
        Box::new(Self {
            stage,
            code: error.code().map(str::to_owned),
            io: io.map(io::Error::kind),
            category: error.category().to_owned(),
            tls: cause.and_then(|cause| tls_fault::told(cause, &WORDS)),
        })
    }
}

impl Error for ErrorText {}

impl fmt::Display for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(tls) = &self.tls {
            return write!(f, "{}: {tls}", self.stage);
        }
        match (&self.code, self.io) {
            (Some(code), _) => write!(f, "{}: {code}", self.stage),
            (None, Some(io)) => write!(f, "{}: {io}", self.stage),
            (None, None) => write!(f, "{}: {}", self.stage, self.category),
        }
    }
}

impl fmt::Debug for ErrorText {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Returns `true` if an error means that the connection can't be used any more.
pub(super) fn is_broken(error: &RedisError) -> bool {
    error.is_unrecoverable_error()
        || error.is_io_error()
        || error.kind() == ErrorKind::ClusterConnectionNotFound
}
