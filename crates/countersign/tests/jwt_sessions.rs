//! Refresh sessions of signed tokens: what ends a session ends its access tokens.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(feature = "jwt")]

mod jwt_common;

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use async_trait::async_trait;
use countersign::denylist::{DenylistStore, MemoryDenylist};
use countersign::store::{MemoryStore, TokenStore};
use countersign::strategy::{JwtStrategy, JwtStrategyBuilder, Login, Sessions};
use countersign::{
    Answer, Destroyed, DigestKeyRing, Failure, Invalidated, Lifetimes, PlainToken, RefreshableStrategy, Refusal,
    Rotation, Secret, SessionCap, Strategy, Timestamp, TokenPair, User, WhenFull,
};
use jwt_common::{Account, Accounts, TestClock};

const NOW: i64 = 1_768_478_400;

fn alice() -> Account {
    Account::new("1b4e28ba-2fa1-41d2-883f-0016d3cca427", "alice@example.com", "hash-of-alice")
}

fn bob() -> Account {
    Account::new("6fa459ea-ee8a-4ca4-894e-db77e160355e", "bob@example.com", "hash-of-bob")
}

fn secret() -> Secret {
    Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap()
}

fn builder(clock: &Arc<TestClock>) -> JwtStrategyBuilder<Account> {
    builder_of(clock, Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap())
}

fn builder_of(clock: &Arc<TestClock>, lifetimes: Lifetimes) -> JwtStrategyBuilder<Account> {
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let digests = DigestKeyRing::new("k", &secret()).unwrap();
    let sessions = Sessions::new(store, digests, lifetimes.with_session_limit(Duration::from_hours(48)).unwrap());
    JwtStrategy::builder()
        .secret(&secret())
        .denylist_store(Arc::new(MemoryDenylist::default()))
        .sessions(sessions.with_clock(clock.clone()))
        .clock(clock.clone())
}

fn strategy(clock: &Arc<TestClock>) -> JwtStrategy<Account> {
    builder(clock).build().unwrap()
}

async fn read(strategy: &JwtStrategy<Account>, pair: &TokenPair) -> Result<(), Refusal> {
    let accounts = Accounts::of([alice(), bob()]);
    match strategy.read_token(Some(&pair.access.token), &accounts).await.unwrap() {
        Answer::Accepted(accepted) => {
            assert_eq!(accepted.session_id, pair.access.session_id);
            Ok(())
        }
        Answer::Refused(refusal) => Err(refusal),
        Answer::NotOffered => panic!("a token was offered"),
    }
}

async fn refresh(strategy: &JwtStrategy<Account>, token: &PlainToken, account: Account) -> Result<TokenPair, Refusal> {
    match strategy.refresh_session(token, &Accounts::of([account])).await.unwrap() {
        Rotation::Rotated { issued, .. } => Ok(issued),
        Rotation::Refused(refusal) => Err(refusal),
    }
}

fn refresh_of(pair: &TokenPair) -> &PlainToken {
    &pair.refresh.as_ref().unwrap().token
}

#[tokio::test]
async fn a_refresh_keeps_the_session() {
    let clock = TestClock::at(NOW);
    let strategy = strategy(&clock);
    let first = strategy.open_session(&alice()).await.unwrap();
    assert!(first.access.session_id.is_some());
    clock.set(NOW + 600);
    let second = refresh(&strategy, refresh_of(&first), alice()).await.unwrap();
    assert_eq!(second.access.session_id, first.access.session_id);
    assert_eq!(read(&strategy, &second).await, Ok(()));
    let again = refresh(&strategy, refresh_of(&first), alice()).await.unwrap();
    assert!(refresh_of(&again) == refresh_of(&second), "a lost answer is told again");
    assert_eq!(again.access.expires_at, second.access.expires_at);
    assert_eq!(read(&strategy, &again).await, Ok(()));
    let inactive = Account { active: false, ..alice() };
    assert_eq!(refresh(&strategy, refresh_of(&second), inactive).await.unwrap_err(), Refusal::UserInactive);
    assert!(refresh(&strategy, refresh_of(&second), alice()).await.is_ok(), "a refused user costs no token");
}

