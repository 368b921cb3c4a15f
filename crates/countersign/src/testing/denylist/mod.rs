//! The conformance suite of [`DenylistStore`]: one function for each clause of its contract.
//!
//! The clauses are grouped by what they check:
//!
//! - [`entries`]: one entry, from its denial to its end.
//! - [`ids`]: which ids an entry denies.
//! - [`bounds`]: the sweep, and a denylist that is full.
//! - [`race`]: denials and sweeps at the same time.
//!
//! To add a clause, write its function, add it to one of the lists below, and add a broken store to
//! `tests/it/suite_catches` which shows that the clause can fail.

mod bounds;
mod entries;
mod fixture;
mod ids;
mod race;

use std::fmt;
use std::sync::Arc;

use crate::denylist::DenylistStore;
use crate::error::Cause;
use crate::testing::case::{Case, cases, judge};
use crate::testing::report::SuiteReport;
use fixture::Fixture;

/// The cases for every denylist.
const CASES: &[Case<Fixture>] = cases![
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

/// The cases for denylists that keep expired entries until a sweep removes them.
const CASES_WHEN_SWEPT: &[Case<Fixture>] = cases![
    bounds::sweep_takes_what_ended,
    bounds::sweep_is_bounded_and_resumable,
];

/// The cases for denylists whose entries expire by themselves.
const CASES_WHEN_SELF_EXPIRING: &[Case<Fixture>] = cases![bounds::sweep_is_left_to_the_store];

/// The cases for denylists with a known capacity.
const CASES_WHEN_BOUNDED: &[Case<Fixture>] = cases![
    bounds::full_refuses_and_forgets_nothing,
    bounds::full_still_extends,
    bounds::room_returns_when_entries_end,
];

/// A conformance suite for implementations of [`DenylistStore`].
///
/// Run it in the tests of your denylist. Each case gets a denylist of its own, which must be empty,
/// and checks one clause: that a denied id stays denied up to its end and no longer, that no denial
/// is shortened or lost, that ids are compared byte by byte, and that a full denylist refuses new
/// entries and never forgets one.
///
/// # Examples
///
/// ```
/// # mod denylist {
/// # use countersign::{Failure, Timestamp};
/// # pub struct Mine;
/// # impl Mine { pub fn new() -> Self { Self } }
/// # #[async_trait::async_trait]
/// # impl countersign::denylist::DenylistStore for Mine {
/// #     async fn deny(&self, _: &str, _: Timestamp, _: Timestamp) -> Result<(), Failure> {
/// #         Ok(())
/// #     }
/// #     async fn is_any_denied(&self, _: &[&str], _: Timestamp) -> Result<bool, Failure> {
/// #         Ok(false)
/// #     }
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
/// let suite = DenylistSuite::new("mine", || async { Ok::<_, Failure>(Mine::new()) });
/// let report = suite.run().await;
/// println!("{report}");
/// // This denylist never denies anything, so the suite fails.
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
    /// Creates a suite for the backend that reports call `backend`.
    ///
    /// The suite calls `fresh` before each case. It must return an empty denylist that shares
    /// nothing with the one before, with room for 2,000 entries or for as many as
    /// [`capacity`](Self::capacity) says. An error from it fails that case.
    pub fn new(backend: impl Into<String>, fresh: F) -> Self {
        Self {
            backend: backend.into(),
            capacity: None,
            self_expiring: false,
            denials: 1_024,
            only: None,
            fresh,
        }
    }

    /// Sets the exact number of entries that a fresh denylist holds, at least 200. Adds the cases
    /// about a full denylist.
    ///
    /// These cases expect that a new entry in a full denylist is refused with
    /// [`FailureKind::Full`](crate::error::FailureKind::Full), that an entry that is there can
    /// still be extended, and that a sweep of expired entries makes room. By default, the capacity
    /// is not known and these cases are left out.
    pub const fn capacity(mut self, entries: u32) -> Self {
        self.capacity = Some(entries);
        self
    }

    /// Declares that entries expire by themselves, so that a sweep has nothing to remove.
    ///
    /// Leaves out the cases that count the entries that a sweep removes. Use it for denylists on a
    /// store with expiring keys, such as Redis. Defaults to `false`.
    pub const fn self_expiring(mut self) -> Self {
        self.self_expiring = true;
        self
    }

    /// Sets the number of denials that are made while sweeps run, in the case that looks for lost
    /// denials.
    ///
    /// The number is rounded up to a multiple of 64, the number of concurrent calls. More denials
    /// find a rare race with more certainty and take longer. Defaults to 1,024.
    pub const fn denials(mut self, denials: u32) -> Self {
        self.denials = denials;
        self
    }

    /// Runs only the cases whose names begin with `prefix`, such as `bounds::`.
    pub fn only(mut self, prefix: impl Into<String>) -> Self {
        self.only = Some(prefix.into());
        self
    }

    /// Runs the cases one after the other and returns their results.
    ///
    /// A case also fails if the denylist panics or does not answer within two minutes.
    ///
    /// # Panics
    /// Panics if it is not called within a Tokio runtime with timers.
    pub async fn run<S, E, Fresh>(self) -> SuiteReport
    where
        F: Fn() -> Fresh,
        Fresh: Future<Output = Result<S, E>>,
        S: DenylistStore + 'static,
        E: Into<Cause>,
    {
        let when_bounded = self.capacity.map_or(&[][..], |_| CASES_WHEN_BOUNDED);
        let of_expiry = if self.self_expiring {
            CASES_WHEN_SELF_EXPIRING
        } else {
            CASES_WHEN_SWEPT
        };
        let mut cases = Vec::new();
        for case in CASES.iter().chain(of_expiry).chain(when_bounded) {
            if self
                .only
                .as_ref()
                .is_some_and(|prefix| !case.name.starts_with(prefix.as_str()))
            {
                continue;
            }
            let entries = self.capacity.unwrap_or(2_000);
            let denials = self.denials;
            let fixture = (self.fresh)().await.map(|store| Fixture {
                store: Arc::new(store),
                entries,
                denials,
            });
            cases.push(judge(case.name.to_owned(), case, fixture.map_err(Into::into)).await);
        }

        SuiteReport {
            backend: self.backend,
            cases,
        }
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
