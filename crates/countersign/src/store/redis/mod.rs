//! Tokens on Redis and Redis Cluster.

mod original;
mod record;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use ::redis::Cmd;
use async_trait::async_trait;

use self::record::{Record, Refresh, decode_user, encode_user, gone, ttl};
use crate::answer::SessionId;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::{ConfigError, Failure};
use crate::redis::{Redis, Script, checked_prefix};
use crate::store::{
    AccessRecord, Consumed, Fence, JoinedUser, NewAccess, NewRefresh, Opened, Page, RefreshRecord, Rotate, Rotated,
    SessionRecord, SweepLimit, Swept, TokenStore, Used,
};
use crate::token::{Digest, DigestKeyRing, Locator, StoredToken};
use crate::user::UserKey;

pub use original::{OriginalTokens, Scan, ScanStep};

const PART: &str = "token store";

/// How many fields of a user's key are listed at a time.
const LISTED: usize = 1000;

/// Where a listing begins, and what it says when it has come to its end.
const FROM_START: &str = "0";

/// Where a listing goes on, and the fields that were found with what they hold.
type Scanned = (String, Vec<(Vec<u8>, Vec<u8>)>);

/// Keeps tokens on Redis 7.0 or newer (or Valkey), on one server or on a cluster.
///
/// All that a user has is one key: a hash with a field for each session and each token, named by a keyed hash of the
/// user's id. So every operation is one command on one key: atomic on a cluster too, also while the key moves to another
/// node; ending all of a user's sessions removes that key, at the same cost for 10 tokens and for 100,000; and what isn't
/// in the key is no token, so a key that Redis loses or evicts logs out and never in. A token's text names its user's
/// key ([`Locator`]), so a read is one `HMGET`.
///
/// A key lives as long as the last of its records, and each write removes some of those that have ended.
///
/// ```no_run
/// use countersign::redis::{Redis, RedisOptions};
/// use countersign::store::{RedisTokenStore, TokenStore};
/// use countersign::{DigestKeyRing, Secret};
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let redis = Redis::connect("redis://localhost", RedisOptions::default())?;
/// let digests = DigestKeyRing::new("2026-11", &Secret::new("TOKEN_HASH_SECRET", std::env::var("TOKEN_HASH_SECRET")?)?)?;
/// let store = RedisTokenStore::new(&redis, &digests);
/// store.ping().await?;
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct RedisTokenStore {
    redis: Redis,
    owners: DigestKeyRing,
    prefix: Arc<str>,
    scripts: Arc<Scripts>,
}

struct Scripts {
    insert: Script,
    rotate: Script,
    note: Script,
    raise: Script,
    remove_user: Script,
}

impl RedisTokenStore {
    /// The prefix of keys, unless told.
    pub const KEY_PREFIX: &str = "countersign:token:";

    /// A store on `redis`, which names users' keys by the keys of `digests`: those that digest its tokens.
    pub fn new(redis: &Redis, digests: &DigestKeyRing) -> Self {
        let scripts = Scripts {
            insert: Script::new(concat!("#!lua\n", include_str!("keep.lua"), include_str!("insert.lua"))),
            rotate: Script::new(concat!("#!lua\n", include_str!("keep.lua"), include_str!("rotate.lua"))),
            note: Script::new(concat!("#!lua\n", include_str!("note.lua"))),
            // A full memory must not keep anybody from logging out.
            raise: Script::new(concat!("#!lua flags=allow-oom\n", include_str!("raise.lua"))),
            remove_user: Script::new(concat!("#!lua flags=allow-oom\n", include_str!("remove_user.lua"))),
        };
        Self {
            redis: redis.clone(),
            owners: digests.clone(),
            prefix: Self::KEY_PREFIX.into(),
            scripts: Arc::new(scripts),
        }
    }

    /// Begins keys with `prefix`. One with a part in braces keeps all keys in one slot of a cluster.
    ///
    /// # Errors
    /// [`ConfigError`] that names `key_prefix` when it isn't 1 to 128 printable ASCII characters.
    pub fn with_key_prefix(mut self, prefix: &str) -> Result<Self, ConfigError> {
        self.prefix = checked_prefix(prefix)?.into();
        Ok(self)
    }

