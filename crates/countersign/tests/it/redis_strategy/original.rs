//! The `litestar-auth` profile: the original's layout, without its flaws.

use std::time::Duration;

use countersign::redis::Redis;
use countersign::store::{OriginalTokens, Scan};
use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{DigestKeyRing, EndOutcome, Invalidated};
use countersign::{Profile, Refusal};

use crate::redis_strategy::ground::{ALICE, BOB, Ground, Member, SECRET, connect, read, secret};

impl Ground {
    fn original(&self) -> RedisTokenStrategy<Member> {
        self.builder()
            .profile(Profile::LitestarAuth)
            .build()
            .unwrap()
    }

    fn index(&self, member: &Member) -> String {
        format!("{}user:{}", self.prefix, member.id)
    }

    fn token_key(&self, token: &countersign::PlainToken) -> String {
        let digest = DigestKeyRing::new("default", &secret(SECRET))
            .unwrap()
            .digest(token);
        format!("{}{}", self.prefix, digest.as_str())
    }

    fn seconds_left(&self, key: &str) -> u64 {
        self.server.command(&["TTL", key]).parse().unwrap()
    }
}

/// Conformance case 110.
#[tokio::test]
async fn a_token_is_kept_as_the_original_keeps_it_on_redis() {
    let ground = Ground::new();
    let strategy = ground.original();
    let token = strategy.write_token(&ALICE).await.unwrap().token;
    assert_eq!(token.expose().len(), 43);
    let key = ground.token_key(&token);
    assert_eq!(ground.server.command(&["GET", &key]), "7");
    assert_eq!(
        ground.server.command(&["SMEMBERS", &ground.index(&ALICE)]),
        key
    );
    for key in [&key, &ground.index(&ALICE)] {
        assert!((3590..=3600).contains(&ground.seconds_left(key)));
    }
    assert_eq!(ground.keys().len(), 2);
    assert!(
        strategy.as_refreshable().is_none(),
        "the original has no refresh tokens on Redis"
    );
}

/// Conformance case 116: the original rounds 1.9 s down to 1.
#[tokio::test]
async fn a_life_is_never_rounded_down_on_redis() {
    let ground = Ground::new();
    let strategy = ground
        .builder()
        .profile(Profile::LitestarAuth)
        .lifetime(Duration::from_millis(1900));
    let token = strategy
        .build()
        .unwrap()
        .write_token(&ALICE)
        .await
        .unwrap()
        .token;
    let left: u64 = ground
        .server
        .command(&["PTTL", &ground.token_key(&token)])
        .parse()
        .unwrap();
    assert!((1001..=2000).contains(&left), "{left}");
}

/// The original's index ended with the shortest of its tokens.
#[tokio::test]
async fn a_short_token_does_not_shorten_the_originals_index_on_redis() {
    let ground = Ground::new();
    let long = ground.original().write_token(&ALICE).await.unwrap().token;
    let short = ground
        .builder()
        .profile(Profile::LitestarAuth)
        .lifetime(Duration::from_secs(1))
        .build()
        .unwrap();
    short.write_token(&ALICE).await.unwrap();
    assert!(ground.seconds_left(&ground.index(&ALICE)) > 3000);
    assert_eq!(
        short.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(2)
    );
    assert_eq!(read(&short, &long).await, Err(Refusal::Unknown));
}

