//! TLS, Unix sockets, users and passwords.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::SeqCst};

use countersign::clock::Timestamp;
use countersign::denylist::{DenylistStore, RedisDenylist};
use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::{Strategy, TokenControl};
use countersign::{Failure, Profile};
use testbed::{Redis, RedisCluster};

use crate::fixture::users::{Account, users};
use crate::redis_faults::ground::{Ground, LONG, SHORT, connect, digests, story, unavailable};

const PASSWORD: &str = "hunter2-Zq8wLr";

/// A handle is good when a session can be opened through it.
async fn opens(url: &str) -> Result<(), Failure> {
    Ground::new(&connect(url, LONG), "test:")
        .open(&Account::new(1))
        .await
        .map(drop)
}

/// Some strangers wait for the other to begin.
async fn is_refused(what: &str, url: &str) -> Failure {
    unavailable(
        what,
        Ground::new(&connect(url, SHORT), "test:")
            .open(&Account::new(1))
            .await,
    )
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tls_knows_its_authority() {
    let (server, other) = (Redis::with_tls(), Redis::with_tls());
    let with = |file: &std::path::Path| format!("{}?sslrootcert={}", server.url(), file.display());
    let url = with(&server.ca_file());
    opens(&url).await.unwrap();
    opens(&url.replace("127.0.0.1", "localhost")).await.unwrap();
    is_refused("a system that doesn't know the authority", server.url()).await;
    is_refused("another authority", &with(&other.ca_file())).await;
    is_refused(
        "a client without TLS",
        &server.url().replace("rediss://", "redis://"),
    )
    .await;
    let plain = Redis::dedicated();
    let tls = format!(
        "{}?sslrootcert={}",
        plain.url().replace("redis://", "rediss://"),
        server.ca_file().display()
    );
    is_refused("a server without TLS", &tls).await;

    // It comes back by TLS as well.
    let ground = Ground::new(&connect(&url, LONG), "test:");
    server.restart();
    let pair = ground.open(&Account::new(1)).await.unwrap();
    server.kill();
    unavailable(
        "a server that was killed",
        ground.accepts(&pair.access).await,
    );
    server.start();
    ground.open(&Account::new(1)).await.unwrap();
}

/// Nobody who reads it has to guess why TLS fails.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_tls_refusals_name_the_fault_and_the_cure() {
    let told = async |what: &str, url: &str| {
        let failure = is_refused(what, url).await;
        std::error::Error::source(&failure).unwrap().to_string()
    };
    let (server, other) = (Redis::with_tls(), Redis::with_tls());
    let unknown = told("an authority that nobody knows", server.url()).await;
    assert!(
        unknown.contains("an unknown authority") && unknown.contains("sslrootcert"),
        "{unknown}"
    );
    let another = format!("{}?sslrootcert={}", server.url(), other.ca_file().display());
    let another = told("another authority of the same name", &another).await;
    assert!(
        another.contains("authority of that name") && another.contains("sslrootcert"),
        "{another}"
    );
    let folder = tempfile::tempdir().unwrap();
    let openssl = |arguments: &str| {
        let output = std::process::Command::new("openssl")
            .args(arguments.split(' '))
            .current_dir(&folder)
            .output();
        assert!(output.unwrap().status.success(), "openssl {arguments}");
    };
    openssl("req -newkey rsa:2048 -nodes -keyout server.key -out server.csr -subj /CN=127.0.0.1");
    openssl("x509 -req -in server.csr -signkey server.key -out one.pem -days 2");
    let own = "-addext subjectAltName=IP:127.0.0.1 -addext basicConstraints=critical,CA:TRUE";
    openssl(&format!(
        "req -x509 -key server.key -out own.pem -days 2 -subj /CN=own {own}"
    ));
    let other =
        "-addext subjectAltName=DNS:elsewhere.example -addext basicConstraints=critical,CA:FALSE";
    openssl(&format!(
        "req -x509 -key server.key -out other.pem -days 2 -subj /CN=other {other}"
    ));
    let faults = [
        (
            "one.pem",
            "has X.509 version 1, which is not supported: issue one of version 3",
        ),
        (
            "own.pem",
            "a CA certificate (CA:TRUE): issue one that is not",
        ),
        (
            "other.pem",
            "for another host: use a host name from the certificate",
        ),
    ];
    for (file, fault) in faults {
        let [certificate, key] = [file, "server.key"].map(|name| folder.path().join(name));
        let server = Redis::with_certificate(&certificate, &key);
        let refusal = told(
            file,
            &format!("{}?sslrootcert={}", server.url(), certificate.display()),
        )
        .await;
        assert!(refusal.ends_with(fault), "{file}: {refusal}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_unix_socket_goes_away_and_comes_back() {
    let server = Redis::dedicated();
    let ground = Ground::new(&connect(&server.unix_url(), LONG), "test:");
    let account = Account::new(1);
    let pair = ground.open(&account).await.unwrap();
    server.kill();
    ground.is_unavailable(&account, &pair).await;
    server.start();
    ground.goes_on(&account, &pair).await;
}

fn with_user(server: &Redis, user: &str) -> String {
    server
        .url()
        .replace("redis://", &format!("redis://{user}@"))
}

/// The same rights on every node are enough for a cluster, a ping included, which asks for keys of every master.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_cluster_user_and_password() {
    let cluster = RedisCluster::masters_only();
    let (urls, prefix, password) = (cluster.urls(), cluster.prefix(), format!(">{PASSWORD}"));
    let keys = format!("~{prefix}*");
    for node in 0..urls.len() {
        let rights = [
            "app",
            "reset",
            "on",
            &password,
            &keys,
            "+@all",
            "-@dangerous",
            "-@admin",
        ];
        cluster.command(node, &[&["ACL", "SETUSER"], &rights[..]].concat());
    }
    let as_app = urls
        .iter()
        .map(|url| url.replace("redis://", &format!("redis://app:{PASSWORD}@")));
    let redis = connect(&as_app.collect::<Vec<_>>().join(","), LONG);
    redis.ping().await.unwrap();
    let (ground, account) = (Ground::new(&redis, &prefix), Account::new(1));
    let pair = ground.open(&account).await.unwrap();
    ground.goes_on(&account, &pair).await;
}

/// A user who may do what the strategy does, to its keys alone, is enough; one whose rights end gets no answer.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_user_and_password() {
    let server = Redis::dedicated();
    let allow = |rules: &[&str]| {
        let password = format!(">{PASSWORD}");
        server.command(&[&["ACL", "SETUSER", "app", "reset", "on", &password], rules].concat())
    };
    let rights = ["~test:*", "+@all", "-@dangerous", "-@admin"];
    allow(&rights);
    let url = with_user(&server, &format!("app:{PASSWORD}"));
    let redis = connect(&url, LONG);
    let ground = Ground::new(&redis, "test:");
    let account = Account::new(1);
    let pair = ground.open(&account).await.unwrap();
    ground.goes_on(&account, &pair).await;
    let shown = format!(
        "{redis:?} {:?} {:?}",
        ground.strategy(),
        ground.strategy().sessions()
    );
    assert!(!shown.contains("hunter2"), "{shown}");

    let stranger = Ground::new(&redis, "elsewhere:");
    let failure = unavailable("keys of others", stranger.open(&account).await);
    is_discreet(&failure, "NOPERM");
    allow(&["~test:*", "+@all", "-eval", "-evalsha", "-hmget", "-hdel"]);
    ground.is_unavailable(&account, &pair).await;
    is_discreet(
        &unavailable("read_token", ground.accepts(&pair.access).await),
        "NOPERM",
    );
    // Its connections end with it, and its password opens none any more.
    server.command(&["ACL", "DELUSER", "app"]);
    ground.is_unavailable(&account, &pair).await;
    is_discreet(
        &unavailable("read_token", ground.accepts(&pair.access).await),
        "connecting to Redis",
    );
    allow(&rights);
    ground.goes_on(&account, &pair).await;
}

