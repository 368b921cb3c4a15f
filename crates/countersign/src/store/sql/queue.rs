//! One at a time for each row that many want at once, so that they wait in memory and not on connections.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};
use tokio::time::{Instant, timeout_at};

use crate::store::sql::Script;
use crate::value::Value;

/// The queues, by what is waited for. A queue that nobody stands in isn't kept.
#[derive(Default)]
pub(super) struct Queues {
    standing: Mutex<HashMap<Vec<u8>, Arc<Turn<()>>>>,
}

impl Queues {
    /// Waits until nobody else of this process runs a script for the same row. A script that names no row waits for
    /// nobody.
    pub(super) async fn turn(&self, script: &Script, params: &[Value]) -> Option<Place<'_>> {
        let key = key(params.get(script.row()?)?)?;
        let turn = Arc::clone(self.lock().entry(key.clone()).or_default());
        // Made before the wait, so that whoever goes away while waiting leaves nothing behind.
        let mut place = Place { queues: self, key, turn: Arc::clone(&turn), held: None };
        place.held = Some(turn.lock_owned().await);
        Some(place)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Arc<Turn<()>>>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a queue, given up when dropped.
pub(super) struct Place<'a> {
    queues: &'a Queues,
    key: Vec<u8>,
    turn: Arc<Turn<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut standing = self.queues.lock();
        // The list's own, and this one.
        if Arc::strong_count(&self.turn) <= 2 {
            standing.remove(&self.key);
        }
    }
}

fn key(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Text(text) => Some(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Uuid(id) => Some(id.as_bytes().to_vec()),
        Value::Int(int) => Some(int.to_be_bytes().to_vec()),
        Value::Null | Value::Bool(_) | Value::Time(_) => None,
    }
}

/// The shortest and the longest pause before a row is tried again that somebody else holds.
const FIRST_PAUSE: Duration = Duration::from_millis(2);
const LONGEST_PAUSE: Duration = Duration::from_millis(50);

/// Pauses that grow, until a deadline.
pub(super) struct Pauses {
    next: Duration,
    deadline: Instant,
}

impl Pauses {
    pub(super) const fn until(deadline: Instant) -> Self {
        Self { next: FIRST_PAUSE, deadline }
    }

    /// Waits a while; `false` when the deadline would come first.
    pub(super) async fn pause(&mut self) -> bool {
        let end = Instant::now() + self.next;
        self.next = (self.next * 2).min(LONGEST_PAUSE);
        if end >= self.deadline {
            return false;
        }
        let _ = timeout_at(end, std::future::pending::<()>()).await;
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::Dialect;

    #[tokio::test]
    async fn one_at_a_time_for_each_row_and_nothing_is_kept() {
        let queues = Queues::default();
        let script = Script::new(Dialect::Postgres, &["UPDATE t SET n = ?1 WHERE id = ?2"]).one_at_a_time(2);
        let [one, other] = [[Value::Int(0), Value::Int(1)], [Value::Int(0), Value::Int(2)]];
        let held = queues.turn(&script, &one).await;
        assert!(held.is_some());
        assert!(queues.turn(&script, &other).await.is_some(), "another row waits for nobody");
        let mut waits = Box::pin(queues.turn(&script, &one));
        assert!(futures_util::poll!(&mut waits).is_pending());
        drop(held);
        assert!(waits.await.is_some());
        let gone = {
            let _held = queues.turn(&script, &one).await;
            let mut gone = Box::pin(queues.turn(&script, &one));
            assert!(futures_util::poll!(&mut gone).is_pending());
            gone
        };
        drop(gone);
        assert!(queues.lock().is_empty());
        let free = Script::new(Dialect::Postgres, &["UPDATE t SET n = ?1"]);
        assert!(queues.turn(&free, &one).await.is_none());
    }
}
