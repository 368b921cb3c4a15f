//! Members, a clock that stands still, and a store that can be switched off, for the tests of the web side.

#![allow(dead_code, unreachable_pub, reason = "each test file uses a part")]

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use countersign::clock::Clock;
use countersign::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, MemoryStore, NewAccess,
    NewRefresh, Opened, Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest,
    SessionCursor, SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::Strategy;
use countersign::token::{Locator, StoredToken};
use countersign::{Failure, Profile, Secret, SessionId, Timestamp, User, UserKey, UserManager};

#[derive(Clone, Debug)]
pub struct Member {
    pub id: i64,
    pub active: bool,
}

impl User for Member {
    type Id = i64;
    fn id(&self) -> &i64 {
        &self.id
    }
    fn is_active(&self) -> bool {
        self.active
    }
}

/// The members, by id.
#[derive(Default)]
pub struct Members(Mutex<HashMap<i64, Member>>);

impl Members {
    pub fn put(&self, id: i64, active: bool) -> Member {
        let member = Member { id, active };
        self.0.lock().unwrap().insert(id, member.clone());
        member
    }

    pub fn find(&self, id: i64) -> Option<Member> {
        self.0.lock().unwrap().get(&id).cloned()
    }

    pub fn remove(&self, id: i64) {
        self.0.lock().unwrap().remove(&id);
    }
}

#[async_trait]
impl UserManager<Member> for Members {
    async fn get(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok(self.find(*id))
    }
}

#[derive(Debug)]
pub struct StillClock(AtomicI64);

impl StillClock {
    pub fn new() -> Arc<Self> {
        Arc::new(Self(AtomicI64::new(1_768_478_400_000_000)))
    }

    pub fn advance(&self, by: Duration) {
        self.0
            .fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for StillClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_micros(self.0.load(Ordering::SeqCst))
    }
}

/// A memory store that counts how often it is asked, and stops answering when it is switched off; or that ends sessions and never
/// says so.
#[derive(Default)]
pub struct Switched {
    inner: MemoryStore,
    off: AtomicBool,
    is_mute: AtomicBool,
    calls: AtomicUsize,
}

/// What a driver's error might say; it must never reach a client.
pub const SECRET_CAUSE: &str =
    "connection to 10.1.2.3:5432 refused: SELECT token FROM access_token";

impl Switched {
    pub fn switch(&self, on: bool) {
        self.off.store(!on, Ordering::SeqCst);
    }

    /// From now on nobody hears that a session has ended.
    pub fn mute(&self) {
        self.is_mute.store(true, Ordering::SeqCst);
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }

    fn ask(&self) -> Result<&MemoryStore, Failure> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        if self.off.load(Ordering::SeqCst) {
            return Err(Failure::unavailable("token store", SECRET_CAUSE));
        }
        Ok(&self.inner)
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl TokenStore for Switched {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        self.ask()?.insert_access(access).await
    }
    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        self.ask()?.find_access(token).await
    }
    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        self.ask()?.remove_access(token, owner).await
    }
    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        self.ask()?.fence(user, fresh, now).await
    }
    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        self.ask()?.end_user(end).await
    }
    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        self.ask()?.unsettled(user).await
    }
    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        self.ask()?.settle(user, fences, now).await
    }
    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        self.ask()?.clear(clear).await
    }
    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        self.ask()?.survey_part(user, limit, after).await
    }
    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        self.ask()?.survey(user, limit).await
    }
    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.ask()?.unfenced_sessions(user, page).await
    }
    async fn find_family(
        &self,
        family: &countersign::token::Digest,
    ) -> Result<Option<RefreshRecord>, Failure> {
        self.ask()?.find_family(family).await
    }
    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        self.ask()?.find_session(session, owner).await
    }
    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        self.ask()?.reauthenticate(again).await
    }
    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        self.ask()?.note_use(used).await
    }
    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        self.ask()?.insert_refresh(refresh, access).await
    }
    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        self.ask()?.find_refresh(token).await
    }
    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        self.ask()?.rotate(rotate).await
    }
    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        self.ask()?.remove_refresh(token, owner).await
    }
    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        let ended = self.ask()?.end_session(session, owner).await;
        if self.is_mute.load(Ordering::SeqCst) {
            std::future::pending::<()>().await;
        }
        ended
    }
    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        self.ask()?.sessions(user, page).await
    }
    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        self.ask()?.sweep(limit).await
    }
    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.inner.locator(user, session)
    }
    async fn ping(&self) -> Result<(), Failure> {
        self.ask()?.ping().await
    }
    fn is_durable(&self) -> bool {
        false
    }
}

/// A store, a strategy over it, members 1 and 2, and the clock that the strategy goes by.
pub struct World {
    pub store: Arc<Switched>,
    pub clock: Arc<StillClock>,
    pub members: Arc<Members>,
    pub strategy: Arc<dyn Strategy<Member>>,
}

impl World {
    pub fn new() -> Self {
        let store = Arc::new(Switched::default());
        let clock = StillClock::new();
        let members = Arc::new(Members::default());
        members.put(1, true);
        members.put(2, true);
        let strategy = opaque(
            Profile::Countersign,
            Arc::clone(&store) as Arc<dyn TokenStore>,
            clock.clone(),
        );
        Self {
            store,
            clock,
            members,
            strategy,
        }
    }
}

pub fn opaque(
    profile: Profile,
    store: Arc<dyn TokenStore>,
    clock: Arc<StillClock>,
) -> Arc<dyn Strategy<Member>> {
    let secret = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let builder = DatabaseTokenStrategy::builder(store)
        .token_hash_secret(&secret)
        .profile(profile)
        .clock(clock);
    Arc::new(builder.max_age(Duration::from_mins(15)).build().unwrap())
}
