//! Waiting for conditions. Tests never wait for a fixed time.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::thread;
use std::time::{Duration, Instant};

/// The time after which a condition counts as never met.
const PATIENCE: Duration = Duration::from_mins(1);
/// The time between two looks at a condition.
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `condition` is `true`, and panics with `what` if it isn't within a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(
            start.elapsed() < PATIENCE,
            "waited a minute in vain until {what}"
        );
        thread::sleep(INTERVAL);
    }
}

/// Returns a random number. Every call gets another one, in this process and in all others.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
