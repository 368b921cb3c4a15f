//! A place for one shared connection, on which many callers' requests travel at once.

use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};

/// Holds a connection of type `C`, or none.
pub(crate) struct Slot<C> {
    current: RwLock<Option<Arc<C>>>,
    connecting: tokio::sync::Mutex<()>,
}

impl<C> Slot<C> {
    /// What `connect` makes, when there is none that [is live](Self::live): one caller connects, and the others wait for
    /// it.
    pub(crate) async fn connect<E>(
        &self,
        is_live: impl Fn(&C) -> bool,
        connect: impl Future<Output = Result<C, E>>,
    ) -> Result<Arc<C>, E> {
        let _turn = self.connecting.lock().await;
        if let Some(connection) = self.live(&is_live) {
            return Ok(connection);
        }
        let connection = Arc::new(connect.await?);
        *self.current.write().unwrap_or_else(PoisonError::into_inner) = Some(Arc::clone(&connection));
        Ok(connection)
    }

    /// Forgets a connection that failed. Those who still wait for answers on it keep it until they have them.
    pub(crate) fn discard(&self, failed: &Arc<C>) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, failed)) {
            *current = None;
        }
    }

    /// Puts `new` in the place of `old`, unless another has come there meanwhile.
    #[cfg(feature = "redis")]
    pub(crate) fn replace(&self, old: &Arc<C>, new: C) {
        let mut current = self.current.write().unwrap_or_else(PoisonError::into_inner);
        if current.as_ref().is_some_and(|connection| Arc::ptr_eq(connection, old)) {
            *current = Some(Arc::new(new));
        }
    }

    /// The connection if there is one and it `is_live`.
    pub(crate) fn live(&self, is_live: impl Fn(&C) -> bool) -> Option<Arc<C>> {
        let current = self.current.read().unwrap_or_else(PoisonError::into_inner);
        current.as_ref().filter(|connection| is_live(connection)).cloned()
    }
}

impl<C> Default for Slot<C> {
    fn default() -> Self {
        Self { current: RwLock::default(), connecting: tokio::sync::Mutex::default() }
    }
}

impl<C> fmt::Debug for Slot<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slot").finish_non_exhaustive()
    }
}
