//! The denylist on Redis.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::denylist::{CLOCK_SLACK, DenylistStore, stored_id};
use crate::error::{ConfigError, Failure};
use crate::redis::{Redis, Script};

/// The version of an entry's form, with which its text begins.
const VERSION: &str = "v1:";

/// A [`DenylistStore`] on Redis 7.0 or newer, on one server or on a cluster.
///
/// Each entry is a key, which expires by itself a minute after its end. Entries are written even
/// beyond `maxmemory`, because a full memory must not keep anybody from logging out.
///
/// An entry that Redis loses makes a revoked token valid again. Before you rely on this denylist,
/// ask [`Redis::inspect`](crate::redis::Redis::inspect) if the server may evict keys and what it
/// keeps when it stops. A failover loses what the replica hadn't received yet. If none of that may
/// happen, use [`SqlDenylist`](crate::denylist::SqlDenylist).
///
/// With the same [prefix](Self::with_key_prefix), litestar-auth 1.1.1 and this library respect each
/// other's entries.
///
/// # Examples
///
/// ```no_run
/// use countersign::denylist::{DenylistStore, RedisDenylist};
/// use countersign::redis::{Redis, RedisOptions};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
/// assert!(!redis.inspect().await?.iter().any(|node| node.may_evict()));
/// let denylist = RedisDenylist::new(&redis);
/// assert!(denylist.is_durable());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisDenylist {
    redis: Redis,
    prefix: Arc<str>,
    deny: Arc<Script>,
}

impl RedisDenylist {
    /// The default prefix of keys.
    pub const KEY_PREFIX: &str = "countersign:denylist:";
    /// The prefix of keys that litestar-auth uses by default.
    pub const ORIGINAL_KEY_PREFIX: &str = "litestar_auth:jwt:denylist:";

    /// Creates a denylist on `redis`.
    pub fn new(redis: &Redis) -> Self {
        // A full memory must not keep anybody from logging out.
        let deny = Arc::new(Script::new(concat!(
            "#!lua flags=allow-oom\n",
            include_str!("deny.lua")
        )));
        Self {
            redis: redis.clone(),
            prefix: Self::KEY_PREFIX.into(),
            deny,
        }
    }

    /// Sets the prefix of keys. Defaults to [`KEY_PREFIX`](Self::KEY_PREFIX).
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names `key_prefix` if `prefix` isn't 1 to 128 printable ASCII
    /// characters.
    pub fn with_key_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        self.prefix = crate::redis::checked_prefix(prefix)?.into();
        Ok(self)
    }

    fn key(&self, id: &str) -> String {
        format!("{}{}", self.prefix, stored_id(id))
    }
}

#[async_trait]
impl DenylistStore for RedisDenylist {
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure> {
        // The key outlives the entry by the slack, for servers whose clocks are behind. An end in
        // the past keeps it for that long too.
        let ttl = until
            .saturating_add(CLOCK_SLACK)
            .since(now)
            .max(CLOCK_SLACK)
            .as_micros()
            .div_ceil(1000);
        let args =
            [format!("{VERSION}{}", until.as_micros()), ttl.to_string()].map(String::into_bytes);
        self.redis.eval(&self.deny, &[&self.key(id)], &args).await
    }

    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure> {
        if ids.is_empty() {
            return Ok(false);
        }
        let keys = ids.iter().map(|id| self.key(id));
        let entries: Vec<Option<Vec<u8>>> = self.redis.get_each(keys).await?;
        Ok(entries.iter().flatten().any(|entry| is_live(entry, now)))
    }

    /// Does nothing and returns 0: Redis expires entries by itself.
    async fn sweep(&self, _now: Timestamp, _limit: u32) -> Result<u64, Failure> {
        Ok(0)
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// Returns `true` if an entry denies its id at `now`.
///
/// An entry of another form, such as litestar-auth's, names no end. It holds for as long as it is
/// there.
fn is_live(entry: &[u8], now: Timestamp) -> bool {
    let end = std::str::from_utf8(entry)
        .ok()
        .and_then(|text| text.strip_prefix(VERSION)?.parse().ok());
    end.is_none_or(|end| Timestamp::from_micros(end) > now)
}

impl fmt::Debug for RedisDenylist {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisDenylist")
            .field("redis", &self.redis)
            .field("key_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
