//! Waiting for conditions, and for nothing else.

use std::collections::hash_map::RandomState;
use std::hash::{BuildHasher, Hasher};
use std::net::TcpListener;
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

/// A loopback TCP port that nobody listens on.
///
/// It lies below the range that the kernel gives to outgoing connections: a client that calls a dead server over and
/// over would otherwise be given the server's own port one day, and reach itself.
pub fn free_port() -> u16 {
    for _ in 0..1000 {
        let port = 20_000 + u16::try_from(random() % 12_000).expect("below 12,000");
        if TcpListener::bind(("127.0.0.1", port)).is_ok() {
            return port;
        }
    }
    panic!("no free port between 20000 and 32000");
}

/// A number that no other test process has.
pub(crate) fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}
