//! Lists of sessions, a page at a time.

use std::collections::BTreeSet;

use countersign::SessionId;
use countersign::store::{NewAccess, Opened, Page, SessionPage, TokenStore};

use crate::redis_strategy::entry::{ALICE, BOB, Entry, id};
use crate::redis_strategy::ground::connect;

fn set(ids: &[SessionId]) -> BTreeSet<SessionId> {
    ids.iter().copied().collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_show_every_session_once_on_redis() {
    let entry = Entry::new();
    assert_eq!(entry.pages(&ALICE, 10).await, [[]; 1]);
    let sessions = entry.open_many(&ALICE, 1000).await;
    // Tokens of no session, and a session that can't be refreshed, are in no list.
    for label in 0..500 {
        let access = entry.access(&ALICE, None, &label.to_string());
        assert_eq!(
            entry.store.insert_access(&access).await.unwrap(),
            Opened::Done
        );
    }
    let stub: NewAccess = entry.access(&ALICE, Some(id()), "access");
    assert_eq!(
        entry.store.insert_access(&stub).await.unwrap(),
        Opened::Done
    );
    entry.open(&BOB).await;
    for limit in [1, 2, 7, 100, 499, 500, 100_000] {
        let pages = entry.pages(&ALICE, limit).await;
        let listed = pages.concat();
        assert_eq!(
            listed.len(),
            sessions.len(),
            "{limit}: a session is missing or comes twice"
        );
        assert_eq!(set(&listed), set(&sessions), "{limit}");
        let enough = sessions.len() / usize::try_from(limit).unwrap();
        assert!(
            pages.len() <= 2 * enough + 20,
            "{limit}: {} pages",
            pages.len()
        );
    }
}

/// Sessions that are there all the time are seen, however many others come and go between two pages.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn pages_miss_nobody_while_others_come_and_go_on_redis() {
    for limit in [1, 1, 1, 1, 3, 50, 400] {
        let entry = Entry::new();
        let (stays, mut goes) = (
            entry.open_many(&ALICE, 300).await,
            entry.open_many(&ALICE, 2500).await,
        );
        let (mut seen, mut after, mut turn) = (BTreeSet::new(), None, 0_usize);
        let mut shrunk = None;
        loop {
            let (page, next) = entry.page(&ALICE, after, limit).await;
            seen.extend(page);
            after = next;
            if after.is_none() {
                break;
            }
            // The hash shrinks and grows, and steps of the walk are of another extent each time.
            let is_parted = after
                .as_ref()
                .is_some_and(|after| after.as_str().split('.').count() == 4);
            match turn {
                // With one session on a page, in the midst of a step.
                _ if shrunk.is_none() && (limit > 1 || is_parted) => {
                    shrunk = Some(turn);
                    for session in goes.drain(..) {
                        entry.store.end_session(session, &ALICE).await.unwrap();
                        let access = entry.digest(&ALICE, Some(session), "access").into();
                        entry.store.remove_access(&access, None).await.unwrap();
                    }
                }
                _ if shrunk.is_some_and(|shrunk| shrunk + 3 == turn) => {
                    goes = entry.open_many(&ALICE, 4000).await;
                }
                _ => {
                    if let Some(session) = goes.pop() {
                        entry.store.end_session(session, &ALICE).await.unwrap();
                    }
                    goes.push(entry.open(&ALICE).await);
                }
            }
            turn += 1;
            assert!(turn < 20_000, "{limit}: the list doesn't come to an end");
        }
        assert!(shrunk.is_some(), "{limit}: nothing has changed");
        assert!(
            seen.is_superset(&set(&stays)),
            "{limit}: a session is missing"
        );
    }
}

/// Redis walks through a small hash in one step, which is then listed part by part.
#[tokio::test]
async fn pages_part_a_step_on_redis() {
    let server = testbed::Redis::with_settings(&[
        "hash-max-listpack-value=4096",
        "hash-max-listpack-entries=512",
    ]);
    let entry = Entry::over(&connect(server.url()), "test:");
    let sessions = entry.open_many(&ALICE, 100).await;
    assert_eq!(
        server.command(&["OBJECT", "ENCODING", &entry.key(&ALICE)]),
        "listpack"
    );
    for limit in [1, 9, 99, 100, 101] {
        let listed = entry.pages(&ALICE, limit).await.concat();
        assert_eq!(listed.len(), sessions.len(), "{limit}");
        assert_eq!(set(&listed), set(&sessions), "{limit}");
    }
    // Whoever has gone between two pages is in neither, and hides nobody.
    let (page, next) = entry.page(&ALICE, None, 50).await;
    for session in &page {
        entry.store.end_session(*session, &ALICE).await.unwrap();
    }
    let (rest, next) = entry.page(&ALICE, next, 100).await;
    assert_eq!(next, None);
    assert_eq!(set(&[page, rest].concat()), set(&sessions));
}

#[tokio::test]
async fn other_cursors_have_no_page_on_redis() {
    let entry = Entry::new();
    entry.open_many(&ALICE, 20).await;
    let session = id().to_string();
    for text in [
        "0",
        "x",
        "9.0",
        "0.x",
        "0.0.0",
        &session,
        "0.0.0.x",
        "0.-1",
        "18446744073709551616.0",
    ] {
        let page = Page {
            after: Some(text.parse().unwrap()),
            limit: 10,
        };
        assert_eq!(
            entry.store.sessions(&ALICE, &page).await.unwrap(),
            SessionPage::default(),
            "{text}"
        );
    }
}

/// A page is as many commands, and as many looks at fields, of many sessions as of few.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_page_costs_the_same_for_any_number_on_redis() {
    let server = testbed::Redis::dedicated();
    let entry = Entry::over(&connect(server.url()), "test:");
    let calls = |server: &testbed::Redis, command: &str| {
        let stats = server.command(&["INFO", "commandstats"]);
        let line = stats
            .lines()
            .find_map(|line| line.strip_prefix(&format!("cmdstat_{command}:calls=")));
        line.map_or(0, |line| {
            line.split(',').next().unwrap().parse::<u32>().unwrap()
        })
    };
    entry.open_many(&ALICE, 200).await;
    entry.page(&ALICE, None, 20).await;
    let mut asked = 0;
    for more in [0, 20_000] {
        entry.open_many(&ALICE, more).await;
        let mut after = None;
        for _ in 0..5 {
            server.command(&["CONFIG", "RESETSTAT"]);
            let (page, next) = entry.page(&ALICE, after, 20).await;
            after = next;
            assert!(page.len() >= 10, "{} sessions on a page", page.len());
            assert!(
                calls(&server, "evalsha") <= 2 && calls(&server, "hscan") <= 100,
                "a page walks too far"
            );
            asked += calls(&server, "evalsha");
        }
    }
    assert!(asked >= 10, "nobody asked");
}
