//! Refresh tokens that are presented more than once (promises P1 to P4; docs/SESSIONS.md).

use std::num::NonZeroU32;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use countersign::clock::Clock;
use countersign::strategy::{Login, ReuseCause};
use countersign::strategy::{RefreshableStrategy, SessionControl, TokenControl};
use countersign::token::EndOutcome;
use countersign::{ClientInfo, PlainToken, Profile, Refusal};
use countersign::{ReusePolicy, SessionLimit, TokenPair, WhenFull};

use crate::database_strategy::ground::{
    ACCESS, GRACE, Ground, PROFILES, TICK, Tokens, refresh_of, refusal,
};
use crate::fixture::log;
use crate::fixture::users::users;

/// The events of reuse that `act` causes.
async fn reported<T>(act: impl Future<Output = T>) -> (T, Vec<String>) {
    log::listen();
    let before = log::of_this_thread().len();
    let outcome = act.await;
    let lines = log::of_this_thread().split_off(before);
    (
        outcome,
        lines
            .into_iter()
            .filter(|line| line.contains(r#"event="refresh_token_re"#))
            .collect(),
    )
}

fn says(line: &str, event: &str, cause: ReuseCause) -> bool {
    line.contains(&format!(r#"event="{event}""#)) && line.contains(&format!(r#"cause="{cause}""#))
}

/// A stale token ends the session whose live pair this is, with one event.
async fn ends_the_session(
    ground: &Ground,
    tokens: &Tokens,
    stale: &PlainToken,
    live: &TokenPair,
    cause: ReuseCause,
) {
    let (refused, events) = reported(async {
        let refused = ground.refresh(tokens, stale).await;
        assert_eq!(
            ground.refresh(tokens, stale).await.unwrap_err(),
            Refusal::Unknown
        );
        refused
    })
    .await;
    assert_eq!(refused.unwrap_err(), Refusal::Reused);
    assert_eq!(
        ground.refresh(tokens, refresh_of(live)).await.unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(
        ground.read(tokens, &live.access.token).await,
        Err(Refusal::Unknown)
    );
    assert_eq!(events.len(), 1, "{events:?}");
    assert!(
        says(&events[0], "refresh_token_reused", cause),
        "{events:?}"
    );
    assert!(
        events[0].contains(&live.access.session_id.unwrap().to_string()),
        "{events:?}"
    );
}

/// P2: a lost answer, and a second tab, get the very same tokens, and nothing is written for them.
pub(crate) async fn a_retry_gets_the_same_again(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let first = tokens.open_session(&ground.alice).await.unwrap();
        ground.clock.advance(ACCESS);
        let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
        let (_, writes) = ground.store.counts();
        ground.clock.advance(GRACE - TICK);
        let now = ground.clock.now();
        for _ in 0..3 {
            let again = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
            assert!(
                again.access.token == second.access.token
                    && refresh_of(&again) == refresh_of(&second)
            );
            let ends = |pair: &TokenPair| {
                (
                    pair.access.expires_at,
                    pair.refresh.as_ref().unwrap().expires_at,
                )
            };
            assert_eq!(ends(&again), ends(&second));
            // What is left of their lives counts from this answer on.
            assert_eq!(
                (again.issued_at, again.refresh.as_ref().unwrap().issued_at),
                (now, now)
            );
            assert_eq!(again.access.life(), second.access.life() - (GRACE - TICK));
            assert_eq!(again.access.session_id, first.access.session_id);
            let (_, alone) = ground.rotate(&tokens, refresh_of(&first)).await.unwrap();
            assert!(&alone.token == refresh_of(&second));
        }
        assert_eq!(ground.store.counts().1, writes, "nothing is written");
        assert_eq!(
            ground.read(&tokens, &second.access.token).await,
            Ok(ground.alice.id)
        );
        let third = ground.refresh(&tokens, refresh_of(&second)).await.unwrap();
        assert!(refresh_of(&third) != refresh_of(&second));
        ground.clear(&ground.alice).await;
    }
}

/// P1 and P2: two callers who both found a token good before either exchanged it get one successor.
pub(crate) async fn a_second_tab_gets_the_same(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let contested = tokens
        .write_refresh_token(&ground.alice)
        .await
        .unwrap()
        .token;
    let winner = Arc::new(OnceLock::new());
    ground.store.before_next_rotation({
        let (tokens, contested, winner) = (tokens.clone(), contested.clone(), Arc::clone(&winner));
        async move {
            let refreshed = tokens.refresh_session(&contested, &users).await.unwrap();
            winner.set(refreshed.issued).unwrap();
        }
    });
    let (loser, events) = reported(ground.refresh(&tokens, &contested)).await;
    let (winner, loser) = (
        winner.get().expect("another tab came first"),
        loser.unwrap(),
    );
    assert!(winner.access.token == loser.access.token && refresh_of(winner) == refresh_of(&loser));
    assert_eq!(events.len(), 1);
    assert!(
        says(&events[0], "refresh_token_repeated", ReuseCause::SecondTab),
        "{events:?}"
    );
    assert_eq!(ground.sessions(&ground.alice).await.len(), 1);
}

/// P2: who found the token current but was slow is refused at worst, and ends nothing; unless nothing is forgiven.
/// Then it ends the session.
pub(crate) async fn who_came_in_time_is_no_thief(ground: &Ground) {
    for (policy, thief) in [
        (ReusePolicy::default(), false),
        (ReusePolicy::strict(), true),
    ] {
        let tokens = ground
            .builder(Profile::Countersign)
            .reuse(policy)
            .build()
            .unwrap();
        let contested = tokens
            .write_refresh_token(&ground.alice)
            .await
            .unwrap()
            .token;
        let third = Arc::new(OnceLock::new());
        ground.store.before_next_rotation({
            let (tokens, contested, third) =
                (tokens.clone(), contested.clone(), Arc::clone(&third));
            async move {
                let second = tokens
                    .rotate_refresh_token(&contested, &users)
                    .await
                    .unwrap()
                    .issued
                    .token;
                third
                    .set(
                        tokens
                            .rotate_refresh_token(&second, &users)
                            .await
                            .unwrap()
                            .issued
                            .token,
                    )
                    .unwrap();
            }
        });
        let (slow, events) = reported(ground.rotate(&tokens, &contested)).await;
        assert_eq!(
            slow.unwrap_err(),
            if thief {
                Refusal::Reused
            } else {
                Refusal::Consumed
            },
            "{policy:?}"
        );
        assert_eq!(events.len(), usize::from(thief), "{policy:?}: {events:?}");
        let goes_on = ground
            .rotate(&tokens, third.get().expect("another came first"))
            .await;
        assert_eq!(
            goes_on.map(drop),
            if thief { Err(Refusal::Unknown) } else { Ok(()) },
            "{policy:?}"
        );
        ground.clear(&ground.alice).await;
    }
}

/// P3: when the window has passed, to the tick.
pub(crate) async fn a_late_retry_is_theft(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let first = tokens.open_session(&ground.alice).await.unwrap();
        let other = tokens.open_session(&ground.alice).await.unwrap();
        let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
        ground.clock.advance(GRACE);
        ends_the_session(
            ground,
            &tokens,
            refresh_of(&first),
            &second,
            ReuseCause::LongStale,
        )
        .await;
        assert_eq!(
            ground.read(&tokens, &first.access.token).await,
            Err(Refusal::Unknown)
        );
        assert!(
            ground.refresh(&tokens, refresh_of(&other)).await.is_ok(),
            "another session goes on"
        );
        ground.clear(&ground.alice).await;
    }
}

/// P3: once the successor has been used, its predecessors are theft at once, however old they are.
pub(crate) async fn every_generation_is_recognised(ground: &Ground) {
    for profile in PROFILES {
        for stolen in [0, 1, 11, 17] {
            let tokens = ground.tokens(profile);
            let mut chain = vec![tokens.open_session(&ground.alice).await.unwrap()];
            for _ in 0..19 {
                let next = ground
                    .refresh(&tokens, refresh_of(chain.last().unwrap()))
                    .await
                    .unwrap();
                chain.push(next);
            }
            let live = chain.pop().unwrap();
            let cause = ReuseCause::AfterConfirmation;
            ends_the_session(ground, &tokens, refresh_of(&chain[stolen]), &live, cause).await;
        }
    }
}

/// With a window of nothing, the second presentation is theft.
pub(crate) async fn strict_forgives_nothing(ground: &Ground) {
    let tokens = ground
        .builder(Profile::Countersign)
        .reuse(ReusePolicy::strict())
        .build()
        .unwrap();
    let first = tokens.open_session(&ground.alice).await.unwrap();
    let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
    ends_the_session(
        ground,
        &tokens,
        refresh_of(&first),
        &second,
        ReuseCause::LongStale,
    )
    .await;
}

/// Kept open, the window lets a burst of exchanges be repeated, each to its own successor; and closes with time.
pub(crate) async fn a_window_may_stay_open(ground: &Ground) {
    let reuse = ReusePolicy::new(GRACE).unwrap().without_close_on_use();
    let tokens = ground
        .builder(Profile::Countersign)
        .reuse(reuse)
        .build()
        .unwrap();
    let mut chain = vec![tokens.open_session(&ground.alice).await.unwrap()];
    for _ in 0..6 {
        ground.clock.advance(GRACE / 10);
        chain.push(
            ground
                .refresh(&tokens, refresh_of(chain.last().unwrap()))
                .await
                .unwrap(),
        );
    }
    for pair in chain.windows(2) {
        let again = ground.refresh(&tokens, refresh_of(&pair[0])).await.unwrap();
        assert!(
            refresh_of(&again) == refresh_of(&pair[1])
                && again.access.token == pair[1].access.token
        );
    }
    ground.clock.advance(GRACE / 2);
    let (first, live) = (refresh_of(&chain[0]), chain.last().unwrap());
    ends_the_session(ground, &tokens, first, live, ReuseCause::AfterConfirmation).await;
}

/// Whoever never held a token of a session can't end it: not with its id, nor with a guess at the rest of a token.
pub(crate) async fn only_holders_are_taken_for_thieves(ground: &Ground) {
    let tokens = ground.tokens(Profile::LitestarAuth);
    let pair = tokens.open_session(&ground.alice).await.unwrap();
    // Nor can it be ended by what the place alone says, where a token's text has one.
    let refresh = refresh_of(&pair).expose();
    let place = refresh.rfind('.').map_or(0, |dot| dot + 1);
    let (head, random) = refresh.split_at(place);
    let half = random.len() / 2;
    let guesses = [
        format!("{head}{}", "A".repeat(random.len())),
        format!("{head}{}{}", "A".repeat(half), &random[half..]),
        format!("{head}{}", &random[half..]),
        format!("{head}x"),
    ];
    for guess in guesses {
        assert_eq!(
            ground
                .refresh(&tokens, &PlainToken::new(guess))
                .await
                .unwrap_err(),
            Refusal::Unknown
        );
    }
    assert!(ground.refresh(&tokens, refresh_of(&pair)).await.is_ok());
}

/// A copy with one wrong character was never anybody's token: it is refused, and its session goes on.
pub(crate) async fn a_damaged_token_is_no_theft(ground: &Ground) {
    for (profile, refusal) in [
        (Profile::Countersign, Refusal::Malformed),
        (Profile::LitestarAuth, Refusal::Unknown),
    ] {
        let tokens = ground.tokens(profile);
        let first = tokens.open_session(&ground.alice).await.unwrap();
        let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
        for text in [refresh_of(&first).expose(), refresh_of(&second).expose()] {
            let length = text.len();
            for at in [length - 1, length - 2, length - 9, length / 2, length - 20] {
                let other = if text.as_bytes()[at] == b'0' {
                    "1"
                } else {
                    "0"
                };
                let mut damaged = text.to_owned();
                damaged.replace_range(at..=at, other);
                let damaged = PlainToken::new(damaged);
                let refused = ground.refresh(&tokens, &damaged).await.unwrap_err();
                assert!(
                    refused == refusal || refused == Refusal::Malformed,
                    "{profile:?} {at}: {refused:?}"
                );
                let ended = tokens.end_session_of(&damaged).await.unwrap();
                assert_eq!(ended, EndOutcome::AlreadyEnded, "{profile:?} {at}");
            }
        }
        assert_eq!(
            ground.read(&tokens, &second.access.token).await,
            Ok(ground.alice.id),
            "{profile:?}"
        );
        assert!(
            ground.refresh(&tokens, refresh_of(&second)).await.is_ok(),
            "{profile:?}"
        );
    }
}

/// A consumed token ends its session at logout too: a tab that missed the exchange can still log out.
pub(crate) async fn a_stale_token_logs_out(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let first = tokens.open_session(&ground.alice).await.unwrap();
    let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
    let third = ground.refresh(&tokens, refresh_of(&second)).await.unwrap();
    assert_eq!(
        tokens.end_session_of(refresh_of(&first)).await.unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(
        ground
            .refresh(&tokens, refresh_of(&third))
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(
        ground.read(&tokens, &third.access.token).await,
        Err(Refusal::Unknown)
    );
}

/// A host whose clock is behind the one that exchanged a token forgives within the window, and no longer. A clock that was
/// set back keeps no window open until it has caught up.
pub(crate) async fn clocks_may_differ(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let first = tokens.open_session(&ground.alice).await.unwrap();
    ground.clock.advance(Duration::from_secs(5));
    let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
    ground.clock.set(first.issued_at);
    let again = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
    assert!(refresh_of(&again) == refresh_of(&second));

    let minute = Duration::from_mins(1);
    for (ahead, outcome) in [(minute, Ok(())), (minute + TICK, Err(Refusal::Reused))] {
        let first = tokens.open_session(&ground.alice).await.unwrap();
        ground.clock.advance(ahead);
        ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
        ground.clock.set(first.issued_at);
        assert_eq!(
            ground.refresh(&tokens, refresh_of(&first)).await.map(drop),
            outcome,
            "{ahead:?}"
        );
    }
}

/// P4: a login that read its fence before everything was ended isn't recorded, nor is one that took for ever.
pub(crate) async fn an_overtaken_login_is_refused(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let begin = async || {
        let fence = tokens.login_fence(&ground.alice.key()).await.unwrap();
        Login::from(ClientInfo::new()).behind(fence)
    };
    let log_in = async |login: &Login| {
        tokens
            .log_in(&ground.alice, login)
            .await
            .map(drop)
            .map_err(refusal)
    };
    let before = begin().await;
    assert!(log_in(&before).await.is_ok(), "nobody overtook it");
    tokens.invalidate_all(&ground.alice.key()).await.unwrap();
    assert_eq!(log_in(&before).await, Err(Refusal::Overtaken));
    assert!(ground.sessions(&ground.alice).await.is_empty());
    let slow = begin().await;
    assert!(
        log_in(&slow).await.is_ok(),
        "one that begins afterwards works"
    );
    ground.clock.advance(Duration::from_mins(5) + TICK);
    assert_eq!(log_in(&slow).await, Err(Refusal::Overtaken));
    assert_eq!(ground.sessions(&ground.alice).await.len(), 1);
}

/// P5: however many log in at once, the cap holds when the last is done, and what is left works.
pub(crate) async fn a_cap_holds_for_logins_at_once(ground: &Ground) {
    for when_full in [WhenFull::EvictOldest, WhenFull::Refuse] {
        let cap = SessionLimit {
            most: NonZeroU32::new(3).unwrap(),
            when_full,
        };
        let tokens = ground
            .builder(Profile::Countersign)
            .session_limit(Some(cap))
            .build()
            .unwrap();
        let login = Login::default();
        let logins = (0..12).map(|_| tokens.log_in(&ground.alice, &login));
        let answers = futures_util::future::join_all(logins).await;
        let (answered, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert!(
            refused
                .into_iter()
                .all(|error| error.map_err(refusal).unwrap_err() == Refusal::TooManySessions)
        );
        let pairs: Vec<_> = answered.into_iter().map(Result::unwrap).collect();
        let most = if when_full == WhenFull::EvictOldest {
            3
        } else {
            pairs.len()
        };
        assert!(most <= 3, "{most} were let in");
        assert_eq!(
            ground.sessions(&ground.alice).await.len(),
            most,
            "{when_full:?}"
        );
        let mut live = 0;
        for pair in &pairs {
            live += usize::from(ground.read(&tokens, &pair.access.token).await.is_ok());
        }
        assert_eq!(live, most, "{when_full:?}");
        for _ in most..3 {
            assert!(
                tokens.log_in(&ground.alice, &login).await.is_ok(),
                "there is room"
            );
        }
        let one_more = tokens
            .log_in(&ground.alice, &login)
            .await
            .map(drop)
            .map_err(refusal);
        let expected = if when_full == WhenFull::EvictOldest {
            Ok(())
        } else {
            Err(Refusal::TooManySessions)
        };
        assert_eq!(one_more, expected);
        assert_eq!(ground.sessions(&ground.alice).await.len(), 3);
        ground.clear(&ground.alice).await;
    }
}
