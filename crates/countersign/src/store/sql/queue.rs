//! Waiting in memory for rows that many requests want at once.
//!
//! Requests that would only wait for each other's row lock wait here instead, so that they don't
//! occupy connections. This is per process and saves resources only: correctness comes from the
//! statements' guards.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{Mutex as Turn, OwnedMutexGuard};

use crate::store::sql::Script;
use crate::value::Value;

/// The queues, by the value that names their row. A queue without waiters is removed.
#[derive(Default)]
pub(super) struct Queues {
    standing: Mutex<HashMap<Vec<u8>, Arc<Turn<()>>>>,
}

impl Queues {
    /// Waits until no other task runs a script for the same row, and returns the place in the
    /// queue. Hold it while the script runs.
    ///
    /// Returns `None` at once for a script that names no row.
    pub(super) async fn turn(&self, script: &Script, params: &[Value]) -> Option<Position<'_>> {
        let key = key(params.get(script.row()?)?)?;
        let turn = Arc::clone(self.lock().entry(key.clone()).or_default());

        // The place exists before the wait, so a caller that is cancelled while waiting still
        // removes an unused queue.
        let mut place = Position {
            queues: self,
            key,
            turn: Arc::clone(&turn),
            held: None,
        };
        place.held = Some(turn.lock_owned().await);
        Some(place)
    }

    /// Locks the queues. No task holds this lock while it waits for its turn.
    fn lock(&self) -> MutexGuard<'_, HashMap<Vec<u8>, Arc<Turn<()>>>> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A place in a queue. Dropping it lets the next task in.
pub(super) struct Position<'a> {
    queues: &'a Queues,
    key: Vec<u8>,
    turn: Arc<Turn<()>>,
    held: Option<OwnedMutexGuard<()>>,
}

impl Drop for Position<'_> {
    fn drop(&mut self) {
        self.held = None;
        let mut standing = self.queues.lock();
        // One reference is the map's, one is this place's: nobody else waits.
        if Arc::strong_count(&self.turn) <= 2 {
            standing.remove(&self.key);
        }
    }
}

/// Returns the bytes that name a row, `None` for values that can't.
fn key(value: &Value) -> Option<Vec<u8>> {
    match value {
        Value::Text(text) => Some(text.as_bytes().to_vec()),
        Value::Bytes(bytes) => Some(bytes.clone()),
        Value::Uuid(id) => Some(id.as_bytes().to_vec()),
        Value::Int(int) => Some(int.to_be_bytes().to_vec()),
        Value::Null | Value::Bool(_) | Value::Time(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::sql::Dialect;

    #[tokio::test]
    async fn one_at_a_time_for_each_row_and_nothing_is_kept() {
        let queues = Queues::default();
        let script =
            Script::new(Dialect::Postgres, &["UPDATE t SET n = ?1 WHERE id = ?2"]).one_at_a_time(2);
        let [one, other] = [
            [Value::Int(0), Value::Int(1)],
            [Value::Int(0), Value::Int(2)],
        ];
        let held = queues.turn(&script, &one).await;
        assert!(held.is_some());
        assert!(
            queues.turn(&script, &other).await.is_some(),
            "another row waits for nobody"
        );
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
