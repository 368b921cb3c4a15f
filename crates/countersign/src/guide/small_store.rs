use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use countersign::store::{
    AccessRecord, ClearUser, Cleared, Consumed, EndUser, EndedFence, Fence, NewAccess, NewRefresh,
    Opened, Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest, SessionPage,
    SessionRecord, SweepLimit, Swept, TokenStore, Used,
};
use countersign::token::{Digest, StoredToken};
use countersign::{Failure, SessionId, Timestamp, UserKey};

/// Tokens in memory. One lock is held for the whole of each method, so each is atomic.
#[derive(Default)]
pub struct SmallStore(Mutex<Tables>);

#[derive(Default)]
struct Tables {
    access: HashMap<String, NewAccess>,
    refresh: HashMap<String, Session>,
    fences: HashMap<UserKey, (Fence, Timestamp)>,
    unsettled: HashMap<UserKey, Vec<EndedFence>>,
}

/// A refresh token, and what its session knows besides.
struct Session {
    token: NewRefresh,
    consumed: Consumed,
    opened_at: Timestamp,
    authenticated_at: Timestamp,
    used_at: Option<Timestamp>,
}

impl SmallStore {
    fn tables(&self) -> MutexGuard<'_, Tables> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Tables {
    /// The guard of a login: its fence must be the current one, and is in use again.
    fn admits(&mut self, user: &UserKey, expected: Option<Fence>, now: Timestamp) -> bool {
        let Some(expected) = expected else {
            return true;
        };
        let current = self.fences.get_mut(user);
        let current = current.filter(|(fence, _)| *fence == expected);
        current
            .map(|(_, used_at)| *used_at = now.max(*used_at))
            .is_some()
    }

    /// Records an access token behind the fence of its session.
    fn insert(&mut self, access: &NewAccess, fence: Option<Fence>) -> Result<(), Failure> {
        let digest = access.digest.as_str().to_owned();
        if self.access.contains_key(&digest) {
            return Err(taken());
        }
        self.access.insert(digest, access.clone().with_fence(fence));
        Ok(())
    }

    /// Deletes at most `rows` tokens of each kind, by user, session and fence.
    fn delete(
        &mut self,
        rows: usize,
        goes: impl Fn(&UserKey, Option<SessionId>, Option<Fence>) -> bool,
    ) -> (u64, u64) {
        let access = self
            .access
            .extract_if(|_, row| goes(&row.user, row.session, row.fence));
        let refresh = self
            .refresh
            .extract_if(|_, row| goes(&row.token.user, row.token.session, row.token.fence));
        (count(access.take(rows)), count(refresh.take(rows)))
    }
}

impl Session {
    fn record(&self) -> RefreshRecord {
        let mut record = RefreshRecord::from(&self.token);
        record.consumed = self.consumed.clone();
        record
    }

    fn listed(&self) -> Option<SessionRecord> {
        let mut listed = SessionRecord::new(self.token.session?);
        listed.opened_at = Some(self.opened_at);
        listed.authenticated_at = Some(self.authenticated_at);
        listed.refreshed_at = Some(self.token.created_at);
        listed.used_at = self.used_at;
        listed.expires_at = self.token.expires_at;
        listed.session_expires_at = self.token.session_expires_at;
        listed.access_expires_at = self.token.access_expires_at;
        listed.current = Some(self.token.digest.clone());
        listed.consumed = self.consumed.clone();
        listed.fence = self.token.fence;
        listed.client = self.token.client.clone();
        Some(listed)
    }
}

fn count<T>(deleted: impl Iterator<Item = T>) -> u64 {
    deleted.fold(0, |count, _| count.saturating_add(1))
}

/// Returns `true` if a token is of the session that an ending keeps.
fn is_kept(session: Option<SessionId>, kept: Option<SessionId>) -> bool {
    session.is_some() && session == kept
}

/// Returns `true` if a token has ended, or has no end and was created at the cutoff or before it.
fn is_over(
    end: Option<Timestamp>,
    created_at: Timestamp,
    cutoff: Timestamp,
    now: Timestamp,
) -> bool {
    end.map_or(created_at <= cutoff, |end| end <= now)
}

fn taken() -> Failure {
    Failure::internal("small store", "the digest already exists")
}