/// A user of the server that may do anything but one command.
struct Limited {
    server: Redis,
    redis: countersign::redis::Redis,
}

impl Limited {
    fn new() -> Self {
        let server = Redis::dedicated();
        let redis = connect(&with_user(&server, &format!("app:{PASSWORD}")), LONG);
        let limited = Self { server, redis };
        limited.may("+@all");
        limited
    }

    fn may(&self, rule: &str) {
        let password = format!(">{PASSWORD}");
        self.server.command(&[
            "ACL", "SETUSER", "app", "reset", "on", &password, "~*", "+@all", rule,
        ]);
    }
}

/// What a script's commands may not do fails as well, whatever the server calls it: it is no answer, and removes nothing.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_user_without_a_command_of_the_scripts() {
    let limited = Limited::new();
    let ground = Ground::new(&limited.redis, "test:");
    let account = Account::new(1);
    for command in ["-hget", "-hset"] {
        let pair = ground.open(&account).await.unwrap();
        limited.may(command);
        ground.writes_are_unavailable(&account, &pair).await;
        is_discreet(
            &unavailable(command, ground.open(&account).await),
            "running a command on Redis",
        );
        assert!(
            ground.accepts(&pair.access).await.unwrap(),
            "{command}: a live token is gone"
        );
        limited.may("+@all");
        assert!(
            ground.accepts(&pair.access).await.unwrap(),
            "{command}: a live token is gone"
        );
        ground
            .goes_on(&account, &ground.open(&account).await.unwrap())
            .await;
    }
    let pair = ground.open(&account).await.unwrap();
    // The mark ends everything, also where nothing may be dropped at once.
    limited.may("-unlink");
    ground
        .strategy()
        .invalidate_all(&account.key())
        .await
        .unwrap();
    limited.may("+@all");
    assert!(
        !ground.accepts(&pair.access).await.unwrap(),
        "a token outlives its user's removal"
    );
    ground
        .goes_on(&account, &ground.open(&account).await.unwrap())
        .await;
}

