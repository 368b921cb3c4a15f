//! The end of everything by one mark: what it ends, what it leaves for later, and what it remembers.

use countersign::SessionId;
use countersign::error::FailureKind;
use countersign::redis::Redis;
use countersign::store::{
    ClearUser, Cleared, EndUser, EndedFence, Opened, RotateOutcome, SweepLimit, TokenStore,
};

use crate::redis_strategy::entry::{ALICE, BOB, Entry, HOUR, NOW, fresh, id};
use crate::redis_strategy::ground::connect;

const SESSIONS: usize = 10_000;

fn limit() -> SweepLimit {
    SweepLimit::at(NOW, 1)
}

impl Entry {
    /// Clears until nothing is left; how much that was.
    async fn clear(&self) -> u64 {
        let clear = ClearUser {
            user: ALICE,
            unfenced: false,
            kept: None,
            rows: 1000,
        };
        let mut removed = 0;
        loop {
            let cleared = self.store.clear(&clear).await.unwrap();
            assert!(cleared.removed <= 1000);
            removed += cleared.removed;
            if !cleared.more {
                return removed;
            }
        }
    }

    async fn is_over(&self, session: SessionId) {
        assert!(
            !self.has_access(&ALICE, Some(session)).await,
            "an access token is good"
        );
        assert!(
            !self.has_refresh(&ALICE, Some(session)).await,
            "a refresh token is good"
        );
        assert!(
            self.store
                .find_session(session, &ALICE)
                .await
                .unwrap()
                .is_none(),
            "a session is found"
        );
        assert!(
            self.store
                .find_family(&self.digest(&ALICE, Some(session), "family"))
                .await
                .unwrap()
                .is_none()
        );
        assert_eq!(
            self.store
                .rotate(&self.rotate(&ALICE, session))
                .await
                .unwrap(),
            RotateOutcome::Gone
        );
        assert!(
            !self.store.end_session(session, &ALICE).await.unwrap(),
            "a session can be ended again"
        );
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn one_session_of_ten_thousand_outlives_a_mark_on_redis() {
    let entry = Entry::new();
    let sessions = entry.open_many(&ALICE, SESSIONS).await;
    let neighbour = entry.open(&BOB).await;
    let loose = entry.refresh(&ALICE, None);
    assert_eq!(
        entry.store.insert_refresh(&loose, None).await.unwrap(),
        Opened::Done
    );
    assert_eq!(
        entry
            .store
            .insert_access(&entry.access(&ALICE, None, "access"))
            .await
            .unwrap(),
        Opened::Done
    );
    assert_eq!(
        entry.store.survey(&ALICE, &limit()).await.unwrap().sessions,
        u64::try_from(SESSIONS).unwrap()
    );

    let kept = sessions[SESSIONS / 2];
    let fence = entry.end(&ALICE, Some(kept), true).await;
    for cleared in [false, true] {
        assert!(
            entry.has_access(&ALICE, Some(kept)).await
                && entry.has_refresh(&ALICE, Some(kept)).await
        );
        let found = entry
            .store
            .find_refresh(&entry.digest(&ALICE, Some(kept), "refresh").into())
            .await
            .unwrap();
        assert_eq!(found.unwrap().fence, Some(fence));
        assert!(!entry.has_access(&ALICE, None).await && !entry.has_refresh(&ALICE, None).await);
        assert_eq!(entry.pages(&ALICE, 500).await.concat(), [kept]);
        assert_eq!(
            entry.store.survey(&ALICE, &limit()).await.unwrap().sessions,
            1
        );
        assert!(entry.has_access(&BOB, Some(neighbour)).await);
        if !cleared {
            assert_eq!(
                entry.clear().await,
                u64::try_from(SESSIONS - 1 + 2).unwrap()
            );
            assert_eq!(entry.records(&ALICE, "sr"), 1, "what has ended is left");
        }
    }
    for session in sessions.iter().filter(|session| **session != kept) {
        entry.is_over(*session).await;
    }
    assert_eq!(
        entry
            .store
            .rotate(&entry.rotate(&ALICE, kept))
            .await
            .unwrap(),
        RotateOutcome::Done
    );
    let successor = entry
        .store
        .find_refresh(&entry.digest(&ALICE, Some(kept), "successor").into())
        .await
        .unwrap();
    assert_eq!(
        successor.unwrap().fence,
        Some(fence),
        "a rotation moves a session behind another fence"
    );
    entry.end(&ALICE, None, true).await;
    entry.is_over(kept).await;
}

/// What was ended goes with later writes, without anybody's clearing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn later_writes_remove_what_a_mark_ended_on_redis() {
    let entry = Entry::new();
    let sessions = entry.open_many(&ALICE, 3000).await;
    entry.end(&ALICE, Some(sessions[0]), true).await;
    assert_eq!(entry.records(&ALICE, "s"), 3000);
    let mut logins = 0;
    while entry.records(&ALICE, "s") > 1 + logins {
        entry.open(&ALICE).await;
        logins += 1;
        assert!(
            logins < 30,
            "{} sessions are left",
            entry.records(&ALICE, "s")
        );
    }
    assert_eq!(entry.pages(&ALICE, 100).await.concat().len(), 1 + logins);
}

/// A login that read the fence before it was replaced is not recorded; one of the same moment without a fence is.
#[tokio::test]
async fn a_mark_overtakes_logins_and_access_tokens_on_redis() {
    let entry = Entry::new();
    let before = entry.fence(&ALICE).await;
    assert_eq!(entry.fence(&ALICE).await, before);
    assert_ne!(entry.fence(&BOB).await, before, "two users have one fence");
    let kept = entry.open(&ALICE).await;
    for kept in [Some(kept), None] {
        let (before, now) = (
            entry.fence(&ALICE).await,
            entry.end(&ALICE, kept, true).await,
        );
        assert_eq!(entry.fence(&ALICE).await, now);
        let session = Some(id());
        for (fence, outcome) in [
            (before, Opened::Fenced),
            (fresh(), Opened::Fenced),
            (now, Opened::Done),
        ] {
            let refresh = entry.refresh(&ALICE, session).with_fence(fence);
            assert_eq!(
                entry.store.insert_refresh(&refresh, None).await.unwrap(),
                outcome
            );
            assert_eq!(
                entry.has_refresh(&ALICE, session).await,
                outcome == Opened::Done
            );
            let access = entry.access(&ALICE, None, "access").with_fence(fence);
            assert_eq!(entry.store.insert_access(&access).await.unwrap(), outcome);
            assert_eq!(
                entry.has_access(&ALICE, None).await,
                outcome == Opened::Done
            );
        }
    }
}

/// An access token never brings back the session that it names.
#[tokio::test]
async fn a_session_that_a_mark_ended_takes_no_access_token_on_redis() {
    let entry = Entry::new();
    let (kept, ended) = (entry.open(&ALICE).await, entry.open(&ALICE).await);
    entry.end(&ALICE, Some(kept), true).await;
    let access = entry.access(&ALICE, Some(ended), "another");
    assert_eq!(
        entry.store.insert_access(&access).await.unwrap(),
        Opened::Fenced
    );
    entry.is_over(ended).await;
}

/// A mark that is made twice, as a call that is repeated, ends what was there when it was made first.
#[tokio::test]
async fn a_mark_is_made_once_on_redis() {
    let entry = Entry::new();
    let (kept, other) = (entry.open(&ALICE).await, entry.open(&ALICE).await);
    for kept in [Some(kept), None] {
        let end = EndUser {
            user: ALICE,
            fence: fresh(),
            kept,
            settled: false,
            now: NOW,
        };
        entry.store.end_user(&end).await.unwrap();
        let later = entry.open(&ALICE).await;
        let unsettled = entry.store.unsettled(&ALICE).await.unwrap();
        entry.store.end_user(&end).await.unwrap();
        assert!(
            entry.has_access(&ALICE, Some(later)).await,
            "a repeated mark ends what came after it"
        );
        assert_eq!(entry.has_access(&ALICE, kept).await, kept.is_some());
        assert_eq!(entry.store.unsettled(&ALICE).await.unwrap(), unsettled);
        entry.is_over(other).await;
    }
}

/// Fences whose signed tokens may not be denied yet are remembered until that is settled, as long as there may be such
/// tokens, whatever else is removed.
#[tokio::test]
async fn unsettled_fences_outlive_what_they_ended_on_redis() {
    let entry = Entry::new();
    let first = entry.fence(&ALICE).await;
    let kept = entry.open(&ALICE).await;
    let life = |entry: &Entry| {
        entry
            .server
            .command(&["PTTL", &entry.key(&ALICE)])
            .parse::<u128>()
            .unwrap()
    };
    assert!(life(&entry) > 23 * HOUR.as_millis());
    let second = entry.end(&ALICE, Some(kept), false).await;
    let third = entry.end(&ALICE, None, false).await;
    entry.end(&ALICE, None, true).await;
    let with_kept = EndedFence {
        fence: first,
        kept: Some(kept),
    };
    let without = EndedFence {
        fence: second,
        kept: None,
    };
    assert_eq!(
        entry.store.unsettled(&ALICE).await.unwrap(),
        [with_kept, without]
    );
    assert!(
        life(&entry) > 23 * HOUR.as_millis(),
        "they are forgotten before their tokens end"
    );
    entry.open(&ALICE).await;
    entry.clear().await;
    assert_eq!(
        entry.store.unsettled(&ALICE).await.unwrap(),
        [with_kept, without]
    );
    assert_eq!(entry.store.unsettled(&BOB).await.unwrap(), []);

    entry
        .store
        .settle(&ALICE, &[second, third], NOW)
        .await
        .unwrap();
    assert_eq!(entry.store.unsettled(&ALICE).await.unwrap(), [with_kept]);
    entry.end(&ALICE, None, true).await;
    entry.store.settle(&ALICE, &[first], NOW).await.unwrap();
    entry.store.settle(&ALICE, &[first], NOW).await.unwrap();
    assert_eq!(entry.store.unsettled(&ALICE).await.unwrap(), []);
    assert_eq!(entry.server.command(&["HKEYS", &entry.key(&ALICE)]), "e");
}

/// Where too many wait to be settled, an ending fails whole rather than forget one.
#[tokio::test]
async fn no_unsettled_fence_is_forgotten_on_redis() {
    let entry = Entry::new();
    let mut expected = vec![entry.fence(&ALICE).await];
    for _ in 0..63 {
        expected.push(entry.end(&ALICE, None, false).await);
    }
    let last = entry.end(&ALICE, None, false).await;
    let session = entry.open(&ALICE).await;
    let end = EndUser {
        user: ALICE,
        fence: fresh(),
        kept: None,
        settled: false,
        now: NOW,
    };
    let failure = entry.store.end_user(&end).await.unwrap_err();
    assert_eq!(failure.kind(), FailureKind::Unavailable);
    assert!(
        entry.has_access(&ALICE, Some(session)).await,
        "an ending that failed ended something"
    );
    assert_eq!(entry.fence(&ALICE).await, last);
    let unsettled = entry.store.unsettled(&ALICE).await.unwrap();
    assert_eq!(
        unsettled
            .iter()
            .map(|ended| ended.fence)
            .collect::<Vec<_>>(),
        expected
    );
    entry.store.settle(&ALICE, &expected, NOW).await.unwrap();
    entry.store.end_user(&end).await.unwrap();
    entry.is_over(session).await;
}

/// The latest end of a signed token is that of the sessions that are live, and never moves back.
#[tokio::test]
async fn a_survey_knows_the_latest_signed_end_on_redis() {
    let entry = Entry::new();
    let at = |hours: u32| Some(NOW.saturating_add(hours * HOUR));
    let mut sessions = Vec::new();
    for access_expires_at in [None, at(3), at(1)] {
        let session = id();
        let refresh = entry
            .refresh(&ALICE, Some(session))
            .with_access_expires_at(access_expires_at);
        assert_eq!(
            entry.store.insert_refresh(&refresh, None).await.unwrap(),
            Opened::Done
        );
        sessions.push(session);
    }
    let survey = async || entry.store.survey(&ALICE, &limit()).await.unwrap();
    assert_eq!(
        (survey().await.sessions, survey().await.access_expires_at),
        (3, at(3))
    );
    for (session, access_expires_at, latest) in
        [(1, at(2), at(3)), (2, at(5), at(5)), (0, None, at(5))]
    {
        let rotate = entry
            .rotate(&ALICE, sessions[session])
            .with_access_expires_at(access_expires_at);
        assert_eq!(
            entry.store.rotate(&rotate).await.unwrap(),
            RotateOutcome::Done
        );
        assert_eq!(
            (survey().await.sessions, survey().await.access_expires_at),
            (3, latest)
        );
    }
    entry.end(&ALICE, Some(sessions[1]), true).await;
    assert_eq!(
        (survey().await.sessions, survey().await.access_expires_at),
        (1, at(3))
    );
    let late = {
        let mut changed = limit();
        changed.now = NOW.saturating_add(24 * HOUR);
        changed
    };
    assert_eq!(entry.store.survey(&ALICE, &late).await.unwrap().sessions, 0);
}

/// A session whose signed tokens outlive its refresh token is kept as long as they.
#[tokio::test]
async fn signed_tokens_keep_their_users_key_on_redis() {
    let entry = Entry::new();
    let signed_end = Some(NOW.saturating_add(72 * HOUR));
    let refresh = entry
        .refresh(&ALICE, Some(id()))
        .with_access_expires_at(signed_end);
    assert_eq!(
        entry.store.insert_refresh(&refresh, None).await.unwrap(),
        Opened::Done
    );
    let life: u128 = entry
        .server
        .command(&["PTTL", &entry.key(&ALICE)])
        .parse()
        .unwrap();
    assert!(life > 71 * HOUR.as_millis());
}

/// Clearing removes at most what it is told, whatever lies in the places that it looks at, and comes to an end.
#[tokio::test]
async fn clearing_goes_in_pieces_on_redis() {
    let entry = Entry::new();
    let sessions = entry.open_many(&ALICE, 100).await;
    entry.end(&ALICE, Some(sessions[0]), true).await;
    let clear = ClearUser {
        user: ALICE,
        unfenced: false,
        kept: None,
        rows: 7,
    };
    let (mut removed, mut calls) = (0, 0);
    loop {
        let cleared = entry.store.clear(&clear).await.unwrap();
        assert!(cleared.removed <= 7);
        removed += cleared.removed;
        calls += 1;
        if !cleared.more {
            break;
        }
        assert!(calls < 300, "clearing doesn't come to an end");
    }
    assert_eq!(removed, 99);
    assert_eq!(
        entry
            .store
            .clear(&ClearUser {
                rows: 1000,
                ..clear.clone()
            })
            .await
            .unwrap(),
        Cleared::default()
    );
    // Nothing is recorded behind no fence.
    let unfenced = ClearUser {
        unfenced: true,
        ..clear
    };
    assert_eq!(
        entry.store.clear(&unfenced).await.unwrap(),
        Cleared::default()
    );
    assert!(entry.has_access(&ALICE, Some(sessions[0])).await);
}

/// Marks for 10 sessions and for 10,000 are the same commands.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_mark_is_the_same_for_any_number_on_redis() {
    let server = testbed::Redis::dedicated();
    let redis: Redis = connect(server.url());
    let entry = Entry::over(&redis, "test:");
    let commands = |server: &testbed::Redis| {
        let stats = server.command(&["INFO", "commandstats"]);
        let name = |line: &str| {
            Some(
                line.trim()
                    .strip_prefix("cmdstat_")?
                    .split(",usec")
                    .next()?
                    .to_owned(),
            )
        };
        let mut names: Vec<_> = stats.lines().filter_map(name).collect();
        names.retain(|name| !name.starts_with("config") && !name.starts_with("info"));
        names.sort();
        names
    };
    // Redis learns the script.
    entry.end(&ALICE, None, true).await;
    let mut seen = Vec::new();
    for sessions in [10, 10_000] {
        for keeps in [true, false] {
            let opened = entry.open_many(&ALICE, sessions).await;
            let kept = keeps.then(|| opened[0]);
            server.command(&["CONFIG", "RESETSTAT"]);
            entry.end(&ALICE, kept, true).await;
            seen.push(commands(&server));
        }
    }
    assert_eq!(seen[0], seen[2]);
    assert_eq!(seen[1], seen[3]);
    assert!(
        seen[0].iter().all(|name| !name.starts_with("hscan")),
        "{seen:?}"
    );
}
