//! What goes on beside requests: connections that end with their session, and the use of sessions, noted in batches.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs,
    reason = "test code"
)]
#![cfg(feature = "testing")]

use std::time::Duration;

use crate::fixture::web::{Member, World};
use countersign::auth::{LiveSession, SessionEnd, SessionWatcher, UseRecorder};
use countersign::strategy::Login;
use countersign::token::TokenStatus;
use countersign::transport::BearerTransport;
use countersign::{
    Authenticated, AuthenticationBackend, Authenticator, Refusal, TokenPair, UserId,
};
use http::HeaderMap;

const TICK: Duration = Duration::from_millis(5);

async fn log_in(world: &World) -> TokenPair {
    let member = world.members.find(1).unwrap();
    let refreshable = world.strategy.as_refreshable().unwrap();
    refreshable
        .log_in(&member, &Login::default())
        .await
        .unwrap()
}

async fn accepted(world: &World, pair: &TokenPair) -> Authenticated<Member> {
    let answer = world
        .strategy
        .read_token(Some(&pair.access.token), &*world.members)
        .await
        .unwrap();
    answer.accepted().unwrap()
}

struct Watched {
    world: World,
    watcher: SessionWatcher<Member>,
    pair: TokenPair,
    live: LiveSession,
}

impl Watched {
    async fn new() -> Self {
        let world = World::new();
        let watcher = SessionWatcher::new(world.strategy.clone(), world.members.clone());
        tokio::spawn(watcher.clone().run(TICK));
        let pair = log_in(&world).await;
        let live = watcher.watch(&accepted(&world, &pair).await).unwrap();
        Self {
            world,
            watcher,
            pair,
            live,
        }
    }

    /// Waits until the session has been looked at again, and it was still good.
    async fn goes_on(&self) {
        for _ in 0..2 {
            self.watcher.look().await;
        }
        assert!(
            tokio::time::timeout(Duration::ZERO, self.live.ended())
                .await
                .is_err(),
            "it ended"
        );
    }
}

#[tokio::test]
async fn a_refresh_ends_no_connection_and_a_logout_does() {
    let watched = Watched::new().await;
    let refreshable = watched.world.strategy.as_refreshable().unwrap();
    let mut refresh = watched.pair.refresh.clone().unwrap().token;
    for _ in 0..3 {
        let refreshed = refreshable
            .refresh_session(&refresh, &*watched.world.members)
            .await
            .unwrap();
        refresh = refreshed.issued.refresh.unwrap().token;
        watched.world.clock.advance(Duration::from_mins(20));
        watched.goes_on().await;
    }
    let second = watched.live.clone();
    refreshable.end_session_of(&refresh).await.unwrap();
    assert_eq!(watched.live.ended().await, SessionEnd::Ended);
    assert_eq!(second.ended().await, SessionEnd::Ended);
    assert_eq!(
        watched.live.ended().await,
        SessionEnd::Ended,
        "it may be asked again"
    );
    assert_eq!(watched.watcher.watched(), 0);
}

#[tokio::test]
async fn expiry_and_reuse_end_connections() {
    let watched = Watched::new().await;
    watched.world.clock.advance(Duration::from_hours(30 * 24));
    assert_eq!(watched.live.ended().await, SessionEnd::Ended);

    let watched = Watched::new().await;
    let refreshable = watched.world.strategy.as_refreshable().unwrap();
    let stale = watched.pair.refresh.clone().unwrap().token;
    refreshable
        .refresh_session(&stale, &*watched.world.members)
        .await
        .unwrap();
    watched.world.clock.advance(Duration::from_mins(1));
    watched.goes_on().await;
    let reused = refreshable
        .refresh_session(&stale, &*watched.world.members)
        .await
        .unwrap_err();
    assert_eq!(reused.refusal(), Some(Refusal::Reused));
    assert_eq!(watched.live.ended().await, SessionEnd::Ended);
}

#[tokio::test]
async fn a_disabled_account_ends_its_connections() {
    let watched = Watched::new().await;
    watched.goes_on().await;
    watched.world.members.put(1, false);
    assert_eq!(watched.live.ended().await, SessionEnd::UserInactive);
}

#[tokio::test]
async fn a_store_that_is_down_ends_connections_when_patience_does() {
    let watched = Watched::new().await;
    watched.world.store.switch(false);
    watched.goes_on().await;
    watched.world.store.switch(true);
    watched.goes_on().await;

    let impatient = watched.watcher.clone().with_patience(Duration::ZERO);
    watched.world.store.switch(false);
    impatient.look().await;
    assert_eq!(watched.live.ended().await, SessionEnd::Unanswered);
}

#[tokio::test]
async fn nobody_is_asked_about_connections_that_are_gone() {
    let watched = Watched::new().await;
    let Watched {
        world,
        watcher,
        pair,
        live,
    } = watched;
    drop(live);
    watcher.look().await;
    assert_eq!(watcher.watched(), 0);
    let again = watcher.watch(&accepted(&world, &pair).await).unwrap();
    assert_eq!(watcher.watched(), 1);
    drop(watcher);
    drop(again);
    let loose = world
        .strategy
        .write_token(&world.members.find(1).unwrap())
        .await
        .unwrap();
    let another = SessionWatcher::new(world.strategy.clone(), world.members.clone());
    let pair = TokenPair::new(loose, None);
    assert!(
        another.watch(&accepted(&world, &pair).await).is_none(),
        "a token without a session"
    );
}

#[tokio::test]
async fn a_thousand_requests_are_one_note() {
    let world = World::new();
    let recorder = UseRecorder::new(world.store.clone()).with_clock(world.clock.clone());
    let authenticator = Authenticator::builder(world.members.clone())
        .backend(AuthenticationBackend::new(
            "api",
            BearerTransport,
            world.strategy.clone(),
        ))
        .record_use(recorder.clone())
        .build()
        .unwrap();
    let [first, second] = [log_in(&world).await, log_in(&world).await];
    let ask = async |pair: &TokenPair| {
        let mut headers = HeaderMap::new();
        headers.insert(
            "authorization",
            format!("Bearer {}", pair.access.token.expose())
                .parse()
                .unwrap(),
        );
        assert!(matches!(
            authenticator.authenticate(&headers).await.unwrap(),
            TokenStatus::Accepted(_)
        ));
    };
    let calls = world.store.calls();
    for _ in 0..1000 {
        world.clock.advance(Duration::from_millis(1));
        ask(&first).await;
    }
    ask(&second).await;
    assert_eq!(
        world.store.calls() - calls,
        1001,
        "a read each, and no write"
    );
    world.store.switch(false);
    assert!(
        recorder.flush().await.is_err(),
        "and what can't be told now is told later"
    );
    world.store.switch(true);
    let calls = world.store.calls();
    assert_eq!(recorder.flush().await.unwrap(), 2);
    assert_eq!(world.store.calls() - calls, 1);
    let refreshable = world.strategy.as_refreshable().unwrap();
    let found = refreshable
        .session(first.access.session_id.unwrap(), &1_i64.to_key())
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        found.used_at,
        Some(first.issued_at.saturating_add(Duration::from_secs(1)))
    );
    assert_eq!(found.refreshed_at, Some(first.issued_at));
    assert_eq!(recorder.flush().await.unwrap(), 0);
}