/// The same for the original's layout, whose reads are scripts too.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_user_without_a_command_of_the_scripts_of_the_original() {
    let limited = Limited::new();
    let strategy = RedisTokenStrategy::<Account>::builder(&limited.redis)
        .digest_keys(digests())
        .profile(Profile::LitestarAuth)
        .build()
        .unwrap();
    let account = Account::new(1);
    let token = strategy.write_token(&account).await.unwrap().token;
    limited.may("-get");
    unavailable(
        "read_token",
        strategy.read_token(Some(&token), &users).await,
    );
    unavailable(
        "destroy_token",
        strategy.destroy_token(&token, &account).await,
    );
    unavailable(
        "invalidate_all",
        strategy.invalidate_all(&account.key()).await,
    );
    limited.may("-set");
    unavailable("write_token", strategy.write_token(&account).await);
    // What is done besides fails no login.
    limited.may("-srandmember");
    strategy.write_token(&account).await.unwrap();
    assert!(
        strategy
            .read_token(Some(&token), &users)
            .await
            .unwrap()
            .accepted()
            .is_some()
    );
    limited.may("+@all");
    strategy.destroy_token(&token, &account).await.unwrap();
    assert!(
        strategy
            .read_token(Some(&token), &users)
            .await
            .unwrap()
            .accepted()
            .is_none()
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn redis_without_password_or_with_a_wrong_one() {
    let server = Redis::dedicated();
    server.command(&[
        "ACL",
        "SETUSER",
        "admin",
        "on",
        &format!(">{PASSWORD}"),
        "~*",
        "&*",
        "+@all",
    ]);
    let ground = Ground::new(&connect(server.url(), LONG), "test:");
    let account = Account::new(1);
    let pair = ground.open(&account).await.unwrap();
    let as_admin = |arguments: &[&str]| {
        server.command(&[&["--user", "admin", "--pass", PASSWORD], arguments].concat());
    };
    as_admin(&[
        "ACL",
        "SETUSER",
        "default",
        "resetpass",
        &format!(">{PASSWORD}"),
    ]);
    as_admin(&["CLIENT", "KILL", "TYPE", "normal"]);
    ground.is_unavailable(&account, &pair).await;
    is_discreet(
        &unavailable("read_token", ground.accepts(&pair.access).await),
        "NOAUTH",
    );
    // A long command of a stranger is refused before it is read, in other words.
    is_discreet(
        &unavailable("open_session", ground.open(&account).await),
        "running a command on Redis",
    );
    let wrong = with_user(&server, ":hunter2-wrong");
    is_discreet(
        &unavailable("a wrong password", opens(&wrong).await),
        "connecting to Redis",
    );
    opens(&with_user(&server, &format!(":{PASSWORD}")))
        .await
        .unwrap();
    as_admin(&["ACL", "SETUSER", "default", "nopass"]);
    ground.goes_on(&account, &pair).await;
}

fn is_discreet(failure: &Failure, says: &str) {
    let story = story(failure);
    assert!(story.contains(says), "{story}");
    assert!(!story.contains("hunter2"), "{story}");
}

/// A connection that closes while many threads hand their requests to it leaves nobody waiting.
///
/// There are far more threads than processors, so that threads are interrupted in the midst of that.
#[tokio::test(flavor = "multi_thread", worker_threads = 32)]
async fn redis_closed_connections_leave_nobody_waiting() {
    const CALLERS: usize = 64;
    const CLOSED: usize = 300;
    let server = Redis::dedicated();
    let denylist = RedisDenylist::new(&connect(server.url(), LONG));
    let over = Arc::new(AtomicBool::new(false));
    let mut callers = tokio::task::JoinSet::new();
    for caller in 0..CALLERS {
        let (denylist, over) = (denylist.clone(), Arc::clone(&over));
        callers.spawn(async move {
            let mut waited = Vec::new();
            while !over.load(SeqCst) {
                let id = format!("{caller}");
                let asked = denylist
                    .is_any_denied(&[&id], Timestamp::from_unix_seconds(1))
                    .await;
                // Two connections may close while one operation lasts: that failure names the loss.
                waited.extend(
                    asked
                        .err()
                        .map(|failure| story(&failure))
                        .filter(|told| told.contains("no answer")),
                );
            }
            waited
        });
    }
    for _ in 0..CLOSED {
        server.command(&["CLIENT", "KILL", "TYPE", "normal"]);
    }
    over.store(true, SeqCst);

    // Who is alone on a connection learns from the next caller that it broke, so there is one until all are back.
    let back = callers.join_all();
    tokio::pin!(back);
    let waited = loop {
        tokio::select! {
            waited = &mut back => break waited.concat(),
            _ = denylist.is_any_denied(&["another"], Timestamp::from_unix_seconds(1)) => {}
        }
    };
    assert_eq!(waited, Vec::<String>::new());
}
