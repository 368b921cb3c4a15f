//! The mark of a re-authentication: servers that don't know it go on beside those that do.

use std::time::Duration;

use countersign::store::{
    EndUser, Fence, Page, Reauthentication, RedisTokenStore, RotateOutcome, TokenStore,
};
use countersign::token::DigestKeyRing;
use countersign::{SessionId, SystemEntropy, Timestamp, UserKey};

use crate::redis_strategy::entry::{ALICE, Entry, HOUR, NOW};
use crate::redis_strategy::ground::{Ground, SECRET, secret};

/// The secret of a key that takes the place of the first one.
const NEWER: &str = "s8W-pLx2Qe9_vTz41mKc7YhGfR2aEdBn";

const LATER: Timestamp = Timestamp::from_micros(NOW.as_micros() + 300_000_001);

impl Entry {
    fn field(&self, field: &str) -> String {
        let value = self.server.command(&["HGET", &self.key(&ALICE), field]);
        value.trim().to_owned()
    }

    fn fields(&self) -> usize {
        let fields = self.server.command(&["HLEN", &self.key(&ALICE)]);
        fields.trim().parse().unwrap()
    }

    /// The time from which a record may be removed.
    fn gone(&self, field: &str) -> String {
        self.field(field).split('|').nth(1).unwrap().to_owned()
    }

    async fn prove(&self, session: SessionId, at: Timestamp) {
        let again = Reauthentication::new(session, ALICE, at);
        assert!(self.store.reauthenticate(&again).await.unwrap());
    }

    async fn shown(&self, user: &UserKey, session: SessionId) -> Option<Timestamp> {
        let found = self.store.find_session(session, user).await.unwrap();
        let page = Page {
            after: None,
            limit: 100,
        };
        let page = self.store.sessions(user, &page).await.unwrap();
        let mut listed = page.sessions.iter().filter(|listed| listed.id == session);
        let found = found.unwrap().authenticated_at;
        assert_eq!(listed.next().unwrap().authenticated_at, found);
        found
    }
}

/// A session's own text has no part that servers of before would refuse. Without the mark, as after
/// such a server has removed it, the login is the latest authentication.
#[tokio::test]
async fn the_text_of_the_session_stays_as_it_was() {
    let entry = Entry::new();
    let session = entry.open(&ALICE).await;
    let (own, mark) = (format!("s{session}"), format!("a@{session}"));
    let before = entry.field(&own);
    entry.prove(session, LATER).await;
    assert_eq!(entry.field(&own), before);
    let form = format!("1|{}||{}||", entry.gone(&own), LATER.as_micros());
    assert_eq!(entry.field(&mark), form, "that of an access token");
    assert_eq!(entry.shown(&ALICE, session).await, Some(LATER));
    entry.server.command(&["HDEL", &entry.key(&ALICE), &mark]);
    assert_eq!(entry.shown(&ALICE, session).await, Some(NOW));
}

#[tokio::test]
async fn a_mark_that_cannot_be_read_counts_for_nothing() {
    let entry = Entry::new();
    let session = entry.open(&ALICE).await;
    let mark = format!("a@{session}");
    for text in ["", "nonsense", "1|x||y||", "3|1||9||", "1|1||||"] {
        entry
            .server
            .command(&["HSET", &entry.key(&ALICE), &mark, text]);
        assert_eq!(entry.shown(&ALICE, session).await, Some(NOW), "{text}");
    }
    entry.prove(session, LATER).await;
    assert_eq!(entry.shown(&ALICE, session).await, Some(LATER));
}

#[tokio::test]
async fn a_mark_stays_as_long_as_its_session() {
    let entry = Entry::new();
    let session = entry.open(&ALICE).await;
    let (own, mark) = (format!("s{session}"), format!("a@{session}"));
    entry.prove(session, LATER).await;
    let first = entry.gone(&mark);
    let mut rotate = entry.rotate(&ALICE, session);
    rotate.created_at = NOW.saturating_add(HOUR);
    rotate.expires_at = Some(NOW.saturating_add(90 * 24 * HOUR));
    assert_eq!(
        entry.store.rotate(&rotate).await.unwrap(),
        RotateOutcome::Done
    );
    assert_ne!(entry.gone(&mark), first);
    assert_eq!(entry.gone(&mark), entry.gone(&own));
    assert_eq!(entry.shown(&ALICE, session).await, Some(LATER));
    entry.end(&ALICE, Some(session), true).await;
    assert_eq!(entry.shown(&ALICE, session).await, Some(LATER));
}

/// A user who stays for years and authenticates again in each session leaves nothing of it.
#[tokio::test]
async fn a_session_takes_its_mark_along() {
    let entry = Entry::new();
    let stays = entry.open(&ALICE).await;
    let mut sizes = Vec::new();
    for round in 0..20 {
        let session = entry.open(&ALICE).await;
        let at = LATER.saturating_add(Duration::from_secs(round));
        entry.prove(session, at).await;
        assert!(entry.store.end_session(session, &ALICE).await.unwrap());
        let tokens = entry.records(&ALICE, "a");
        sizes.push(entry.fields() - tokens);
        assert_eq!(entry.field(&format!("a@{session}")), "");
    }
    assert!(sizes.windows(2).all(|pair| pair[0] == pair[1]), "{sizes:?}");
    assert_eq!(entry.shown(&ALICE, stays).await, Some(NOW));
}

/// With a new key in the ring, a session from before lies in a hash with a fence of its own.
#[tokio::test]
async fn a_session_of_an_older_key_is_proved_behind_the_fence_that_is_asked_for() {
    let ground = Ground::new();
    let old = Entry::over(&ground.redis, &ground.prefix);
    let session = old.open(&ALICE).await;
    let ring = DigestKeyRing::new("newer", &secret(NEWER)).unwrap();
    let ring = ring.accept("default", &secret(SECRET)).unwrap();
    let store = RedisTokenStore::new(&ground.redis, &ring);
    let store = store.with_key_prefix(&ground.prefix).unwrap();

    let fresh = || Fence::generate(&SystemEntropy).unwrap();
    let fence = store.fence(&ALICE, fresh(), NOW).await.unwrap();
    let again = Reauthentication::new(session, ALICE, LATER).behind(fence);
    assert!(store.reauthenticate(&again).await.unwrap());
    assert_eq!(old.shown(&ALICE, session).await, Some(LATER));

    // The proof is from before an ending that keeps the session.
    let end = EndUser {
        user: ALICE,
        fence: fresh(),
        kept: Some(session),
        settled: true,
        now: LATER,
    };
    store.end_user(&end).await.unwrap();
    let later = LATER.saturating_add(HOUR);
    let overtaken = Reauthentication::new(session, ALICE, later).behind(fence);
    assert!(!store.reauthenticate(&overtaken).await.unwrap());
    let fence = store.fence(&ALICE, fresh(), NOW).await.unwrap();
    let anew = Reauthentication::new(session, ALICE, later).behind(fence);
    assert!(store.reauthenticate(&anew).await.unwrap());
}
