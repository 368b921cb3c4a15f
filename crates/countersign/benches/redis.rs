//! The cost of reads, refreshes and endings on Redis, compared with the bare client.
//!
//! The bare client does the least that a read or a refresh takes. Server and callers share the
//! machine, so compare the ratios and not the rates.
//!
//! `cargo bench -p countersign --features redis --bench redis` prints operations per second with 1
//! and with 64 callers, as medians of alternating rounds.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::print_stdout,
    missing_docs,
    reason = "a benchmark: it stops loudly"
)]

mod crowd;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::redis::{Redis, RedisOptions};
use countersign::store::{
    ClearUser, EndUser, Fence, NewAccess, NewRefresh, Opened, Page, RedisTokenStore, SweepLimit,
    TokenStore,
};
use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::Strategy;
use countersign::token::{DigestKeyRing, TokenStatus};
use countersign::{ClientInfo, Failure, PlainToken, Secret, SessionId};
use countersign::{SystemEntropy, Timestamp, User, UserKey};
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use crowd::{Reader, TOKENS, compare, median};

/// The time at which all sessions of the endings are opened and ended.
const NOW: Timestamp = Timestamp::from_unix_seconds(1_768_478_400);

/// A user with an integer id.
struct Account(i64);

impl User for Account {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.0
    }
}

/// Returns the user of an id. Every id has one.
async fn users(id: i64) -> Result<Option<Account>, Failure> {
    Ok(Some(Account(id)))
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` starts benchmarks too. Only `cargo bench` passes `--bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let server = testbed::Redis::shared();
    let strategy = Arc::new(strategy(server.url(), &server.prefix()));
    let bare = Bare::connect(server.url(), &server.prefix()).await;
    compare(
        "read",
        "read_token     ",
        &Reads::fill(&strategy).await,
        &Arc::new(BareGet(bare.clone())),
    )
    .await;
    compare(
        "refresh",
        "refresh_session",
        &Refreshes::fill(&strategy).await,
        &Arc::new(BareSwap::new(bare)),
    )
    .await;
    endings(server).await;
}

/// Returns the strategy on this Redis, with keys below `prefix`.
fn strategy(url: &str, prefix: &str) -> RedisTokenStrategy<Account> {
    let redis = Redis::connect(
        url,
        RedisOptions::default().with_timeout(Duration::from_secs(5)),
    )
    .unwrap();
    let secret = Secret::generate(&SystemEntropy).unwrap();
    RedisTokenStrategy::builder(&redis)
        .token_hash_secret(&secret)
        .key_prefix(prefix)
        .build()
        .unwrap()
}

/// The strategy, with access tokens that are read.
struct Reads {
    strategy: Arc<RedisTokenStrategy<Account>>,
    tokens: Vec<PlainToken>,
}

impl Reads {
    /// Opens the sessions and keeps their access tokens.
    async fn fill(strategy: &Arc<RedisTokenStrategy<Account>>) -> Arc<Self> {
        let mut tokens = Vec::with_capacity(TOKENS);
        for number in 0..TOKENS {
            let pair = strategy
                .as_refreshable()
                .unwrap()
                .open_session(&Account(i64::try_from(number).unwrap()))
                .await;
            tokens.push(pair.unwrap().access.token);
        }
        Arc::new(Self {
            strategy: Arc::clone(strategy),
            tokens,
        })
    }
}

impl Reader for Reads {
    async fn read(&self, n: usize) {
        let answer: TokenStatus<Account> = self
            .strategy
            .read_token(Some(&self.tokens[n]), &users)
            .await
            .unwrap();
        assert!(answer.accepted().is_some());
    }
}

/// The strategy, with sessions that are refreshed again and again, each by one caller at a time.
struct Refreshes {
    strategy: Arc<RedisTokenStrategy<Account>>,
    tokens: Vec<Mutex<PlainToken>>,
}

