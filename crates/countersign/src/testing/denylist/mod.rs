//! The contract of [`DenylistStore`], one function a clause.

mod bounds;
mod entries;
mod ids;
mod race;

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::denylist::DenylistStore;
use crate::error::Cause;
use crate::testing::case::{Case, cases, judge};
use crate::testing::report::SuiteReport;

/// Run on every denylist.
const CASES: &[Case<Ground>] = cases![
    entries::denied_is_denied,
    entries::unknown_is_a_value,
    entries::end_at_the_exact_moment,
    entries::are_never_shortened,
    entries::are_never_shortened_by_a_clock_behind,
    entries::are_extended,
    entries::longest_of_many_callers_wins,
    entries::ended_already_is_a_value,
    entries::can_be_denied_anew,
    entries::reads_do_not_write,
    ids::any_of_several,
    ids::odd_ones_are_told_apart,
    bounds::never_forgets,
    bounds::sweep_leaves_room_for_clocks_that_differ,
    race::denials_beside_sweeps,
];

/// Run on denylists that keep what has ended until it is swept.
const CASES_WHEN_SWEPT: &[Case<Ground>] =
    cases![bounds::sweep_takes_what_ended, bounds::sweep_is_bounded_and_resumable,];

/// Run on denylists whose entries leave by themselves.
const CASES_WHEN_SELF_EXPIRING: &[Case<Ground>] = cases![bounds::sweep_is_left_to_the_store];

/// Run on denylists that say how many entries they hold.
const CASES_WHEN_BOUNDED: &[Case<Ground>] = cases![
    bounds::full_refuses_and_forgets_nothing,
    bounds::full_still_extends,
    bounds::room_returns_when_entries_end,
];

/// Checks an implementation of [`DenylistStore`] against every clause of its contract.
///
/// Each case gets a fresh, empty denylist:
///
/// ```
/// # mod denylist {
/// # use countersign::{Failure, Timestamp};
/// # pub struct Mine;
/// # impl Mine { pub fn new() -> Self { Self } }
/// # #[async_trait::async_trait]
/// # impl countersign::denylist::DenylistStore for Mine {
/// #     async fn deny(&self, _: &str, _: Timestamp, _: Timestamp) -> Result<(), Failure> { Ok(()) }
/// #     async fn is_any_denied(&self, _: &[&str], _: Timestamp) -> Result<bool, Failure> { Ok(false) }
/// #     async fn sweep(&self, _: Timestamp, _: u32) -> Result<u64, Failure> { Ok(0) }
/// #     fn is_durable(&self) -> bool { false }
/// # }
/// # }
/// # use denylist::Mine;
/// use countersign::Failure;
/// use countersign::testing::DenylistSuite;
///
/// # #[tokio::main]
/// # async fn main() {
/// let report = DenylistSuite::new("mine", || async { Ok::<_, Failure>(Mine::new()) }).run().await;
/// println!("{report}");
/// // This one denies nothing, which shows.
/// assert!(report.into_result().is_err());
/// # }
/// ```
#[must_use]
pub struct DenylistSuite<F> {
    backend: String,
    capacity: Option<u32>,
    self_expiring: bool,
    denials: u32,
    only: Option<String>,
    fresh: F,
}

impl<F> DenylistSuite<F> {
    /// A suite for the backend of that name, whose fresh denylists `fresh` makes. They must hold 2,000 entries, or
    /// as many as [`capacity`](Self::capacity) says.
    pub fn new(backend: impl Into<String>, fresh: F) -> Self {
        Self { backend: backend.into(), capacity: None, self_expiring: false, denials: 1_024, only: None, fresh }
    }

    /// How many entries a fresh denylist holds, exactly (at least 200): adds the cases of a full one.
    pub const fn capacity(mut self, entries: u32) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// Entries leave by themselves once they have ended, so that a sweep finds nothing: leaves out the cases that count
    /// what a sweep removes.
    pub const fn self_expiring(mut self) -> Self {
        self.self_expiring = true;
        self
    }

    /// How many denials are made beside sweeps, to see whether one is lost. Defaults to 1,024.
    pub const fn denials(mut self, denials: u32) -> Self {
        self.denials = denials;
        self
    }

    /// Runs only the cases whose names begin with `prefix`.
    pub fn only(mut self, prefix: impl Into<String>) -> Self {
        self.only = Some(prefix.into());
        self
    }

    /// Runs the suite, one case after the other.
    pub async fn run<S, E, Fresh>(self) -> SuiteReport
    where
        F: Fn() -> Fresh,
        Fresh: Future<Output = Result<S, E>>,
        S: DenylistStore + 'static,
        E: Into<Cause>,
    {
        let when_bounded = self.capacity.map_or(&[][..], |_| CASES_WHEN_BOUNDED);
        let of_expiry = if self.self_expiring { CASES_WHEN_SELF_EXPIRING } else { CASES_WHEN_SWEPT };
        let mut cases = Vec::new();
        for case in CASES.iter().chain(of_expiry).chain(when_bounded) {
            if self.only.as_ref().is_some_and(|prefix| !case.name.starts_with(prefix.as_str())) {
                continue;
            }
            let entries = self.capacity.unwrap_or(2_000);
            let denials = self.denials;
            let ground = (self.fresh)().await.map(|store| Ground { store: Arc::new(store), entries, denials });
            cases.push(judge(case.name.to_owned(), case, ground.map_err(Into::into)).await);
        }
        SuiteReport { backend: self.backend, cases }
    }
}

impl<F> fmt::Debug for DenylistSuite<F> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("DenylistSuite")
            .field("backend", &self.backend)
            .field("capacity", &self.capacity)
            .field("self_expiring", &self.self_expiring)
            .field("denials", &self.denials)
            .field("only", &self.only)
            .finish_non_exhaustive()
    }
}

/// What the cases stand on.
#[derive(Clone)]
struct Ground {
    store: Arc<dyn DenylistStore>,
    entries: u32,
    denials: u32,
}

/// The present moment of every case: not a whole second.
const NOW: Timestamp = Timestamp::from_micros(1_768_478_400_123_456);

const TICK: Duration = Duration::from_micros(1);

fn minutes(number: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(60 * number))
}
