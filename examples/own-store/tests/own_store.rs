//! The store against the public suite, and the service over TCP across a restart.

#![allow(clippy::unwrap_used, reason = "test code")]

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use countersign::testing::TokenStoreSuite;
use countersign::{Auth, Secret};
use example_own_store::{Member, RedbStore};
use reqwest::{Client, StatusCode};
use tokio::net::TcpListener;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_store_keeps_the_contract() {
    let directory = Arc::new(tempfile::tempdir().unwrap());
    let made = Arc::new(AtomicU32::new(0));
    let suite = TokenStoreSuite::new("redb", move |_user_ids| {
        // Each case gets a file of its own.
        let number = made.fetch_add(1, Ordering::Relaxed);
        let path = directory.path().join(format!("{number}.redb"));
        async move { RedbStore::open(path) }
    });
    // redb writes each commit to the disk, so 10,000 logins take long on a busy machine.
    let suite = suite.crowd(1_000);
    let report = suite.run().await;
    println!("{report}");
    report.into_result().unwrap();
}

async fn auth(file: &Path) -> Auth<Member> {
    let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let store = RedbStore::open(file).unwrap();
    example_own_store::auth(store, &secret)
        .build()
        .await
        .unwrap()
}

#[tokio::test]
async fn sessions_outlast_a_restart_and_end_by_a_logout() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("tokens.redb");
    let before = auth(&file).await;
    let session = before.test_session(&Member { id: 7 }).await.unwrap();
    // redb lets nobody else open the file as long as it is open.
    drop(before);

    let auth = auth(&file).await;
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let app = example_own_store::app(&auth);
    tokio::spawn(async move { axum::serve(listener, app).await });
    let client = Client::new();
    let me = || {
        let request = client.get(format!("http://{address}/me"));
        request.headers(session.bearer()).send()
    };
    assert_eq!(me().await.unwrap().text().await.unwrap(), "member 7\n");

    let logout = client.post(format!("http://{address}/auth/logout"));
    let logout = logout.headers(session.bearer()).send().await.unwrap();
    assert_eq!(logout.status(), StatusCode::NO_CONTENT);
    assert_eq!(me().await.unwrap().status(), StatusCode::UNAUTHORIZED);
}
