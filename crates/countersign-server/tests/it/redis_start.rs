//! What a start asks of Redis, what it says about it, and when it stops.

use std::io::{BufRead, BufReader};
use std::process::{Output, Stdio};

use reqwest::{Method, StatusCode};
use testbed::{Redis, RedisCluster, free_port};

use crate::flows::logout;
use crate::harness::{Place, Reply, Tokens, env, on_redis};

const STRATEGIES: [&str; 2] = ["redis", "jwt"];

#[test]
fn a_redis_that_is_down_stops_the_start_and_is_named() {
    let (one, other) = (free_port(), free_port());
    let single = format!("redis://ada:hunter2@127.0.0.1:{one}/0");
    let cluster =
        format!("redis://ada:hunter2@127.0.0.1:{one},redis://ada:hunter2@127.0.0.1:{other}");
    for strategy in STRATEGIES {
        for url in [
            single.as_str(),
            &cluster,
            "unix:///nowhere/socket?pass=hunter2",
        ] {
            let place = Place::new(on_redis(url))
                .with("STRATEGY", strategy)
                .with("WAIT_FOR_STORES", "0s");
            let said = refused(&place, 1);
            assert!(
                said.contains("COUNTERSIGN_REDIS_URL: Redis at ") && !said.contains("hunter2"),
                "{said}"
            );
            let shown = url.replace("ada:hunter2@", "").replace("?pass=hunter2", "");
            assert!(
                said.contains(&format!("Redis at {shown} can't be reached")),
                "{said}"
            );
        }
    }
    let by_flag = Place::new(on_redis(&single)).with("WAIT_FOR_STORES", "0s");
    let output = by_flag.run(&[
        "--listen",
        "127.0.0.1:0",
        "--strategy",
        "redis",
        "--redis-url",
        &single,
    ]);
    assert!(
        said(&output).contains("--redis-url: Redis at"),
        "{}",
        said(&output)
    );
}

#[test]
fn a_redis_that_lets_us_in_with_a_password_alone_says_so() {
    let redis = Redis::dedicated();
    redis.command(&[
        "ACL", "SETUSER", "app", "on", ">hunter2", "~*", "&*", "+@all",
    ]);
    redis.command(&["ACL", "SETUSER", "default", "off"]);
    for (url, code) in [
        (redis.url().to_owned(), "NOAUTH"),
        (redis.url().replace("//", "//app:hunter3@"), ""),
    ] {
        let said = refused(&Place::new(on_redis(&url)).with("STRATEGY", "redis"), 1);
        assert!(
            said.contains("COUNTERSIGN_REDIS_URL") && said.contains(code),
            "{said}"
        );
        assert!(!said.contains("hunter3"), "{said}");
    }
    let url = redis.url().replace("//", "//app:hunter2@");
    let server = Place::new(on_redis(&url)).with("STRATEGY", "redis").start();
    assert_eq!(server.ready["redis"], redis.url());
}

#[test]
fn a_denylist_that_may_be_evicted_stops_the_start_unless_told_otherwise() {
    let redis = Redis::with_settings(&["maxmemory-policy=allkeys-lru"]);
    let signed = Place::new(on_redis(redis.url())).with("STRATEGY", "jwt");
    let opaque = Place::new(on_redis(redis.url())).with("STRATEGY", "redis");
    for place in [
        signed.clone(),
        signed.clone().with("REDIS_EVICTION", "refuse"),
    ] {
        let said = refused(&place, 2);
        for wanted in [
            "COUNTERSIGN_REDIS_EVICTION",
            "CONFIG SET maxmemory-policy noeviction",
            "allkeys-lru",
            redis.url(),
        ] {
            assert!(said.contains(wanted), "{wanted} is not in: {said}");
        }
    }
    for place in [signed.clone().with("REDIS_EVICTION", "warn"), opaque] {
        let log = log_of(&place);
        assert_eq!(events(&log, "redis_may_evict"), 1, "{log}");
        assert!(log.contains("allkeys-lru"), "{log}");
    }
    redis.command(&["CONFIG", "SET", "maxmemory-policy", "noeviction"]);
    let log = log_of(&signed);
    assert_eq!(events(&log, "redis_may_evict"), 0, "{log}");
}

/// On a cluster every master counts.
#[test]
fn one_evicting_master_of_a_redis_cluster_is_enough() {
    let cluster = RedisCluster::dedicated();
    let last = *cluster.masters().last().unwrap();
    let place = Place::new(on_redis(&cluster.url())).with("STRATEGY", "jwt");
    let log = log_of(&place);
    assert_eq!(
        (events(&log, "redis_node"), events(&log, "redis_may_forget")),
        (3, 0),
        "{log}"
    );
    cluster.command(last, &["CONFIG", "SET", "maxmemory-policy", "volatile-ttl"]);
    let said = refused(&place.sibling(), 2);
    let address = cluster.urls()[last].replace("redis://", "");
    assert!(
        said.contains("volatile-ttl") && said.contains(&address),
        "{said}"
    );
}

