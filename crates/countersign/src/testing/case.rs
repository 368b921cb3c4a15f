//! One named case, and how it is judged.

use std::time::Duration;

use futures_util::future::BoxFuture;
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinError;

use crate::error::Cause;
use crate::testing::report::CaseReport;
use crate::testing::violation::{Verdict, Violation, ensure};

/// How long a case may take before it counts as hung.
const PATIENCE: Duration = Duration::from_mins(2);

/// One clause of a contract, and the check of it on a ground `G`.
pub(super) struct Case<G> {
    pub(super) name: &'static str,
    pub(super) run: fn(G) -> BoxFuture<'static, Verdict>,
}

/// The cases that these functions are, each known by its path.
macro_rules! cases {
    ($($module:ident :: $case:ident),+ $(,)?) => {
        &[$($crate::testing::case::Case {
            name: concat!(stringify!($module), "::", stringify!($case)),
            run: |ground| Box::pin($module::$case(ground)),
        }),+]
    };
}
pub(super) use cases;

/// Runs one case on its fresh ground. A panic or a hang of the store is a violation, too.
pub(super) async fn judge<G: 'static>(name: String, case: &Case<G>, ground: Result<G, Cause>) -> CaseReport {
    let violation = match ground {
        Err(error) => Some(Violation::new(format!("no fresh store: {error}"))),
        Ok(ground) => {
            let task = tokio::spawn((case.run)(ground));
            let abort = task.abort_handle();
            let ended = tokio::time::timeout(PATIENCE, task).await;
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

fn panicked(error: JoinError) -> String {
    let Ok(panic) = error.try_into_panic() else { return "was cancelled".to_owned() };
    let text = panic.downcast_ref::<String>().map(String::as_str).or_else(|| panic.downcast_ref::<&str>().copied());
    format!("panicked: {}", text.unwrap_or("without a message"))
}

/// Races on one thread show little.
pub(super) fn needs_threads() -> Verdict {
    let many = Handle::current().runtime_flavor() == RuntimeFlavor::MultiThread;
    ensure(many, "the suite must run on a multi-thread runtime, for its races to be races")
}
