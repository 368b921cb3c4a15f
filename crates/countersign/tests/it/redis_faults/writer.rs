//! SIGKILL to our own process in the middle of writes.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use countersign::PlainToken;
use countersign::strategy::TokenControl;

use crate::fixture::users::{Account, users};
use crate::redis_faults::entry::key_of;
use crate::redis_faults::ground::{Ground, LONG, connect, left};

const ROUNDS: usize = 6;
const WRITERS: usize = 8;
/// Each round has accounts of its own, and each session one.
const ACCOUNTS: usize = 100_000;
const URL: &str = "COUNTERSIGN_TEST_REDIS_WRITER_URL";
const FIRST: &str = "COUNTERSIGN_TEST_REDIS_WRITER_FIRST";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_writes_of_a_killed_process_are_whole() {
    // The process that is killed is this test again, in its other part.
    if let Ok(url) = std::env::var(URL) {
        let first = std::env::var(FIRST).unwrap().parse().unwrap();
        return write_until_killed(&url, first).await;
    }
    let server = testbed::Redis::dedicated();
    let ground = Ground::new(&connect(server.url(), LONG), "test:");
    for round in 0..ROUNDS {
        // Each round dies at another moment.
        let lines = lines_until_killed(server.url(), round * ACCOUNTS, 40 + round * 37);
        let keys = left(&server, "*");
        are_whole(&server, &keys);
        every_key_is_found(&ground, round * ACCOUNTS, &lines, keys).await;
        assert!(
            left(&server, "*").is_empty(),
            "round {round}: something is left of users that were removed"
        );
    }
}

/// Starts this test's other part as a process of its own, and kills it after so many acknowledgements.
fn lines_until_killed(url: &str, first: usize, after: usize) -> Vec<String> {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args([
            "--exact",
            "redis_faults::writer::redis_writes_of_a_killed_process_are_whole",
            "--nocapture",
        ])
        .env(URL, url)
        .env(FIRST, first.to_string())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = Vec::new();
    for line in BufReader::new(child.stdout.take().unwrap()).lines() {
        lines.extend(
            line.ok()
                .filter(|line| line.starts_with("ack ") && line.ends_with(" end")),
        );
        if lines.len() == after {
            child.kill().unwrap();
        }
    }
    assert!(
        !child.wait().unwrap().success(),
        "the writer ended by itself"
    );
    assert!(
        lines.len() >= after,
        "only {} acknowledgements came",
        lines.len()
    );
    lines
}

/// Tells of each key how long it lives, in milliseconds, and its fields.
const FIELDS: &str = "local told = {}
    for at, key in ipairs(KEYS) do
        told[at] = redis.call('PTTL', key) .. ' ' .. table.concat(redis.call('HKEYS', key), ' ')
    end
    return told";

/// A key is a session that was opened, refreshed or not, with an owner and an end; never a part of that.
fn are_whole(server: &testbed::Redis, keys: &[String]) {
    let number = keys.len().to_string();
    let question = ["EVAL", FIELDS, &number]
        .into_iter()
        .chain(keys.iter().map(String::as_str));
    let told = server.command(&question.collect::<Vec<_>>());
    assert_eq!(told.lines().count(), keys.len());
    for key in told.lines() {
        let (life, fields) = key.split_once(' ').unwrap();
        let count = |kind| {
            fields
                .split(' ')
                .filter(|field| field.len() > 1 && field.starts_with(kind))
                .count()
        };
        assert_eq!(
            fields.split(' ').filter(|field| *field == "u").count(),
            1,
            "nobody's tokens: {fields}"
        );
        assert_eq!(
            (count('s'), count('r')),
            (1, 0),
            "not one session: {fields}"
        );
        assert!(
            matches!(count('a'), 1 | 2),
            "a session without its access tokens: {fields}"
        );
        assert!(life.parse::<i64>().unwrap() > 0, "a key stays for ever");
    }
}

/// A line is `ack ACCOUNT ACCESS REFRESH end`.
async fn every_key_is_found(
    ground: &Ground,
    first: usize,
    lines: &[String],
    mut keys: Vec<String>,
) {
    let mut last = BTreeMap::new();
    let mut started = first;
    for line in lines {
        let ["ack", account, access, refresh, "end"] = line.split(' ').collect::<Vec<_>>()[..]
        else {
            continue;
        };
        let account: usize = account.parse().unwrap();
        started = started.max(account);
        let access = PlainToken::new(access);
        assert!(
            ground.accepts(&access).await.unwrap(),
            "an acknowledged access token is gone"
        );
        last.insert(account, (access, PlainToken::new(refresh)));
    }
    // A kill may have come before an acknowledgement, of a session that is opened or of its refresh.
    let good = async |(_, refresh): &(PlainToken, PlainToken)| {
        ground.would_refresh(refresh).await.unwrap()
    };
    let mut consumed = 0;
    for pair in last.values() {
        consumed += usize::from(!good(pair).await);
    }
    assert!(
        consumed <= WRITERS,
        "{consumed} acknowledged refresh tokens are gone"
    );
    // Accounts are taken in order, so that those whose acknowledgement is missing are known as well: the very first may be
    // among them, where its writer had no turn for as long as the others wrote.
    for account in first..=started + WRITERS {
        let account = Account::new(account as u128);
        let key = key_of("test:", &account.key());
        keys.retain(|known| *known != key);
        ground
            .strategy()
            .invalidate_all(&account.key())
            .await
            .unwrap();
    }
    assert!(keys.is_empty(), "tokens that no user leads to: {keys:?}");
    for (access, refresh) in last.values() {
        assert!(
            !ground.accepts(access).await.unwrap(),
            "an access token outlives its user's removal"
        );
        assert!(
            !ground.would_refresh(refresh).await.unwrap(),
            "a refresh token outlives its user's removal"
        );
    }
}

/// Opens sessions and refreshes them side by side, and tells of each after it was stored.
async fn write_until_killed(url: &str, first: usize) {
    let ground = Ground::new(&connect(url, LONG), "test:");
    let next = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(first));
    let mut tasks = tokio::task::JoinSet::new();
    for _ in 0..WRITERS {
        let (ground, next) = (ground.clone(), std::sync::Arc::clone(&next));
        tasks.spawn(async move {
            loop {
                let number = next.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                let account = Account::new(number as u128);
                let pair = ground.open(&account).await.unwrap();
                tell(number, &pair);
                let refreshed = ground
                    .refreshable()
                    .refresh_session(&pair.refresh, &users)
                    .await
                    .unwrap();
                tell(number, &refreshed.issued.into());
            }
        });
    }
    tasks.join_all().await;
}

fn tell(account: usize, pair: &crate::redis_faults::ground::Pair) {
    let line = format!(
        "ack {account} {} {} end\n",
        pair.access.expose(),
        pair.refresh.expose()
    );
    std::io::stdout().lock().write_all(line.as_bytes()).unwrap();
}
