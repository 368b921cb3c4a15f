//! A pool of connections that each serve one caller at a time, for transactions on servers.
//!
//! It differs from common pools in one way: a connection is only kept if it is given back
//! explicitly. Every early exit (an error, a timeout, a dropped future) closes it, so no caller
//! meets another's open transaction or unread answer.

use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Semaphore, SemaphorePermit};
use tokio::time::Instant;

/// Returns `true` if an error of this kind means that an established connection ended.
pub(super) const fn is_end(kind: io::ErrorKind) -> bool {
    matches!(
        kind,
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe
    )
}

/// A bounded number of connections, and those of them that are idle.
///
/// A connection that isn't [given back](Permit::give_back) is closed by its own `Drop`, and the
/// next caller opens a new one.
pub(super) struct Pool<C> {
    turns: Semaphore,
    idle: Mutex<Vec<(C, Instant)>>,
}

impl<C> Pool<C> {
    /// Creates an empty pool for at most `connections`, and at least one.
    pub(super) fn new(connections: usize) -> Self {
        Self {
            turns: Semaphore::new(connections.clamp(1, Semaphore::MAX_PERMITS)),
            idle: Mutex::default(),
        }
    }

    /// Waits until fewer than the allowed number of connections are in use, and returns the permit
    /// for one.
    pub(super) async fn turn(&self) -> Permit<'_, C> {
        // The semaphore is never closed, so this always ends with a permit.
        Permit {
            pool: self,
            _permit: self.turns.acquire().await.ok(),
        }
    }

    /// Closes all idle connections. Those in use aren't affected.
    pub(super) fn clear(&self) {
        let idle = std::mem::take(&mut *self.lock());
        drop(idle);
    }

    /// Locks the idle connections. No task holds this lock across an await.
    fn lock(&self) -> MutexGuard<'_, Vec<(C, Instant)>> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A permit to use one connection. Dropping it lets the next caller in.
pub(super) struct Permit<'a, C> {
    pool: &'a Pool<C>,
    _permit: Option<SemaphorePermit<'a>>,
}

impl<C> Permit<'_, C> {
    /// Takes the idle connection that was used last, and returns it with the time since its last
    /// use.
    pub(super) fn idle(&self) -> Option<(C, Duration)> {
        self.pool
            .lock()
            .pop()
            .map(|(connection, since)| (connection, since.elapsed()))
    }

    /// Keeps a connection for the next caller. It must have no open transaction and no unread
    /// answer.
    pub(super) fn give_back(self, connection: C) {
        self.pool.lock().push((connection, Instant::now()));
    }
}