#[tokio::test]
async fn an_access_token_never_outlives_its_session() {
    let clock = TestClock::at(NOW);
    let strategy = strategy(&clock);
    let mut pair = strategy.open_session(&alice()).await.unwrap();
    for hours in [20, 40, 47] {
        clock.set(NOW + hours * 3600);
        pair = refresh(&strategy, refresh_of(&pair), alice()).await.unwrap();
    }
    clock.set(NOW + 48 * 3600 - 60);
    pair = refresh(&strategy, refresh_of(&pair), alice()).await.unwrap();
    assert_eq!(pair.access.expires_at.as_unix_seconds(), NOW + 48 * 3600);
    clock.set(NOW + 48 * 3600);
    assert_eq!(refresh(&strategy, refresh_of(&pair), alice()).await.unwrap_err(), Refusal::Expired);
}

#[tokio::test]
async fn ending_a_session_ends_its_access_tokens_and_no_others() {
    let clock = TestClock::at(NOW);
    let strategy = strategy(&clock);
    let phone = strategy.open_session(&alice()).await.unwrap();
    let laptop = strategy.open_session(&alice()).await.unwrap();
    let session = phone.access.session_id.unwrap();
    clock.set(NOW + 60);
    let later = refresh(&strategy, refresh_of(&phone), alice()).await.unwrap();

    assert_eq!(strategy.end_session(session, &bob().id).await.unwrap(), Destroyed::AlreadyInvalid);
    assert_eq!(read(&strategy, &later).await, Ok(()));
    assert_eq!(strategy.end_session(session, &alice().id).await.unwrap(), Destroyed::Revoked);
    for at in [60, 900, 964] {
        clock.set(NOW + at);
        assert_eq!(read(&strategy, &later).await, Err(Refusal::Revoked), "after {at} s");
    }
    clock.set(NOW + 61);
    assert_eq!(read(&strategy, &phone).await, Err(Refusal::Revoked));
    assert!(refresh(&strategy, refresh_of(&later), alice()).await.is_err());
    assert_eq!(read(&strategy, &laptop).await, Ok(()));
    assert_eq!(strategy.end_session(session, &alice().id).await.unwrap(), Destroyed::AlreadyInvalid);
}

#[tokio::test]
async fn a_logout_that_got_no_further_than_denying_is_finished_by_the_next() {
    let clock = TestClock::at(NOW);
    let denylist = Arc::new(MemoryDenylist::default());
    let strategy = builder(&clock).denylist_store(denylist.clone()).build().unwrap();
    let pair = strategy.open_session(&alice()).await.unwrap();
    let access = &pair.access.token;
    strategy.destroy_token(access, &alice()).await.unwrap();
    assert_eq!(strategy.end_session_of_stale(access).await.unwrap(), None, "the token alone");
    let next = refresh(&strategy, refresh_of(&pair), alice()).await.unwrap();

    let entry = format!("sid:{}", pair.access.session_id.unwrap());
    let until = Timestamp::from_unix_seconds(NOW + 1000);
    denylist.deny(&entry, until, Timestamp::from_unix_seconds(NOW)).await.unwrap();
    assert_eq!(read(&strategy, &next).await, Err(Refusal::Revoked));
    assert_eq!(strategy.end_session_of_stale(&next.access.token).await.unwrap(), Some(Destroyed::Revoked));
    assert!(refresh(&strategy, refresh_of(&next), alice()).await.is_err());
    assert_eq!(strategy.end_session_of_stale(&next.access.token).await.unwrap(), Some(Destroyed::AlreadyInvalid));
}

