//! The errors of SQLite: which are outages, and what they reveal.

use rusqlite::ErrorCode;

use crate::error::{Failure, Symptom};

/// The part that failures of this driver name.
pub(super) const PART: &str = "database";

/// Returns the failure for an error of SQLite. Its text names tables and files, and contains no
/// values.
pub(super) fn failure(error: &rusqlite::Error) -> Failure {
    let out_of_reach = matches!(
        error.sqlite_error_code(),
        Some(
            ErrorCode::DatabaseBusy
                | ErrorCode::DatabaseLocked
                | ErrorCode::DatabaseCorrupt
                | ErrorCode::NotADatabase
                | ErrorCode::CannotOpen
                | ErrorCode::DiskFull
                | ErrorCode::ReadOnly
                | ErrorCode::PermissionDenied
                | ErrorCode::SystemIoFailure
                | ErrorCode::OutOfMemory
                | ErrorCode::OperationInterrupted
        )
    );

    let failure = if out_of_reach {
        Failure::unavailable(PART, error.to_string())
    } else {
        Failure::internal(PART, error.to_string())
    };

    failure.with_symptom(symptom(error))
}

/// Returns the symptom that an error shows, if any.
fn symptom(error: &rusqlite::Error) -> Option<Symptom> {
    match error.sqlite_error_code() {
        Some(ErrorCode::DiskFull) => Some(Symptom::Full),
        Some(ErrorCode::ReadOnly) => Some(Symptom::ReadOnly),
        Some(ErrorCode::PermissionDenied | ErrorCode::CannotOpen) => Some(Symptom::Rights),
        _ if error.to_string().starts_with("no such ") => Some(Symptom::NoTable),
        _ => None,
    }
}
