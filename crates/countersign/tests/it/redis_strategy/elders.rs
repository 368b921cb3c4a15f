//! Records that were written before there were fences: they are read, and end when what is behind no fence is cleared.

use countersign::SessionId;
use countersign::store::{ClearUser, Cleared, RotateOutcome, SweepLimit, TokenStore};

use crate::redis_strategy::entry::{ALICE, Entry, HOUR, NOW, id};

const SURVEY: SweepLimit = SweepLimit::at(NOW, 1);

impl Entry {
    fn set(&self, field: &str, value: &str) {
        self.server
            .command(&["HSET", &self.key(&ALICE), field, value]);
    }

    /// A session with an access token, as they were written before.
    fn old_session(&self) -> SessionId {
        let session = id();
        let digest = |label| {
            self.digest(&ALICE, Some(session), label)
                .as_str()
                .to_owned()
        };
        let (created, later) = (NOW.as_micros(), NOW.saturating_add(24 * HOUR).as_micros());
        let line = format!(
            "1|{later}|{}|{created}|{later}||{}||{created}|||192.0.2.7|cGhvbmU",
            digest("refresh"),
            digest("family")
        );
        self.set("u", "i7");
        self.set(&format!("s{session}"), &line);
        self.set(
            &format!("a{}", digest("access")),
            &format!("1|{later}||{created}|{later}|"),
        );
        session
    }

    /// An access token and a refresh token that belong to no session.
    fn old_loose(&self) {
        let digest = |label| self.digest(&ALICE, None, label).as_str().to_owned();
        let (created, later) = (NOW.as_micros(), NOW.saturating_add(24 * HOUR).as_micros());
        self.set("u", "i7");
        self.set(
            &format!("a{}", digest("access")),
            &format!("1|{later}||{created}|{later}|"),
        );
        self.set(
            &format!("r{}", digest("refresh")),
            &format!(
                "1|{later}||{created}|{later}||{}||{created}||||",
                digest("family")
            ),
        );
    }

    /// Ends everything behind the fence, and then what is behind none.
    async fn end_with_elders(&self, kept: Option<SessionId>) -> countersign::store::Fence {
        let fence = self.end(&ALICE, kept, true).await;
        let clear = ClearUser {
            user: ALICE,
            unfenced: true,
            kept,
            rows: 1,
        };
        for _ in 0..2 {
            assert_eq!(self.store.clear(&clear).await.unwrap(), Cleared::default());
        }
        fence
    }

    async fn is_good(&self, session: Option<SessionId>, good: bool) {
        assert_eq!(
            self.has_access(&ALICE, session).await,
            good,
            "an access token"
        );
        assert_eq!(
            self.has_refresh(&ALICE, session).await,
            good,
            "a refresh token"
        );
    }
}

/// With the fence that a "log out everywhere" of then left, and without.
#[tokio::test]
async fn older_records_are_read_on_redis() {
    for fence in [None, Some("0123456789abcdef0123456789abcdef")] {
        let entry = Entry::new();
        let (first, second) = (entry.old_session(), entry.old_session());
        entry.old_loose();
        if let Some(fence) = fence {
            entry.set("e", fence);
        }
        for _ in 0..2 {
            for session in [Some(first), Some(second), None] {
                entry.is_good(session, true).await;
            }
            let mut listed = entry.pages(&ALICE, 10).await.concat();
            listed.sort();
            let mut expected = [first, second];
            expected.sort();
            assert_eq!(listed, expected);
            assert_eq!(
                entry.store.survey(&ALICE, &SURVEY).await.unwrap().sessions,
                2
            );
            let found = entry
                .store
                .find_session(first, &ALICE)
                .await
                .unwrap()
                .unwrap();
            assert_eq!(found.client.label(), Some("phone"));
            // A login of today is beside them.
            entry.open(&ALICE).await;
            let today = entry
                .store
                .sessions(
                    &ALICE,
                    &countersign::store::Page {
                        after: None,
                        limit: 10,
                    },
                )
                .await
                .unwrap();
            for session in today
                .sessions
                .iter()
                .map(|session| session.id)
                .filter(|session| !expected.contains(session))
            {
                assert!(entry.store.end_session(session, &ALICE).await.unwrap());
            }
        }
    }
}

