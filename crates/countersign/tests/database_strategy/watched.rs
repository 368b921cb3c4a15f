//! A store that counts how often it is asked, and how often it is told.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use async_trait::async_trait;
use countersign::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, NewAccess, NewRefresh, Opened, Page, RefreshRecord,
    Rotate, Rotated, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use countersign::{Digest, Failure, Locator, SessionId, StoredToken, Timestamp, UserKey};

pub(crate) struct Watched {
    inner: Arc<dyn TokenStore>,
    reads: AtomicUsize,
    writes: AtomicUsize,
}

impl Watched {
    pub(crate) fn over(inner: Arc<dyn TokenStore>) -> Self {
        Self { inner, reads: AtomicUsize::default(), writes: AtomicUsize::default() }
    }

    /// How many reads there were, and how many writes.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (self.reads.load(Ordering::SeqCst), self.writes.load(Ordering::SeqCst))
    }

    fn read(&self) -> &dyn TokenStore {
        self.reads.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }

    fn write(&self) -> &dyn TokenStore {
        self.writes.fetch_add(1, Ordering::SeqCst);
        &*self.inner
    }
}

#[async_trait]
impl TokenStore for Watched {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        self.write().insert_access(access).await
    }
    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        self.read().find_access(token).await
    }
    async fn remove_access(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        self.write().remove_access(token, owner).await
    }
    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        self.read().fence(user, fresh, now).await
    }
    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        self.write().end_user(end).await
    }
    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        self.read().unsettled(user).await
    }
    async fn settle(&self, user: &UserKey, fences: &[Fence], now: Timestamp) -> Result<(), Failure> {
        self.write().settle(user, fences, now).await
    }
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        self.write().clear(clear).await
    }
    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        self.read().survey(user, limit).await
    }
    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        self.read().find_family(family).await
    }
    async fn find_session(&self, session: SessionId, owner: &UserKey) -> Result<Option<SessionRecord>, Failure> {
        self.read().find_session(session, owner).await
    }
    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        self.write().note_use(used).await
    }
    async fn insert_refresh(&self, refresh: &NewRefresh, access: Option<&NewAccess>) -> Result<Opened, Failure> {
        self.write().insert_refresh(refresh, access).await
    }
    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        self.read().find_refresh(token).await
    }
    async fn rotate(&self, rotate: &Rotate) -> Result<Rotated, Failure> {
        self.write().rotate(rotate).await
    }
    async fn remove_refresh(&self, token: &StoredToken, owner: Option<&UserKey>) -> Result<bool, Failure> {
        self.write().remove_refresh(token, owner).await
    }
    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        self.write().end_session(session, owner).await
    }
    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.read().sessions(user, page).await
    }
    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        self.write().sweep(limit).await
    }
    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.inner.locator(user, session)
    }
    async fn ping(&self) -> Result<(), Failure> {
        self.read().ping().await
    }
    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }
}
