//! Tokens in this process's memory: the reference that every other store is compared with.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::answer::SessionId;
use crate::clock::Timestamp;
use crate::error::Failure;
use crate::store::{
    AccessRecord, JoinedUser, NewAccess, NewRefresh, Page, RefreshRecord, Rotate, Rotated, SweepLimit, Swept,
    TokenStore,
};
use crate::token::{Locator, StoredToken};
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
}

struct AccessRow {
    user: UserKey,
    session: Option<SessionId>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
}

struct RefreshRow {
    user: UserKey,
    session: Option<SessionId>,
    created_at: Timestamp,
    expires_at: Option<Timestamp>,
    session_expires_at: Option<Timestamp>,
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

    async fn insert_refresh(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Result<(), Failure> {
        let mut tables = self.tables();
        if tables.refresh.contains_key(refresh.digest.as_str()) {
            return Err(taken());
        }
        if let Some(access) = access {
            tables.insert_access(access)?;
        }
        let row = RefreshRow {
            user: refresh.user.clone(),
            session: refresh.session,
            created_at: refresh.created_at,
            expires_at: refresh.expires_at,
            session_expires_at: refresh.session_expires_at,
        };
        tables.refresh.insert(refresh.digest.as_str().to_owned(), row);
        Ok(())
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        Ok(self.tables().refresh.get(token.as_str()).map(|row| RefreshRecord {
            user: row.user.clone(),
            session: row.session,
            created_at: Some(row.created_at),
            expires_at: row.expires_at,
            session_expires_at: row.session_expires_at,
        }))
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
        if let Some(mut row) = tables.refresh.remove(rotate.presented.as_str()) {
            row.session = row.session.or(Some(rotate.session));
            row.created_at = rotate.created_at;
            row.expires_at = rotate.expires_at;
            row.session_expires_at = row.session_expires_at.or(rotate.session_expires_at);
            tables.refresh.insert(rotate.successor.as_str().to_owned(), row);
        }
        Ok(Rotated::Done)
    }

    async fn remove_refresh(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        let refresh = &mut self.tables().refresh;
        let removable = |row: &RefreshRow| row.session.is_none() && is_owner(owner, &row.user);
        let found = refresh.get(token.as_str()).is_some_and(removable);
        Ok(found && refresh.remove(token.as_str()).is_some())
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let ends = |at: Option<SessionId>, user: &UserKey| at == Some(session) && user == owner;
        Ok(self.tables().remove(|row| ends(row.session, &row.user), |row| ends(row.session, &row.user)) > 0)
    }

    async fn sessions(&self, user: &UserKey, page: Page) -> Result<Vec<SessionId>, Failure> {
        let tables = self.tables();
        let of_user = tables.refresh.values().filter(|row| row.user == *user).filter_map(|row| row.session);
        let mut sessions: Vec<_> = of_user.filter(|session| page.after.is_none_or(|after| *session > after)).collect();
        sessions.sort_unstable();
        sessions.truncate(usize::try_from(page.limit).unwrap_or(usize::MAX));
        Ok(sessions)
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
        Ok(Swept { access, refresh, more: more_access || more_refresh })
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

    fn remove(&mut self, access: impl Fn(&AccessRow) -> bool, refresh: impl Fn(&RefreshRow) -> bool) -> u64 {
        let before = self.access.len() + self.refresh.len();
        self.access.retain(|_, row| !access(row));
        self.refresh.retain(|_, row| !refresh(row));
        count(before.saturating_sub(self.access.len() + self.refresh.len()))
    }
}

fn sweep<T>(rows: &mut HashMap<String, T>, limit: u32, is_over: impl Fn(&T) -> bool) -> (u64, bool) {
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
