//! The error of commands, with the exit code and the stable name that belong to it.
//!
//! Functions that a command calls return [`Error`]. The command line prints [`Error::story`] on
//! standard error, or with `--json` an object that holds [`Error::code`] too, and exits with
//! [`Error::exit_code`]. Errors of requests are another matter: these are
//! [`Problem`](countersign::Problem)s.

use std::io;
use std::process::ExitCode;

use countersign::error::{FailureKind, Symptom};
use countersign::{ConfigError, Failure, Timestamp};

/// The reason why a command ended without doing what it was asked for.
///
/// `Display` gives one line without causes; use [`story`](Self::story) for what people read. No
/// text holds a secret: stores are named without their passwords.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting that can't work. The text names the setting, the problem and the cure.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A store or another part that failed, where it isn't known which setting leads to it.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// A database or Redis that failed, with the setting that names it.
    #[error("{setting}: {store} {}", what(.failure))]
    Store {
        /// The name of the setting in the form that was given: a flag, a variable or a key of the
        /// file.
        setting: String,
        /// The store's kind and address, without its password, as in `the database at
        /// postgres://db/app`.
        store: String,
        /// The failure itself.
        failure: Failure,
        /// The advice to the operator. `None` takes the advice that belongs to the failure's
        /// symptom.
        cure: Option<String>,
    },
    /// A setting that contradicts the record in the deployment's database.
    ///
    /// Nothing was written. Either the setting is wrong, or the deployment must be changed first by
    /// `countersign deployment change`.
    #[error("{0}")]
    Mismatch(String),
    /// A record of the deployment that can't be read: damaged, or written by a newer version.
    #[error("{0}")]
    Mark(String),
    /// A clock of this host that is too far from the store's for deleting rows by their age.
    #[error("{0}")]
    Clock(Skew),
    /// An operation that the operating system refused.
    #[error("{what}: {source}")]
    Io {
        /// The operation that was attempted, as in `can't write to standard output`.
        what: String,
        /// The operating system's error.
        source: io::Error,
    },
    /// A combination of arguments that can't be carried out.
    #[error("{0}")]
    Usage(String),
    /// A well-formed command that was refused because of the state it met, as an unknown account.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Returns a function that wraps an [`io::Error`] into [`Error::Io`], for use with `map_err`.
    ///
    /// `what` says what was attempted, as in `can't write to standard output`.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// Returns the exit code of a process that ends with this error.
    ///
    /// The code is 2 if the arguments, the settings or the deployment's record have to be corrected
    /// first, and 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Mismatch(_) | Self::Mark(_) => {
                ExitCode::from(2)
            }
            Self::Failure(_)
            | Self::Store { .. }
            | Self::Io { .. }
            | Self::Refused(_)
            | Self::Clock(_) => ExitCode::FAILURE,
        }
    }

    /// Returns the stable name of this kind of error, as `--json` prints it.
    ///
    /// The names are in capitals, as those of problem bodies are, and never change.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Config(_) => ConfigError::CODE,
            Self::Usage(_) => "USAGE_INVALID",
            Self::Failure(_) | Self::Store { .. } => "STORE_UNAVAILABLE",
            Self::Mismatch(_) => "DEPLOYMENT_MISMATCH",
            Self::Mark(_) => "DEPLOYMENT_UNREADABLE",
            Self::Clock(_) => "CLOCK_WRONG",
            Self::Io { .. } => "SYSTEM_REFUSED",
            Self::Refused(_) => "REFUSED",
        }
    }

    /// Returns the whole error on one line: the text, its causes, and the cure where one is known.
    pub fn story(&self) -> String {
        match self {
            Self::Failure(failure) => {
                with_causes(self.to_string(), std::error::Error::source(failure))
            }
            Self::Store { failure, cure, .. } => {
                let causes = with_causes(String::new(), std::error::Error::source(failure));
                let cure = cure.as_deref().or(failure.symptom().map(Symptom::cure));
                let cure = cure.map(|cure| format!("; {cure}")).unwrap_or_default();
                format!("{self}{causes}{cure}")
            }
            _ => self.to_string(),
        }
    }
}

/// Returns a phrase that completes "the database at …", such as "doesn't answer".
fn what(failure: &Failure) -> String {
    match (failure.symptom(), failure.kind()) {
        (Some(symptom), _) => symptom.to_string(),
        (None, FailureKind::Unavailable | FailureKind::Full) => "is unavailable".to_owned(),
        (None, _) => "failed".to_owned(),
    }
}

/// Appends the chain of causes to `story`, each after a colon.
fn with_causes(mut story: String, mut cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(error) = cause {
        story.push_str(": ");
        story.push_str(&error.to_string());
        cause = error.source();
    }
    story
}

/// Two clocks that are too far apart for a sweep.
///
/// Its `Display` is the text for the operator, with the cure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Skew {
    /// The time of this host's clock.
    pub host: Timestamp,
    /// The time of the database's clock, or the time at which an SQLite file was last served.
    pub store: Timestamp,
    /// `true` if the store has a clock of its own.
    pub has_clock: bool,
}

impl std::fmt::Display for Skew {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self {
            host,
            store,
            has_clock,
        } = self;
        if *has_clock {
            return write!(
                f,
                "this host's clock reads {host} and the database's {store}, so nothing is \
                 deleted; correct the clock that is wrong"
            );
        }

        write!(
            f,
            "this host's clock reads {host} and the database was last served at {store}, so \
             nothing is deleted; correct the clock or, if it is right, run `countersign \
             cleanup --clock-is-right` or let a server run for an hour"
        )
    }
}
