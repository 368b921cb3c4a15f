//! The denylist in memory, for one process.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::denylist::{CLOCK_SLACK, DenylistStore};
use crate::error::{ConfigError, Failure};

/// The default of `max_entries`.
const DEFAULT_MAX_ENTRIES: usize = 10_000;

/// A [`DenylistStore`] in memory, with a maximum number of entries.
///
/// At the maximum it removes entries that have ended, and refuses new ones if there is none: it
/// never forgets a live entry. A revocation ends with the process and is seen by no other, so
/// [`revocation_is_durable`](crate::strategy::TokenControl::revocation_is_durable) is `false` with
/// it. Use [`SqlDenylist`](crate::denylist::SqlDenylist) if several processes accept the same
/// tokens, or if a revocation must outlive a restart.
///
/// [`MemoryDenylist::default`] holds 10,000 entries.
///
/// # Examples
///
/// ```
/// use countersign::Timestamp;
/// use countersign::denylist::{DenylistStore, MemoryDenylist};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let denylist = MemoryDenylist::new(1)?;
/// let at = Timestamp::from_unix_seconds;
/// denylist.deny("a", at(10), at(0)).await?;
/// assert!(denylist.is_any_denied(&["a", "b"], at(9)).await?);
/// assert!(denylist.deny("b", at(10), at(9)).await.is_err(), "full");
/// denylist.deny("b", at(20), at(10)).await?;
/// # Ok(())
/// # }
/// ```
pub struct MemoryDenylist {
    max_entries: usize,
    entries: RwLock<Entries>,
}

/// The entries, by id and by end. Both collections always hold the same ones.
#[derive(Default)]
struct Entries {
    until: HashMap<Arc<str>, Timestamp>,
    by_end: BTreeSet<(Timestamp, Arc<str>)>,
}

impl MemoryDenylist {
    /// Creates a denylist of at most `max_entries`, which take about 200 bytes each.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names `max_entries` if it is 0.
    pub fn new(max_entries: usize) -> Result<Self, ConfigError> {
        if max_entries == 0 {
            return Err(ConfigError::new(
                "max_entries",
                "must be at least 1",
                "use the default of 10000",
            ));
        }
        Ok(Self {
            max_entries,
            entries: RwLock::default(),
        })
    }

    /// Returns the number of entries, including those that have ended and weren't removed yet.
    pub fn len(&self) -> usize {
        self.read().until.len()
    }

    /// Returns `true` if there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    // No code panics while it holds the lock, so a poisoned one still guards whole entries.
    fn read(&self) -> RwLockReadGuard<'_, Entries> {
        self.entries.read().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self) -> RwLockWriteGuard<'_, Entries> {
        self.entries.write().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Creates a denylist of 10,000 entries.
impl Default for MemoryDenylist {
    fn default() -> Self {
        Self {
            max_entries: DEFAULT_MAX_ENTRIES,
            entries: RwLock::default(),
        }
    }
}

/// Shows the number of entries only: they are the ids of tokens.
impl fmt::Debug for MemoryDenylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDenylist")
            .field("max_entries", &self.max_entries)
            .field("entries", &self.len())
            .finish()
    }
}

impl Entries {
    /// Removes the entry that ends first if it has ended at `now`, and returns `true` if it did.
    fn reclaim_one(&mut self, now: Timestamp) -> bool {
        let Some(first) = self.by_end.first().filter(|(until, _)| *until <= now) else {
            return false;
        };
        let first = first.clone();
        self.by_end.remove(&first);
        self.until.remove(&first.1);
        true
    }

    /// Moves the end of an entry to `until`, if that is later.
    fn extend(&mut self, id: &str, until: Timestamp) {
        let Some((id, known)) = self.until.get_key_value(id) else {
            return;
        };
        if *known < until {
            let (id, known) = (Arc::clone(id), *known);
            self.by_end.remove(&(known, Arc::clone(&id)));
            self.by_end.insert((until, Arc::clone(&id)));
            self.until.insert(id, until);
        }
    }

    /// Adds an entry that isn't there yet.
    fn insert(&mut self, id: &str, until: Timestamp) {
        let id: Arc<str> = id.into();
        self.by_end.insert((until, Arc::clone(&id)));
        self.until.insert(id, until);
    }
}

#[async_trait]
impl DenylistStore for MemoryDenylist {
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure> {
        let mut entries = self.write();
        if entries.until.contains_key(id) {
            entries.extend(id, until);
            return Ok(());
        }

        // Only entries that have ended make room: a live one that is forgotten makes its token
        // valid again.
        while entries.until.len() >= self.max_entries {
            if !entries.reclaim_one(now) {
                return Err(Failure::full("denylist"));
            }
        }
        entries.insert(id, until);
        Ok(())
    }

    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure> {
        let entries = self.read();
        Ok(ids
            .iter()
            .any(|id| entries.until.get(*id).is_some_and(|until| *until > now)))
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        let mut entries = self.write();
        let mut swept = 0;
        while swept < u64::from(limit) && entries.reclaim_one(now.saturating_sub(CLOCK_SLACK)) {
            swept += 1;
        }
        Ok(swept)
    }

    fn is_durable(&self) -> bool {
        false
    }
}
