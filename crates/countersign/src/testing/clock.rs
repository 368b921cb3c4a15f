//! A clock that stands still.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// Tells the same moment until it is told another.
///
/// ```
/// use std::time::Duration;
/// use countersign::testing::ManualClock;
/// use countersign::{Clock, Timestamp};
///
/// let clock = ManualClock::new(Timestamp::from_unix_seconds(1_768_478_400));
/// clock.advance(Duration::from_secs(900));
/// assert_eq!(clock.now(), Timestamp::from_unix_seconds(1_768_479_300));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// A clock that says `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Says `now` from here on.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves on by `duration`.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
    }
}

/// Noon on 15 January 2026, UTC.
impl Default for ManualClock {
    fn default() -> Self {
        Self::new(Timestamp::from_unix_seconds(1_768_478_400))
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}