    fn key(&self, owner: [u8; 12]) -> String {
        let mut key = String::with_capacity(self.prefix.len() + 16);
        key.push_str(&self.prefix);
        Locator::new(owner, None).push_owner(&mut key);
        key
    }

    /// The keys that may hold what a user has: one for each key of the ring.
    fn keys_of(&self, user: &UserKey) -> Vec<String> {
        self.owners.owners(user).map(|owner| self.key(owner)).collect()
    }

    fn is_at(&self, locator: Locator, owner: Option<&UserKey>) -> bool {
        owner.is_none_or(|owner| self.owners.owners(owner).any(|tag| tag == *locator.owner()))
    }

    /// The place of a token of `session`, as its text must name it.
    fn place(locator: Option<Locator>, session: Option<SessionId>) -> Result<Locator, Failure> {
        let fits = |locator: &Locator| locator.session() == session;
        locator.filter(fits).ok_or_else(|| Failure::internal(PART, "a token's text doesn't name its place"))
    }

    /// The owner, and the records in `fields`; `None` when the key is not a user's.
    async fn fetch<const N: usize>(
        &self,
        locator: Locator,
        fields: [&str; N],
    ) -> Result<Option<(UserKey, [Option<Record>; N])>, Failure> {
        let mut command = Cmd::with_capacity(3 + N, 256);
        command.arg("HMGET").arg(self.key(*locator.owner())).arg("u").arg(&fields);
        let Some(found) = self.redis.run_typed::<Vec<Option<Vec<u8>>>>(&command).await? else {
            unreadable();
            return Ok(None);
        };
        let mut found = found.into_iter();
        let Some(owner) = found.next().flatten() else { return Ok(None) };
        let Some(user) = decode_user(&owner) else {
            unreadable();
            return Ok(None);
        };
        let records = std::array::from_fn(|_| {
            let text = found.next().flatten()?;
            let record = Record::decode(&text);
            if record.is_none() {
                unreadable();
            }
            record
        });
        Ok(Some((user, records)))
    }

    async fn raise(&self, key: &str, fence: String) -> Result<(), Failure> {
        let fence = [fence.into_bytes()];
        while self.redis.eval::<i64>(&self.scripts.raise, &[key], &fence).await? == 0 {}
        Ok(())
    }

    /// Some of a key's fields, with what they hold, and where to go on; `None` when the key is not a user's.
    async fn scan(&self, key: &str, fields: &str, cursor: &str) -> Result<Option<Scanned>, Failure> {
        let mut command = ::redis::cmd("HSCAN");
        command.arg(key).arg(cursor).arg("MATCH").arg(fields).arg("COUNT").arg(LISTED);
        let found = self.redis.run_typed::<Scanned>(&command).await?;
        if found.is_none() {
            unreadable();
        }
        Ok(found)
    }

    async fn remove_field(&self, keys: Vec<String>, field: &str) -> Result<bool, Failure> {
        let mut removed = false;
        for key in keys {
            let mut command = ::redis::cmd("HDEL");
            command.arg(key).arg(field);
            removed |= self.redis.run_typed::<u64>(&command).await?.is_some_and(|count| count > 0);
        }
        Ok(removed)
    }

    async fn insert(
        &self,
        place: Locator,
        user: &UserKey,
        now: Timestamp,
        fence: Option<Fence>,
        records: Fields,
    ) -> Result<Opened, Failure> {
        let key = self.key(*place.owner());
        let (last, first) = (records.last(now), records.soonest(now));
        let fence = fence.map(Fence::to_text).unwrap_or_default();
        let head = [encode_user(user), ttl(now, last).to_string(), micros(now), micros(first), fence];
        let args: Vec<_> = head.into_iter().chain(records.into_args()).map(String::into_bytes).collect();
        match self.redis.eval::<i64>(&self.scripts.insert, &[&key], &args).await? {
            1 => Ok(Opened::Done),
            -2 => Ok(Opened::Fenced),
            _ => Err(taken()),
        }
    }

    /// A record of a refresh token, for the user it belongs to.
    async fn fetch_refresh(
        &self,
        locator: Locator,
        field: &str,
        is_it: impl Fn(&Record) -> bool + Send,
    ) -> Result<Option<RefreshRecord>, Failure> {
        let Some((user, [record])) = self.fetch(locator, [field]).await? else { return Ok(None) };
        Ok(record.filter(|record| is_it(record)).map(|record| RefreshRecord {
            digest: Digest::parse(&record.digest),
            consumed: record.refresh.map(|refresh| refresh.consumed).unwrap_or_default(),
            user,
            session: locator.session(),
            created_at: Some(record.created_at),
            expires_at: record.expires_at,
            session_expires_at: record.session_expires_at,
        }))
    }
}

