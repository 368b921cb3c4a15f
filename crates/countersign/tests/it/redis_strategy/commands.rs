//! How often Redis is asked.

use std::collections::BTreeMap;

use countersign::strategy::{Strategy, TokenControl};
use countersign::{PlainToken, Refusal};

use crate::fixture::users::numbered_users;
use crate::redis_strategy::ground::{ALICE, BOB, Ground, connect, read};

/// Commands that clients sent since the last reset, by name. Those that scripts call count as well; the script itself is
/// one `evalsha`.
fn counted(server: &testbed::Redis) -> BTreeMap<String, u64> {
    let stats = server.command(&["INFO", "commandstats"]);
    let count = |line: &str| {
        let (name, values) = line.trim().strip_prefix("cmdstat_")?.split_once(':')?;
        let calls = values
            .split(',')
            .find_map(|value| value.strip_prefix("calls="))?
            .parse()
            .ok()?;
        Some((name.to_owned(), calls))
    };
    let ours = |(name, _): &(String, u64)| !name.starts_with("config") && name != "info";
    stats.lines().filter_map(count).filter(ours).collect()
}

/// Promise P8: a read is one round trip and writes nothing, whether it hits or misses.
#[tokio::test]
async fn a_read_is_one_command_on_redis() {
    let server = testbed::Redis::dedicated();
    let ground = Ground {
        redis: connect(server.url()),
        ..Ground::new()
    };
    let strategy = ground.strategy();
    let alone = strategy.write_token(&ALICE).await.unwrap().token;
    let pair = strategy
        .as_refreshable()
        .unwrap()
        .open_session(&ALICE)
        .await
        .unwrap();
    let ended = strategy
        .as_refreshable()
        .unwrap()
        .open_session(&BOB)
        .await
        .unwrap();
    strategy.invalidate_all(&BOB.key()).await.unwrap();

    for (token, answer) in [
        (&alone, Ok(ALICE.id)),
        (&pair.access.token, Ok(ALICE.id)),
        (&ended.access.token, Err(Refusal::Unknown)),
    ] {
        server.command(&["CONFIG", "RESETSTAT"]);
        for _ in 0..100 {
            assert_eq!(read(&strategy, token).await, answer);
        }
        assert_eq!(
            counted(&server),
            BTreeMap::from([("hmget".to_owned(), 100)])
        );
    }
    // What can't be a token of ours asks nobody.
    server.command(&["CONFIG", "RESETSTAT"]);
    for text in ["", "csa_junk", &"x".repeat(5000)] {
        read(&strategy, &PlainToken::new(text)).await.unwrap_err();
    }
    assert_eq!(counted(&server), BTreeMap::new());
}

/// A login, a refresh, a logout here and one everywhere write in one atomic step each, so there is nothing between two
/// commands at which a crash could leave half.
#[tokio::test]
async fn every_write_is_one_step_on_redis() {
    let server = testbed::Redis::dedicated();
    let ground = Ground {
        redis: connect(server.url()),
        ..Ground::new()
    };
    let strategy = ground.strategy();
    let refreshable = strategy.as_refreshable().unwrap();
    // Redis learns the scripts.
    let warm = refreshable.open_session(&BOB).await.unwrap();
    refreshable
        .refresh_session(&warm.refresh.unwrap().token, &numbered_users)
        .await
        .unwrap();
    strategy
        .destroy_token(&warm.access.token, &BOB)
        .await
        .unwrap();
    strategy.invalidate_all(&BOB.key()).await.unwrap();

    let steps = async |expected: &[(&str, u64)]| {
        let counted = counted(&server);
        for (name, calls) in expected {
            assert_eq!(counted.get(*name), Some(calls), "{name} in {counted:?}");
        }
        let sent: u64 = ["evalsha", "eval", "hmget"]
            .iter()
            .filter_map(|name| counted.get(*name))
            .sum();
        assert_eq!(
            sent,
            expected.iter().map(|(_, calls)| calls).sum::<u64>(),
            "{counted:?}"
        );
        server.command(&["CONFIG", "RESETSTAT"]);
    };
    server.command(&["CONFIG", "RESETSTAT"]);
    // The fence, then what is recorded behind it.
    let alone = strategy.write_token(&ALICE).await.unwrap().token;
    steps(&[("evalsha", 2)]).await;
    let pair = refreshable.open_session(&ALICE).await.unwrap();
    steps(&[("evalsha", 2)]).await;
    // Found, then exchanged.
    refreshable
        .refresh_session(&pair.refresh.unwrap().token, &numbered_users)
        .await
        .unwrap();
    steps(&[("hmget", 1), ("evalsha", 1)]).await;
    strategy.destroy_token(&alone, &ALICE).await.unwrap();
    steps(&[("evalsha", 1)]).await;
    refreshable
        .end_session(pair.access.session_id.unwrap(), &ALICE.key())
        .await
        .unwrap();
    steps(&[("evalsha", 1)]).await;
    // Counted, ended by one mark, and cleared away: what is behind no fence, and then what has ended.
    strategy.invalidate_all(&ALICE.key()).await.unwrap();
    steps(&[("evalsha", 4)]).await;
}

/// Redis forgets scripts when it is told to, or starts anew; nobody notices.
#[tokio::test]
async fn forgotten_scripts_are_sent_again_to_redis() {
    let server = testbed::Redis::dedicated();
    let ground = Ground {
        redis: connect(server.url()),
        ..Ground::new()
    };
    let strategy = ground.strategy();
    let refreshable = strategy.as_refreshable().unwrap();
    let flush = || server.command(&["SCRIPT", "FLUSH"]);
    let mut refresh = refreshable
        .open_session(&ALICE)
        .await
        .unwrap()
        .refresh
        .unwrap()
        .token;
    for _ in 0..3 {
        flush();
        strategy.write_token(&ALICE).await.unwrap();
        flush();
        refresh = refreshable
            .rotate_refresh_token(&refresh, &numbered_users)
            .await
            .unwrap()
            .issued
            .token;
    }
    flush();
    strategy.invalidate_all(&ALICE.key()).await.unwrap();
}
