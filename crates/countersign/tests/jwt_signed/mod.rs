//! Signed tokens with sessions: a strategy over a store and a denylist that can be watched.

#![allow(dead_code, reason = "each test file uses a part")]

#[path = "../database_strategy/watched.rs"]
pub(crate) mod watched;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use countersign::denylist::{DenylistStore, MemoryDenylist};
use countersign::store::{MemoryStore, Page, TokenStore};
use countersign::strategy::{JwtStrategy, JwtStrategyBuilder, Sessions};
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::token::{DigestKeyRing, LoggedOut, TokenStatus};
use countersign::{AuthError, Failure, Lifetimes, PlainToken, Refusal, Secret};
use countersign::{SessionId, Timestamp, TokenPair, UserId, UserKey};
use data_encoding::BASE64URL_NOPAD;
use futures_util::future::BoxFuture;
use serde_json::Value;

use crate::jwt_common::{Account, Accounts, TestClock};
use watched::Watched;

pub(crate) const NOW: i64 = 1_768_478_400;

pub(crate) fn alice() -> Account {
    Account::new(
        "1b4e28ba-2fa1-41d2-883f-0016d3cca427",
        "alice@example.com",
        "hash-of-alice",
    )
}

pub(crate) fn bob() -> Account {
    Account::new(
        "6fa459ea-ee8a-4ca4-894e-db77e160355e",
        "bob@example.com",
        "hash-of-bob",
    )
}

pub(crate) fn key(account: &Account) -> UserKey {
    account.id.to_key()
}

pub(crate) fn secret() -> Secret {
    Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap()
}

/// One secret, one purpose.
pub(crate) fn digests() -> DigestKeyRing {
    DigestKeyRing::new(
        "k",
        &Secret::new("token_hash_secret", "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA").unwrap(),
    )
    .unwrap()
}

/// What a token says.
pub(crate) fn claims(token: &PlainToken) -> Value {
    let claims = token.expose().split('.').nth(1).unwrap();
    serde_json::from_slice(&BASE64URL_NOPAD.decode(claims.as_bytes()).unwrap()).unwrap()
}

pub(crate) fn claim(pair: &TokenPair, name: &str) -> String {
    claims(&pair.access.token)[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name}"))
        .to_owned()
}

/// A denylist that notes what it is told, can be full of other things to do first, and can be out of reach.
#[derive(Default)]
pub(crate) struct Noting {
    inner: MemoryDenylist,
    noted: Mutex<Vec<String>>,
    fails: AtomicBool,
    before_deny: Mutex<Option<BoxFuture<'static, ()>>>,
}

impl Noting {
    /// The ids that were denied since this was asked last.
    pub(crate) fn noted(&self) -> Vec<String> {
        std::mem::take(&mut *self.noted.lock().unwrap())
    }

    /// Whether denying fails from now on.
    pub(crate) fn fail(&self, fails: bool) {
        self.fails.store(fails, Ordering::SeqCst);
    }

    /// Lets `meanwhile` happen before the next id is denied.
    pub(crate) fn before_next_denial(&self, meanwhile: impl Future<Output = ()> + Send + 'static) {
        *self.before_deny.lock().unwrap() = Some(Box::pin(meanwhile));
    }
}

#[async_trait]
impl DenylistStore for Noting {
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure> {
        let meanwhile = self.before_deny.lock().unwrap().take();
        if let Some(meanwhile) = meanwhile {
            meanwhile.await;
        }
        if self.fails.load(Ordering::SeqCst) {
            return Err(Failure::unavailable("denylist", "connection refused"));
        }
        self.noted.lock().unwrap().push(id.to_owned());
        self.inner.deny(id, until, now).await
    }

    async fn is_any_denied(&self, ids: &[&str], now: Timestamp) -> Result<bool, Failure> {
        self.inner.is_any_denied(ids, now).await
    }

    async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        self.inner.sweep(now, limit).await
    }

    fn is_durable(&self) -> bool {
        false
    }
}

/// A clock that stands still, an empty store, and an empty denylist.
pub(crate) struct Ground {
    pub(crate) clock: Arc<TestClock>,
    pub(crate) store: Arc<Watched>,
    pub(crate) denylist: Arc<Noting>,
}

