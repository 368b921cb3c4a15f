//! What the original wrote is read, and what we write has the form that the original reads: the Redis rows of
//! `vectors.json`.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use countersign::clock::{Clock, SystemClock};
use countersign::denylist::{DenylistStore, RedisDenylist};
use countersign::redis::Redis;
use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{Invalidated, TokenStatus};
use countersign::{PlainToken, Profile, Refusal, UserKey};
use serde_json::Value;
use uuid::Uuid;

use crate::fixture::users::{Account, users};

use crate::redis_strategy::ground::{connect, secret};

struct Original {
    server: testbed::Redis,
    redis: Redis,
    vectors: Value,
}

impl Original {
    /// A server that holds what the original left in its own.
    fn new() -> Self {
        let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/vectors/vectors.json");
        let vectors: Value = serde_json::from_str(&fs::read_to_string(path).unwrap()).unwrap();
        let server = testbed::Redis::dedicated();
        for row in vectors["redis"]["dump"].as_array().unwrap() {
            let key = row["key"].as_str().unwrap();
            match row["value"].as_array() {
                None => drop(server.command(&["SET", key, row["value"].as_str().unwrap()])),
                Some(members) => {
                    for member in members {
                        server.command(&["SADD", key, member.as_str().unwrap()]);
                    }
                }
            }
            // The shortest rows would be gone before they are looked at.
            let ttl = row["ttl"].as_u64().unwrap().max(60);
            server.command(&["EXPIRE", key, &ttl.to_string()]);
        }
        Self {
            redis: connect(server.url()),
            server,
            vectors,
        }
    }

    fn strategy(&self, prefix: Option<&str>, token_bytes: usize) -> RedisTokenStrategy<Account> {
        let builder = RedisTokenStrategy::builder(&self.redis)
            .token_hash_secret(&secret(self.vectors["hash_secret"].as_str().unwrap()))
            .token_bytes(token_bytes)
            .profile(Profile::LitestarAuth);
        let builder = match prefix {
            Some(prefix) => builder.key_prefix(prefix),
            None => builder,
        };
        builder.build().unwrap()
    }

    fn rows(&self) -> impl Iterator<Item = &Value> {
        self.vectors["redis"]["tokens"].as_array().unwrap().iter()
    }
}

#[tokio::test]
async fn tokens_of_the_original_are_read_on_redis() {
    let original = Original::new();
    for row in original.rows() {
        let strategy = original.strategy(row["key_prefix"].as_str(), 32);
        let token = PlainToken::new(row["token"].as_str().unwrap());
        let read = strategy.read_token(Some(&token), &users).await.unwrap();
        let TokenStatus::Accepted(read) = read else {
            panic!("{row}")
        };
        assert_eq!(
            read.user.id.to_string(),
            row["expect"]["id"].as_str().unwrap()
        );
        let now = SystemClock.now();
        assert!(read.issued_at <= now && now < read.expires_at);
    }
    let destroyed = PlainToken::new(
        original.vectors["redis"]["destroyed"]["token"]
            .as_str()
            .unwrap(),
    );
    let read = original
        .strategy(None, 32)
        .read_token(Some(&destroyed), &users)
        .await
        .unwrap();
    assert!(matches!(read, TokenStatus::Refused(Refusal::Unknown)));
}

/// Everything that the original lists of a user ends, and nobody else's.
#[tokio::test]
async fn the_originals_index_is_understood_on_redis() {
    let original = Original::new();
    let strategy = original.strategy(None, 32);
    let alice: Uuid = "1b4e28ba-2fa1-41d2-883f-0016d3cca427".parse().unwrap();
    assert_eq!(
        strategy
            .invalidate_all(&UserKey::Uuid(alice))
            .await
            .unwrap(),
        Invalidated::All(3)
    );
    for row in original.rows() {
        let strategy = original.strategy(row["key_prefix"].as_str(), 32);
        let token = PlainToken::new(row["token"].as_str().unwrap());
        let live = strategy
            .read_token(Some(&token), &users)
            .await
            .unwrap()
            .accepted()
            .is_some();
        assert_eq!(
            live,
            row["user"] == "bob" || row["key_prefix"] == "app1:tok:",
            "{row}"
        );
    }
}

/// The keys, the types, the values and the lives that the original gave to its own, for tokens that we write.
#[tokio::test]
async fn what_we_write_has_the_originals_form_on_redis() {
    let original = Original::new();
    let (server, user) = (&original.server, "6fa459ea-ee8a-4ca4-894e-db77e160355e");
    let digests = original.vectors["hash_secret"].as_str().unwrap();
    let digests = countersign::token::DigestKeyRing::new("default", &secret(digests)).unwrap();
    for row in original.rows() {
        // Its digest and its key are as the original's own.
        let prefix = row["key_prefix"].as_str().unwrap_or("litestar_auth:token:");
        let digest = digests.digest(&PlainToken::new(row["token"].as_str().unwrap()));
        assert_eq!(row["key"], format!("{prefix}{}", digest.as_str()));
    }
    let strategy = original.strategy(None, 32);
    let before = now_of(server);
    let ours = strategy
        .write_token(&Account::<Uuid>::of(user.parse().unwrap()))
        .await
        .unwrap()
        .token;
    let after = now_of(server);
    assert_eq!(ours.expose().len(), 43);
    let key = format!("litestar_auth:token:{}", digests.digest(&ours).as_str());
    let index = format!("litestar_auth:token:user:{user}");
    assert_eq!(server.command(&["TYPE", &key]), "string");
    assert_eq!(server.command(&["GET", &key]), user);
    assert_eq!(server.command(&["TYPE", &index]), "set");
    assert_eq!(server.command(&["SISMEMBER", &index, &key]), "1");
    assert_eq!(
        server.command(&["SCARD", &index]),
        "2",
        "beside the one that the original wrote"
    );
    let lives = 3_600_000;
    assert!((before + lives..=after + lives).contains(&end_of(server, &key)));
}

