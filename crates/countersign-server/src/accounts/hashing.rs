//! The failures of password hashing.

use countersign::Failure;

/// The component that failures name.
pub(super) const PART: &str = "password hashing";

/// Returns a failure of hashing that only a bug can bring about.
pub(super) fn failed(error: impl Into<countersign::error::Cause>) -> Failure {
    Failure::internal(PART, error)
}
