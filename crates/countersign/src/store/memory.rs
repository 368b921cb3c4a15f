//! Tokens in this process's memory: the reference that every other store is compared with.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::answer::SessionId;
use crate::client::Client;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::store::{
    AccessRecord, Consumed, Fence, JoinedUser, NewAccess, NewRefresh, Opened, Page, RefreshRecord, Rotate, Rotated,
    SessionRecord, SweepLimit, Swept, TokenStore, Used,
};
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;

/// A store that forgets everything when the process ends.
///
/// For tests, and for one-process services that may log everybody out at a restart. Ending a session and sweeping
/// look at every token. Clones share their tokens.
///
/// ```
/// use countersign::store::{MemoryStore, TokenStore};
///
/// assert!(!MemoryStore::new().is_durable());
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
}

#[derive(Default)]
struct Tables {
    access: HashMap<String, AccessRow>,
    refresh: HashMap<String, RefreshRow>,
    /// Which token is the current one of a family.
    families: HashMap<String, String>,
    fences: HashMap<UserKey, (Fence, Timestamp)>,
}

struct AccessRow {
    user: UserKey,
    session: Option<SessionId>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

struct RefreshRow {
    family: Digest,
    consumed: Consumed,
    user: UserKey,
    session: Option<SessionId>,
    opened_at: Timestamp,
    created_at: Timestamp,
    used_at: Option<Timestamp>,
    expires_at: Option<Timestamp>,
    session_expires_at: Option<Timestamp>,
    client: Client,
}

impl RefreshRow {
    fn record(&self, token: &str) -> RefreshRecord {
        RefreshRecord {
            digest: Digest::parse(token),
            consumed: self.consumed.clone(),
            user: self.user.clone(),
            session: self.session,
            created_at: Some(self.created_at),
            expires_at: self.expires_at,
            session_expires_at: self.session_expires_at,
        }
    }

    fn session_record(&self) -> Option<SessionRecord> {
        Some(SessionRecord {
            id: self.session?,
            opened_at: Some(self.opened_at),
            refreshed_at: Some(self.created_at),
            used_at: self.used_at,
            expires_at: self.expires_at,
            session_expires_at: self.session_expires_at,
            client: self.client.clone(),
        })
    }
}

impl MemoryStore {
    /// An empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// No code panics while it holds the lock, so a poisoned lock still guards whole rows.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<(), Failure> {
        self.tables().insert_access(access)
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        Ok(self.tables().access.get(token.as_str()).map(|row| AccessRecord {
            user: row.user.clone(),
            session: row.session,
            created_at: Some(row.created_at),
            expires_at: row.expires_at,
            joined_user: JoinedUser::NotJoined,
        }))
    }

    async fn remove_access(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        let access = &mut self.tables().access;
        let removable = access.get(token.as_str()).is_some_and(|row| is_owner(owner, &row.user));
        Ok(removable && access.remove(token.as_str()).is_some())
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        Ok(self.tables().fences.entry(user.clone()).or_insert((fresh, now)).0)
    }

    async fn raise_fence(&self, user: &UserKey, fence: Fence, now: Timestamp) -> Result<(), Failure> {
        self.tables().fences.insert(user.clone(), (fence, now));
        Ok(())
    }

