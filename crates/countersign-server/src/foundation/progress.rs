//! Log lines about a migration that takes long.
//!
//! A server may migrate large tables at its start. Without these lines, an operator couldn't tell a
//! migration that works from one that waits for a lock.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use countersign::store::sql::Progress;

/// The shortest time between two log lines about waiting or building.
const INTERVAL: Duration = Duration::from_secs(10);

/// Returns a callback that logs the progress of a migration.
///
/// Statements are logged at `debug`. Waiting and building are logged at most once per [`INTERVAL`],
/// all kinds together. A migration that keeps writers waiting is always logged, at `warn`.
pub(super) fn logged() -> impl Fn(Progress) + Send + Sync + 'static {
    let last = Mutex::new(None::<Instant>);

    move |progress| match progress {
        Progress::Runs { step, statement } => {
            tracing::debug!(
                event = "migration_runs",
                set = step.set,
                version = step.version,
                statement
            );
        }
        Progress::WaitsForTurn { waited } if is_due(&last) => {
            let waited = seconds(waited);
            tracing::warn!(
                event = "migration_waits_for_turn",
                waited,
                "waiting for another process to finish migrating"
            );
        }
        Progress::WaitsForLock {
            table,
            held_by,
            waited,
            ..
        } if is_due(&last) => {
            let waited = seconds(waited);
            tracing::warn!(
                event = "migration_waits_for_lock",
                table,
                held_by = held_by.as_deref(),
                waited
            );
        }
        Progress::Builds {
            what,
            phase,
            percent,
            elapsed,
            ..
        } if is_due(&last) => {
            let elapsed = seconds(elapsed);
            tracing::info!(
                event = "migration_builds",
                what,
                phase = phase.as_deref(),
                percent,
                elapsed
            );
        }
        Progress::WritersWait { table, .. } => {
            tracing::warn!(
                event = "migration_keeps_writers_waiting",
                table,
                "the database has no online method for this change"
            );
        }
        _ => {}
    }
}

/// Returns `true` if the last line is old enough for another, and notes that this one is written.
fn is_due(last: &Mutex<Option<Instant>>) -> bool {
    let mut last = last.lock().unwrap_or_else(PoisonError::into_inner);
    let is_due = last.is_none_or(|last| last.elapsed() >= INTERVAL);
    if is_due {
        *last = Some(Instant::now());
    }
    is_due
}

/// Returns a duration as whole seconds, as in `12s`.
fn seconds(duration: Duration) -> String {
    format!("{}s", duration.as_secs())
}
