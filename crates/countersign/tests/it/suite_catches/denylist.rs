use std::collections::{HashMap, HashSet};
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use countersign::denylist::{CLOCK_SLACK, DenylistStore, MemoryDenylist};
use countersign::{Failure, Timestamp};

/// One broken clause.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum DenylistFault {
    None,
    DeniesNothing,
    DeniesEverything,
    EndsLate,
    EndsEarly,
    Shortens,
    NeverExtends,
    LastCallerWins,
    EndedIsAnError,
    NotAnew,
    ReadsRemove,
    ShortensFromBehind,
    SweepWithoutSlack,
    SweepTakesExtended,
    FirstIdAlone,
    FoldsCase,
    SweepTakesLive,
    SweepUnbounded,
    SweepCountsWrong,
    ForgetsSome,
    ForgetsWhenFull,
    FullRefusesKnownIds,
    RoomIsLost,
}

/// Each fault, and the case that must catch it.
pub(crate) const FAULTS: &[(DenylistFault, &str)] = &[
    (DenylistFault::DeniesNothing, "entries::denied_is_denied"),
    (
        DenylistFault::DeniesEverything,
        "entries::unknown_is_a_value",
    ),
    (DenylistFault::EndsLate, "entries::end_at_the_exact_moment"),
    (DenylistFault::EndsEarly, "entries::end_at_the_exact_moment"),
    (DenylistFault::Shortens, "entries::are_never_shortened"),
    (
        DenylistFault::ShortensFromBehind,
        "entries::are_never_shortened_by_a_clock_behind",
    ),
    (
        DenylistFault::SweepWithoutSlack,
        "bounds::sweep_leaves_room_for_clocks_that_differ",
    ),
    (
        DenylistFault::SweepTakesExtended,
        "race::denials_beside_sweeps",
    ),
    (DenylistFault::NeverExtends, "entries::are_extended"),
    (
        DenylistFault::LastCallerWins,
        "entries::longest_of_many_callers_wins",
    ),
    (
        DenylistFault::EndedIsAnError,
        "entries::ended_already_is_a_value",
    ),
    (DenylistFault::NotAnew, "entries::can_be_denied_anew"),
    (DenylistFault::ReadsRemove, "entries::reads_do_not_write"),
    (DenylistFault::FirstIdAlone, "ids::any_of_several"),
    (DenylistFault::FoldsCase, "ids::odd_ones_are_told_apart"),
    (
        DenylistFault::SweepTakesLive,
        "bounds::sweep_takes_what_ended",
    ),
    (
        DenylistFault::SweepUnbounded,
        "bounds::sweep_is_bounded_and_resumable",
    ),
    (
        DenylistFault::SweepCountsWrong,
        "bounds::sweep_takes_what_ended",
    ),
    (DenylistFault::ForgetsSome, "bounds::never_forgets"),
    (
        DenylistFault::ForgetsWhenFull,
        "bounds::full_refuses_and_forgets_nothing",
    ),
    (
        DenylistFault::FullRefusesKnownIds,
        "bounds::full_still_extends",
    ),
    (
        DenylistFault::RoomIsLost,
        "bounds::room_returns_when_entries_end",
    ),
];

/// A good denylist with one fault. It is over a `HashMap` of its own where the fault needs one.
pub(crate) struct BrokenDenylist {
    inner: MemoryDenylist,
    fault: DenylistFault,
    latest: Mutex<HashMap<String, Timestamp>>,
    /// The latest moment at which an id was denied.
    denied_at: Mutex<HashMap<String, Timestamp>>,
    /// What a sweep removed although it was extended.
    taken: Mutex<HashSet<String>>,
}

impl BrokenDenylist {
    pub(crate) fn new(inner: MemoryDenylist, fault: DenylistFault) -> Self {
        Self {
            inner,
            fault,
            latest: Mutex::default(),
            denied_at: Mutex::default(),
            taken: Mutex::default(),
        }
    }

    fn is(&self, fault: DenylistFault) -> bool {
        self.fault == fault
    }