/// The original lets anybody destroy anybody's token.
#[tokio::test]
async fn a_token_is_destroyed_by_its_owner_on_redis() {
    let ground = Ground::new();
    let strategy = ground.original();
    let token = strategy.write_token(&ALICE).await.unwrap().token;
    assert_eq!(
        strategy.destroy_token(&token, &BOB).await.unwrap(),
        EndOutcome::AlreadyEnded
    );
    assert_eq!(read(&strategy, &token).await, Ok(ALICE.id));
    assert_eq!(
        strategy.destroy_token(&token, &ALICE).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(read(&strategy, &token).await, Err(Refusal::Unknown));
    assert!(
        ground.keys().is_empty(),
        "nor is anything left in the index"
    );
}

/// More than one batch, an index with strange members, and other people's indexes, on which the original's scan broke.
#[tokio::test]
async fn everything_of_a_user_ends_whatever_the_originals_index_holds_on_redis() {
    let ground = Ground::new();
    let strategy = ground.original();
    let mut tokens = Vec::new();
    for _ in 0..1234 {
        tokens.push(strategy.write_token(&ALICE).await.unwrap().token);
    }
    let his = strategy.write_token(&BOB).await.unwrap().token;
    let (index, dead) = (
        ground.index(&ALICE),
        format!("{}{}", ground.prefix, "0".repeat(64)),
    );
    let strange = format!("{}precious", ground.prefix);
    ground.server.command(&["SET", &strange, "7"]);
    for member in [
        &dead,
        &ground.token_key(&his),
        &ground.index(&BOB),
        &strange,
        "",
        "*",
    ] {
        ground.server.command(&["SADD", &index, member]);
    }
    assert_eq!(
        strategy.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(1234)
    );
    for token in &tokens {
        assert_eq!(read(&strategy, token).await, Err(Refusal::Unknown));
    }
    assert_eq!(read(&strategy, &his).await, Ok(BOB.id));
    assert_eq!(
        ground.server.command(&["GET", &strange]),
        "7",
        "it is no token"
    );
    assert_eq!(ground.server.command(&["EXISTS", &index]), "0");
    assert_eq!(
        strategy.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(0)
    );
}

/// The original lists tokens for ever that have ended long ago. Here they are a small part of what is listed, however many
/// logins there have been, and what is listed of others and of what is no token stays.
#[tokio::test]
async fn ended_tokens_leave_the_originals_index_on_redis() {
    let ground = Ground::new();
    let strategy = ground.original();
    let (index, strange) = (ground.index(&ALICE), format!("{}precious", ground.prefix));
    ground
        .server
        .command(&["SADD", &index, &strange, "elsewhere", ""]);
    let mut live = Vec::new();
    for number in 0..400 {
        let token = strategy.write_token(&ALICE).await.unwrap().token;
        if number % 20 == 0 {
            live.push(token);
        } else {
            ground.server.command(&["DEL", &ground.token_key(&token)]);
        }
    }
    let listed = ground.server.command(&["SMEMBERS", &index]);
    for token in &live {
        assert!(
            listed.lines().any(|line| line == ground.token_key(token)),
            "a live one was taken out"
        );
    }
    assert!(listed.lines().any(|line| line == strange));
    let count = listed.lines().count();
    assert!(
        count < 3 * live.len(),
        "{count} entries for {} live tokens",
        live.len()
    );
    assert_eq!(
        strategy.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(20)
    );
}

/// What the original has left behind goes as well, login by login.
#[tokio::test]
async fn what_the_original_never_took_out_leaves_its_index_on_redis() {
    let ground = Ground::new();
    let strategy = ground.original();
    let index = ground.index(&ALICE);
    let fill =
        "for i = 1, 1000 do redis.call('SADD', KEYS[1], ARGV[1] .. string.format('%064x', i)) end";
    ground
        .server
        .command(&["EVAL", fill, "1", &index, &ground.prefix]);
    for _ in 0..300 {
        strategy.write_token(&ALICE).await.unwrap();
    }
    let count: usize = ground.server.command(&["SCARD", &index]).parse().unwrap();
    assert!(
        (300..600).contains(&count),
        "{count} entries for 300 live tokens"
    );
    assert_eq!(
        strategy.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(300)
    );
}

/// A token that the original wrote and didn't list, since it died between its commands: found by a scan in steps, past
/// keys of every type and however odd the prefix is.
#[tokio::test]
async fn a_scan_finds_what_the_index_has_lost_on_redis() {
    let server = testbed::Redis::dedicated();
    let prefix = "a*b?[c]:";
    let redis: Redis = connect(server.url());
    let tokens = OriginalTokens::new(&redis, prefix).unwrap();
    let digests = DigestKeyRing::new("default", &secret(SECRET)).unwrap();
    let key = |number: usize| {
        let digest = digests.digest(&countersign::PlainToken::new(format!("token {number}")));
        format!("{prefix}{}", digest.as_str())
    };
    for number in 0..50 {
        server.command(&[
            "SET",
            &key(number),
            if number % 5 == 0 { "8" } else { "7" },
            "EX",
            "900",
        ]);
    }
    let other = format!("aXbYc:{}", "1".repeat(64));
    server.command(&["SET", &other, "7"]);
    server.command(&["SADD", &format!("{prefix}user:8"), "x"]);
    server.command(&["LPUSH", &format!("{prefix}{}", "2".repeat(64)), "7"]);
    server.command(&["SET", &format!("{prefix}{}", "z".repeat(64)), "7"]);
    server.command(&[
        "EVAL",
        "for i = 1, 3000 do redis.call('SET', 'foreign:' .. i, '7') end",
        "0",
    ]);

    let (mut removed, mut steps, mut next) = (0, 0, Some(Scan::default()));
    while let Some(from) = next {
        // Where it goes on can be written down and read back.
        let step = tokens
            .scan("7", from.to_string().parse().unwrap(), 100)
            .await
            .unwrap();
        removed += step.removed;
        steps += 1;
        next = step.next;
    }
    assert_eq!(removed, 40);
    assert!(steps > 10, "{steps}");
    assert_eq!(server.command(&["EXISTS", &key(0), &other]), "2");
    assert_eq!(server.command(&["DBSIZE"]), (10 + 4 + 3000).to_string());
}

/// On a cluster the layout works where all keys share a slot, and doesn't build elsewhere.
#[tokio::test]
async fn the_originals_layout_needs_one_slot_of_a_redis_cluster() {
    let redis = connect(&testbed::RedisCluster::shared().url());
    let builder = |prefix: &str| {
        let builder =
            RedisTokenStrategy::<Member>::builder(&redis).token_hash_secret(&secret(SECRET));
        builder
            .profile(Profile::LitestarAuth)
            .key_prefix(prefix)
            .build()
    };
    let refused = builder("litestar_auth:token:").unwrap_err();
    assert!(
        refused.setting() == "key_prefix" && refused.to_string().contains('{'),
        "{refused}"
    );
    let prefix = format!("{{{}}}", testbed::RedisCluster::shared().prefix());
    let strategy = builder(&prefix).unwrap();
    let mut tokens = Vec::new();
    for _ in 0..20 {
        tokens.push(strategy.write_token(&ALICE).await.unwrap().token);
    }
    let index = format!("{prefix}user:7");
    for number in 0..200 {
        testbed::RedisCluster::shared().route(&["SADD", &index, &format!("{prefix}{number:064x}")]);
    }
    // Keys of other slots, which no script may touch here.
    let foreign = [
        "elsewhere".to_owned(),
        format!("litestar_auth:token:{}", "0".repeat(64)),
    ];
    testbed::RedisCluster::shared().route(&["SADD", &index, &foreign[0], &foreign[1]]);
    for _ in 0..80 {
        tokens.push(strategy.write_token(&ALICE).await.unwrap().token);
    }
    let count: usize = testbed::RedisCluster::shared()
        .route(&["SCARD", &index])
        .parse()
        .unwrap();
    assert!(
        (102..200).contains(&count),
        "{count} entries for 100 live tokens"
    );
    assert_eq!(read(&strategy, &tokens[0]).await, Ok(ALICE.id));
    assert_eq!(
        strategy.destroy_token(&tokens[0], &ALICE).await.unwrap(),
        EndOutcome::Ended
    );
    let original = OriginalTokens::new(&redis, &prefix).unwrap();
    assert_eq!(
        original
            .scan("8", Scan::default(), 10_000)
            .await
            .unwrap()
            .removed,
        0
    );
    assert_eq!(
        strategy.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(99)
    );
    for token in &tokens {
        assert_eq!(read(&strategy, token).await, Err(Refusal::Unknown));
    }
}
