//! Commands that are sent again because the connection broke before their answer came.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use countersign::store::{Opened, TokenStore};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};

use crate::redis_strategy::entry::{ALICE, Entry};
use crate::redis_strategy::ground::connect;

/// Stands before a server, and can lose the next answer together with its connection.
struct Middle {
    url: String,
    loses: Arc<AtomicBool>,
}

impl Middle {
    async fn before(url: &str) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let middle = Self {
            url: format!("redis://{}", listener.local_addr().unwrap()),
            loses: Arc::new(AtomicBool::new(false)),
        };
        let (server, loses) = (
            url.strip_prefix("redis://").unwrap().to_owned(),
            Arc::clone(&middle.loses),
        );
        tokio::spawn(async move {
            while let Ok((client, _)) = listener.accept().await {
                let server = TcpStream::connect(server.trim_end_matches('/'))
                    .await
                    .unwrap();
                tokio::spawn(pass(client, server, Arc::clone(&loses)));
            }
        });
        middle
    }

    fn lose_the_next_answer(&self) {
        self.loses.store(true, SeqCst);
    }

    fn has_lost_it(&self) -> bool {
        !self.loses.load(SeqCst)
    }
}

async fn pass(mut client: TcpStream, mut server: TcpStream, loses: Arc<AtomicBool>) {
    let (mut from_client, mut from_server) = (vec![0; 65_536], vec![0; 65_536]);
    loop {
        tokio::select! {
            Ok(length) = client.read(&mut from_client) => {
                if length == 0 || server.write_all(&from_client[..length]).await.is_err() {
                    return;
                }
            }
            Ok(length) = server.read(&mut from_server) => {
                if length == 0 || loses.swap(false, SeqCst) || client.write_all(&from_server[..length]).await.is_err() {
                    return;
                }
            }
        }
    }
}

/// Whoever removed something hears that it was there, although the first answer never came; and nobody else does.
#[tokio::test]
async fn removals_that_are_sent_twice_say_what_they_did_on_redis() {
    let server = testbed::Redis::dedicated();
    let middle = Middle::before(server.url()).await;
    let entry = Entry::over(&connect(&middle.url), "test:");
    let session = entry.open(&ALICE).await;
    let (access, refresh) = (
        entry.access(&ALICE, None, "access"),
        entry.refresh(&ALICE, None),
    );
    assert_eq!(
        entry.store.insert_access(&access).await.unwrap(),
        Opened::Done
    );
    assert_eq!(
        entry.store.insert_refresh(&refresh, None).await.unwrap(),
        Opened::Done
    );
    let of_session = entry.access(&ALICE, Some(session), "access");
    // Redis learns the script, which would be sent twice in any case.
    assert!(
        !entry
            .store
            .end_session(crate::redis_strategy::entry::id(), &ALICE)
            .await
            .unwrap()
    );

    let (access, refresh, of_session) = (
        access.digest.into(),
        refresh.digest.into(),
        of_session.digest.into(),
    );
    for again in [false, true] {
        let lose = || {
            if !again {
                middle.lose_the_next_answer();
            }
        };
        lose();
        assert_eq!(
            entry
                .store
                .remove_access(&access, Some(&ALICE))
                .await
                .unwrap(),
            !again
        );
        assert!(middle.has_lost_it());
        lose();
        assert_eq!(
            entry.store.remove_refresh(&refresh, None).await.unwrap(),
            !again
        );
        assert!(middle.has_lost_it());
        lose();
        assert_eq!(
            entry.store.remove_access(&of_session, None).await.unwrap(),
            !again
        );
        assert!(middle.has_lost_it());
        lose();
        assert_eq!(
            entry.store.end_session(session, &ALICE).await.unwrap(),
            !again
        );
        assert!(middle.has_lost_it());
    }
}

/// A mark whose answer was lost is made once: what was remembered is remembered once.
#[tokio::test]
async fn a_mark_that_is_sent_twice_is_made_once_on_redis() {
    let server = testbed::Redis::dedicated();
    let middle = Middle::before(server.url()).await;
    let entry = Entry::over(&connect(&middle.url), "test:");
    // Redis learns the script.
    entry.end(&ALICE, None, true).await;
    for keeps in [true, false] {
        let session = entry.open(&ALICE).await;
        let other = entry.open(&ALICE).await;
        middle.lose_the_next_answer();
        let fence = entry.end(&ALICE, keeps.then_some(session), false).await;
        assert!(middle.has_lost_it());
        assert_eq!(entry.fence(&ALICE).await, fence);
        assert_eq!(entry.has_access(&ALICE, Some(session)).await, keeps);
        assert!(!entry.has_access(&ALICE, Some(other)).await);
        let unsettled = entry.store.unsettled(&ALICE).await.unwrap();
        assert_eq!(unsettled.len(), if keeps { 1 } else { 2 });
    }
}

/// A login whose answer was lost is recorded once, and one that was ended meanwhile isn't recorded again.
#[tokio::test]
async fn a_login_that_is_sent_twice_is_recorded_once_on_redis() {
    let server = testbed::Redis::dedicated();
    let middle = Middle::before(server.url()).await;
    let entry = Entry::over(&connect(&middle.url), "test:");
    entry.open(&ALICE).await;
    middle.lose_the_next_answer();
    let session = entry.open(&ALICE).await;
    assert!(middle.has_lost_it());
    assert!(
        entry.has_access(&ALICE, Some(session)).await
            && entry.has_refresh(&ALICE, Some(session)).await
    );
    assert_eq!(entry.pages(&ALICE, 10).await.concat().len(), 2);
}
