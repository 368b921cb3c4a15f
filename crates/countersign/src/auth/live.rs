//! The watching of sessions for connections that outlive a request, such as WebSockets.
//!
//! Authentication happens once, at the start of a request. A connection that stays open for hours
//! has to learn of a logout from elsewhere. [`SessionWatcher`] checks the sessions of all open
//! connections once per interval, and [`LiveSession`] is the receiver in the connection's task.
//!
//! One task checks all sessions of the process. Each session has one `tokio` watch channel, which
//! is also the reference count: a session without receivers is dropped at the next check.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior};

use crate::error::Failure;
use crate::session::SessionId;
use crate::strategy::Strategy;
use crate::token::Authenticated;
use crate::user::{User, UserId, UserManager};

/// The number of sessions that are checked concurrently.
const AT_ONCE: usize = 32;

/// The reason for which a watched session is not valid any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum SessionEnd {
    /// The session was ended, or it has expired.
    Ended,
    /// The account of the user was removed, or is not active.
    UserInactive,
    /// The session can't be checked: the stores have not answered for longer than
    /// [`SessionWatcher::with_patience`] allows, or the watcher was dropped. The session may still
    /// be live, so let the client connect again.
    Unanswered,
}

/// Watches the sessions of open connections, and tells their handlers when a session ends.
///
/// A session ends by a logout in any process, by expiry, and when its account is disabled or
/// removed. A refresh of the session ends no connection.
///
/// Set-up takes three steps. Create the watcher at start, [spawn `run`](Self::run) on a clone, and
/// call [`watch`](Self::watch) when a connection opens. Each session is checked once per interval,
/// regardless of how many connections it has. A connection therefore ends within one interval after
/// its session, plus the time that the store needs to answer. Clones watch the same sessions.
///
/// # Examples
///
/// ```
/// use countersign::auth::{LiveSession, SessionWatcher};
/// use countersign::{Authenticated, User};
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

/// The state that the clones of a watcher share.
struct Watched<U: User> {
    strategy: Arc<dyn Strategy<U>>,
    users: Arc<dyn UserManager<U>>,
    sessions: Mutex<HashMap<SessionId, Watch<U>>>,
}

/// One watched session: its user, the last time a store answered for it, and the channel to its
/// connections.
struct Watch<U: User> {
    user: U::Id,
    answered: Instant,
    end: watch::Sender<Option<SessionEnd>>,
}

impl<U: User> SessionWatcher<U> {
    /// Creates a watcher for the sessions of `strategy`.
    ///
    /// Nothing is checked before [`run`](Self::run) or [`look`](Self::look) is called.
    pub fn new(strategy: Arc<dyn Strategy<U>>, users: Arc<dyn UserManager<U>>) -> Self {
        let watched = Watched {
            strategy,
            users,
            sessions: Mutex::default(),
        };
        Self {
            watched: Arc::new(watched),
            patience: Duration::from_mins(1),
        }
    }