#[tokio::test]
async fn older_sessions_are_rotated_on_redis() {
    let entry = Entry::new();
    let session = entry.old_session();
    let signed_end = Some(NOW.saturating_add(HOUR));
    let rotate = entry
        .rotate(&ALICE, session)
        .with_access_expires_at(signed_end);
    assert_eq!(
        entry.store.rotate(&rotate).await.unwrap(),
        RotateOutcome::Done
    );
    let found = entry
        .store
        .find_refresh(&rotate.successor.clone().into())
        .await
        .unwrap()
        .unwrap();
    // Its signed tokens carry none, so it goes on without one.
    assert_eq!((found.access_expires_at, found.fence), (signed_end, None));
    assert!(entry.has_access(&ALICE, Some(session)).await);
    // A refresh token that belongs to no session gets one.
    entry.old_loose();
    let loose = id();
    let rotate = {
        let mut changed = entry.rotate(&ALICE, loose);
        changed.presented = entry.digest(&ALICE, None, "refresh").into();
        changed
    };
    assert_eq!(
        entry.store.rotate(&rotate).await.unwrap(),
        RotateOutcome::Done
    );
    assert!(
        entry
            .store
            .find_session(loose, &ALICE)
            .await
            .unwrap()
            .is_some()
    );
    // Whoever has to deny its tokens one by one finds it after the mark.
    entry.end(&ALICE, None, true).await;
    assert_eq!(entry.pages(&ALICE, 10).await.concat().len(), 2);
    assert_eq!(
        entry
            .store
            .survey(&ALICE, &SURVEY)
            .await
            .unwrap()
            .access_expires_at,
        signed_end
    );
    entry.end_with_elders(None).await;
    assert_eq!(entry.pages(&ALICE, 10).await.concat(), []);
    assert!(!entry.has_access(&ALICE, Some(session)).await);
}

#[tokio::test]
async fn older_records_end_when_they_are_cleared_on_redis() {
    for kept_is_old in [true, false] {
        let entry = Entry::new();
        let old = [entry.old_session(), entry.old_session()];
        entry.old_loose();
        let kept = if kept_is_old {
            old[0]
        } else {
            entry.open(&ALICE).await
        };
        let fence = entry.end_with_elders(Some(kept)).await;
        entry.is_good(Some(kept), true).await;
        let found = entry
            .store
            .find_refresh(&entry.digest(&ALICE, Some(kept), "refresh").into())
            .await
            .unwrap();
        assert_eq!(found.unwrap().fence, Some(fence).filter(|_| !kept_is_old));
        for session in [Some(old[1]), None, Some(old[0])]
            .into_iter()
            .filter(|session| *session != Some(kept))
        {
            entry.is_good(session, false).await;
        }
        assert_eq!(
            entry
                .store
                .rotate(&entry.rotate(&ALICE, old[1]))
                .await
                .unwrap(),
            RotateOutcome::Gone
        );
        assert_eq!(entry.pages(&ALICE, 10).await.concat(), [kept]);
        // Later writes remove them.
        entry.open(&ALICE).await;
        entry.open(&ALICE).await;
        assert_eq!(entry.records(&ALICE, "sr"), 3);
        entry.end_with_elders(None).await;
        entry.is_good(Some(kept), false).await;
    }
}

/// The session to keep may be one that no mark came to.
#[tokio::test]
async fn older_sessions_are_kept_by_clearing_alone_on_redis() {
    let entry = Entry::new();
    let (kept, other) = (entry.old_session(), entry.old_session());
    let clear = ClearUser {
        user: ALICE,
        unfenced: true,
        kept: Some(kept),
        rows: 1,
    };
    assert_eq!(entry.store.clear(&clear).await.unwrap(), Cleared::default());
    entry.is_good(Some(kept), true).await;
    entry.is_good(Some(other), false).await;
    assert_eq!(entry.pages(&ALICE, 10).await.concat(), [kept]);
    entry.end_with_elders(None).await;
    entry.is_good(Some(kept), false).await;
}

/// An ending of everything that has marked, and not cleared yet, isn't undone by one that keeps a session.
#[tokio::test]
async fn older_sessions_are_not_saved_from_an_ending_under_way_on_redis() {
    let entry = Entry::new();
    let (kept, other) = (entry.old_session(), entry.old_session());
    entry.end(&ALICE, None, true).await;
    entry.end_with_elders(Some(kept)).await;
    entry.is_good(Some(kept), true).await;
    entry.is_good(Some(other), false).await;
    let clear = ClearUser {
        user: ALICE,
        unfenced: true,
        kept: None,
        rows: 1,
    };
    assert_eq!(entry.store.clear(&clear).await.unwrap(), Cleared::default());
    entry.is_good(Some(kept), false).await;
    // Whoever would keep another one comes too late.
    entry.end_with_elders(Some(other)).await;
    entry.is_good(Some(other), false).await;
    assert_eq!(entry.pages(&ALICE, 10).await.concat(), []);
}
