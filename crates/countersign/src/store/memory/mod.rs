//! The store in this process's memory, which is also the reference for every other store.
//!
//! One mutex guards all tables, so each operation is atomic by itself. No future is awaited while
//! it is held.

mod tables;

use std::collections::HashSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use tables::{RefreshRow, Tables, is_over, is_owner, sweep, taken};

use crate::clock::Timestamp;
use crate::error::Failure;
use crate::session::SessionId;
use crate::store::{
    AccessRecord, ClearUser, Cleared, Consumed, EndUser, EndedFence, Fence, JoinedUser, NewAccess,
    NewRefresh, Opened, Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest,
    SessionCursor, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use crate::token::{Digest, StoredToken};
use crate::user::UserKey;

/// A [`TokenStore`] that keeps tokens in memory and forgets them when the process ends.
///
/// Use it in tests, and in services of one process that may log everybody out at a restart.
/// [`is_durable`](TokenStore::is_durable) is `false`. Looking a token up takes constant time.
/// Ending a session, listing sessions and sweeping look at every token. [Sweep](TokenStore::sweep)
/// it from time to time: expired tokens stay until then.
///
/// Clones share their tokens.
///
/// # Examples
///
/// ```
/// use std::sync::Arc;
///
/// use countersign::store::{MemoryStore, TokenStore};
///
/// let store = MemoryStore::new();
/// assert!(!store.is_durable());
/// let shared: Arc<dyn TokenStore> = Arc::new(store.clone());
/// assert!(!shared.is_durable());
/// ```
#[derive(Clone, Default)]
pub struct MemoryStore {
    tables: Arc<Mutex<Tables>>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Locks the tables.
    ///
    /// No code panics while it holds the lock, so a poisoned lock still guards whole rows.
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.tables.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl TokenStore for MemoryStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        let mut tables = self.tables();
        if !tables.stands(&access.user, access.fence, access.created_at) {
            return Ok(Opened::Fenced);
        }
        tables.insert_access(access, access.fence)?;
        Ok(Opened::Done)
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        Ok(self
            .tables()
            .access
            .get(token.as_str())
            .map(|row| AccessRecord {
                user: row.user.clone(),
                session: row.session,
                created_at: Some(row.created_at),
                expires_at: row.expires_at,
                joined_user: JoinedUser::NotJoined,
            }))
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let access = &mut self.tables().access;
        let removable = access
            .get(token.as_str())
            .is_some_and(|row| is_owner(owner, &row.user));
        Ok(removable && access.remove(token.as_str()).is_some())
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        Ok(self
            .tables()
            .fences
            .entry(user.clone())
            .or_insert((fresh, now))
            .0)
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        self.tables().end_user(end);
        Ok(())
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        Ok(self
            .tables()
            .unsettled
            .get(user)
            .cloned()
            .unwrap_or_default())
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        _now: Timestamp,
    ) -> Result<(), Failure> {
        let mut tables = self.tables();
        if let Some(unsettled) = tables.unsettled.get_mut(user) {
            unsettled.retain(|ended| !fences.contains(&ended.fence));
            if unsettled.is_empty() {
                tables.unsettled.remove(user);
            }
        }
        Ok(())
    }

    /// Deletes tokens behind no fence. What a fence ended is gone already: `end_user` deletes it at
    /// once.
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        let mut tables = self.tables();
        let (refresh, more_refresh) = sweep(&mut tables.refresh, clear.rows, |_, row| {
            is_cleared(clear, &row.user, row.session, row.fence)
        });
        let (access, more_access) = sweep(&mut tables.access, clear.rows, |_, row| {
            is_cleared(clear, &row.user, row.session, row.fence)
        });
        tables.forget_families();
        Ok(Cleared {
            removed: access.saturating_add(refresh),
            more: more_access || more_refresh,
        })
    }

    /// Counts all sessions in one part.
    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        _after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        let tables = self.tables();
        let live = tables.refresh.values().filter(|row| {
            let is_over = is_over(
                row.expires_at,
                row.created_at,
                limit.refresh_created,
                limit.now,
            );
            row.user == *user && row.session.is_some() && !is_over
        });

        let mut survey = UserSurvey::default();
        for row in live {
            survey.sessions = survey.sessions.saturating_add(1);
            survey.access_expires_at = survey.access_expires_at.max(row.access_expires_at);
        }
        Ok(survey)
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        let mut tables = self.tables();
        if !tables.stands(&refresh.user, refresh.fence, refresh.created_at) {
            return Ok(Opened::Fenced);
        }

        // Both digests are checked before the first write, so a refusal leaves nothing behind.
        if tables.refresh.contains_key(refresh.digest.as_str()) {
            return Err(taken());
        }
        if let Some(access) = access {
            tables.insert_access(access, refresh.fence)?;
        }

        let row = RefreshRow {
            family: refresh.family.clone(),
            consumed: Consumed::default(),
            user: refresh.user.clone(),
            session: refresh.session,
            opened_at: refresh.created_at,
            authenticated_at: None,
            created_at: refresh.created_at,
            used_at: None,
            expires_at: refresh.expires_at,
            session_expires_at: refresh.session_expires_at,
            access_expires_at: refresh.access_expires_at,
            client: refresh.client.clone(),
            fence: refresh.fence,
        };
        tables.insert_refresh(refresh.digest.as_str(), row);
        Ok(Opened::Done)
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        Ok(self
            .tables()
            .refresh
            .get(token.as_str())
            .map(|row| row.record(token.as_str())))
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let tables = self.tables();
        let found = tables
            .families
            .get(family.as_str())
            .and_then(|token| tables.refresh.get_key_value(token));
        Ok(found.map(|(token, row)| row.record(token)))
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let mut tables = self.tables();
        let Some(fence) = tables
            .refresh
            .get(rotate.presented.as_str())
            .map(|row| row.fence)
        else {
            return Ok(RotateOutcome::Gone);
        };

        // Both digests are checked before the first write, so a refusal leaves nothing behind.
        if tables.refresh.contains_key(rotate.successor.as_str()) {
            return Err(taken());
        }
        if let Some(access) = &rotate.access {
            tables.insert_access(access, fence)?;
        }

        if let Some(mut row) = tables.remove_refresh(rotate.presented.as_str()) {
            row.family = rotate.family.clone();
            row.consumed = rotate.consumed.clone();
            row.session = row.session.or(Some(rotate.session));
            row.created_at = rotate.created_at;
            row.expires_at = rotate.expires_at;
            row.session_expires_at = row.session_expires_at.or(rotate.session_expires_at);
            row.access_expires_at = row.access_expires_at.max(rotate.access_expires_at);
            tables.insert_refresh(rotate.successor.as_str(), row);
        }
        Ok(RotateOutcome::Done)
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let mut tables = self.tables();
        let found = tables
            .refresh
            .get(token.as_str())
            .is_some_and(|row| row.session.is_none() && is_owner(owner, &row.user));
        Ok(found && tables.remove_refresh(token.as_str()).is_some())
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        Ok(self.tables().remove(
            |row| row.session == Some(session) && row.user == *owner,
            |row| row.session == Some(session) && row.user == *owner,
        ) > 0)
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let tables = self.tables();
        let found = tables
            .refresh
            .iter()
            .find(|(_, row)| row.session == Some(session) && row.user == *owner);
        Ok(found.and_then(|(token, row)| row.session_record(token)))
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let after = page
            .after
            .as_ref()
            .map(|after| after.as_str().parse::<SessionId>());
        let after = match after {
            // A cursor of this store is the id of a session, so this one is a stranger's.
            Some(Err(_)) => return Ok(SessionPage::default()),
            Some(Ok(after)) => Some(after),
            None => None,
        };

        let tables = self.tables();
        let of_user = tables.refresh.iter().filter(|(_, row)| row.user == *user);
        let mut sessions: Vec<_> = of_user
            .filter_map(|(token, row)| row.session_record(token))
            .filter(|found| after.is_none_or(|after| found.id > after))
            .collect();
        sessions.sort_unstable_by_key(|found| found.id);
        Ok(SessionPage::of_ordered(sessions, page.limit))
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        let mut tables = self.tables();
        for used in used {
            for row in tables.refresh.values_mut() {
                if row.session == Some(used.session) && row.user == used.user {
                    row.used_at = row.used_at.max(Some(used.at));
                }
            }
        }
        Ok(())
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        let mut tables = self.tables();
        let found = tables.refresh.values_mut().find(|row| {
            let fits = again.fence.is_none() || row.fence.is_none() || row.fence == again.fence;
            row.session == Some(again.session) && row.user == again.user && fits
        });
        Ok(found.is_some_and(|row| {
            row.authenticated_at = row.authenticated_at.max(Some(again.at));
            true
        }))
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let mut tables = self.tables();
        let (access, more_access) = sweep(&mut tables.access, limit.rows, |_, row| {
            is_over(
                row.expires_at,
                row.created_at,
                limit.access_created,
                limit.now,
            )
        });
        let (refresh, more_refresh) = sweep(&mut tables.refresh, limit.rows, |_, row| {
            is_over(
                row.expires_at,
                row.created_at,
                limit.refresh_created,
                limit.now,
            )
        });
        tables.forget_families();

        // A fence is kept while its user has any token: an ending must still find what is behind
        // it.
        let Tables {
            access: tokens,
            refresh: sessions,
            fences,
            ..
        } = &mut *tables;
        let holders: HashSet<&UserKey> = tokens
            .values()
            .map(|row| &row.user)
            .chain(sessions.values().map(|row| &row.user))
            .collect();
        let (fences, more_fences) = sweep(
            fences,
            limit.rows,
            |user, (_, used_at): &(Fence, Timestamp)| {
                *used_at <= limit.fence_used && !holders.contains(user)
            },
        );

        Ok(Swept {
            access,
            refresh,
            fences,
            more: more_access || more_refresh || more_fences,
        })
    }

    async fn ping(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }
}

/// Returns `true` if `clear` deletes a token of this user, in this session and behind this fence.
fn is_cleared(
    clear: &ClearUser,
    user: &UserKey,
    session: Option<SessionId>,
    fence: Option<Fence>,
) -> bool {
    let is_kept = session.is_some() && session == clear.kept;
    clear.unfenced && *user == clear.user && fence.is_none() && !is_kept
}

/// Shows the number of rows only: they hold user ids.
impl std::fmt::Debug for MemoryStore {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let tables = self.tables();
        f.debug_struct("MemoryStore")
            .field("access", &tables.access.len())
            .field("refresh", &tables.refresh.len())
            .finish()
    }
}
