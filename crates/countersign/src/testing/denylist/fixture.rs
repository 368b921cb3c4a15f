//! The ground that every case stands on: a denylist, and the times of its entries.

use std::sync::Arc;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::denylist::DenylistStore;

/// The fixture of a case: a fresh denylist and the sizes that the suite was given.
#[derive(Clone)]
pub(super) struct Fixture {
    /// The denylist under test.
    pub(super) store: Arc<dyn DenylistStore>,
    /// The number of entries that fill the denylist, or 2,000 if its capacity is not known.
    pub(super) entries: u32,
    /// The number of denials to make while sweeps run.
    pub(super) denials: u32,
}

/// The present time of every case. It is not a whole second, so that a store that rounds is found
/// out.
pub(super) const NOW: Timestamp = Timestamp::from_micros(1_768_478_400_123_456);

/// The smallest step of time that stores must keep: one microsecond.
pub(super) const TICK: Duration = Duration::from_micros(1);

/// Returns the time `number` minutes after [`NOW`].
pub(super) fn minutes(number: u64) -> Timestamp {
    NOW.saturating_add(Duration::from_secs(60 * number))
}
