use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use countersign::store::{
    AccessRecord, ClearUser, Cleared, Consumed, EndUser, EndedFence, Fence, MemoryStore, NewAccess,
    NewRefresh, Opened, Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest,
    SessionCursor, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use countersign::token::{Digest, Locator, StoredToken};
use countersign::user::UserKeyKind;
use countersign::{ClientInfo, Failure, PlainToken, SessionId, Timestamp, UserKey};

use crate::suite_catches::faults::Fault;

/// A good store with one fault.
pub(crate) struct BrokenStore {
    pub(crate) inner: MemoryStore,
    pub(crate) fault: Fault,
    pub(crate) calls: AtomicU64,
    pub(crate) families: Mutex<HashMap<String, RefreshRecord>>,
    pub(crate) noted: Mutex<HashMap<SessionId, Timestamp>>,
    /// What was recorded with its family.
    pub(crate) opened: Mutex<Vec<NewRefresh>>,
    /// What was listed before an ending.
    pub(crate) before: Mutex<Vec<SessionRecord>>,
    /// Who keeps what.
    pub(crate) kept: Mutex<HashMap<UserKey, SessionId>>,
    /// Whether one is ended while this lasts.
    pub(crate) busy: AtomicU64,
}

impl BrokenStore {
    pub(crate) fn new(inner: MemoryStore, fault: Fault) -> Self {
        Self {
            inner,
            fault,
            calls: AtomicU64::new(0),
            families: Mutex::default(),
            noted: Mutex::default(),
            opened: Mutex::default(),
            before: Mutex::default(),
            kept: Mutex::default(),
            busy: AtomicU64::new(0),
        }
    }

    pub(crate) fn is(&self, fault: Fault) -> bool {
        self.fault == fault
    }

    pub(crate) fn unknown() -> Failure {
        Failure::internal("token store", "no such row")
    }

    pub(crate) fn time(&self, time: Timestamp) -> Timestamp {
        if self.is(Fault::WholeSeconds) {
            Timestamp::from_unix_seconds(time.as_unix_seconds())
        } else {
            time
        }
    }

    pub(crate) fn user(&self, user: &UserKey) -> UserKey {
        match user {
            UserKey::Text(text) if self.is(Fault::UserIdsTruncated) => {
                UserKey::Text(text.chars().take(80).collect())
            }
            UserKey::Int(id) if self.is(Fault::UserIdsTruncated) => UserKey::Int(*id % (1 << 31)),
            user => user.clone(),
        }
    }

    pub(crate) fn access(&self, access: &NewAccess) -> NewAccess {
        let session = access
            .session
            .filter(|_| !self.is(Fault::AccessWithoutSession));
        {
            let mut changed = access.clone().with_session(session);
            changed.user = self.user(&access.user);
            changed.created_at = self.time(access.created_at);
            changed
        }
    }

    pub(crate) fn refresh(&self, refresh: &NewRefresh) -> NewRefresh {
        {
            let mut changed = refresh
                .clone()
                .with_session_expires_at(
                    refresh
                        .session_expires_at
                        .filter(|_| !self.is(Fault::RefreshDropsSessionEnd)),
                )
                .with_access_expires_at(
                    refresh
                        .access_expires_at
                        .filter(|_| !self.is(Fault::SignedEndForgotten)),
                );
            changed.user = self.user(&refresh.user);
            changed.created_at = self.time(refresh.created_at);
            changed
        }
    }

    /// The owner as the fault sees it: in another case of letters it is taken for the row's own.
    pub(crate) async fn folded(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<Option<UserKey>, Failure> {
        let record = self.inner.find_access(token).await?;
        Ok(match (owner, record) {
            (
                Some(UserKey::Text(owner)),
                Some(AccessRecord {
                    user: UserKey::Text(user),
                    ..
                }),
            ) if owner.to_lowercase().trim() == user.to_lowercase().trim() => {
                Some(UserKey::Text(user))
            }
            (owner, _) => owner.cloned(),
        })
    }

    /// Whose fence the fault takes for the user's.
    pub(crate) fn fence_of(&self, user: &UserKey) -> UserKey {
        if self.is(Fault::FenceOfEverybody) {
            UserKey::Int(0)
        } else {
            user.clone()
        }
    }

    pub(crate) fn session(&self, found: SessionRecord) -> SessionRecord {
        let mut found = self.authentication(found);
        match self.fault {
            Fault::LoginMomentMoves => found.opened_at = found.refreshed_at,
            Fault::ClientForgotten => found.client = ClientInfo::new(),
            Fault::UseMovesBack => {
                found.used_at = self.noted.lock().unwrap().get(&found.id).copied();
            }
            _ => {}
        }
        found
    }

    /// What a fault records that the fence should have kept out.
    pub(crate) async fn insert_despite_fence(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Option<Opened>, Failure> {
        let Some(fence) = refresh.fence else {
            return Ok(None);
        };
        let free = refresh.clone().with_fence(None);
        match self.fault {
            Fault::FenceIgnored => self.inner.insert_refresh(&free, access).await.map(Some),
            Fault::FenceCheckedBefore => {
                if self.stands_a_while(&refresh.user, fence).await? {
                    self.inner.insert_refresh(&free, access).await.map(Some)
                } else {
                    Ok(Some(Opened::Fenced))
                }
            }
            Fault::RecordsUnfenced => {
                let opened = self.inner.insert_refresh(refresh, None).await?;
                if opened == Opened::Done {
                    if let Some(session) = refresh.session {
                        self.inner.end_session(session, &refresh.user).await?;
                    }
                    self.inner
                        .remove_refresh(&refresh.digest.clone().into(), None)
                        .await?;
                    let _ = self.inner.insert_refresh(&free, access).await?;
                }
                Ok(Some(opened))
            }
            Fault::FenceNeverStood => {
                self.inner
                    .fence(&refresh.user, fence, refresh.created_at)
                    .await?;
                Ok(None)
            }
            Fault::FencedAccessKept => {
                let opened = self.inner.insert_refresh(refresh, access).await?;
                if let (Opened::Fenced, Some(access)) = (opened, access) {
                    self.unfenced(access).await?;
                }
                Ok(Some(opened))
            }
            Fault::AccessBesideUnfenced => {
                let opened = self.inner.insert_refresh(refresh, None).await?;
                if let (Opened::Done, Some(access)) = (opened, access) {
                    self.unfenced(access).await?;
                }
                Ok(Some(opened))
            }
            _ => Ok(None),
        }
    }

    /// Whether the fence stands, which may be over by the time that it is said.
    pub(crate) async fn stands_a_while(
        &self,
        user: &UserKey,
        fence: Fence,
    ) -> Result<bool, Failure> {
        let standing = self
            .inner
            .fence(user, fence, Timestamp::from_micros(0))
            .await?;
        for _ in 0..8 {
            tokio::task::yield_now().await;
        }
        Ok(standing == fence)
    }

    /// Records an access token behind no fence.
    pub(crate) async fn unfenced(&self, access: &NewAccess) -> Result<(), Failure> {
        self.inner
            .insert_access(&access.clone().with_fence(None))
            .await
            .map(|_| ())
    }

    pub(crate) fn junk(&self) -> Digest {
        let secret = countersign::Secret::new("junk", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let ring = countersign::token::DigestKeyRing::new("junk", &secret).unwrap();
        ring.digest(&PlainToken::new(format!(
            "junk {}",
            self.calls.fetch_add(1, Ordering::SeqCst)
        )))
    }
}

/// The provided methods aren't forwarded: they go through the methods here, and so through their faults.
#[async_trait]
impl TokenStore for BrokenStore {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        if self.is(Fault::AccessOverwritten) {
            self.inner
                .remove_access(&access.digest.clone().into(), None)
                .await?;
        }
        let access = self.access(access);
        let free = access.clone().with_fence(None);
        match (self.fault, access.fence) {
            (Fault::AccessFenceIgnored, _) => self.inner.insert_access(&free).await,
            (Fault::AccessCheckedBefore, Some(fence)) => {
                let stands = self.stands_a_while(&access.user, fence).await?;
                if stands {
                    self.inner.insert_access(&free).await
                } else {
                    Ok(Opened::Fenced)
                }
            }
            (Fault::FenceNeverStood, Some(fence)) => {
                self.inner
                    .fence(&access.user, fence, access.created_at)
                    .await?;
                self.inner.insert_access(&access).await
            }
            _ => self.inner.insert_access(&access).await,
        }
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        let folded = StoredToken::LegacyPlaintext(PlainToken::new(token.as_str().to_lowercase()));
        let token = if self.is(Fault::CaseFolded) {
            &folded
        } else {
            token
        };
        let found = self.inner.find_access(token).await?;
        if found.is_none() && self.is(Fault::UnknownAccessIsAnError) {
            return Err(Self::unknown());
        }
        let judged = self.is(Fault::ExpiredAccessHidden);
        Ok(found.filter(|found| {
            !judged
                || found
                    .expires_at
                    .is_none_or(|end| end.as_unix_seconds() > 1_700_000_000)
        }))
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        match self.fault {
            Fault::RemovalForgetsNothing => Ok(self.inner.find_access(token).await?.is_some()),
            Fault::AccessOwnerIgnored => self.inner.remove_access(token, None).await,
            Fault::OwnersCompareFolded => {
                let owner = self.folded(token, owner).await?;
                self.inner.remove_access(token, owner.as_ref()).await
            }
            _ => self.inner.remove_access(token, owner).await,
        }
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        self.broken_fence(user, fresh, now).await
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        self.broken_end_user(end).await
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        self.broken_unsettled(user).await
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.broken_settle(user, fences, now).await
    }

    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        self.broken_clear(clear).await
    }

    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        self.broken_survey(user, limit, after).await
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        let found = self.inner.find_family(family).await?;
        let mut known = self.families.lock().unwrap();
        if let Some(found) = &found {
            known.insert(family.as_str().to_owned(), found.clone());
        }
        Ok(match self.fault {
            Fault::FamilyForgotten => found.filter(|found| found.consumed.tokens().is_empty()),
            Fault::ConsumedForgotten => found.map(|found| {
                let mut changed = found;
                changed.consumed = Consumed::default();
                changed
            }),
            Fault::FamilyOutlivesSession => found.or_else(|| known.get(family.as_str()).cloned()),
            Fault::FamilyOutlivesEnding => found.or_else(|| self.opened_with(family)),
            _ => found,
        })
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        let mut found = self.inner.find_session(session, owner).await?;
        if self.is(Fault::SessionOutlivesEnding) {
            found = found.or_else(|| {
                self.before
                    .lock()
                    .unwrap()
                    .iter()
                    .find(|found| found.id == session)
                    .cloned()
            });
        }
        if self.is(Fault::SessionOfStrangers) {
            for user in everybody() {
                found = found.or(self.inner.find_session(session, &user).await?);
            }
        }
        Ok(found.map(|found| self.session(found)))
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        self.broken_reauthenticate(again).await
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        match self.fault {
            Fault::UseNotedInPart => self.inner.note_use(used.get(..32).unwrap_or(used)).await,
            Fault::UseMovesBack => {
                self.noted
                    .lock()
                    .unwrap()
                    .extend(used.iter().map(|used| (used.session, used.at)));
                self.inner.note_use(used).await
            }
            _ => self.inner.note_use(used).await,
        }
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        if self.is(Fault::EndingLocksOthers) && self.busy.load(Ordering::SeqCst) > 0 {
            return Err(Failure::unavailable(
                "token store",
                "waited too long for a lock",
            ));
        }
        self.opened.lock().unwrap().push(refresh.clone());
        if let Some(opened) = self.insert_despite_fence(refresh, access).await? {
            return Ok(opened);
        }
        let refresh = self.refresh(refresh);
        let access = access.map(|access| self.access(access));
        let taken = self
            .inner
            .find_refresh(&refresh.digest.clone().into())
            .await?
            .is_some();
        match self.fault {
            Fault::RefreshOverwritten if taken => {
                if let Some(access) = &access {
                    self.unfenced(access).await?;
                }
                Err(Self::unknown())
            }
            Fault::AccessBesideForgotten => self.inner.insert_refresh(&refresh, None).await,
            Fault::RefreshBeforeAccess | Fault::InsertByHalves => {
                let _ = self.inner.insert_refresh(&refresh, None).await?;
                tokio::task::yield_now().await;
                if let Some(access) = &access {
                    self.unfenced(access).await?;
                }
                Ok(Opened::Done)
            }
            _ => self.inner.insert_refresh(&refresh, access.as_ref()).await,
        }
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        let found = self.inner.find_refresh(token).await?;
        if found.is_none() && self.is(Fault::UnknownRefreshIsAnError) {
            return Err(Self::unknown());
        }
        let long_over =
            |end: Option<Timestamp>| end.is_some_and(|end| end.as_unix_seconds() < 1_700_000_000);
        if let Some(RefreshRecord {
            session: Some(session),
            user,
            expires_at,
            ..
        }) = &found
            && self.is(Fault::ReadsRemoveExpiredRefresh)
            && long_over(*expires_at)
        {
            self.inner.end_session(*session, user).await?;
        }
        Ok(found)
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        self.broken_rotate(rotate).await
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        let found = self.inner.find_refresh(token).await?;
        match (self.fault, found) {
            (Fault::LooseOwnerIgnored, _) => self.inner.remove_refresh(token, None).await,
            (
                Fault::RemovesRefreshOfSessions,
                Some(RefreshRecord {
                    session: Some(session),
                    user,
                    ..
                }),
            ) => {
                self.inner
                    .end_session(session, owner.unwrap_or(&user))
                    .await
            }
            _ => self.inner.remove_refresh(token, owner).await,
        }
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let mut ended = self.inner.end_session(session, owner).await?;
        if self.is(Fault::SessionOwnerIgnored) {
            for user in everybody() {
                ended |= self.inner.end_session(session, &user).await?;
            }
        }
        if !ended && self.is(Fault::UnknownSessionIsAnError) {
            return Err(Self::unknown());
        }
        Ok(ended)
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.broken_page(user, page).await
    }

    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        match self.fault {
            Fault::UnfencedIsAll => self.inner.sessions(user, page).await,
            Fault::UnfencedIsNone => Ok(SessionPage::default()),
            _ => self.inner.unfenced_sessions(user, page).await,
        }
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        let tick = std::time::Duration::from_micros(1);
        let limit = match self.fault {
            Fault::SweepOffByOne => {
                let mut changed = *limit;
                changed.now = limit.now.saturating_sub(tick);
                changed
            }
            Fault::SweepCutoffsSwapped => limit
                .with_access_created(limit.refresh_created)
                .with_refresh_created(limit.access_created),
            Fault::FenceKeptForEver => limit.with_fence_used(Timestamp::from_micros(0)),
            Fault::FenceGoesInUse => limit.with_fence_used(Timestamp::MAX),
            Fault::SweepUnbounded => {
                let mut changed = *limit;
                changed.rows = u32::MAX;
                changed
            }
            _ => *limit,
        };
        let mut swept = self.inner.sweep(&limit).await?;
        match self.fault {
            Fault::SweepRevives => self.revive(|_| true).await,
            Fault::FenceGoesUnderTokens => drop(self.calls.fetch_add(1, Ordering::SeqCst)),
            Fault::SweepSaysNoMore => swept.more = false,
            Fault::SweepSaysMoreForEver => swept.more = true,
            Fault::SweepCountsTwice if swept.more => {
                swept.access += self.calls.fetch_add(1, Ordering::SeqCst).min(1);
            }
            _ => {}
        }
        Ok(swept)
    }

    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.inner.locator(user, session)
    }

    async fn ping(&self) -> Result<(), Failure> {
        assert!(!self.is(Fault::Panics), "a bug in the store");
        if self.is(Fault::PingFails) {
            Err(Self::unknown())
        } else {
            Ok(())
        }
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }
}

pub(crate) fn everybody() -> impl Iterator<Item = UserKey> {
    [UserKeyKind::Uuid, UserKeyKind::Int, UserKeyKind::Text]
        .into_iter()
        .flat_map(countersign::testing::user_ids)
}
