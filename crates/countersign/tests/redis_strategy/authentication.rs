//! The mark of a re-authentication: servers that don't know it go on beside those that do.

use std::time::Duration;

use countersign::SessionId;
use countersign::store::{Page, Reauthentication, RotateOutcome, TokenStore};
use countersign::{Timestamp, UserKey};

use crate::entry::{ALICE, Entry, HOUR, NOW};

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