/// The server's clock, in milliseconds.
fn now_of(server: &testbed::Redis) -> i64 {
    let told = server.command(&["TIME"]);
    let (seconds, micros) = told.split_once('\n').unwrap();
    let [seconds, micros] = [seconds, micros].map(|text| text.trim().parse::<i64>().unwrap());
    seconds * 1000 + micros / 1000
}

/// What is told in place of the end of a key that isn't there.
const GONE: i64 = -2;

/// When a key ends by the server's clock, in milliseconds.
fn end_of(server: &testbed::Redis, key: &str) -> i64 {
    server.command(&["PEXPIRETIME", key]).parse().unwrap()
}

/// Never shorter than promised, where the original rounds down.
#[tokio::test]
async fn lives_are_rounded_up_where_the_original_rounds_down_on_redis() {
    let original = Original::new();
    let digests = countersign::token::DigestKeyRing::new(
        "default",
        &secret(crate::redis_strategy::ground::SECRET),
    )
    .unwrap();
    let tokens = countersign::store::OriginalTokens::new(&original.redis, "rounding:").unwrap();
    for row in original.vectors["redis"]["ttl_rounding"]
        .as_array()
        .unwrap()
    {
        let seconds = row["lifetime_seconds"].as_f64().unwrap();
        if seconds < 0.0 {
            continue;
        }
        let digest = digests.digest(&PlainToken::new(row.to_string()));
        let life = std::time::Duration::from_secs_f64(seconds);
        let before = now_of(&original.server);
        tokens.write(&digest, "7", life).await.unwrap();
        let after = now_of(&original.server);
        let end = end_of(&original.server, &format!("rounding:{}", digest.as_str()));
        let whole = life.as_secs() + u64::from(life.subsec_nanos() > 0);
        let lives = i64::try_from(whole.max(1) * 1000).unwrap();
        if end == GONE {
            // Asked late, on a busy machine.
            assert!(now_of(&original.server) >= before + lives, "{row}");
            continue;
        }
        let ends = before + lives..=after + lives;
        assert!(ends.contains(&end), "{row}: {end} is not in {ends:?}");
    }
}

/// Ids that either denies are denied for both: the original asks whether the key is there.
#[tokio::test]
async fn denylists_pass_both_ways_on_redis() {
    let original = Original::new();
    let now = SystemClock.now();
    for (prefix, id) in [
        (
            RedisDenylist::ORIGINAL_KEY_PREFIX,
            "c3576b2f9495ee27dd3ceeee2e540aaf",
        ),
        (RedisDenylist::ORIGINAL_KEY_PREFIX, "ttl-below-one"),
        ("app1:deny:", "some-jti"),
    ] {
        let denylist = RedisDenylist::new(&original.redis)
            .with_key_prefix(prefix)
            .unwrap();
        assert!(denylist.is_any_denied(&[id], now).await.unwrap(), "{id}");
        assert!(!denylist.is_any_denied(&["another"], now).await.unwrap());
        // Denied again, it is denied no shorter.
        denylist.deny(id, now, now).await.unwrap();
        assert!(denylist.is_any_denied(&[id], now).await.unwrap(), "{id}");
        denylist
            .deny(
                "ours",
                now.saturating_add(std::time::Duration::from_secs(90)),
                now,
            )
            .await
            .unwrap();
        let key = format!("{prefix}ours");
        assert_eq!(original.server.command(&["EXISTS", &key]), "1");
        let left: u64 = original.server.command(&["TTL", &key]).parse().unwrap();
        assert!(left >= 90, "{left}");
    }
}

/// Whoever is told the clock of another machine sees the same user.
#[tokio::test]
async fn a_decoder_reads_the_originals_ids_on_redis() {
    let original = Original::new();
    let row = original.rows().next().unwrap();
    let token = PlainToken::new(row["token"].as_str().unwrap());
    let hash_secret = secret(original.vectors["hash_secret"].as_str().unwrap());
    let builder =
        || RedisTokenStrategy::<Account>::builder(&original.redis).token_hash_secret(&hash_secret);
    let picky = builder()
        .profile(Profile::LitestarAuth)
        .clock(Arc::new(SystemClock))
        .subject_decoder(|_| None);
    let read = picky
        .build()
        .unwrap()
        .read_token(Some(&token), &users)
        .await
        .unwrap();
    assert!(matches!(read, TokenStatus::Refused(Refusal::Subject)));
    let ours = builder()
        .build()
        .unwrap()
        .read_token(Some(&token), &users)
        .await
        .unwrap();
    assert!(
        matches!(ours, TokenStatus::Refused(Refusal::Malformed)),
        "our own profile asks for our own form"
    );
}