    async fn insert_refresh(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Result<Opened, Failure> {
        let mut tables = self.tables();
        if let Some(expected) = refresh.fence {
            match tables.fences.get_mut(&refresh.user) {
                Some((fence, used_at)) if *fence == expected => *used_at = refresh.created_at.max(*used_at),
                _ => return Ok(Opened::Fenced),
            }
        }
        if tables.refresh.contains_key(refresh.digest.as_str()) {
            return Err(taken());
        }
        if let Some(access) = access {
            tables.insert_access(access)?;
        }
        let row = RefreshRow {
            family: refresh.family.clone(),
            consumed: Consumed::default(),
            user: refresh.user.clone(),
            session: refresh.session,
            opened_at: refresh.created_at,
            created_at: refresh.created_at,
            used_at: None,
            expires_at: refresh.expires_at,
            session_expires_at: refresh.session_expires_at,
            client: refresh.client.clone(),
        };
        tables.insert_refresh(refresh.digest.as_str(), row);
        Ok(Opened::Done)
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        Ok(self.tables().refresh.get(token.as_str()).map(|row| row.record(token.as_str())))
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let tables = self.tables();
        let found = tables.families.get(family.as_str()).and_then(|token| tables.refresh.get_key_value(token));
        Ok(found.map(|(token, row)| row.record(token)))
    }

    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, Failure> {
        let mut tables = self.tables();
        if !tables.refresh.contains_key(rotate.presented.as_str()) {
            return Ok(Rotated::Gone);
        }
        if tables.refresh.contains_key(rotate.successor.as_str()) {
            return Err(taken());
        }
        if let Some(access) = &rotate.access {
            tables.insert_access(access)?;
        }
        if let Some(mut row) = tables.remove_refresh(rotate.presented.as_str()) {
            row.family = rotate.family.clone();
            row.consumed = rotate.consumed.clone();
            row.session = row.session.or(Some(rotate.session));
            row.created_at = rotate.created_at;
            row.expires_at = rotate.expires_at;
            row.session_expires_at = row.session_expires_at.or(rotate.session_expires_at);
            tables.insert_refresh(rotate.successor.as_str(), row);
        }
        Ok(Rotated::Done)
    }

    async fn remove_refresh(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        let mut tables = self.tables();
        let removable = |row: &RefreshRow| row.session.is_none() && is_owner(owner, &row.user);
        let found = tables.refresh.get(token.as_str()).is_some_and(removable);
        Ok(found && tables.remove_refresh(token.as_str()).is_some())
    }

    async fn remove_loose(&self, user: &UserKey) -> Result<u64, Failure> {
        Ok(self.tables().remove(|_| false, |row| row.session.is_none() && row.user == *user))
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let ends = |at: Option<SessionId>, user: &UserKey| at == Some(session) && user == owner;
        Ok(self.tables().remove(|row| ends(row.session, &row.user), |row| ends(row.session, &row.user)) > 0)
    }

    async fn find_session(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure> {
        let tables = self.tables();
        let found = tables.refresh.values().find(|row| row.session == Some(session) && row.user == *owner);
        Ok(found.and_then(RefreshRow::session_record))
    }

    async fn sessions(&self, user: &UserKey, page: Page) -> Result<Vec<SessionRecord>, Failure> {
        let tables = self.tables();
        let of_user = tables.refresh.values().filter(|row| row.user == *user).filter_map(RefreshRow::session_record);
        let mut sessions: Vec<_> = of_user.filter(|found| page.after.is_none_or(|after| found.id > after)).collect();
        sessions.sort_unstable_by_key(|found| found.id);
        sessions.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(sessions)
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        let mut tables = self.tables();
        for used in used {
            let of_session = |row: &&mut RefreshRow| row.session == Some(used.session) && row.user == used.user;
            for row in tables.refresh.values_mut().filter(of_session) {
                row.used_at = row.used_at.max(Some(used.at));
            }
        }
        Ok(())
    }

    async fn remove_user(&self, user: &UserKey) -> Result<u64, Failure> {
        Ok(self.tables().remove(|row| row.user == *user, |row| row.user == *user))
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let is_over = |expires_at: Option<Timestamp>, created_at, cutoff| match expires_at {
            Some(end) => end <= limit.now,
            None => created_at <= cutoff,
        };
        let mut tables = self.tables();
        let (access, more_access) =
            sweep(&mut tables.access, limit.rows, |row| is_over(row.expires_at, row.created_at, limit.access_created));
        let (refresh, more_refresh) = sweep(&mut tables.refresh, limit.rows, |row| {
            is_over(row.expires_at, row.created_at, limit.refresh_created)
        });
        tables.forget_families();
        let (fences, more_fences) =
            sweep(&mut tables.fences, limit.rows, |(_, used_at): &(Fence, Timestamp)| *used_at <= limit.fence_used);
        Ok(Swept { access, refresh, fences, more: more_access || more_refresh || more_fences })
    }

    fn locator(&self, _user: &UserKey, _session: Option<SessionId>) -> Option<Locator> {
        None
    }

    async fn ping(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }
}

impl Tables {
    fn insert_access(&mut self, access: &NewAccess) -> Result<(), Failure> {
        if self.access.contains_key(access.digest.as_str()) {
            return Err(taken());
        }
        let row = AccessRow {
            user: access.user.clone(),
            session: access.session,
            created_at: access.created_at,
            expires_at: access.expires_at,
        };
        self.access.insert(access.digest.as_str().to_owned(), row);
        Ok(())
    }

    fn insert_refresh(&mut self, token: &str, row: RefreshRow) {
        self.families.insert(row.family.as_str().to_owned(), token.to_owned());
        self.refresh.insert(token.to_owned(), row);
    }

    fn remove_refresh(&mut self, token: &str) -> Option<RefreshRow> {
        let row = self.refresh.remove(token)?;
        self.families.remove(row.family.as_str());
        Some(row)
    }

    fn forget_families(&mut self) {
        self.families.retain(|_, token| self.refresh.contains_key(token));
    }

    fn remove(&mut self, access: impl Fn(&AccessRow) -> bool, refresh: impl Fn(&RefreshRow) -> bool) -> u64 {
        let before = self.access.len() + self.refresh.len();
        self.access.retain(|_, row| !access(row));
        self.refresh.retain(|_, row| !refresh(row));
        self.forget_families();
        count(before.saturating_sub(self.access.len() + self.refresh.len()))
    }
}

fn sweep<K: Clone + Eq + Hash, T>(rows: &mut HashMap<K, T>, limit: u32, is_over: impl Fn(&T) -> bool) -> (u64, bool) {
    let limit = usize::try_from(limit).unwrap_or(usize::MAX);
    let over: Vec<_> = rows.iter().filter(|(_, row)| is_over(row)).map(|(token, _)| token.clone()).collect();
    for token in over.iter().take(limit) {
        rows.remove(token);
    }
    (count(over.len().min(limit)), over.len() > limit)
}

fn is_owner(owner: Option<&UserKey>, user: &UserKey) -> bool {
    owner.is_none_or(|owner| owner == user)
}

fn count(rows: usize) -> u64 {
    u64::try_from(rows).unwrap_or(u64::MAX)
}

fn taken() -> Failure {
    Failure::internal("token store", "the digest is there already")
}

/// Counts rows only: they hold user ids.
impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tables = self.tables();
        f.debug_struct("MemoryStore")
            .field("access", &tables.access.len())
            .field("refresh", &tables.refresh.len())
            .finish()
    }
}