#[async_trait]
impl TokenStore for RedisTokenStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<(), Failure> {
        let place = Self::place(access.digest.locator(), access.session)?;
        let mut records = Fields::default();
        let record = records.access(access);
        if let Some(session) = access.session {
            // Its session is live from now on, though it can't be refreshed.
            records.add(session_field(session), Record { digest: String::new(), ..record }, "stub");
        }
        self.insert(place, &access.user, access.created_at, None, records).await.map(|_| ())
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        let Some(locator) = token.locator() else { return Ok(None) };
        let field = access_field(token.as_str());
        let session = locator.session().map(session_field).unwrap_or_default();
        let Some((user, [record, session])) = self.fetch(locator, [&field, &session]).await? else { return Ok(None) };
        let ended = locator.session().is_some() && session.is_none();
        Ok(record.filter(|_| !ended).map(|record| AccessRecord {
            user,
            session: locator.session(),
            created_at: Some(record.created_at),
            expires_at: record.expires_at,
            joined_user: JoinedUser::NotJoined,
        }))
    }

    async fn remove_access(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        match token.locator().filter(|locator| self.is_at(*locator, owner)) {
            None => Ok(false),
            Some(place) => self.remove_field(vec![self.key(*place.owner())], &access_field(token.as_str())).await,
        }
    }

    /// The fence is a field of the active key of the ring alone: logins are recorded there.
    async fn fence(&self, user: &UserKey, _fresh: Fence, _now: Timestamp) -> Result<Fence, Failure> {
        let Some(key) = self.keys_of(user).into_iter().next() else { return Ok(Fence::default()) };
        let mut command = ::redis::cmd("HGET");
        command.arg(key).arg("e");
        let fence = self.redis.run_typed::<Option<String>>(&command).await?.flatten();
        Ok(fence.as_deref().and_then(Fence::parse).unwrap_or_default())
    }

    async fn raise_fence(&self, user: &UserKey, fence: Fence, _now: Timestamp) -> Result<(), Failure> {
        for key in self.keys_of(user) {
            self.raise(&key, fence.to_text()).await?;
        }
        Ok(())
    }

    async fn insert_refresh(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Result<Opened, Failure> {
        let place = Self::place(refresh.digest.locator(), refresh.session)?;
        let mut records = Fields::default();
        let mut kept = gone(refresh.created_at, refresh.expires_at);
        if let Some(access) = access {
            let beside = Self::place(access.digest.locator(), access.session)?;
            if access.user != refresh.user || beside.owner() != place.owner() {
                return Err(Failure::internal(PART, "two tokens of a pair are of different users"));
            }
            // The session is kept as long as its last token.
            kept = kept.max(records.access(access).gone);
        }
        let record = |digest: &str| Record {
            gone: kept,
            digest: digest.to_owned(),
            created_at: refresh.created_at,
            expires_at: refresh.expires_at,
            session_expires_at: refresh.session_expires_at,
            refresh: Some(Box::new(Refresh {
                family: Some(refresh.family.clone()),
                consumed: Consumed::default(),
                opened_at: Some(refresh.created_at),
                used_at: None,
                client: refresh.client.clone(),
            })),
        };
        match refresh.session {
            Some(session) => records.add(session_field(session), record(refresh.digest.as_str()), "opens"),
            None => records.add(refresh_field(refresh.digest.as_str()), record(""), "new"),
        }
        self.insert(place, &refresh.user, refresh.created_at, refresh.fence, records).await
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        let Some(locator) = token.locator() else { return Ok(None) };
        let digest = if locator.session().is_some() { token.as_str() } else { "" };
        let field = locator.session().map_or_else(|| refresh_field(token.as_str()), session_field);
        let found = self.fetch_refresh(locator, &field, |record| record.digest == digest).await?;
        Ok(found.map(|found| RefreshRecord { digest: Digest::parse(token.as_str()), ..found }))
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let Some(locator) = family.locator() else { return Ok(None) };
        let Some(session) = locator.session() else { return Ok(None) };
        let of_family = |record: &Record| record.refresh.as_ref().is_some_and(|r| r.family.as_ref() == Some(family));
        self.fetch_refresh(locator, &session_field(session), of_family).await
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, Failure> {
        let Some(presented) = rotate.presented.locator() else { return Ok(Rotated::Gone) };
        let session = presented.session().unwrap_or(rotate.session);
        let place = Self::place(rotate.successor.locator(), Some(session))?;
        let mut records = Fields::default();
        let mut kept = gone(rotate.created_at, rotate.expires_at);
        if let Some(access) = &rotate.access {
            let beside = Self::place(access.digest.locator(), Some(session))?;
            if beside != place {
                return Err(Failure::internal(PART, "two tokens of a pair are in different places"));
            }
            kept = kept.max(records.access(access).gone);
        }
        let (last, first) = (records.last(kept), records.soonest(kept));
        let from = presented.session().map_or_else(|| refresh_field(rotate.presented.as_str()), session_field);
        let end = |end: Option<Timestamp>| end.map(micros).unwrap_or_default();
        let head = [
            ttl(rotate.created_at, last).to_string(),
            micros(rotate.created_at),
            micros(first),
            from,
            rotate.presented.as_str().to_owned(),
            session_field(session),
            rotate.successor.as_str().to_owned(),
            micros(kept),
            micros(rotate.created_at),
            end(rotate.expires_at),
            end(rotate.session_expires_at),
            rotate.family.as_str().to_owned(),
            rotate.consumed.to_text(),
        ];
        let mut access = records.into_args();
        access.resize(3, String::new());
        let args: Vec<_> = head.into_iter().chain(access).map(String::into_bytes).collect();
        let key = self.key(*presented.owner());
        match self.redis.eval::<i64>(&self.scripts.rotate, &[&key], &args).await? {
            1 => Ok(Rotated::Done),
            0 => Ok(Rotated::Gone),
            _ => Err(taken()),
        }
    }

    async fn remove_refresh(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        let loose = |locator: &Locator| locator.session().is_none() && self.is_at(*locator, owner);
        match token.locator().filter(loose) {
            None => Ok(false),
            Some(place) => self.remove_field(vec![self.key(*place.owner())], &refresh_field(token.as_str())).await,
        }
    }

    /// A rotation that gives one of them a session meanwhile has taken it before, or finds it gone.
    async fn remove_loose(&self, user: &UserKey) -> Result<u64, Failure> {
        let mut removed: u64 = 0;
        for key in self.keys_of(user) {
            let mut cursor = FROM_START.to_owned();
            while let Some((next, found)) = self.scan(&key, "r*", &cursor).await? {
                if !found.is_empty() {
                    let fields: Vec<_> = found.into_iter().map(|(field, _)| field).collect();
                    let count = self.redis.run_typed::<u64>(::redis::cmd("HDEL").arg(&key).arg(fields)).await?;
                    removed = removed.saturating_add(count.unwrap_or(0));
                }
                if next == FROM_START {
                    break;
                }
                cursor = next;
            }
        }
        Ok(removed)
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        self.remove_field(self.keys_of(owner), &session_field(session)).await
    }

    async fn find_session(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure> {
        let field = session_field(session);
        for tag in self.owners.owners(owner) {
            let found = self.fetch(Locator::new(tag, Some(session)), [&field]).await?;
            if let Some(record) = found.and_then(|(_, [record])| record).filter(|record| !record.digest.is_empty()) {
                return Ok(Some(session_record(session, record)));
            }
        }
        Ok(None)
    }

    async fn sessions(&self, user: &UserKey, page: Page) -> Result<Vec<SessionRecord>, Failure> {
        let limit = usize::try_from(page.limit).unwrap_or(usize::MAX);
        let mut sessions = BTreeMap::new();
        for key in self.keys_of(user) {
            let mut cursor = FROM_START.to_owned();
            while let Some((next, found)) = self.scan(&key, "s*", &cursor).await? {
                for session in found.iter().filter_map(|(field, record)| listed(field, record)) {
                    if page.after.is_none_or(|after| session.id > after) {
                        sessions.insert(session.id, session);
                    }
                    if sessions.len() > limit {
                        sessions.pop_last();
                    }
                }
                if next == FROM_START {
                    break;
                }
                cursor = next;
            }
        }
        Ok(sessions.into_values().collect())
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        for used in used {
            for key in self.keys_of(&used.user) {
                let args = [session_field(used.session), micros(used.at)].map(String::into_bytes);
                self.redis.eval::<i64>(&self.scripts.note, &[&key], &args).await?;
            }
        }
        Ok(())
    }

    async fn remove_user(&self, user: &UserKey) -> Result<u64, Failure> {
        let mut removed: u64 = 0;
        for key in self.keys_of(user) {
            loop {
                let (records, fence) =
                    self.redis.eval::<(u64, String)>(&self.scripts.remove_user, &[&key], &[]).await?;
                removed = removed.saturating_add(records);
                if fence.is_empty() {
                    break;
                }
                // For a moment there was no fence: it stands again, and whoever came in meanwhile goes.
                self.raise(&key, fence).await?;
            }
        }
        Ok(removed)
    }

    /// Redis lets keys go by itself, and each write removes records that have ended.
    async fn sweep(&self, _limit: &SweepLimit) -> Result<Swept, Failure> {
        Ok(Swept::default())
    }

    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.owners.owners(user).next().map(|owner| Locator::new(owner, session))
    }

    async fn ping(&self) -> Result<(), Failure> {
        self.redis.ping().await
    }

    fn is_durable(&self) -> bool {
        true
    }
}

/// Records to be written: the field, the record, and what to do when there is one.
#[derive(Default)]
struct Fields(Vec<(String, Record, &'static str)>);

impl Fields {
    fn add(&mut self, field: String, record: Record, manner: &'static str) {
        self.0.push((field, record, manner));
    }

    fn access(&mut self, access: &NewAccess) -> Record {
        let record = Record {
            gone: gone(access.created_at, access.expires_at),
            digest: String::new(),
            created_at: access.created_at,
            expires_at: access.expires_at,
            session_expires_at: None,
            refresh: None,
        };
        self.add(access_field(access.digest.as_str()), record.clone(), "new");
        record
    }

    /// The latest moment at which one of them is gone, `at_least` that.
    fn last(&self, at_least: Timestamp) -> Timestamp {
        self.0.iter().map(|(_, record, _)| record.gone).fold(at_least, Timestamp::max)
    }

    /// The first moment at which one of them is gone; `otherwise` when there is none.
    fn soonest(&self, otherwise: Timestamp) -> Timestamp {
        self.0.iter().map(|(_, record, _)| record.gone).min().unwrap_or(otherwise)
    }

    fn into_args(self) -> Vec<String> {
        self.0.into_iter().flat_map(|(field, record, manner)| [field, record.encode(), manner.to_owned()]).collect()
    }
}

fn access_field(digest: &str) -> String {
    format!("a{digest}")
}

fn refresh_field(digest: &str) -> String {
    format!("r{digest}")
}

fn session_field(session: SessionId) -> String {
    format!("s{session}")
}

/// A session that can be refreshed.
fn listed(field: &[u8], record: &[u8]) -> Option<SessionRecord> {
    let record = Record::decode(record).filter(|record| !record.digest.is_empty())?;
    let id = std::str::from_utf8(field).ok()?.strip_prefix('s')?.parse().ok()?;
    Some(session_record(id, record))
}

fn session_record(id: SessionId, record: Record) -> SessionRecord {
    let refresh = record.refresh;
    SessionRecord {
        id,
        opened_at: refresh.as_ref().and_then(|refresh| refresh.opened_at),
        refreshed_at: Some(record.created_at),
        used_at: refresh.as_ref().and_then(|refresh| refresh.used_at),
        expires_at: record.expires_at,
        session_expires_at: record.session_expires_at,
        client: refresh.map_or_else(Client::new, |refresh| refresh.client),
    }
}

fn micros(moment: Timestamp) -> String {
    moment.as_micros().to_string()
}

fn taken() -> Failure {
    Failure::internal(PART, "the digest is there already")
}

fn unreadable() {
    tracing::warn!(event = "token_row_unreadable", "a token's key or record on Redis is none of ours");
}

impl fmt::Debug for RedisTokenStore {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RedisTokenStore")
            .field("redis", &self.redis)
            .field("key_prefix", &self.prefix)
            .finish_non_exhaustive()
    }
}