impl Refreshes {
    /// Opens the sessions and keeps their refresh tokens.
    async fn fill(strategy: &Arc<RedisTokenStrategy<Account>>) -> Arc<Self> {
        let mut tokens = Vec::with_capacity(TOKENS);
        for number in 0..TOKENS {
            let pair = strategy
                .as_refreshable()
                .unwrap()
                .open_session(&Account(i64::try_from(number).unwrap()))
                .await;
            tokens.push(Mutex::new(pair.unwrap().refresh.unwrap().token));
        }
        Arc::new(Self {
            strategy: Arc::clone(strategy),
            tokens,
        })
    }
}

impl Reader for Refreshes {
    async fn read(&self, n: usize) {
        let mut token = self.tokens[n].lock().await;
        let refreshed = self
            .strategy
            .as_refreshable()
            .unwrap()
            .refresh_session(&token, &users)
            .await
            .unwrap();
        *token = refreshed.issued.refresh.unwrap().token;
    }
}

/// The bare client, with one key for each token.
#[derive(Clone)]
struct Bare {
    connection: MultiplexedConnection,
    keys: Arc<[String]>,
}

impl Bare {
    /// Creates the keys. Each holds a user's id, as a hand-written look-up would keep it.
    async fn connect(url: &str, prefix: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let keys: Vec<String> = (0..TOKENS).map(|n| format!("{prefix}{n:064x}")).collect();
        for (n, key) in keys.iter().enumerate() {
            redis::cmd("SET")
                .arg(key)
                .arg(n)
                .arg("EX")
                .arg(3600)
                .exec_async(&mut connection)
                .await
                .unwrap();
        }
        Self {
            connection,
            keys: keys.into(),
        }
    }
}

/// A read by the bare client: one `GET`.
struct BareGet(Bare);

impl Reader for BareGet {
    async fn read(&self, n: usize) {
        let mut connection = self.0.connection.clone();
        let user: Option<i64> = redis::cmd("GET")
            .arg(&self.0.keys[n])
            .query_async(&mut connection)
            .await
            .unwrap();
        assert!(user.is_some());
    }
}

/// A refresh by the bare client: one script that gets a key, deletes it and sets its successor.
struct BareSwap {
    bare: Bare,
    script: redis::Script,
    turns: Vec<Mutex<bool>>,
}

impl BareSwap {
    /// Creates a swap for each key, which goes back and forth between the key and its twin.
    fn new(bare: Bare) -> Self {
        let swap = "local user = redis.call('GET', KEYS[1]) if not user then return 0 end \
                    redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[2], user, 'EX', 3600) return 1";
        let turns = (0..TOKENS).map(|_| Mutex::new(false)).collect();
        Self {
            bare,
            script: redis::Script::new(swap),
            turns,
        }
    }
}

impl Reader for BareSwap {
    async fn read(&self, n: usize) {
        let mut turn = self.turns[n].lock().await;
        let twin = format!("{}t", self.bare.keys[n]);
        let (from, to) = if *turn {
            (&twin, &self.bare.keys[n])
        } else {
            (&self.bare.keys[n], &twin)
        };
        let mut connection = self.bare.connection.clone();
        let swapped: i64 = self
            .script
            .key(from)
            .key(to)
            .invoke_async(&mut connection)
            .await
            .unwrap();
        assert_eq!(swapped, 1);
        *turn = !*turn;
    }
}

