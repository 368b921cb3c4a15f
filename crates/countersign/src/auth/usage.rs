//! The recording of session use ("last used at"), without a write for each request.
//!
//! Reading a token never writes. To show in device lists when a session was last used, the
//! authenticator tells a [`UseRecorder`] of each accepted token, and the recorder writes to the
//! store in batches, once per interval.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::MissedTickBehavior;

use crate::clock::{Clock, SystemClock, Timestamp};
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::{TokenStore, Used};
use crate::token::Authenticated;
use crate::user::{User, UserId, UserKey};

/// The highest number of sessions that are remembered between two writes.
const MOST: usize = 100_000;

/// The number of sessions that are written in one call to the store.
const BATCH: usize = 256;

/// Records which sessions are in use, and writes it to the store once per interval.
///
/// A session costs one row in one write per interval, regardless of the number of its requests.
/// Recording itself is a look-up in memory: it does no I/O.
///
/// Set-up takes two steps. Give the recorder to
/// [`AuthenticatorBuilder::record_use`](crate::auth::AuthenticatorBuilder::record_use), and spawn
/// [`run`](Self::run). At shutdown, call [`flush`](Self::flush). A killed process loses the uses
/// since the last write; the sessions then look unused for one interval longer than they were.
///
/// Between two writes at most 100,000 sessions are remembered. The use of a session beyond that is
/// recorded in the next interval, if it is used again then. Clones share what they have seen.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
/// use std::time::Duration;
///
/// use countersign::auth::UseRecorder;
/// use countersign::store::MemoryStore;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let recorder = UseRecorder::new(Arc::new(MemoryStore::new()));
/// tokio::spawn(recorder.clone().run(Duration::from_secs(60)));
///
/// // At shutdown:
/// let sessions = recorder.flush().await?;
/// # assert_eq!(sessions, 0);
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
    /// Creates a recorder that writes to `store`. Pass the store that holds the sessions.
    pub fn new(store: Arc<dyn TokenStore>) -> Self {
        Self {
            store,
            clock: Arc::new(SystemClock),
            seen: Arc::default(),
        }
    }

    /// Sets the clock. Defaults to the system clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Records that the session of an accepted token is in use now.
    ///
    /// Does no I/O and never waits for any. Does nothing for a token without a session. The
    /// authenticator calls this; call it yourself only if you use a
    /// [`Strategy`](crate::strategy::Strategy) directly.
    pub fn note<U: User>(&self, authenticated: &Authenticated<U>) {
        let Some(session) = authenticated.session_id else {
            return;
        };
        let now = self.clock.now();
        let mut seen = self.seen();
        if let Some((_, at)) = seen.get_mut(&session) {
            *at = now;
        } else if seen.len() < MOST {
            seen.insert(session, (authenticated.user.id().to_key(), now));
        }
    }

    /// Writes all recorded uses to the store, and returns the number of sessions that were written.
    ///
    /// # Errors
    ///
    /// Returns a [`Failure`] if the store can't be asked. The sessions that were not written are
    /// kept, and the next call writes them.
    pub async fn flush(&self) -> Result<usize, Failure> {
        // Taken as a whole, so that requests go on recording while the store is being asked.
        let seen = std::mem::take(&mut *self.seen());
        let used: Vec<_> = seen
            .into_iter()
            .map(|(session, (user, at))| Used { session, user, at })
            .collect();

        for (number, batch) in used.chunks(BATCH).enumerate() {
            if let Err(failure) = self.store.note_use(batch).await {
                // The failed batch counts as not written. Recording the same use twice is harmless.
                self.remember(used.iter().skip(number * BATCH));
                return Err(failure);
            }
        }
        Ok(used.len())
    }

    /// Writes all recorded uses at once and then once per `interval`, without ever returning.
    ///
    /// Spawn it as a task. A failure is logged as `use_not_noted`, and the next write makes up for
    /// it. An interval below one millisecond counts as one millisecond. Needs the timer of a tokio
    /// runtime.
    pub async fn run(self, interval: Duration) {
        let mut interval = tokio::time::interval(interval.max(Duration::from_millis(1)));
        // A slow store must not be met by a burst of writes once it has recovered.
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            if let Err(failure) = self.flush().await {
                let cause = std::error::Error::source(&failure).map(tracing::field::display);
                tracing::warn!(event = "use_not_noted", %failure, cause, "last-used times were not written; the next flush tries again");
            }
        }
    }

    /// Puts sessions back that could not be written. A use that was recorded meanwhile is later,
    /// and stays.
    fn remember<'a>(&self, used: impl Iterator<Item = &'a Used>) {
        let mut seen = self.seen();
        for used in used {
            seen.entry(used.session)
                .or_insert_with(|| (used.user.clone(), used.at));
        }
    }

    /// Locks the recorded uses. A poisoned lock is used as it is, because no code panics while it
    /// holds it.
    fn seen(&self) -> MutexGuard<'_, HashMap<SessionId, (UserKey, Timestamp)>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Shows the number of recorded sessions, and none of their users.
impl fmt::Debug for UseRecorder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UseRecorder")
            .field("seen", &self.seen().len())
            .finish_non_exhaustive()
    }
}
