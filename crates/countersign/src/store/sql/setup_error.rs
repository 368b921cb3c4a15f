//! The error of preparing a database.

use crate::error::{ConfigError, Failure};

/// The error of preparing a database: a wrong schema or configuration, or an unavailable database.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SetupError {
    /// The schema or a setting is wrong. Trying again doesn't help; the error names the cure.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The database can't be asked, or refused a statement. Trying again may help if its kind is
    /// [`Unavailable`](crate::error::FailureKind::Unavailable).
    #[error(transparent)]
    Store(#[from] Failure),
}
