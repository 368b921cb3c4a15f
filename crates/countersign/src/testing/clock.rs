//! The clock for tests, which moves only when the test moves it.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use crate::clock::{Clock, Timestamp};

/// A clock that shows the same time until a test sets or advances it.
///
/// Share it between the test and the code under test, for example in an `Arc`: all methods take
/// `&self`. Use it to step over an expiry without waiting. [`ManualClock::default`] starts at noon
/// on 15 January 2026, UTC.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use countersign::testing::ManualClock;
/// use countersign::clock::Clock;
/// use countersign::Timestamp;
///
/// let clock = ManualClock::new(Timestamp::from_unix_seconds(1_768_478_400));
/// clock.advance(Duration::from_secs(900));
/// assert_eq!(clock.now(), Timestamp::from_unix_seconds(1_768_479_300));
/// ```
#[derive(Debug)]
pub struct ManualClock(AtomicI64);

impl ManualClock {
    /// Creates a clock that shows `now`.
    pub const fn new(now: Timestamp) -> Self {
        Self(AtomicI64::new(now.as_micros()))
    }

    /// Sets the clock to `now`, which may be earlier than the time it shows.
    pub fn set(&self, now: Timestamp) {
        self.0.store(now.as_micros(), Ordering::SeqCst);
    }

    /// Moves the clock forward by `duration`.
    ///
    /// Concurrent calls may overwrite each other; advance a clock from one place.
    pub fn advance(&self, duration: Duration) {
        self.set(self.now().saturating_add(duration));
    }
}

/// Starts at noon on 15 January 2026, UTC.
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
