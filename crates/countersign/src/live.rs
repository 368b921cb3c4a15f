//! Connections that outlive a request: told when their session ends.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::answer::{Authenticated, SessionId};
use crate::error::Failure;
use crate::strategy::Strategy;
use crate::user::{User, UserId, UserManager};

/// How many sessions are looked at side by side.
const AT_ONCE: usize = 32;

/// Why a session that was watched is no good any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnd {
    /// It was ended, or has expired.
    Ended,
    /// Its user's account is gone, or isn't active.
    UserInactive,
    /// The stores couldn't be asked for longer than [`SessionWatcher::with_patience`] allows.
    Unanswered,
}

/// Tells handlers of WebSockets, event streams and the like when the session behind them ends: on logout, from whichever
/// process, on expiry, and when the account is disabled or removed; never because the session was refreshed.
///
/// Every session is looked at once an interval, however many connections it has. So a connection ends within that interval and
/// the time that the store takes to answer.
///
/// ```
/// use countersign::{Authenticated, LiveSession, SessionWatcher, User};
///
/// # async fn next_message() -> Option<String> { None }
/// async fn socket<U: User>(watcher: SessionWatcher<U>, user: &Authenticated<U>) {
///     let Some(session) = watcher.watch(user) else { return };
///     loop {
///         tokio::select! {
///             message = next_message() => if message.is_none() { return },
///             end = session.ended() => {
///                 println!("closing: {end:?}");
///                 return;
///             }
///         }
///     }
/// }
/// ```
pub struct SessionWatcher<U: User> {
    watched: Arc<Watched<U>>,
    patience: Duration,
}

struct Watched<U: User> {
    strategy: Arc<dyn Strategy<U>>,
    users: Arc<dyn UserManager<U>>,
    sessions: Mutex<HashMap<SessionId, Watch<U>>>,
}

struct Watch<U: User> {
    user: U::Id,
    answered: Instant,
    end: watch::Sender<Option<SessionEnd>>,
}

impl<U: User> SessionWatcher<U> {
    /// Watches sessions of `strategy`. Nothing is looked at before [`run`](Self::run).
    pub fn new(strategy: Arc<dyn Strategy<U>>, users: Arc<dyn UserManager<U>>) -> Self {
        let watched = Watched { strategy, users, sessions: Mutex::default() };
        Self { watched: Arc::new(watched), patience: Duration::from_mins(1) }
    }

    /// How long connections go on while the stores can't be asked; a minute.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Watches the session of an accepted token; `None` when the token belongs to none.
    pub fn watch(&self, authenticated: &Authenticated<U>) -> Option<LiveSession> {
        let session = authenticated.session_id?;
        let mut sessions = self.watched.sessions();
        let watch = sessions.entry(session).or_insert_with(|| Watch {
            user: authenticated.user.id().clone(),
            answered: Instant::now(),
            end: watch::Sender::new(None),
        });
        Some(LiveSession { session, end: watch.end.subscribe() })
    }

    /// How many sessions are watched.
    pub fn watched(&self) -> usize {
        self.watched.sessions().len()
    }

    /// Looks at every watched session once an interval, for ever.
    pub async fn run(self, interval: Duration) {
        let mut interval = tokio::time::interval(interval.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.look().await;
        }
    }

    /// Looks at every watched session now.
    pub async fn look(&self) {
        let sessions = self.watched.in_use();
        futures_util::stream::iter(sessions)
            .for_each_concurrent(AT_ONCE, async |(session, user)| self.judge(session, &user).await)
            .await;
    }

    async fn judge(&self, session: SessionId, user: &U::Id) {
        let end = match self.watched.ask(session, user).await {
            Ok(end) => end,
            Err(_) if self.watched.silent_for(session) < self.patience => return,
            Err(_) => Some(SessionEnd::Unanswered),
        };
        let mut sessions = self.watched.sessions();
        if end.is_some() {
            if let Some(watch) = sessions.remove(&session) {
                watch.end.send_replace(end);
            }
        } else if let Some(watch) = sessions.get_mut(&session) {
            watch.answered = Instant::now();
        }
    }
}

impl<U: User> Watched<U> {
    /// Whether the session has come to an end.
    async fn ask(&self, session: SessionId, user: &U::Id) -> Result<Option<SessionEnd>, Failure> {
        let live = match self.strategy.as_refreshable() {
            Some(strategy) => strategy.session(session, &user.to_key()).await?.is_some(),
            None => false,
        };
        if !live {
            return Ok(Some(SessionEnd::Ended));
        }
        let active = self.users.get(user).await?.is_some_and(|user| user.is_active());
        Ok((!active).then_some(SessionEnd::UserInactive))
    }

    /// The sessions that somebody still holds a connection of; the others are forgotten.
    fn in_use(&self) -> Vec<(SessionId, U::Id)> {
        let mut sessions = self.sessions();
        sessions.retain(|_, watch| watch.end.receiver_count() > 0);
        sessions.iter().map(|(session, watch)| (*session, watch.user.clone())).collect()
    }

    fn silent_for(&self, session: SessionId) -> Duration {
        self.sessions().get(&session).map(|watch| watch.answered.elapsed()).unwrap_or_default()
    }

    /// No code panics while it holds the lock.
    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Watch<U>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<U: User> Clone for SessionWatcher<U> {
    fn clone(&self) -> Self {
        Self { watched: Arc::clone(&self.watched), patience: self.patience }
    }
}

impl<U: User> fmt::Debug for SessionWatcher<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWatcher").field("watched", &self.watched()).finish_non_exhaustive()
    }
}

/// The session behind a connection. Cheap to clone; dropping the last one stops the watch.
#[derive(Clone)]
pub struct LiveSession {
    session: SessionId,
    end: watch::Receiver<Option<SessionEnd>>,
}

impl LiveSession {
    /// Which session it is.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Waits for the end of the session. It may be called any number of times, and dropped at any time.
    pub async fn ended(&self) -> SessionEnd {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(SessionEnd::Unanswered),
            // The watcher itself is gone: nobody would ever tell.
            Err(_) => SessionEnd::Unanswered,
        }
    }
}

impl fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSession").field("session", &self.session).finish_non_exhaustive()
    }
}
