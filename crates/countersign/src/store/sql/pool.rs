//! Connections that serve one caller at a time.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Whether it is the end of a connection that there was.
pub(super) const fn is_end(kind: io::ErrorKind) -> bool {
    matches!(kind, io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe)
}

/// A bounded number of connections. One that isn't given back is closed by its own `Drop`, and the next caller makes
/// a new one: whoever stops in the middle leaves nothing behind for others.
pub(super) struct Pool<C> {
    turns: Semaphore,
    idle: Mutex<Vec<(C, Instant)>>,
}

impl<C> Pool<C> {
    pub(super) fn new(connections: usize) -> Self {
        Self { turns: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)), idle: Mutex::default() }
    }

    /// Waits for the right to use one connection.
    pub(super) async fn turn(&self) -> Turn<'_, C> {
        // The semaphore is never closed, so there is always a permit in the end.
        Turn { pool: self, _permit: self.turns.acquire().await.ok() }
    }

    /// Closes all idle connections.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.lock());
        drop(idle);
    }

    fn lock(&self) -> MutexGuard<'_, Vec<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to use one connection.
pub(super) struct Turn<'a, C> {
    pool: &'a Pool<C>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl<C> Turn<'_, C> {
    /// The connection that was used last, and for how long nobody has used it.
    pub(super) fn idle(&self) -> Option<(C, Duration)> {
        self.pool.lock().pop().map(|(connection, since)| (connection, since.elapsed()))
    }

    /// Keeps a connection for the next caller. It must have no transaction open and no answer outstanding.
    pub(super) fn give_back(self, connection: C) {
        self.pool.lock().push((connection, Instant::now()));
    }
}
