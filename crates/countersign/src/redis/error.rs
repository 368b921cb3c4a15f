//! What Redis's errors mean to us.

use std::error::Error;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use ::redis::{ErrorKind, RedisError, ServerErrorKind, Value};

use crate::error::Failure;
use crate::redis::{PART, symptom};
use crate::symptom::Symptom;
use crate::tls_fault::{self, Words};

/// An operation that failed.
#[derive(Debug)]
pub(super) enum Trouble {
    /// No connection could be made.
    Unconnected(RedisError),
    /// Redis or the connection to it said so.
    Said(RedisError),
    /// Nobody answered in time.
    Silence(Duration),
}

impl Trouble {
    /// The same, at a time when nothing had been sent.
    pub(super) fn while_connecting(self) -> Self {
        match self {
            Self::Said(error) => Self::Unconnected(error),
            other => other,
        }
    }

    pub(super) fn is(&self, kind: ServerErrorKind) -> bool {
        matches!(self, Self::Said(error) if error.kind() == ErrorKind::Server(kind))
    }

    /// Nothing when the trouble is only that we may not do this, so that somebody has answered.
    pub(super) fn unless_forbidden(self) -> Result<Value, Self> {
        let forbidden =
            matches!(&self, Self::Said(error) if error.kind() == ErrorKind::Server(ServerErrorKind::NoPerm));
        if forbidden { Ok(Value::Nil) } else { Err(self) }
    }

    /// The key holds another type of value than the command is for.
    pub(super) fn is_wrong_type(&self) -> bool {
        matches!(self, Self::Said(error) if error.code() == Some("WRONGTYPE"))
    }

    pub(super) fn into_failure(self) -> Failure {
        let symptom = self.symptom();
        self.failure().with_symptom(symptom)
    }

    /// What it says of Redis's state.
    pub(super) fn symptom(&self) -> Option<Symptom> {
        match self {
            Self::Silence(_) => Some(Symptom::Silent),
            Self::Unconnected(error) | Self::Said(error) => symptom::of(error),
        }
    }

    fn failure(self) -> Failure {
        match self {
            Self::Silence(timeout) => Failure::unavailable(PART, format!("no answer within {timeout:?}")),
            Self::Unconnected(error) => Failure::unavailable(PART, Said::of("connecting to Redis", &error)),
            Self::Said(error) if is_unavailable(&error) => {
                Failure::unavailable(PART, Said::of("running a command on Redis", &error))
            }
            Self::Said(error) => Failure::internal(PART, Said::of("running a command on Redis", &error)),
        }
    }
}

/// What is behind an error. The client keeps it in an `Arc`, which is another type than what is in it.
pub(super) fn cause(error: &RedisError) -> Option<&(dyn Error + 'static)> {
    let source = error.source()?;
    match source.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        Some(shared) => Some(&**shared),
        None => Some(source),
    }
}

/// Redis can't answer now: lost, loading, full, stuck, a replica, without a quorum, or closed to us.
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
    let said = error.code().is_some_and(|code| CODES.contains(&code) || CLOSED.contains(&code));
    said || is_closed(error)
        || is_ungreeted(error)
        || super::is_broken(error)
        || error.is_timeout()
        || error.kind() == ErrorKind::AuthenticationFailed
}

/// Closed to us as well, in errors that have no code of their own: a longer command of a client without password, and a
/// script whose commands or keys its user may not have, as Redis 7.0 says it and as later ones do.
fn is_closed(error: &RedisError) -> bool {
    const SAYINGS: [&str; 3] =
        ["Protocol error: unauthenticated", "The user executing the script can't", "ACL failure in script"];
    let generic = error.kind() == ErrorKind::Server(ServerErrorKind::ResponseError);
    let detail = error.detail().unwrap_or_default();
    generic && SAYINGS.iter().any(|saying| detail.starts_with(saying))
}

/// A server didn't finish greeting the client, which says so in an error of its own; all others of its own are about
/// commands and settings that we don't have.
fn is_ungreeted(error: &RedisError) -> bool {
    error.kind() == ErrorKind::Client
}

/// There is no way to reach a Redis whose certificate isn't checked.
const WORDS: Words = Words { unchecked: None, authority: "sslrootcert in the URL", any_host: None };

/// An error's code and kind. The message isn't told, because it can quote what was sent.
struct Said {
    stage: &'static str,
    code: Option<String>,
    io: Option<io::ErrorKind>,
    category: String,
    /// What is wrong with TLS, and what helps.
    tls: Option<String>,
}

impl Said {
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

impl Error for Said {}

impl fmt::Display for Said {
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

impl fmt::Debug for Said {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