#[test]
fn what_redis_may_forget_is_told() {
    let durable = Redis::dedicated();
    let limited = durable.url().replace("//", "//app:hunter2@");
    durable.command(&[
        "ACL", "SETUSER", "app", "on", ">hunter2", "~*", "&*", "+@all", "-config",
    ]);
    let cases = [
        (durable.url(), "everything", 0),
        (limited.as_str(), "unknown", 1),
        (Redis::shared().url(), "nothing", 1),
    ];
    for strategy in STRATEGIES {
        for (url, persistence, warnings) in cases {
            let log = log_of(&Place::new(on_redis(url)).with("STRATEGY", strategy));
            assert_eq!(
                (events(&log, "redis_node"), events(&log, "redis_may_forget")),
                (1, warnings),
                "{log}"
            );
            assert!(
                log.contains(&format!("persistence=\"{persistence}\"")),
                "{log}"
            );
            assert!(!log.contains("hunter2"), "{log}");
        }
    }
}

#[test]
fn the_risk_that_redis_brings_is_told_for_the_strategy() {
    for (strategy, risk) in [
        ("jwt", "a revoked token may become valid again"),
        ("redis", "logouts undone"),
    ] {
        let log = log_of(&Place::new(on_redis(Redis::shared().url())).with("STRATEGY", strategy));
        assert!(log.contains(risk), "{log}");
    }
}

/// Many clusters have one name for all of their nodes.
#[tokio::test(flavor = "multi_thread")]
async fn one_node_of_a_redis_cluster_leads_to_the_others() {
    let url = RedisCluster::shared().urls().remove(0);
    for strategy in STRATEGIES {
        let place = Place::new(on_redis(&url)).with("STRATEGY", strategy);
        let server = place.start();
        for number in 0..12 {
            let tokens = server.newcomer(&format!("ada{number}@example.org")).await;
            let next = Tokens::of(&server.refresh(&tokens.refresh).await);
            logout(&server, &next.access)
                .await
                .expect(StatusCode::NO_CONTENT);
            server
                .me(&next.access)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        let log = server.stop().1;
        assert_eq!(events(&log, "redis_node"), 3, "{log}");
    }
    let original = Place::new(on_redis(&url))
        .with("STRATEGY", "redis")
        .with("PROFILE", "litestar-auth");
    let said = refused(&original, 2);
    assert!(
        said.contains("profile litestar-auth does not support"),
        "{said}"
    );
}

/// Nothing but the start asks what a server is like, so a user without the right to ask may serve.
#[tokio::test(flavor = "multi_thread")]
async fn a_redis_user_with_the_rights_of_the_docs_is_enough() {
    let redis = Redis::dedicated();
    let documents = include_str!("../../../../docs/STORAGE.md");
    let rule = documents
        .lines()
        .find_map(|line| line.strip_prefix("ACL SETUSER countersign "))
        .unwrap();
    let rule = rule.replace(">PASSWORD", ">hunter2");
    let words: Vec<&str> = ["ACL", "SETUSER", "countersign"]
        .into_iter()
        .chain(rule.split(' '))
        .collect();
    redis.command(&words);
    let url = redis.url().replace("//", "//countersign:hunter2@");
    for strategy in STRATEGIES {
        let server = Place::new(on_redis(&url))
            .with("STRATEGY", strategy)
            .with("REDIS_EVICTION", "warn")
            .start();
        let tokens = server.newcomer("ada@example.org").await;
        let next = Tokens::of(&server.refresh(&tokens.refresh).await);
        server.get("/readyz", "").await.expect(StatusCode::OK);
        server
            .get("/auth/sessions", &next.access)
            .await
            .expect(StatusCode::OK);
        let everywhere = server
            .request(Method::POST, "/auth/logout/all")
            .bearer_auth(&next.access);
        Reply::of(everywhere).await.expect(StatusCode::NO_CONTENT);
        server
            .me(&next.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        let log = server.stop().1;
        assert!(log.contains("policy=\"unknown\""), "{log}");
    }
}

#[test]
fn several_redis_servers_are_no_cluster() {
    let url = Redis::shared().url();
    let said = refused(
        &Place::new(on_redis(&format!("{url},{url}"))).with("STRATEGY", "redis"),
        2,
    );
    assert!(
        said.contains("COUNTERSIGN_REDIS_URL") && said.contains("is not a cluster node"),
        "{said}"
    );
}

#[test]
fn a_list_of_redis_nodes_in_the_file_is_a_cluster() {
    let urls: Vec<String> = RedisCluster::shared()
        .urls()
        .iter()
        .map(|url| format!("{url:?}"))
        .collect();
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        format!("strategy = \"redis\"\nredis_url = [{}]\n", urls.join(", ")),
    )
    .unwrap();
    let mut place = Place::new(on_redis("")).with("CONFIG", file.path().to_str().unwrap());
    place
        .settings
        .retain(|(name, _)| name != &env("REDIS_URL", "").0);
    assert_eq!(place.start().ready["redis"], RedisCluster::shared().url());
}

/// What a start that must fail says.
#[track_caller]
fn refused(place: &Place, code: i32) -> String {
    let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
    let mut process = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut greeting = String::new();
    BufReader::new(process.stdout.take().unwrap())
        .read_line(&mut greeting)
        .unwrap();
    if !greeting.is_empty() {
        process.kill().unwrap();
    }
    let output = process.wait_with_output().unwrap();
    let said = said(&output);
    assert!(greeting.is_empty(), "the server started: {greeting}{said}");
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(
        !place.data_dir().exists(),
        "a start that can't have Redis makes nothing"
    );
    said
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// What a start that must succeed logs.
fn log_of(place: &Place) -> String {
    place.start().stop().1
}

fn events(log: &str, name: &str) -> usize {
    log.lines()
        .filter(|line| line.contains(&format!("event=\"{name}\"")))
        .count()
}