/// Measures ending, counting and listing the sessions of a user, with few sessions and with many.
///
/// Prints the time for the caller, and the time that Redis spent in scripts. Redis frees memory
/// later, so the second figure doesn't include that.
async fn endings(server: &testbed::Redis) {
    let redis = Redis::connect(
        server.url(),
        RedisOptions::default().with_timeout(Duration::from_secs(5)),
    )
    .unwrap();
    let ring = DigestKeyRing::new("bench", &Secret::generate(&SystemEntropy).unwrap()).unwrap();
    let store = RedisTokenStore::new(&redis, &ring)
        .with_key_prefix(&server.prefix())
        .unwrap();
    for sessions in [100, 100_000] {
        let mut costs = BTreeMap::<&str, (Vec<f64>, Vec<f64>)>::new();
        for round in 0..3 {
            let user = UserKey::Int(1_000_000 + round);
            let opened = open(&store, &ring, &user, sessions).await;
            let limit = SweepLimit::at(NOW, 1000);
            let page = Page {
                after: None,
                limit: 100,
            };
            let end = |kept| EndUser {
                user: user.clone(),
                fence: Fence::generate(&SystemEntropy).unwrap(),
                kept,
                settled: true,
                now: NOW,
            };
            let mut note = |what, start: Instant| {
                let (waited, worked) = costs.entry(what).or_default();
                waited.push(start.elapsed().as_secs_f64() * 1e6);
                worked.push(script_micros(&server.command(&["INFO", "commandstats"])));
            };
            let begin = || {
                server.command(&["CONFIG", "RESETSTAT"]);
                Instant::now()
            };
            let start = begin();
            assert!(
                store.survey(&user, &limit).await.unwrap().sessions
                    >= u64::try_from(sessions).unwrap()
            );
            note("survey", start);
            let start = begin();
            assert!(store.sessions(&user, &page).await.unwrap().sessions.len() > 50);
            note("a page of 100", start);
            let start = begin();
            store.end_user(&end(Some(opened))).await.unwrap();
            note("end all but one", start);
            let start = begin();
            store
                .clear(&ClearUser {
                    user: user.clone(),
                    unfenced: false,
                    kept: None,
                    rows: 1000,
                })
                .await
                .unwrap();
            note("clear once", start);
            open(&store, &ring, &user, sessions).await;
            let start = begin();
            store.end_user(&end(None)).await.unwrap();
            note("end all", start);
        }
        for (what, (mut waited, mut worked)) in costs {
            let (waited, worked) = (median(&mut waited), median(&mut worked));
            println!(
                "{what:<16} {sessions:>7} sessions   caller {waited:>9.0} us   Redis {worked:>9.0} us"
            );
        }
    }
}

/// Opens this number of sessions, each with an access token, and returns one of them.
async fn open(
    store: &RedisTokenStore,
    ring: &DigestKeyRing,
    user: &UserKey,
    sessions: usize,
) -> SessionId {
    let mut last = SessionId::generate(&SystemEntropy).unwrap();
    for batch in (0..sessions).collect::<Vec<_>>().chunks(100) {
        let opened = batch.iter().map(|_| async {
            let session = SessionId::generate(&SystemEntropy).unwrap();
            let place = store.locator(user, Some(session)).unwrap().to_text();
            let digest = |label| ring.digest(&PlainToken::new(format!("{place}.{label}")));
            let refresh = NewRefresh::new(digest("refresh"), digest("family"), user.clone(), NOW)
                .with_session(session)
                .with_expires_at(NOW.saturating_add(Duration::from_hours(24)))
                .with_client(ClientInfo::new().with_label("a phone"));
            let access = NewAccess::new(digest("access"), user.clone(), NOW)
                .with_session(session)
                .with_expires_at(NOW.saturating_add(Duration::from_hours(1)));
            let opened = store.insert_refresh(&refresh, Some(&access)).await?;
            assert_eq!(opened, Opened::Done);
            Ok::<_, Failure>(session)
        });
        last = futures_util::future::try_join_all(opened)
            .await
            .unwrap()
            .pop()
            .unwrap_or(last);
    }
    last
}

/// Returns the time that Redis spent in scripts, in microseconds.
fn script_micros(stats: &str) -> f64 {
    let scripts = stats
        .lines()
        .filter(|line| line.starts_with("cmdstat_eval"));
    scripts
        .filter_map(|line| {
            line.split("usec=")
                .nth(1)?
                .split(',')
                .next()?
                .parse::<f64>()
                .ok()
        })
        .sum()
}
