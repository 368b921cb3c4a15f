//! Denied ids on Redis.

use std::fmt;
use std::sync::Arc;

use async_trait::async_trait;

use crate::clock::Timestamp;
use crate::denylist::{CLOCK_SLACK, DenylistStore, stored_id};
use crate::error::{ConfigError, Failure};
use crate::redis::{Redis, Script};

/// What our entries begin with: the version of their form.
const VERSION: &str = "v1:";

/// Keeps denied ids on Redis 7.0 or newer, on one server or on a cluster: a key for each, which leaves by itself.
///
/// An entry that Redis loses is a revoked token that is good again. So before you rely on it, ask
/// [`Redis::inspect`](crate::redis::Redis::inspect) whether the server may evict keys, and what it keeps when it ends;
/// a failover may lose what a replica hadn't been sent yet. Where none of that may be, deny in SQL
/// ([`SqlDenylist`](crate::denylist::SqlDenylist)).
///
/// What litestar-auth 1.1.1 denied under the same [prefix](Self::with_key_prefix) is denied here, and the other way round.
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
    /// The prefix of keys, unless told.
    pub const KEY_PREFIX: &str = "countersign:denylist:";
    /// The original's prefix of keys.
    pub const ORIGINAL_KEY_PREFIX: &str = "litestar_auth:jwt:denylist:";

    /// A denylist on `redis`.
    pub fn new(redis: &Redis) -> Self {
        // A full memory must not keep anybody from logging out.
        let deny = Arc::new(Script::new(concat!("#!lua flags=allow-oom\n", include_str!("deny.lua"))));
        Self { redis: redis.clone(), prefix: Self::KEY_PREFIX.into(), deny }
    }

    /// Begins keys with `prefix`.
    ///
    /// # Errors
    /// [`ConfigError`] that names `key_prefix` when it isn't 1 to 128 printable ASCII characters.
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
        let ttl = until.saturating_add(CLOCK_SLACK).since(now).max(CLOCK_SLACK).as_micros().div_ceil(1000);
        let args = [format!("{VERSION}{}", until.as_micros()), ttl.to_string()].map(String::into_bytes);
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

    /// Redis lets entries go by itself.
    async fn sweep(&self, _now: Timestamp, _limit: u32) -> Result<u64, Failure> {
        Ok(0)
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// An entry of another form says no end, and holds for as long as it is there.
fn is_live(entry: &[u8], now: Timestamp) -> bool {
    let end = std::str::from_utf8(entry).ok().and_then(|text| text.strip_prefix(VERSION)?.parse().ok());
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
