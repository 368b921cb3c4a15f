//! Where signed tokens are revoked: ids that are refused although their signature is good.

mod memory;
mod sql;

use async_trait::async_trait;

pub use memory::MemoryDenylist;
pub use sql::SqlDenylist;

use crate::clock::Timestamp;
use crate::error::Failure;

/// Remembers revoked ids until no token that carries them can be valid any more.
///
/// What every denylist promises: it never forgets a live entry (when it has no room it refuses the new one, with
/// [`Failure::full`]), and denying again never shortens an entry. Times are passed in (promise P10).
#[async_trait]
pub trait DenylistStore: Send + Sync {
    /// Denies `id` up to `until`: the token's end plus the leeway.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded; the token may still be good then (SECURITY row R-09).
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure>;

    /// Whether any of `ids` is denied at `now`. One round trip, however many ids.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked: neither "denied" nor "good" (promise P6).
    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure>;

    /// Removes entries that ended at or before `now`, at most `limit`; how many there were.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure>;

    /// Whether an entry outlives this process and is seen by every other.
    fn is_durable(&self) -> bool;
}
