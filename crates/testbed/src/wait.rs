//! Waiting for conditions, and for nothing else.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::thread;
use std::time::{Duration, Instant};

const PATIENCE: Duration = Duration::from_mins(1);
const INTERVAL: Duration = Duration::from_millis(20);

/// Waits until `condition` holds; `what` names it in the panic when it doesn't within a minute.
pub fn wait_until(what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed() < PATIENCE, "waited a minute in vain until {what}");
        thread::sleep(INTERVAL);
    }
}

/// A number that no other test process has.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
