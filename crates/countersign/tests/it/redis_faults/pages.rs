//! Lists of sessions while Redis moves what it keeps of a user.

use std::collections::BTreeSet;

use countersign::store::{Opened, Page, TokenStore};
use countersign::{SessionId, SystemEntropy, UserKey};

use crate::fixture::users::Account;
use crate::redis_faults::entry::Entry;
use crate::redis_faults::ground::{LONG, connect};

/// So many that Redis shrinks the hash when most of them end.
const SESSIONS: usize = 200;

async fn open(entry: &Entry, user: &UserKey) -> SessionId {
    let session = SessionId::generate(&SystemEntropy).unwrap();
    let refresh = entry.opening(user, session);
    assert_eq!(
        entry.store().insert_refresh(&refresh, None).await.unwrap(),
        Opened::Done
    );
    session
}

/// Redis's own walk shows an element twice when the hash has shrunk between two of its steps.
async fn no_session_is_shown_twice(url: &str) {
    let redis = connect(url, LONG);
    let entry = Entry::new(&redis, &testbed::Redis::shared().prefix());
    for number in 0..20 {
        let user = Account::new(number).key();
        let mut opened = BTreeSet::new();
        for _ in 0..SESSIONS {
            opened.insert(open(&entry, &user).await);
        }
        let mut page = Page {
            after: None,
            limit: 10,
        };
        let first = entry.store().sessions(&user, &page).await.unwrap();
        let mut seen: BTreeSet<_> = first.sessions.iter().map(|found| found.id).collect();
        for ended in opened.difference(&seen) {
            assert!(entry.store().end_session(*ended, &user).await.unwrap());
        }
        page.after = first.next;
        while page.after.is_some() {
            let next = entry.store().sessions(&user, &page).await.unwrap();
            for session in next.sessions {
                assert!(seen.insert(session.id), "{} is shown twice", session.id);
            }
            page.after = next.next;
        }
    }
}

#[tokio::test]
async fn redis_shows_no_session_twice() {
    no_session_is_shown_twice(testbed::Redis::shared().url()).await;
}

#[tokio::test]
async fn redis_cluster_shows_no_session_twice() {
    no_session_is_shown_twice(&testbed::RedisCluster::shared().url()).await;
}
