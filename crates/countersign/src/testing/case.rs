//! A named case of a suite, and the code that runs it.
//!
//! A suite is a list of [`Case`]s. Each case checks one clause of a contract and gets a fresh
//! store, so a case never sees the records of another one. [`judge`] turns a panic or a hang of the
//! store into a [`Violation`], so that one bad clause does not hide the others.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinError;

use crate::error::Cause;
use crate::testing::report::CaseReport;
use crate::testing::violation::{Verdict, Violation, ensure};

/// The longest time that a case may take. A case that takes longer is reported as hung.
const PATIENCE: Duration = Duration::from_mins(2);

/// One clause of a contract, and the function that checks it on a fixture `G`.
pub(super) struct Case<G> {
    /// The case's name in reports, as `module::function`.
    pub(super) name: &'static str,
    /// The function that checks the clause.
    pub(super) run: fn(G) -> BoxFuture<'static, Verdict>,
}

/// Builds a list of [`Case`]s from the paths of their functions. A case's name is its path.
macro_rules! cases {
    ($($module:ident :: $case:ident),+ $(,)?) => {
        &[$($crate::testing::case::Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |fixture| Box::pin($module::$case(fixture)),
        }),+]
    };
}
pub(super) use cases;

/// Runs `case` on `fixture` and returns its report.
///
/// The case fails if the store could not be made, if it breaks the clause, if it panics, or if it
/// takes longer than [`PATIENCE`].
pub(super) async fn judge<G: 'static>(
    name: String,
    case: &Case<G>,
    fixture: Result<G, Cause>,
) -> CaseReport {
    let violation = match fixture {
        Err(error) => Some(Violation::new(format!("no fresh store: {error}"))),
        Ok(fixture) => {
            // The case runs as a task of its own, so that a panic ends only that task. If the runtime
            // has several threads, the timeout also covers a store that blocks one of them.
            let task = tokio::spawn((case.run)(fixture));
            let abort = task.abort_handle();
            let ended = tokio::time::timeout(PATIENCE, task).await;
            // A hung case must not go on beside the cases that follow.
            abort.abort();
            match ended {
                Err(_) => Some(Violation::new("did not end in two minutes")),
                Ok(Err(error)) => Some(Violation::new(panicked(error))),
                Ok(Ok(verdict)) => verdict.err(),
            }
        }
    };

    CaseReport { name, violation }
}

/// Returns the text of a violation for a case that panicked.
fn panicked(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else {
        return "was cancelled".to_owned();
    };
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// Checks that the runtime has several threads.
///
/// The cases about concurrent calls start with this. On one thread their calls take turns, so that
/// a store without a guard in its write may pass.
pub(super) fn needs_threads() -> Verdict {
    let many = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    ensure(
        many,
        "the suite must run on a multi-thread runtime, for its races to be races",
    )
}
