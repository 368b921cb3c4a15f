//! A store that counts how often it is asked and how often it is told, knows what was recorded in it, and lets something
//! else happen between a look-up and a write.

#![allow(dead_code, reason = "each test file uses a part")]

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use async_trait::async_trait;
use countersign::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, NewAccess, NewRefresh, Opened,
    Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest, SessionCursor,
    SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use countersign::token::{Digest, Locator, StoredToken};
use countersign::{Failure, SessionId, Timestamp, UserKey};
use futures_util::future::BoxFuture;

enum Recorded {
    Access(StoredToken),
    Refresh(StoredToken),
}

pub(crate) struct Watched {
    inner: Arc<dyn TokenStore>,
    reads: AtomicUsize,
    writes: AtomicUsize,
    swept_fences: AtomicU64,
    recorded: Mutex<Vec<(UserKey, Recorded)>>,
    before_rotate: Mutex<Option<BoxFuture<'static, ()>>>,
    before_end: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Watched {
    pub(crate) fn over(inner: Arc<dyn TokenStore>) -> Self {
        Self {
            inner,
            reads: AtomicUsize::default(),
            writes: AtomicUsize::default(),
            swept_fences: AtomicU64::default(),
            recorded: Mutex::default(),
            before_rotate: Mutex::default(),
            before_end: Mutex::default(),
        }
    }

    /// How many reads there were, and how many writes.
    pub(crate) fn counts(&self) -> (usize, usize) {
        (
            self.reads.load(Ordering::SeqCst),
            self.writes.load(Ordering::SeqCst),
        )
    }

    /// Lets `meanwhile` happen before the next exchange is written, which has looked its token up by then.
    pub(crate) fn before_next_rotation(
        &self,
        meanwhile: impl Future<Output = ()> + Send + 'static,
    ) {
        *self.before_rotate.lock().unwrap() = Some(Box::pin(meanwhile));
    }

    /// Lets `meanwhile` happen before everything of a user is ended next.
    pub(crate) fn before_next_ending(&self, meanwhile: impl Future<Output = ()> + Send + 'static) {
        *self.before_end.lock().unwrap() = Some(Box::pin(meanwhile));
    }

    /// How many of the user's tokens that were recorded through this are found still. It doesn't count as reading.
    pub(crate) async fn held(&self, user: &UserKey) -> u64 {
        let recorded = std::mem::take(&mut *self.recorded.lock().unwrap());
        let mut held = 0;
        for (owner, token) in &recorded {
            let found = match token {
                Recorded::Access(token) => self.inner.find_access(token).await.unwrap().is_some(),
                Recorded::Refresh(token) => self.inner.find_refresh(token).await.unwrap().is_some(),
            };
            held += u64::from(found && owner == user);
        }
        self.recorded.lock().unwrap().extend(recorded);
        held
    }

    /// How many fences sweeps have removed.
    pub(crate) fn swept_fences(&self) -> u64 {
        self.swept_fences.load(Ordering::SeqCst)
    }

    fn record(&self, user: &UserKey, refresh: Option<&Digest>, access: Option<&NewAccess>) {
        let refresh = refresh.map(|digest| Recorded::Refresh(digest.clone().into()));
        let access = access.map(|access| Recorded::Access(access.digest.clone().into()));
        let recorded = refresh
            .into_iter()
            .chain(access)
            .map(|token| (user.clone(), token));
        self.recorded.lock().unwrap().extend(recorded);
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

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TokenStore for Watched {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        self.record(&access.user, None, Some(access));
        self.write().insert_access(access).await
    }
    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        self.read().find_access(token).await
    }
    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        self.write().remove_access(token, owner).await
    }
    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        self.read().fence(user, fresh, now).await
    }
    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        let meanwhile = self.before_end.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        self.write().end_user(end).await
    }
    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        self.read().unsettled(user).await
    }
    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.write().settle(user, fences, now).await
    }
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        self.write().clear(clear).await
    }
    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        self.read().survey_part(user, limit, after).await
    }

    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        self.read().survey(user, limit).await
    }
    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        self.read().find_family(family).await
    }
    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        self.read().find_session(session, owner).await
    }
    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        self.write().reauthenticate(again).await
    }
    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        self.write().note_use(used).await
    }
    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        self.record(&refresh.user, Some(&refresh.digest), access);
        self.write().insert_refresh(refresh, access).await
    }
    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        self.read().find_refresh(token).await
    }
    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        let meanwhile = self.before_rotate.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        if let Some(owner) = self
            .inner
            .find_refresh(&rotate.presented)
            .await?
            .map(|record| record.user)
        {
            self.record(&owner, Some(&rotate.successor), rotate.access.as_ref());
        }
        self.write().rotate(rotate).await
    }
    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        self.write().remove_refresh(token, owner).await
    }
    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        self.write().end_session(session, owner).await
    }
    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.read().sessions(user, page).await
    }
    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.read().unfenced_sessions(user, page).await
    }
    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let swept = self.write().sweep(limit).await?;
        self.swept_fences.fetch_add(swept.fences, Ordering::SeqCst);
        Ok(swept)
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
