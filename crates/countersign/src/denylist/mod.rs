//! Where signed tokens are revoked: ids that are refused although their signature is good.

mod memory;
#[cfg(feature = "redis")]
mod redis;
mod sql;

use std::time::Duration;

use async_trait::async_trait;

pub use memory::MemoryDenylist;
#[cfg(feature = "redis")]
pub use redis::RedisDenylist;
pub use sql::SqlDenylist;

use sha2::{Digest, Sha256};

use crate::clock::Timestamp;
use crate::error::Failure;

/// How long a sweep leaves entries that have ended, for servers whose clocks are behind the sweeper's: one minute.
pub const CLOCK_SLACK: Duration = Duration::from_mins(1);

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

    /// Removes entries that ended at least [`CLOCK_SLACK`] before `now`, at most `limit`, and returns how many it removed.
    /// An entry that is extended in the same moment stays.
    ///
    /// # Errors
    /// [`Failure`] when the store can't be asked.
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure>;

    /// Whether an entry outlives this process and is seen by every other.
    fn is_durable(&self) -> bool;
}

/// What stands for an id in a store: the id, or, where a column couldn't hold it or might take it for another, its
/// SHA-256 behind a prefix.
fn stored_id(id: &str) -> String {
    if (1..=200).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_graphic()) && !id.starts_with("sha256:") {
        return id.to_owned();
    }
    format!("sha256:{}", data_encoding::HEXLOWER.encode(&Sha256::digest(id.as_bytes())))
}