    fn keeps_latest_alone(&self) -> bool {
        use DenylistFault::{LastCallerWins, Shortens, ShortensFromBehind};
        matches!(self.fault, Shortens | LastCallerWins | ShortensFromBehind)
    }

    fn spelled(&self, id: &str) -> String {
        if self.is(DenylistFault::FoldsCase) {
            id.to_lowercase()
        } else {
            id.to_owned()
        }
    }
}

const TICK: Duration = Duration::from_micros(1);
const CAPACITY: usize = 300;

#[async_trait]
impl DenylistStore for BrokenDenylist {
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure> {
        let known = self.inner.is_any_denied(&[id], now).await?;
        let full = self.inner.len() >= CAPACITY;
        match self.fault {
            DenylistFault::DeniesNothing => return Ok(()),
            DenylistFault::NeverExtends if known => return Ok(()),
            DenylistFault::EndedIsAnError if until <= now => {
                return Err(Failure::internal("denylist", "ended already"));
            }
            DenylistFault::NotAnew if self.latest.lock().unwrap().contains_key(id) => return Ok(()),
            DenylistFault::ForgetsSome if id.ends_with("99") => return Ok(()),
            DenylistFault::ForgetsWhenFull if full => {
                self.inner.sweep(Timestamp::MAX, 1).await?;
            }
            DenylistFault::FullRefusesKnownIds if full => return Err(Failure::full("denylist")),
            DenylistFault::RoomIsLost if self.latest.lock().unwrap().len() >= CAPACITY => {
                return Err(Failure::full("denylist"));
            }
            _ => {}
        }
        let before = self.denied_at.lock().unwrap().insert(id.to_owned(), now);
        let known = self.latest.lock().unwrap().get(id).copied();
        let longer =
            self.is(DenylistFault::ShortensFromBehind) && before.is_none_or(|before| before <= now);
        let latest = known
            .filter(|_| longer)
            .map_or(until, |known| known.max(until));
        self.latest.lock().unwrap().insert(id.to_owned(), latest);
        self.taken.lock().unwrap().remove(id);
        let until = match self.fault {
            DenylistFault::EndsLate => until.saturating_add(TICK),
            DenylistFault::EndsEarly => until.saturating_sub(TICK),
            _ => until,
        };
        self.inner.deny(&self.spelled(id), until, now).await
    }

    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure> {
        if self.keeps_latest_alone() {
            let latest = self.latest.lock().unwrap();
            return Ok(ids
                .iter()
                .any(|id| latest.get(*id).is_some_and(|until| *until > now)));
        }
        let spelled: Vec<_> = ids.iter().map(|id| self.spelled(id)).collect();
        let mut ids: Vec<_> = spelled.iter().map(String::as_str).collect();
        match self.fault {
            DenylistFault::DeniesEverything => return Ok(true),
            DenylistFault::FirstIdAlone => ids.truncate(1),
            DenylistFault::ReadsRemove => {
                self.inner
                    .sweep(now.saturating_add(CLOCK_SLACK), u32::MAX)
                    .await?;
            }
            _ => {}
        }
        ids.retain(|id| !self.taken.lock().unwrap().contains(*id));
        self.inner.is_any_denied(&ids, now).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        match self.fault {
            DenylistFault::SweepWithoutSlack => {
                self.inner
                    .sweep(now.saturating_add(CLOCK_SLACK), limit)
                    .await
            }
            DenylistFault::SweepTakesExtended => {
                let latest = self.latest.lock().unwrap().clone();
                tokio::task::yield_now().await;
                let over = latest
                    .into_iter()
                    .filter(|(_, until)| until.saturating_add(CLOCK_SLACK) <= now);
                self.taken.lock().unwrap().extend(over.map(|(id, _)| id));
                Ok(0)
            }
            DenylistFault::SweepTakesLive => {
                self.inner.sweep(now.saturating_add(TICK), limit).await
            }
            DenylistFault::SweepUnbounded => self.inner.sweep(now, u32::MAX).await,
            DenylistFault::SweepCountsWrong => {
                Ok(self.inner.sweep(now, limit).await?.saturating_add(1))
            }
            _ => self.inner.sweep(now, limit).await,
        }
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }
}
