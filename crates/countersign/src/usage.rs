//! When sessions were last used, without a write for each request (promise P8).

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::answer::{Authenticated, SessionId};
use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::Failure;
use crate::store::{TokenStore, Used};
use crate::user::{User, UserId, UserKey};

/// The most sessions whose use is remembered between two writes; that of others is noted next time.
const MOST: usize = 100_000;

/// How many are written in one call.
const BATCH: usize = 256;

/// Remembers which sessions are in use, and tells the store of all of them together from time to time.
///
/// However many requests a session makes, it costs one row in one write of the interval. What was seen since the last write is
/// lost when the process is killed: a session then looks unused for at most that interval longer. Give it to
/// [`AuthenticatorBuilder::record_use`](crate::AuthenticatorBuilder::record_use).
///
/// ```
/// use std::sync::Arc;
/// use countersign::UseRecorder;
/// use countersign::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = UseRecorder::new(Arc::new(MemoryStore::new()));
/// tokio::spawn(recorder.clone().run(std::time::Duration::from_secs(60)));
/// // … and at the end:
/// recorder.flush().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct UseRecorder {
    store: Arc<dyn TokenStore>,
    clock: Arc<dyn Clock>,
    seen: Arc<Mutex<HashMap<SessionId, (UserKey, Timestamp)>>>,
}

impl UseRecorder {
    /// For sessions in `store`.
    pub fn new(store: Arc<dyn TokenStore>) -> Self {
        Self { store, clock: Arc::new(SystemClock), seen: Arc::default() }
    }

    /// Takes the time from `clock`.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Remembers that the session of an accepted token is in use. Asks nobody and never waits.
    pub fn note<U: User>(&self, authenticated: &Authenticated<U>) {
        let Some(session) = authenticated.session_id else { return };
        let now = self.clock.now();
        let mut seen = self.seen();
        if let Some((_, at)) = seen.get_mut(&session) {
            *at = now;
        } else if seen.len() < MOST {
            seen.insert(session, (authenticated.user.id().to_key(), now));
        }
    }

    /// Tells the store of what was seen; how many sessions that were.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked. What it wasn't told of is told next time.
    pub async fn flush(&self) -> Result<usize, Failure> {
        let seen = std::mem::take(&mut *self.seen());
        let used: Vec<_> = seen.into_iter().map(|(session, (user, at))| Used { session, user, at }).collect();
        for (number, batch) in used.chunks(BATCH).enumerate() {
            if let Err(failure) = self.store.note_use(batch).await {
                self.remember(used.iter().skip(number * BATCH));
                return Err(failure);
            }
        }
        Ok(used.len())
    }

    /// Flushes at every interval, for ever. A failure is logged, and made up for by the next.
    pub async fn run(self, interval: Duration) {
        let mut interval = tokio::time::interval(interval.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if let Err(failure) = self.flush().await {
                let cause = std::error::Error::source(&failure).map(tracing::field::display);
                tracing::warn!(event = "use_not_noted", %failure, cause, "the next flush tries again");
            }
        }
    }

    fn remember<'a>(&self, used: impl Iterator<Item = &'a Used>) {
        let mut seen = self.seen();
        for used in used {
            seen.entry(used.session).or_insert_with(|| (used.user.clone(), used.at));
        }
    }

    /// No code panics while it holds the lock.
    fn seen(&self) -> MutexGuard<'_, HashMap<SessionId, (UserKey, Timestamp)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Counts sessions only.
impl fmt::Debug for UseRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseRecorder").field("seen", &self.seen().len()).finish_non_exhaustive()
    }
}
