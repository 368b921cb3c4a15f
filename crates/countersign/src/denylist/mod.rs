//! Denylists: the ids of signed tokens that are refused although their signature is good.
//!
//! A signed token is valid until it expires, wherever its key is known. To revoke one, a
//! `JwtStrategy` (feature `jwt`) denies an id that the token carries: its own, its session's, or
//! its user's fence. Each read asks the denylist for all three at once.
//!
//! | denylist | for |
//! |---|---|
//! | [`SqlDenylist`] | services that have a database: nothing acknowledged is lost |
//! | `RedisDenylist` (feature `redis`) | many reads. Mind its eviction policy and persistence |
//! | [`MemoryDenylist`] | one process whose revocations may end with it |
//!
//! To write another one, implement [`DenylistStore`] and run `testing::DenylistSuite` (feature
//! `testing`).

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

/// The time for which entries are kept after their end: one minute.
///
/// Servers whose clocks are behind may accept a token for that much longer.
pub const CLOCK_SLACK: Duration = Duration::from_mins(1);

/// A store of revoked ids.
///
/// # Contract
///
/// Every implementation guarantees the following.
///
/// - **A live entry is never forgotten.** A denylist without room refuses the new entry, with
///   [`Failure::full`].
/// - **An entry is never shortened.** Denying an id again moves its end forward or leaves it.
/// - **An error is no answer.** A denylist that can't be asked returns a [`Failure`], never
///   "denied" or "not denied".
/// - **There is no clock.** Each time is an argument, in whole microseconds.
/// - **Bounds are inclusive.** An entry has ended at the very moment of `until`.
/// - **Ids are compared byte by byte.** They may have any length and any characters.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
///
/// use countersign::denylist::{DenylistStore, MemoryDenylist};
/// use countersign::clock::{Clock, SystemClock};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), countersign::Failure> {
/// let denylist = MemoryDenylist::default();
/// let now = SystemClock.now();
/// let until = now.saturating_add(Duration::from_secs(900));
/// denylist.deny("4b7c", until, now).await?;
/// assert!(denylist.is_any_denied(&["4b7c", "91d0"], now).await?);
/// assert!(!denylist.is_any_denied(&["4b7c"], until).await?);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait DenylistStore: Send + Sync {
    /// Denies `id` until the time `until`, which is the end of the token plus the leeway.
    ///
    /// If `id` is denied already, the later end holds. `now` is the present time. A repetition
    /// changes nothing.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the entry could not be recorded; its kind is
    /// [`Full`](crate::error::FailureKind::Full) if the denylist has no room. The token may still
    /// be accepted then, so don't acknowledge the revocation.
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure>;

    /// Returns `true` if any of `ids` is denied at `now`.
    ///
    /// It takes one round trip for any number of ids. No ids give `false` without asking.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the denylist can't be asked. The token is then neither valid nor revoked.
    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure>;

    /// Deletes up to `limit` entries that ended at least [`CLOCK_SLACK`] before `now`, and returns
    /// the number deleted.
    ///
    /// An entry that is extended at the same time stays. A denylist whose entries expire by
    /// themselves returns 0.
    ///
    /// # Errors
    ///
    /// [`Failure`] if the denylist can't be asked. The next sweep goes on.
    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure>;

    /// Returns `true` if an entry outlives this process and every other process sees it.
    fn is_durable(&self) -> bool;
}

/// Returns the text that stands for an id in a store.
///
/// This is the id itself if a column holds it exactly: 1 to 200 printable ASCII characters.
/// Otherwise it is the id's SHA-256 behind a prefix, and so is an id that starts with that prefix
/// itself.
fn stored_id(id: &str) -> String {
    if (1..=200).contains(&id.len())
        && id.bytes().all(|byte| byte.is_ascii_graphic())
        && !id.starts_with("sha256:")
    {
        return id.to_owned();
    }
    format!(
        "sha256:{}",
        data_encoding::HEXLOWER.encode(&Sha256::digest(id.as_bytes()))
    )
}
