//! A place for one shared connection, on which the requests of many callers travel at once.
//!
//! A store keeps its connection in a [`SharedConnection`]. Callers take a clone of the connection
//! with [`live`](SharedConnection::live), connect with [`connect`](SharedConnection::connect) if
//! there is none, and report one that broke with [`discard`](SharedConnection::discard).

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// A connection of type `C`, or none.
pub(crate) struct SharedConnection<C> {
    current: RwLock<Option<Arc<C>>>,
    /// The turn to connect, so that an outage doesn't make every caller open a connection of its
    /// own.
    connecting: tokio::sync::Mutex<()>,
}

impl<C> SharedConnection<C> {
    /// Connects if there is no live connection, and returns the connection.
    ///
    /// One caller connects at a time. The others wait for the result, and try themselves if it was
    /// an error.
    pub(crate) async fn connect<E>(
        &self,
        is_live: impl Fn(&C) -> bool,
        connect: impl Future<Output = Result<C, E>>,
    ) -> Result<Arc<C>, E> {
        let _turn = self.connecting.lock().await;
        // Another caller may have connected while this one waited for its turn.
        if let Some(connection) = self.live(&is_live) {
            return Ok(connection);
        }
        let connection = Arc::new(connect.await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) =
            Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Removes a connection that failed, so that the next caller connects again.
    ///
    /// Callers that still wait for answers on it keep it until they have them. A connection that
    /// was replaced meanwhile isn't removed.
    pub(crate) fn discard(&self, failed: &Arc<C>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|connection| Arc::ptr_eq(connection, failed))
        {
            *current = None;
        }
    }

    /// Replaces `old` by `new`, unless another connection has replaced it already.
    #[cfg(feature = "redis")]
    pub(crate) fn replace(&self, old: &Arc<C>, new: C) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current
            .as_ref()
            .is_some_and(|connection| Arc::ptr_eq(connection, old))
        {
            *current = Some(Arc::new(new));
        }
    }

    /// Returns the connection if there is one and `is_live` accepts it.
    pub(crate) fn live(&self, is_live: impl Fn(&C) -> bool) -> Option<Arc<C>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current
            .as_ref()
            .filter(|connection| is_live(connection))
            .cloned()
    }
}

impl<C> Default for SharedConnection<C> {
    fn default() -> Self {
        Self {
            current: RwLock::default(),
            connecting: tokio::sync::Mutex::default(),
        }
    }
}

impl<C> fmt::Debug for SharedConnection<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedConnection").finish_non_exhaustive()
    }
}
