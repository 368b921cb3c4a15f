//! What a command can fail with, and the exit code that goes with it.

use std::io;
use std::process::ExitCode;

use countersign::{ConfigError, Failure, FailureKind, Symptom};

use crate::deployment::Skew;

/// Why a command ended without doing what it was asked for.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A setting can't work.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// A store or another part didn't do its work.
    #[error("{0}")]
    Failure(#[from] Failure),
    /// The database or Redis doesn't do its work.
    #[error("{setting}: {store} {}", what(.failure))]
    Store {
        /// What its setting is called where it was given.
        setting: String,
        /// Which it is, without its password.
        store: String,
        /// What it did.
        failure: Failure,
        /// What there is to do about it, where that isn't what the failure itself says.
        cure: Option<String>,
    },
    /// A setting contradicts what the deployment's database says.
    #[error("{0}")]
    Mismatch(String),
    /// What is recorded of the deployment can't be read.
    #[error("{0}")]
    Mark(String),
    /// This host's clock is far from the store's.
    #[error("{0}")]
    Clock(Skew),
    /// The system refused something.
    #[error("{what}: {source}")]
    Io {
        /// What was attempted, as `can't write to standard output`.
        what: String,
        /// What the system said.
        source: io::Error,
    },
    /// The command asks for something that can't be done.
    #[error("{0}")]
    Usage(String),
    /// The command is in order, but the answer is no.
    #[error("{0}")]
    Refused(String),
}

impl Error {
    /// Names what was attempted when the system refused.
    pub fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }

    /// 2 for a mistake in how we were called, 1 for everything else.
    pub fn exit_code(&self) -> ExitCode {
        match self {
            Self::Config(_) | Self::Usage(_) | Self::Mismatch(_) | Self::Mark(_) => ExitCode::from(2),
            Self::Failure(_) | Self::Store { .. } | Self::Io { .. } | Self::Refused(_) | Self::Clock(_) => {
                ExitCode::FAILURE
            }
        }
    }

    /// A stable name for `--json`.
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

    /// The whole story, causes included, on one line.
    pub fn story(&self) -> String {
        match self {
            Self::Failure(failure) => with_causes(self.to_string(), std::error::Error::source(failure)),
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

/// What a store does that can't be used.
fn what(failure: &Failure) -> String {
    match (failure.symptom(), failure.kind()) {
        (Some(symptom), _) => symptom.to_string(),
        (None, FailureKind::Unavailable | FailureKind::Full) => "can't be used now".to_owned(),
        (None, _) => "doesn't do what it is asked for".to_owned(),
    }
}

fn with_causes(mut story: String, mut cause: Option<&(dyn std::error::Error + 'static)>) -> String {
    while let Some(error) = cause {
        story.push_str(": ");
        story.push_str(&error.to_string());
        cause = error.source();
    }
    story
}
