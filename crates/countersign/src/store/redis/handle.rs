//! The handle of the store: its connection, the ring that names keys, and its scripts.

use std::fmt;
use std::sync::Arc;

use crate::error::ConfigError;
use crate::redis::{Redis, Script, checked_prefix};
use crate::store::redis::args::{
    ending_names, insertion_names, listing_names, proof_names, removal_names, rotation_names,
    survey_names,
};
use crate::token::DigestKeyRing;

/// The part that failures name.
pub(super) const PART: &str = "token store";

/// A [`TokenStore`](crate::store::TokenStore) on Redis 7.0 or newer, or Valkey, on one server or on
/// a cluster.
///
/// # Layout
///
/// All that a user has is one key: a hash with a field for each session and each token. Its name is
/// an HMAC of the user's id. So every operation is atomic, on a cluster too, even while the key
/// moves to another node. A token's text names its user's key (see
/// [`Locator`](crate::token::Locator)), so a read is one `HMGET`.
///
/// A missing key means "no tokens", so data that Redis loses or evicts can log users out, but never
/// in. What Redis acknowledged and then loses, for example in a failover, may undo a logout;
/// `docs/STORAGE.md` in the repository states the bounds.
///
/// # Cost
///
/// [`end_user`](crate::store::TokenStore::end_user) replaces one field, at the same cost for 10
/// tokens and for 100,000. Each script looks at about 500 fields at most; lists, surveys and
/// clearing take as many scripts as they need, so that other clients come in between. A page of a
/// list has at most 500 sessions.
///
/// # Expiry
///
/// A key lives as long as the last of its records and a minute longer, and each write removes some
/// of the records that have ended. [`sweep`](crate::store::TokenStore::sweep) has nothing to do.
///
/// # Examples
///
/// ```no_run
/// use countersign::redis::{Redis, RedisOptions};
/// use countersign::store::{RedisTokenStore, TokenStore};
/// use countersign::token::DigestKeyRing;
/// use countersign::Secret;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
/// let secret = Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?;
/// let digests = DigestKeyRing::new("2026-11", &secret)?;
/// let store = RedisTokenStore::new(&redis, &digests);
/// store.ping().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisTokenStore {
    pub(super) redis: Redis,
    pub(super) owners: DigestKeyRing,
    pub(super) prefix: Arc<str>,
    pub(super) scripts: Arc<Scripts>,
}

/// The Lua scripts, one for each operation that writes or walks.
pub(super) struct Scripts {
    pub(super) fence: Script,
    pub(super) insert: Script,
    pub(super) rotate: Script,
    pub(super) note: Script,
    pub(super) reauthenticate: Script,
    pub(super) remove: Script,
    pub(super) end_user: Script,
    pub(super) settle: Script,
    pub(super) clear: Script,
    pub(super) elders: Script,
    pub(super) survey: Script,
    pub(super) page: Script,
}

/// Builds a script from its first line and its files, behind `form.lua`, which all of them share.
///
/// The first line sets Redis's flags. `allow-oom` lets a script run beyond `maxmemory`, `no-writes`
/// lets it run while writes are refused. A macro of `args` may name the arguments.
macro_rules! script {
    ($first_line:literal, $($file:literal),+) => {
        Script::new(concat!($first_line, "\n", include_str!("form.lua"), $(include_str!($file)),+))
    };
    ($first_line:literal, $names:ident!, $($file:literal),+) => {
        Script::new(concat!(
            $first_line,
            "\n",
            include_str!("form.lua"),
            $names!(),
            $(include_str!($file)),+
        ))
    };
}

impl RedisTokenStore {
    /// The default prefix of keys.
    pub const KEY_PREFIX: &str = "countersign:token:";

    /// Creates a store on `redis`.
    ///
    /// `digests` must be the ring that digests the store's tokens: its keys also derive the names
    /// of users' keys. With another ring the store doesn't find what it has recorded.
    pub fn new(redis: &Redis, digests: &DigestKeyRing) -> Self {
        let scripts = Scripts {
            fence: script!("#!lua", "fence.lua"),
            insert: script!("#!lua", insertion_names!, "keep.lua", "insert.lua"),
            rotate: script!("#!lua", rotation_names!, "keep.lua", "rotate.lua"),
            note: script!("#!lua", "note.lua"),
            reauthenticate: script!("#!lua", proof_names!, "reauthenticate.lua"),
            // A full memory must not keep anybody from logging out.
            remove: script!("#!lua flags=allow-oom", removal_names!, "remove.lua"),
            end_user: script!("#!lua flags=allow-oom", ending_names!, "end_user.lua"),
            settle: script!("#!lua flags=allow-oom", "settle.lua"),
            clear: script!("#!lua flags=allow-oom", "keep.lua", "clear.lua"),
            elders: script!("#!lua flags=allow-oom", "elders.lua"),
            survey: script!("#!lua flags=no-writes", survey_names!, "survey.lua"),
            page: script!("#!lua flags=no-writes", listing_names!, "page.lua"),
        };

        Self {
            redis: redis.clone(),
            owners: digests.clone(),
            prefix: Self::KEY_PREFIX.into(),
            scripts: Arc::new(scripts),
        }
    }

    /// Sets the prefix of keys. Defaults to [`KEY_PREFIX`](Self::KEY_PREFIX).
    ///
    /// A prefix with a part in braces, such as `{app}:token:`, keeps all keys in one slot of a
    /// cluster.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] that names `key_prefix` if `prefix` isn't 1 to 128 printable ASCII
    /// characters.
    pub fn with_key_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        self.prefix = checked_prefix(prefix)?.into();
        Ok(self)
    }
}

impl fmt::Debug for RedisTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStore")
            .field("redis", &self.redis)
            .field("key_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