    /// Sets how long connections stay open while the stores can't be asked. Defaults to one minute.
    ///
    /// A connection is closed with [`SessionEnd::Unanswered`] afterwards.
    #[must_use]
    pub const fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = patience;
        self
    }

    /// Starts to watch the session of an accepted token, and returns the handle for the connection.
    ///
    /// Returns `None` for a token that belongs to no session: nothing could tell the end of it. The
    /// watch stops when the last handle of the session is dropped.
    pub fn watch(&self, authenticated: &Authenticated<U>) -> Option<LiveSession> {
        let session = authenticated.session_id?;
        let mut sessions = self.watched.sessions();
        // A second connection of the same session joins the watch of the first.
        let watch = sessions.entry(session).or_insert_with(|| Watch {
            user: authenticated.user.id().clone(),
            answered: Instant::now(),
            end: watch::Sender::new(None),
        });
        Some(LiveSession {
            session,
            end: watch.end.subscribe(),
        })
    }

    /// Returns the number of sessions that are being watched.
    pub fn watched(&self) -> usize {
        self.watched.sessions().len()
    }

    /// Checks all watched sessions at once and then once per `interval`, without ever returning.
    ///
    /// Spawn it as a task. An interval below one millisecond counts as one millisecond. Needs the
    /// timer of a tokio runtime.
    pub async fn run(self, interval: Duration) {
        let mut interval = tokio::time::interval(interval.max(Duration::from_millis(1)));
        interval.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            interval.tick().await;
            self.look().await;
        }
    }

    /// Checks all watched sessions now.
    ///
    /// [`run`](Self::run) calls this. Tests and services with a scheduler of their own may call it
    /// directly.
    pub async fn look(&self) {
        let sessions = self.watched.in_use();
        futures_util::stream::iter(sessions)
            .for_each_concurrent(AT_ONCE, async |(session, user)| {
                self.judge(session, &user).await;
            })
            .await;
    }

    /// Checks one session, and tells its connections if it has ended.
    async fn judge(&self, session: SessionId, user: &U::Id) {
        let end = match self.watched.ask(session, user).await {
            Ok(end) => end,
            Err(_) if self.watched.silent_for(session) < self.patience => return,
            Err(_) => Some(SessionEnd::Unanswered),
        };

        // The lock is taken after the store has answered: it is never held across an await.
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
    /// Asks the stores for the session, and returns the reason of its end, or `None` if it is live.
    async fn ask(&self, session: SessionId, user: &U::Id) -> Result<Option<SessionEnd>, Failure> {
        let live = match self.strategy.as_refreshable() {
            Some(strategy) => strategy.session(session, &user.to_key()).await?.is_some(),
            None => false,
        };
        if !live {
            return Ok(Some(SessionEnd::Ended));
        }

        let active = self
            .users
            .get(user)
            .await?
            .is_some_and(|user| user.is_active());
        Ok((!active).then_some(SessionEnd::UserInactive))
    }

    /// Returns the sessions that still have a connection, and forgets the others.
    fn in_use(&self) -> Vec<(SessionId, U::Id)> {
        let mut sessions = self.sessions();
        sessions.retain(|_, watch| watch.end.receiver_count() > 0);
        sessions
            .iter()
            .map(|(session, watch)| (*session, watch.user.clone()))
            .collect()
    }

    /// Returns the time since a store last answered for the session.
    fn silent_for(&self, session: SessionId) -> Duration {
        self.sessions()
            .get(&session)
            .map(|watch| watch.answered.elapsed())
            .unwrap_or_default()
    }

    /// Locks the watched sessions. A poisoned lock is used as it is, because no code panics while
    /// it holds it.
    fn sessions(&self) -> MutexGuard<'_, HashMap<SessionId, Watch<U>>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<U: User> Clone for SessionWatcher<U> {
    fn clone(&self) -> Self {
        Self {
            watched: Arc::clone(&self.watched),
            patience: self.patience,
        }
    }
}

impl<U: User> fmt::Debug for SessionWatcher<U> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionWatcher")
            .field("watched", &self.watched())
            .finish_non_exhaustive()
    }
}

/// The handle of one connection to its watched session.
///
/// Clones are cheap. The session is watched until the last of them is dropped.
#[derive(Clone)]
pub struct LiveSession {
    session: SessionId,
    end: watch::Receiver<Option<SessionEnd>>,
}

impl LiveSession {
    /// Returns the id of the session.
    pub const fn session(&self) -> SessionId {
        self.session
    }

    /// Waits for the end of the session, and returns the reason.
    ///
    /// May be called any number of times, also after the end. It is cancel-safe: use it in
    /// `tokio::select!`.
    pub async fn ended(&self) -> SessionEnd {
        let mut end = self.end.clone();
        match end.wait_for(Option::is_some).await {
            Ok(end) => end.unwrap_or(SessionEnd::Unanswered),
            // The watcher was dropped, so no end would ever be reported.
            Err(_) => SessionEnd::Unanswered,
        }
    }
}

impl fmt::Debug for LiveSession {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("LiveSession")
            .field("session", &self.session)
            .finish_non_exhaustive()
    }
}