#[async_trait]
impl TokenStore for SmallStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        let mut tables = self.tables();
        if !tables.admits(&access.user, access.fence, access.created_at) {
            return Ok(Opened::Fenced);
        }
        tables.insert(access, access.fence)?;
        Ok(Opened::Done)
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        Ok(self
            .tables()
            .access
            .get(token.as_str())
            .map(AccessRecord::from))
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let access = &mut self.tables().access;
        let found = access
            .get(token.as_str())
            .is_some_and(|row| owner.is_none_or(|owner| *owner == row.user));
        Ok(found && access.remove(token.as_str()).is_some())
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        let mut tables = self.tables();
        if !tables.admits(&refresh.user, refresh.fence, refresh.created_at) {
            return Ok(Opened::Fenced);
        }
        if tables.refresh.contains_key(refresh.digest.as_str()) {
            return Err(taken());
        }
        if let Some(access) = access {
            tables.insert(access, refresh.fence)?;
        }

        let session = Session {
            token: refresh.clone(),
            consumed: Consumed::default(),
            opened_at: refresh.created_at,
            authenticated_at: refresh.created_at,
            used_at: None,
        };
        tables
            .refresh
            .insert(refresh.digest.as_str().to_owned(), session);
        Ok(Opened::Done)
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        Ok(self
            .tables()
            .refresh
            .get(token.as_str())
            .map(Session::record))
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let tables = self.tables();
        let found = tables
            .refresh
            .values()
            .find(|row| row.token.family == *family);
        Ok(found.map(Session::record))
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let mut tables = self.tables();
        let Some(presented) = tables.refresh.get(rotate.presented.as_str()) else {
            return Ok(RotateOutcome::Gone);
        };

        let fence = presented.token.fence;
        // Both digests are checked before the first write, so a refusal leaves nothing behind.
        if tables.refresh.contains_key(rotate.successor.as_str()) {
            return Err(taken());
        }
        if let Some(access) = &rotate.access {
            tables.insert(access, fence)?;
        }
        if let Some(mut session) = tables.refresh.remove(rotate.presented.as_str()) {
            rotate.apply(&mut session.token);
            session.consumed = rotate.consumed.clone();
            tables
                .refresh
                .insert(rotate.successor.as_str().to_owned(), session);
        }
        Ok(RotateOutcome::Done)
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let refresh = &mut self.tables().refresh;
        let found = refresh.get(token.as_str()).is_some_and(|row| {
            row.token.session.is_none() && owner.is_none_or(|owner| *owner == row.token.user)
        });
        Ok(found && refresh.remove(token.as_str()).is_some())
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let deleted = self.tables().delete(usize::MAX, |user, at, _| {
            at == Some(session) && user == owner
        });
        Ok(deleted != (0, 0))
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        let mut tables = self.tables();
        Ok(tables.fences.entry(user.clone()).or_insert((fresh, now)).0)
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        let mut tables = self.tables();
        let current = tables.fences.insert(end.user.clone(), (end.fence, end.now));
        // A call that is repeated finds its own fence, and ends nothing.
        let Some((ended, _)) = current.filter(|(current, _)| *current != end.fence) else {
            return Ok(());
        };

        let of_user = |user: &UserKey, fence| *user == end.user && fence == Some(ended);
        for row in tables.access.values_mut() {
            if is_kept(row.session, end.kept) && of_user(&row.user, row.fence) {
                row.fence = Some(end.fence);
            }
        }
        for row in tables.refresh.values_mut() {
            if is_kept(row.token.session, end.kept) && of_user(&row.token.user, row.token.fence) {
                row.token.fence = Some(end.fence);
            }
        }
        tables.delete(usize::MAX, |user, _, fence| of_user(user, fence));
        if !end.settled {
            let unsettled = tables.unsettled.entry(end.user.clone()).or_default();
            unsettled.push(EndedFence {
                fence: ended,
                kept: end.kept,
            });
        }
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
        if let Some(unsettled) = self.tables().unsettled.get_mut(user) {
            unsettled.retain(|ended| !fences.contains(&ended.fence));
        }
        Ok(())
    }

    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        // What a fence ended is gone already, so only what is behind none can be left.
        let rows = u64::from(clear.rows);
        let (access, refresh) =
            self.tables()
                .delete(clear.rows as usize, |user, session, fence| {
                    let goes = *user == clear.user && !is_kept(session, clear.kept);
                    clear.unfenced && fence.is_none() && goes
                });
        let more = access == rows || refresh == rows;
        Ok(Cleared::new(access.saturating_add(refresh), more))
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let tables = self.tables();
        let mut of_user = tables
            .refresh
            .values()
            .filter(|row| row.token.user == *owner);
        let found = of_user.find(|row| row.token.session == Some(session));
        Ok(found.and_then(Session::listed))
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        let after = page
            .after
            .as_ref()
            .map(|after| after.as_str().parse::<SessionId>());
        let Ok(after) = after.transpose() else {
            return Ok(SessionPage::default()); // a stranger's cursor
        };

        let tables = self.tables();
        let of_user = tables
            .refresh
            .values()
            .filter(|row| row.token.user == *user);
        let mut sessions: Vec<_> = of_user.filter_map(Session::listed).collect();
        sessions.retain(|session| after.is_none_or(|after| session.id > after));
        sessions.sort_by_key(|session| session.id);
        Ok(SessionPage::of_ordered(sessions, page.limit))
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        let mut tables = self.tables();
        let found = tables.refresh.values_mut().find(|row| {
            let behind = row.token.fence;
            let fits = again.fence.is_none() || behind.is_none() || behind == again.fence;
            row.token.session == Some(again.session) && row.token.user == again.user && fits
        });
        Ok(found.is_some_and(|row| {
            row.authenticated_at = row.authenticated_at.max(again.at);
            true
        }))
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        let mut tables = self.tables();
        for used in used {
            for row in tables.refresh.values_mut() {
                if row.token.session == Some(used.session) && row.token.user == used.user {
                    row.used_at = row.used_at.max(Some(used.at));
                }
            }
        }
        Ok(())
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let rows = limit.rows as usize;
        let Tables {
            access,
            refresh,
            fences,
            ..
        } = &mut *self.tables();
        let mut swept = Swept::default();
        let (now, created) = (limit.now, limit.access_created);
        let over =
            access.extract_if(|_, row| is_over(row.expires_at, row.created_at, created, now));
        swept.access = count(over.take(rows));
        let created = limit.refresh_created;
        let over = refresh
            .extract_if(|_, row| is_over(row.token.expires_at, row.token.created_at, created, now));
        swept.refresh = count(over.take(rows));

        let holders: HashSet<_> = access.values().map(|row| &row.user).collect();
        let unused = fences.extract_if(|user, (_, used_at)| {
            let holds =
                holders.contains(user) || refresh.values().any(|row| row.token.user == *user);
            *used_at <= limit.fence_used && !holds
        });
        swept.fences = count(unused.take(rows));
        swept.more = [swept.access, swept.refresh, swept.fences].contains(&u64::from(limit.rows));
        Ok(swept)
    }

    async fn ping(&self) -> Result<(), Failure> {
        Ok(())
    }

    fn is_durable(&self) -> bool {
        false
    }
}
