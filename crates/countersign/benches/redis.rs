//! What reads, refreshes and endings cost on Redis, against the bare client doing the least that such a thing takes.
//!
//! `cargo bench -p countersign --features redis --bench redis` prints operations a second with 1 and with 64 callers,
//! medians of alternating rounds. Server and callers share the machine, so compare ratios.

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

use std::sync::Arc;
use std::time::{Duration, Instant};

use countersign::redis::{Redis, RedisOptions};
use countersign::strategy::RedisTokenStrategy;
use countersign::{Answer, Failure, PlainToken, Rotation, Secret, Strategy, SystemEntropy, User};
use redis::aio::MultiplexedConnection;
use tokio::sync::Mutex;

use crowd::{Reader, TOKENS, compare, median};

struct Account(i64);

impl User for Account {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.0
    }
}

async fn users(id: i64) -> Result<Option<Account>, Failure> {
    Ok(Some(Account(id)))
}

#[tokio::main]
async fn main() {
    // `cargo test --benches` builds and starts benches too; measuring is asked for by `cargo bench`.
    if !std::env::args().any(|argument| argument == "--bench") {
        return;
    }
    let server = testbed::Redis::shared();
    let strategy = Arc::new(strategy(server.url(), &server.prefix()));
    let bare = Bare::connect(server.url(), &server.prefix()).await;
    compare("read", "read_token     ", &Reads::fill(&strategy).await, &Arc::new(BareGet(bare.clone()))).await;
    compare("refresh", "refresh_session", &Refreshes::fill(&strategy).await, &Arc::new(BareSwap::new(bare))).await;
    endings(server, &strategy).await;
}

fn strategy(url: &str, prefix: &str) -> RedisTokenStrategy<Account> {
    let redis = Redis::connect(url, RedisOptions { timeout: Duration::from_secs(5) }).unwrap();
    let secret = Secret::generate(&SystemEntropy).unwrap();
    RedisTokenStrategy::builder(&redis).token_hash_secret(&secret).key_prefix(prefix).build().unwrap()
}

struct Reads {
    strategy: Arc<RedisTokenStrategy<Account>>,
    tokens: Vec<PlainToken>,
}

impl Reads {
    async fn fill(strategy: &Arc<RedisTokenStrategy<Account>>) -> Arc<Self> {
        let mut tokens = Vec::with_capacity(TOKENS);
        for number in 0..TOKENS {
            let pair = strategy.as_refreshable().unwrap().open_session(&Account(i64::try_from(number).unwrap())).await;
            tokens.push(pair.unwrap().access.token);
        }
        Arc::new(Self { strategy: Arc::clone(strategy), tokens })
    }
}

impl Reader for Reads {
    async fn read(&self, n: usize) {
        let answer: Answer<Account> = self.strategy.read_token(Some(&self.tokens[n]), &users).await.unwrap();
        assert!(answer.accepted().is_some());
    }
}

/// Sessions that are refreshed over and over, each by one caller at a time.
struct Refreshes {
    strategy: Arc<RedisTokenStrategy<Account>>,
    tokens: Vec<Mutex<PlainToken>>,
}

impl Refreshes {
    async fn fill(strategy: &Arc<RedisTokenStrategy<Account>>) -> Arc<Self> {
        let mut tokens = Vec::with_capacity(TOKENS);
        for number in 0..TOKENS {
            let pair = strategy.as_refreshable().unwrap().open_session(&Account(i64::try_from(number).unwrap())).await;
            tokens.push(Mutex::new(pair.unwrap().refresh.unwrap().token));
        }
        Arc::new(Self { strategy: Arc::clone(strategy), tokens })
    }
}

impl Reader for Refreshes {
    async fn read(&self, n: usize) {
        let mut token = self.tokens[n].lock().await;
        let rotated = self.strategy.as_refreshable().unwrap().refresh_session(&token, &users).await.unwrap();
        let Rotation::Rotated { issued, .. } = rotated else { panic!("nobody else has it") };
        *token = issued.refresh.unwrap().token;
    }
}