impl Ground {
    pub(crate) fn new() -> Self {
        let store = Arc::new(Watched::over(Arc::new(MemoryStore::new())));
        Self {
            clock: TestClock::at(NOW),
            store,
            denylist: Arc::default(),
        }
    }

    /// Access tokens live for 15 minutes, idle sessions for a day, all sessions for two.
    pub(crate) fn lifetimes() -> Lifetimes {
        let lifetimes = Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap();
        lifetimes
            .with_max_session_age(Duration::from_hours(48))
            .unwrap()
    }

    pub(crate) fn sessions(&self, lifetimes: Lifetimes) -> Sessions {
        let store = Arc::clone(&self.store) as Arc<dyn TokenStore>;
        Sessions::new(store, digests(), lifetimes).with_clock(self.clock.clone())
    }

    pub(crate) fn builder(&self, sessions: Sessions) -> JwtStrategyBuilder<Account> {
        let builder = JwtStrategy::builder()
            .secret(&secret())
            .denylist_store(self.denylist.clone());
        builder.sessions(sessions).clock(self.clock.clone())
    }

    pub(crate) fn living(&self, lifetimes: Lifetimes) -> Signed {
        Signed::of(self.builder(self.sessions(lifetimes)))
    }

    pub(crate) fn signed(&self) -> Signed {
        self.living(Self::lifetimes())
    }

    pub(crate) fn at(&self, seconds: i64) {
        self.clock.set(NOW + seconds);
    }
}

/// The strategy, and its side with sessions.
#[derive(Clone)]
pub(crate) struct Signed(pub(crate) Arc<JwtStrategy<Account>>);

impl Signed {
    pub(crate) fn of(builder: JwtStrategyBuilder<Account>) -> Self {
        Self(Arc::new(builder.build().unwrap()))
    }

    pub(crate) fn sessions(&self) -> &dyn RefreshableStrategy<Account> {
        self.0.as_refreshable().expect("built with sessions")
    }

    pub(crate) async fn open(&self, account: &Account) -> TokenPair {
        self.sessions().open_session(account).await.unwrap()
    }

    pub(crate) async fn read_token(
        &self,
        token: &PlainToken,
    ) -> Result<Option<SessionId>, Refusal> {
        let accounts = Accounts::of([alice(), bob()]);
        match self.0.read_token(Some(token), &accounts).await.unwrap() {
            TokenStatus::Accepted(accepted) => Ok(accepted.session_id),
            TokenStatus::Refused(refusal) => Err(refusal),
            TokenStatus::NotOffered => panic!("a token was offered"),
        }
    }

    /// Whether the pair's access token is good.
    pub(crate) async fn read(&self, pair: &TokenPair) -> Result<(), Refusal> {
        let session = self.read_token(&pair.access.token).await?;
        assert_eq!(session, pair.access.session_id);
        Ok(())
    }

    pub(crate) async fn refresh(
        &self,
        token: &PlainToken,
        account: Account,
    ) -> Result<TokenPair, Refusal> {
        let refreshed = self
            .sessions()
            .refresh_session(token, &Accounts::of([account]))
            .await;
        refreshed.map(|refreshed| refreshed.issued).map_err(refusal)
    }

    pub(crate) async fn log_out(&self, access: &PlainToken) -> Result<LoggedOut, Refusal> {
        self.sessions().log_out(access).await.map_err(refusal)
    }

    pub(crate) async fn listed(&self, account: &Account) -> Vec<Option<SessionId>> {
        let page = self
            .sessions()
            .sessions_of(
                &key(account),
                &Page {
                    after: None,
                    limit: 100,
                },
            )
            .await
            .unwrap();
        page.sessions
            .iter()
            .map(|session| Some(session.id))
            .collect()
    }
}

pub(crate) fn refusal(error: AuthError) -> Refusal {
    match error {
        AuthError::Refused(refusal) => refusal,
        AuthError::Failed(failure) => panic!("{failure}"),
    }
}

pub(crate) fn refresh_of(pair: &TokenPair) -> &PlainToken {
    &pair.refresh.as_ref().unwrap().token
}