/// Whose session it was is signed, however long ago; whoever changes a byte ends nothing.
#[tokio::test]
async fn an_expired_access_token_ends_its_session() {
    let clock = TestClock::at(NOW);
    let strategy = strategy(&clock);
    let [pair, other] =
        [strategy.open_session(&alice()).await.unwrap(), strategy.open_session(&alice()).await.unwrap()];
    let access = &pair.access.token;
    assert_eq!(strategy.end_session_of_stale(access).await.unwrap(), None, "while it is good");
    clock.set(NOW + 899);
    let next = refresh(&strategy, refresh_of(&pair), alice()).await.unwrap();
    // Its end and the leeway.
    clock.set(NOW + 905);
    let forged = PlainToken::new(format!("{}A", access.expose()));
    assert_eq!(strategy.end_session_of_stale(&forged).await.unwrap(), None);
    assert_eq!(read(&strategy, &next).await, Ok(()));
    assert_eq!(strategy.end_session_of_stale(access).await.unwrap(), Some(Destroyed::Revoked));
    assert_eq!(read(&strategy, &next).await, Err(Refusal::Revoked));
    assert!(refresh(&strategy, refresh_of(&next), alice()).await.is_err());
    assert_eq!(strategy.end_session_of_stale(access).await.unwrap(), Some(Destroyed::AlreadyInvalid));
    assert!(refresh(&strategy, refresh_of(&other), alice()).await.is_ok());
}

/// Logout when only the refresh token is at hand.
#[tokio::test]
async fn a_refresh_token_ends_its_session() {
    let strategy = strategy(&TestClock::at(NOW));
    let pair = strategy.open_session(&alice()).await.unwrap();
    assert_eq!(strategy.end_session_of(refresh_of(&pair)).await.unwrap(), Destroyed::Revoked);
    assert_eq!(read(&strategy, &pair).await, Err(Refusal::Revoked));
    assert_eq!(strategy.end_session_of(refresh_of(&pair)).await.unwrap(), Destroyed::AlreadyInvalid);
}

/// Logging out works when the refresh token has expired, and its access token hasn't.
#[tokio::test]
async fn an_expired_refresh_token_ends_its_session_too() {
    let clock = TestClock::at(NOW);
    let lifetimes = Lifetimes::new(Duration::from_hours(2), Duration::from_hours(1)).unwrap();
    let strategy = builder_of(&clock, lifetimes).build().unwrap();
    let pair = strategy.open_session(&alice()).await.unwrap();
    clock.set(NOW + 3601);
    assert_eq!(refresh(&strategy, refresh_of(&pair), alice()).await.map(drop), Err(Refusal::Expired));
    assert_eq!(read(&strategy, &pair).await, Ok(()));
    assert_eq!(strategy.end_session_of(refresh_of(&pair)).await.unwrap(), Destroyed::Revoked);
    assert_eq!(read(&strategy, &pair).await, Err(Refusal::Revoked));
}

/// More sessions than one page holds, and a login afterwards works at once.
#[tokio::test]
async fn everywhere_means_every_session() {
    let strategy = strategy(&TestClock::at(NOW));
    let mut pairs = Vec::new();
    for _ in 0..120 {
        pairs.push(strategy.open_session(&alice()).await.unwrap());
    }
    let bobs = strategy.open_session(&bob()).await.unwrap();
    assert_eq!(strategy.invalidate_all(&alice().id).await.unwrap(), Invalidated::All(120));
    for pair in &pairs {
        assert_eq!(read(&strategy, pair).await, Err(Refusal::Revoked));
        assert!(refresh(&strategy, refresh_of(pair), alice()).await.is_err());
    }
    assert_eq!(read(&strategy, &bobs).await, Ok(()));
    let again = strategy.open_session(&alice()).await.unwrap();
    assert_eq!(read(&strategy, &again).await, Ok(()));
}

/// A denylist that lets something else happen the first time that a session is denied, before its tokens are removed.
struct Interrupted {
    inner: MemoryDenylist,
    strategy: OnceLock<Arc<JwtStrategy<Account>>>,
    refreshes: OnceLock<PlainToken>,
    meanwhile: tokio::sync::Mutex<Vec<TokenPair>>,
    done: AtomicBool,
}