#[derive(Clone)]
struct Bare {
    connection: MultiplexedConnection,
    keys: Arc<[String]>,
}

impl Bare {
    /// A key for each token, which holds what a hand-written look-up would keep: a user's id.
    async fn connect(url: &str, prefix: &str) -> Self {
        let client = redis::Client::open(url).unwrap();
        let mut connection = client.get_multiplexed_async_connection().await.unwrap();
        let keys: Vec<String> = (0..TOKENS).map(|n| format!("{prefix}{n:064x}")).collect();
        for (n, key) in keys.iter().enumerate() {
            redis::cmd("SET").arg(key).arg(n).arg("EX").arg(3600).exec_async(&mut connection).await.unwrap();
        }
        Self { connection, keys: keys.into() }
    }
}

struct BareGet(Bare);

impl Reader for BareGet {
    async fn read(&self, n: usize) {
        let mut connection = self.0.connection.clone();
        let user: Option<i64> = redis::cmd("GET").arg(&self.0.keys[n]).query_async(&mut connection).await.unwrap();
        assert!(user.is_some());
    }
}

/// One script that gets a key, deletes it and sets its successor.
struct BareSwap {
    bare: Bare,
    script: redis::Script,
    turns: Vec<Mutex<bool>>,
}

impl BareSwap {
    fn new(bare: Bare) -> Self {
        let swap = "local user = redis.call('GET', KEYS[1]) if not user then return 0 end \
                    redis.call('DEL', KEYS[1]) redis.call('SET', KEYS[2], user, 'EX', 3600) return 1";
        let turns = (0..TOKENS).map(|_| Mutex::new(false)).collect();
        Self { bare, script: redis::Script::new(swap), turns }
    }
}

impl Reader for BareSwap {
    async fn read(&self, n: usize) {
        let mut turn = self.turns[n].lock().await;
        let twin = format!("{}t", self.bare.keys[n]);
        let (from, to) = if *turn { (&twin, &self.bare.keys[n]) } else { (&self.bare.keys[n], &twin) };
        let mut connection = self.bare.connection.clone();
        let swapped: i64 = self.script.key(from).key(to).invoke_async(&mut connection).await.unwrap();
        assert_eq!(swapped, 1);
        *turn = !*turn;
    }
}

/// How long it takes to end everything of a user, by how much that is: for the caller, and for Redis itself, which frees
/// the memory later, beside whatever else this machine does.
async fn endings(server: &testbed::Redis, strategy: &Arc<RedisTokenStrategy<Account>>) {
    for tokens in [10, 1000, 100_000] {
        let (mut waited, mut worked) = (Vec::new(), Vec::new());
        for round in 0..5 {
            let user = Account(1_000_000 + round);
            for batch in (0..tokens).collect::<Vec<_>>().chunks(100) {
                let writes = batch.iter().map(|_| strategy.write_token(&user));
                futures_util::future::try_join_all(writes).await.unwrap();
            }
            server.command(&["CONFIG", "RESETSTAT"]);
            let start = Instant::now();
            strategy.invalidate_all(&user.0).await.unwrap();
            waited.push(start.elapsed().as_secs_f64() * 1e6);
            worked.push(script_micros(&server.command(&["INFO", "commandstats"])));
        }
        let (waited, worked) = (median(&mut waited), median(&mut worked));
        println!("end everything of a user, {tokens:>7} tokens   caller {waited:>5.0} us   Redis {worked:>4.0} us");
    }
}

fn script_micros(stats: &str) -> f64 {
    let line = stats.lines().find(|line| line.starts_with("cmdstat_eval"));
    line.and_then(|line| line.split("usec=").nth(1)?.split(',').next()?.parse().ok()).unwrap_or(f64::NAN)
}
