//! The state of Redis that an error reveals.

use std::error::Error;
use std::sync::Arc;

use ::redis::{ErrorKind, RedisError};

use crate::error::Symptom;

/// Returns the symptom that an error shows, or `None` if it shows none.
pub(super) fn of(error: &RedisError) -> Option<Symptom> {
    if let Some(io) = cause(error).and_then(|cause| cause.downcast_ref::<std::io::Error>()) {
        return Symptom::of_io(io);
    }
    match error.code() {
        Some("WRONGPASS" | "NOAUTH" | "DENIED") => Some(Symptom::Credentials),
        Some("NOPERM") => Some(Symptom::Rights),
        Some("LOADING" | "MASTERDOWN" | "CLUSTERDOWN" | "TRYAGAIN" | "BUSY") => {
            Some(Symptom::Starting)
        }
        Some("READONLY") => Some(Symptom::ReadOnly),
        Some("OOM" | "MISCONF" | "NOREPLICAS") => Some(Symptom::Full),
        _ => of_words(error),
    }
}

/// Returns the symptom of an error that has no code of its own.
fn of_words(error: &RedisError) -> Option<Symptom> {
    let detail = error.detail().unwrap_or_default();
    if error.kind() == ErrorKind::AuthenticationFailed
        || detail.starts_with("Protocol error: unauthenticated")
        || detail.contains("WRONGPASS")
        || detail.contains("NOAUTH")
    {
        return Some(Symptom::Credentials);
    }

    if detail.starts_with("The user executing the script can't")
        || detail.starts_with("ACL failure in script")
    {
        return Some(Symptom::Rights);
    }

    match error.kind() {
        ErrorKind::ClusterConnectionNotFound => Some(Symptom::Unreachable),
        _ if error.is_timeout() => Some(Symptom::Silent),
        // The client of a cluster doesn't pass on the cause of a failed connection.
        ErrorKind::Io => Some(Symptom::Unreachable),
        _ if error.is_connection_dropped() => Some(Symptom::Starting),
        _ => None,
    }
}

/// Returns the error beneath a client error.
///
/// The client keeps it in an `Arc`, and downcasting has to look inside of it.
pub(super) fn cause(error: &RedisError) -> Option<&(dyn Error + 'static)> {
    let source = error.source()?;
    match source.downcast_ref::<Arc<dyn Error + Send + Sync>>() {
        Some(shared) => Some(&**shared),
        None => Some(source),
    }
}
