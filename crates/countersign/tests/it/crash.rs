//! kill -9 in the middle of writes (promise P11, SECURITY row F-01), on SQLite: what was acknowledged is there afterwards.

#![cfg(all(feature = "sqlite", feature = "postgres", feature = "mysql", unix))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::collections::{HashMap, HashSet};
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::time::Duration;

use countersign::store::sql::{Database, DatabaseOptions, Driver, Statement};
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::{PlainToken, Refusal};

use crate::fixture::databases::{Kind, Place, strategy};
use crate::fixture::users::{Account, users};

const ROUNDS: usize = 10;
const CHAINS: usize = 16;
const URL: &str = "COUNTERSIGN_TEST_CRASH_URL";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_was_acknowledged_outlives_a_kill() {
    // The process that is killed is this test again, in its other part.
    if let Ok(url) = std::env::var(URL) {
        return write_until_killed(&url).await;
    }
    let place = Place::new(Kind::Sqlite);
    place.migrated().await;
    for round in 0..ROUNDS {
        // Each round dies at another moment.
        let lines = lines_until_killed(&place.url, 40 + round * 37);
        check(&place, &lines, round).await;
    }
}

/// Starts this test's other part as a process of its own, and kills it after so many acknowledgements, with every chain
/// begun.
fn lines_until_killed(url: &str, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "crash::what_was_acknowledged_outlives_a_kill",
            "--nocapture",
        ])
        .env(URL, url)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let (mut lines, mut begun) = (Vec::new(), HashSet::new());
    let mut acknowledged = 0;
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        let line = line.unwrap();
        if let Some(chain) = line
            .strip_prefix("ack ")
            .and_then(|rest| rest.split(' ').next())
        {
            acknowledged += 1;
            begun.insert(chain.to_owned());
        }
        lines.push(line);
        if acknowledged >= after && begun.len() == CHAINS {
            child.kill().unwrap();
        }
    }
    assert!(
        !child.wait().unwrap().success(),
        "the writer ended by itself"
    );
    assert!(
        acknowledged >= after,
        "only {acknowledged} acknowledgements came"
    );
    lines
}

/// A line is `ack CHAIN REFRESH ACCESS end`; the kill may have torn the last one.
async fn check(place: &Place, lines: &[String], round: usize) {
    let database = place.database();
    let strategy = strategy(&database);
    let mut chains: HashMap<&str, Vec<&str>> = HashMap::new();
    for line in lines {
        let ["ack", chain, refresh, access, "end"] = line.split(' ').collect::<Vec<_>>()[..] else {
            continue;
        };
        chains.entry(chain).or_default().push(refresh);
        let answer = strategy
            .read_token(Some(&PlainToken::new(access)), &users)
            .await
            .unwrap();
        assert!(
            answer.accepted().is_some(),
            "round {round}: an acknowledged access token is gone"
        );
    }
    let sessions = "SELECT count(*), count(DISTINCT session_id) FROM refresh_token";
    let rows = database
        .fetch(&Statement::new(database.dialect(), sessions), &[])
        .await
        .unwrap();
    let row = rows.first().unwrap();
    assert_eq!(
        row.int(0),
        row.int(1),
        "round {round}: a session has two refresh tokens"
    );
    assert_eq!(chains.len(), CHAINS, "round {round}: a chain never began");
    for refreshes in chains.values() {
        let (last, earlier) = refreshes.split_last().unwrap();
        // The kill may have come between the commit of the last one's successor and its acknowledgement: then it is told again.
        let next = strategy
            .rotate_refresh_token(&PlainToken::new(*last), &users)
            .await;
        let next = next
            .unwrap_or_else(|error| panic!("round {round}: a session is lost: {error}"))
            .issued;
        assert!(
            strategy
                .rotate_refresh_token(&next.token, &users)
                .await
                .is_ok(),
            "round {round}"
        );
        for refresh in earlier {
            let again = strategy
                .rotate_refresh_token(&PlainToken::new(*refresh), &users)
                .await
                .unwrap_err();
            let refused = matches!(again.refusal(), Some(Refusal::Reused | Refusal::Unknown));
            assert!(refused, "round {round}: {again:?}");
        }
    }
    let integrity = Statement::new(
        database.dialect(),
        "SELECT integrity_check FROM pragma_integrity_check",
    );
    let rows = database.fetch(&integrity, &[]).await.unwrap();
    assert_eq!(
        rows.first().unwrap().text(0),
        Ok(Some("ok")),
        "round {round}"
    );
}

/// Refreshes sessions side by side, and tells of each refresh after it was stored.
async fn write_until_killed(url: &str) {
    let options = DatabaseOptions::default().with_timeout(Duration::from_secs(30));
    let database = Database::connect(url, options).unwrap();
    let strategy = strategy(&database);
    let mut tasks = tokio::task::JoinSet::new();
    for chain in 0..CHAINS {
        let strategy = strategy.clone();
        tasks.spawn(async move {
            let account = Account::new(u128::try_from(chain).unwrap());
            let mut pair = strategy.open_session(&account).await.unwrap();
            loop {
                let refresh = pair.refresh.unwrap().token;
                let line = format!(
                    "ack {chain} {} {} end\n",
                    refresh.expose(),
                    pair.access.token.expose()
                );
                std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
                pair = strategy
                    .refresh_session(&refresh, &users)
                    .await
                    .unwrap()
                    .issued;
            }
        });
    }
    tasks.join_all().await;
}
