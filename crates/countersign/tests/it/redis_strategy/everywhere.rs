//! Ending everything that a user has, however much it is and whatever is being issued meanwhile (promise P4).

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::Invalidated;
use countersign::{PlainToken, Refusal};
use tokio::task::JoinSet;

use crate::redis_strategy::ground::{ALICE, BOB, Ground, Member, connect, read};

const TOKENS: usize = 100_000;
const CALLERS: usize = 100;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_hundred_thousand_tokens_end_in_one_step_on_redis() {
    let server = testbed::Redis::dedicated();
    server.command(&["CONFIG", "SET", "appendfsync", "no"]);
    let ground = Ground {
        redis: connect(server.url()),
        ..Ground::new()
    };
    let strategy = Arc::new(ground.strategy());
    let bystander = strategy.write_token(&BOB).await.unwrap().token;
    let tokens = written(&strategy, TOKENS / CALLERS).await;
    assert_eq!(tokens.len(), TOKENS);
    assert_eq!(read(&strategy, &tokens[TOKENS / 2]).await, Ok(ALICE.id));

    server.command(&["CONFIG", "RESETSTAT"]);
    assert!(matches!(
        strategy.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(_)
    ));
    let stats = server.command(&["INFO", "commandstats"]);
    let calls = |name: &str| {
        stats
            .lines()
            .find(|line| line.starts_with(&format!("cmdstat_{name}:")))
            .map(str::to_owned)
    };
    assert!(
        calls("unlink").is_some_and(|line| line.contains(":calls=1,")),
        "{stats}"
    );
    assert!(calls("del").is_none() && calls("hdel").is_none(), "{stats}");
    assert_eq!(answering(&strategy, tokens).await, 0);
    assert_eq!(read(&strategy, &bystander).await, Ok(BOB.id));
    let again = strategy.write_token(&ALICE).await.unwrap().token;
    assert_eq!(
        read(&strategy, &again).await,
        Ok(ALICE.id),
        "a login afterwards works at once"
    );
}

/// So many tokens of Alice's from each of many callers.
async fn written(strategy: &Arc<RedisTokenStrategy<Member>>, each: usize) -> Vec<PlainToken> {
    let mut writers = JoinSet::new();
    for _ in 0..CALLERS {
        let strategy = Arc::clone(strategy);
        writers.spawn(async move {
            let mut tokens = Vec::new();
            for _ in 0..each {
                tokens.push(strategy.write_token(&ALICE).await.unwrap().token);
            }
            tokens
        });
    }
    writers.join_all().await.concat()
}

async fn answering(strategy: &Arc<RedisTokenStrategy<Member>>, tokens: Vec<PlainToken>) -> usize {
    let mut readers = JoinSet::new();
    for piece in tokens.chunks(TOKENS / CALLERS) {
        let (strategy, piece) = (Arc::clone(strategy), piece.to_vec());
        readers.spawn(async move {
            let mut live = 0;
            for token in &piece {
                live += usize::from(read(&strategy, token).await != Err(Refusal::Unknown));
            }
            live
        });
    }
    readers.join_all().await.into_iter().sum()
}

/// One write or one ending: when it was called and when it returned, by a counter that all calls share.
struct Call {
    called: u64,
    returned: u64,
    token: Option<PlainToken>,
}

/// All calls travel on one connection and come back in order: every token whose write had returned by the time the ending
/// was called is dead. One thread, so that the order of returns is the order in which they are noticed.
#[tokio::test]
async fn nothing_written_before_the_end_survives_it_on_redis() {
    let ground = Ground::new();
    let strategy = Arc::new(ground.strategy());
    let mut survivors = 0;
    for round in 0..10 {
        let calls = race(&[Arc::clone(&strategy)], 100, 40 + round * 5).await;
        let end = calls
            .iter()
            .find(|call| call.token.is_none())
            .unwrap()
            .called;
        for call in &calls {
            let Some(token) = &call.token else { continue };
            let live = read(&strategy, token).await.is_ok();
            assert!(
                !live || call.returned > end,
                "a token written before the end is alive"
            );
            survivors += usize::from(live);
        }
    }
    assert!(
        survivors > 0,
        "no write came after the end: that was no race"
    );
}

/// From several processes there is one moment at which the ending takes place: no token is alive whose write returned
/// before the ending was called, or before a write was called whose token is dead.
#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn the_end_is_one_moment_for_several_redis_connections() {
    let ground = Ground::new();
    let strategies: Vec<_> = (0..4)
        .map(|_| {
            Arc::new(Ground {
                redis: connect(ground.server.url()),
                ..Ground::new()
            })
        })
        .map(|other| Arc::new(other.builder().key_prefix(&ground.prefix).build().unwrap()))
        .collect();
    for round in 0..10 {
        let calls = race(&strategies, 100, 30 + round * 5).await;
        let end = calls.iter().find(|call| call.token.is_none()).unwrap();
        let mut last_dead = end.called;
        let mut live = Vec::new();
        for call in &calls {
            let Some(token) = &call.token else { continue };
            if read(&strategies[0], token).await.is_ok() {
                live.push(call.returned);
            } else {
                last_dead = last_dead.max(call.called);
                assert!(
                    call.called < end.returned,
                    "a token written after the end is dead"
                );
            }
        }
        assert!(
            live.iter().all(|returned| *returned > last_dead),
            "a token outlived a later one"
        );
    }
}

/// So many writes at once, with the ending called in their midst.
async fn race(
    strategies: &[Arc<RedisTokenStrategy<Member>>],
    writes: usize,
    at: usize,
) -> Vec<Call> {
    let counter = Arc::new(AtomicU64::new(0));
    let mut calls = JoinSet::new();
    for number in 0..=writes {
        let strategy = Arc::clone(&strategies[number % strategies.len()]);
        let counter = Arc::clone(&counter);
        calls.spawn(async move {
            // The ending takes several steps: some come late enough to find it over.
            for _ in 0..3 * number.saturating_sub(at) / (writes - at).max(1) {
                strategy.write_token(&BOB).await.unwrap();
            }
            let called = counter.fetch_add(1, Ordering::SeqCst);
            let token = if number == at {
                strategy.invalidate_all(&ALICE.key()).await.unwrap();
                None
            } else {
                Some(strategy.write_token(&ALICE).await.unwrap().token)
            };
            Call {
                called,
                returned: counter.fetch_add(1, Ordering::SeqCst),
                token,
            }
        });
    }
    calls.join_all().await
}