impl Interrupted {
    fn around(clock: &Arc<TestClock>) -> (Arc<Self>, Arc<JwtStrategy<Account>>) {
        let denylist = Arc::new(Self {
            inner: MemoryDenylist::default(),
            strategy: OnceLock::new(),
            refreshes: OnceLock::new(),
            meanwhile: tokio::sync::Mutex::default(),
            done: AtomicBool::new(false),
        });
        let strategy = Arc::new(builder(clock).denylist_store(denylist.clone()).build().unwrap());
        denylist.strategy.set(strategy.clone()).ok().unwrap();
        (denylist, strategy)
    }
}

#[async_trait]
impl DenylistStore for Interrupted {
    async fn deny(&self, id: &str, until: Timestamp, now: Timestamp) -> Result<(), Failure> {
        if !self.done.swap(true, Ordering::Relaxed) {
            let strategy = self.strategy.get().unwrap();
            let mut meanwhile = self.meanwhile.lock().await;
            match self.refreshes.get() {
                Some(token) => meanwhile.push(refresh(strategy, token, alice()).await.unwrap()),
                None => {
                    for _ in 0..20 {
                        meanwhile.push(strategy.open_session(&alice()).await.unwrap());
                    }
                }
            }
        }
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

/// A logout that overlaps with a refresh ends the session all the same, its newest refresh token included.
#[tokio::test]
async fn a_refresh_during_logout_keeps_nothing_alive() {
    let (denylist, strategy) = Interrupted::around(&TestClock::at(NOW));
    let pair = strategy.open_session(&alice()).await.unwrap();
    denylist.refreshes.set(refresh_of(&pair).clone()).unwrap();
    assert_eq!(strategy.end_session_of(refresh_of(&pair)).await.unwrap(), Destroyed::Revoked);
    let newest = denylist.meanwhile.lock().await.pop().unwrap();
    assert_eq!(read(&strategy, &newest).await, Err(Refusal::Revoked));
    assert!(refresh(&strategy, refresh_of(&newest), alice()).await.is_err());
}

/// Sessions that are opened while "everywhere" runs lose their access tokens with their refresh tokens.
#[tokio::test]
async fn a_login_during_everywhere_leaves_no_half_session() {
    let (denylist, strategy) = Interrupted::around(&TestClock::at(NOW));
    strategy.open_session(&alice()).await.unwrap();
    assert_eq!(strategy.invalidate_all(&alice().id).await.unwrap(), Invalidated::All(21));
    for pair in &*denylist.meanwhile.lock().await {
        assert_eq!(read(&strategy, pair).await, Err(Refusal::Revoked));
        assert!(refresh(&strategy, refresh_of(pair), alice()).await.is_err());
    }
}

#[tokio::test]
async fn destroying_an_access_token_leaves_its_session() {
    let strategy = strategy(&TestClock::at(NOW));
    let pair = strategy.open_session(&alice()).await.unwrap();
    assert_eq!(strategy.destroy_token(&pair.access.token, &alice()).await.unwrap(), Destroyed::Revoked);
    assert_eq!(read(&strategy, &pair).await, Err(Refusal::Revoked));
    assert!(refresh(&strategy, refresh_of(&pair), alice()).await.is_ok());
}

#[tokio::test]
async fn refresh_tokens_alone() {
    let strategy = strategy(&TestClock::at(NOW));
    let first = strategy.write_refresh_token(&alice()).await.unwrap();
    let rotated = strategy.rotate_refresh_token(&first.token, &Accounts::of([alice()])).await.unwrap();
    let Rotation::Rotated { issued, user } = rotated else { panic!("a good token was refused") };
    assert_eq!((user, issued.session_id), (alice(), first.session_id));
    assert!(strategy.as_refreshable().is_some());
}

#[test]
fn one_lifetime() {
    let clock = TestClock::at(NOW);
    assert_eq!(strategy(&clock).lifetime(), Duration::from_mins(15));
    let error = builder(&clock).lifetime(Duration::from_mins(5)).build().map(drop).unwrap_err();
    assert_eq!(error.setting(), "lifetime");
    let alone = JwtStrategy::<Account>::builder().secret(&secret()).denylist_store(Arc::new(MemoryDenylist::default()));
    assert!(alone.build().unwrap().as_refreshable().is_none());
}

#[tokio::test]
async fn reuse_ends_signed_access_tokens() {
    let clock = TestClock::at(NOW);
    let strategy = strategy(&clock);
    let first = strategy.open_session(&alice()).await.unwrap();
    let other = strategy.open_session(&alice()).await.unwrap();
    let second = refresh(&strategy, refresh_of(&first), alice()).await.unwrap();
    let third = refresh(&strategy, refresh_of(&second), alice()).await.unwrap();
    assert_eq!(refresh(&strategy, refresh_of(&first), alice()).await.unwrap_err(), Refusal::Reused);
    for pair in [&first, &second, &third] {
        assert_eq!(read(&strategy, pair).await, Err(Refusal::Revoked));
    }
    assert_eq!(refresh(&strategy, refresh_of(&third), alice()).await.unwrap_err(), Refusal::Unknown);
    assert_eq!(read(&strategy, &other).await, Ok(()));
    // Denied for as long as one of them could have lived, and longer.
    clock.set(NOW + 15 * 60 - 1);
    assert_eq!(read(&strategy, &third).await, Err(Refusal::Revoked));
}

#[tokio::test]
async fn ending_others_and_one_too_many_end_signed_access_tokens() {
    let clock = TestClock::at(NOW);
    let lifetimes = Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap();
    let cap = SessionCap { most: NonZeroU32::new(3).unwrap(), when_full: WhenFull::EvictOldest };
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let sessions = Sessions::new(store, DigestKeyRing::new("k", &secret()).unwrap(), lifetimes).with_cap(Some(cap));
    let strategy = builder(&clock).sessions(sessions.with_clock(clock.clone())).build().unwrap();
    let mut all = Vec::new();
    for second in 0..4 {
        clock.set(NOW + second);
        all.push(strategy.open_session(&alice()).await.unwrap());
    }
    for (pair, answer) in all.iter().zip([Err(Refusal::Revoked), Ok(()), Ok(()), Ok(())]) {
        assert_eq!(read(&strategy, pair).await, answer, "the oldest was one too many");
    }
    let user = alice();
    let kept = all[2].access.session_id;
    assert_eq!(strategy.end_other_sessions(user.id(), kept).await.unwrap(), 2);
    for (pair, answer) in all.iter().zip([Err(Refusal::Revoked), Err(Refusal::Revoked), Ok(()), Err(Refusal::Revoked)])
    {
        assert_eq!(read(&strategy, pair).await, answer);
    }
    let listed = strategy.sessions_of(user.id()).await.unwrap();
    assert_eq!(listed.iter().map(|session| Some(session.id)).collect::<Vec<_>>(), [kept]);
    let session = strategy.session(kept.unwrap(), user.id()).await.unwrap().unwrap();
    assert_eq!(
        session.opened_at,
        Some(Timestamp::from_unix_seconds(NOW + 2)),
        "when its user last proved who they are"
    );
}

/// Promise P4 for logins: the fence is the sessions', whatever the access tokens are.
#[tokio::test]
async fn an_overtaken_login_is_refused() {
    let clock = TestClock::at(NOW);
    let strategy = strategy(&clock);
    let user = alice();
    let login = Login::default().behind(strategy.login_fence(user.id()).await.unwrap());
    assert!(strategy.log_in(&user, &login).await.unwrap().is_ok());
    strategy.invalidate_all(user.id()).await.unwrap();
    assert_eq!(strategy.log_in(&user, &login).await.unwrap().unwrap_err(), Refusal::Overtaken);
    let login = Login::default().behind(strategy.login_fence(user.id()).await.unwrap());
    strategy.end_other_sessions(user.id(), None).await.unwrap();
    assert_eq!(strategy.log_in(&user, &login).await.unwrap().unwrap_err(), Refusal::Overtaken);
}
