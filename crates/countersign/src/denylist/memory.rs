//! A denylist in memory: for one process, and gone with it.

use std::collections::{BTreeSet, HashMap};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::denylist::{CLOCK_SLACK, DenylistStore};
use crate::error::{ConfigError, Failure};

/// The page's default for `max_entries`.
const DEFAULT_MAX_ENTRIES: usize = 10_000;

/// Denies in memory, up to a bound. At the bound it refuses new entries rather than forget live ones, after it has
/// reclaimed those that ended.
///
/// A revocation ends with the process and is seen by no other, so
/// [`revocation_is_durable`](crate::TokenControl::revocation_is_durable) is `false` over it.
///
/// ```
/// use countersign::denylist::{DenylistStore, MemoryDenylist};
/// use countersign::Timestamp;
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

/// Both collections hold the same entries.
#[derive(Default)]
struct Entries {
    until: HashMap<Arc<str>, Timestamp>,
    by_end: BTreeSet<(Timestamp, Arc<str>)>,
}

impl MemoryDenylist {
    /// A denylist of at most `max_entries`, at about 200 bytes each.
    ///
    /// # Errors
    /// [`ConfigError`] that names `max_entries` when it is 0.
    pub fn new(max_entries: usize) -> Result<Self, ConfigError> {
        if max_entries == 0 {
            return Err(ConfigError::new("max_entries", "must be at least 1", "leave it at 10000"));
        }
        Ok(Self { max_entries, entries: RwLock::default() })
    }

    /// How many entries it holds, ended ones included.
    pub fn len(&self) -> usize {
        self.read().until.len()
    }

    /// Whether it holds none.
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

/// Of 10,000 entries.
impl Default for MemoryDenylist {
    fn default() -> Self {
        Self { max_entries: DEFAULT_MAX_ENTRIES, entries: RwLock::default() }
    }
}

/// Counts entries only: they are the ids of tokens.
impl fmt::Debug for MemoryDenylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("MemoryDenylist").field("max_entries", &self.max_entries).field("entries", &self.len()).finish()
    }
}

impl Entries {
    /// Removes the entry that ends first, if it has ended at `now`.
    fn reclaim_one(&mut self, now: Timestamp) -> bool {
        let Some(first) = self.by_end.first().filter(|(until, _)| *until <= now) else { return false };
        let first = first.clone();
        self.by_end.remove(&first);
        self.until.remove(&first.1);
        true
    }

    fn extend(&mut self, id: &str, until: Timestamp) {
        let Some((id, known)) = self.until.get_key_value(id) else { return };
        if *known < until {
            let (id, known) = (Arc::clone(id), *known);
            self.by_end.remove(&(known, Arc::clone(&id)));
            self.by_end.insert((until, Arc::clone(&id)));
            self.until.insert(id, until);
        }
    }

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
        Ok(ids.iter().any(|id| entries.until.get(*id).is_some_and(|until| *until > now)))
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
