//! "Log out everywhere" for signed tokens: one mark, and few entries on the denylist, for any number of sessions (promise
//! P4).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]
#![cfg(feature = "jwt")]

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::fixture::signed::{Ground, Signed, alice, bob, claim, claims, key, refresh_of, refusal};
use crate::fixture::users::Account;
use countersign::strategy::Login;
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{EndOutcome, Invalidated};
use countersign::{Lifetimes, Refusal, SessionId, TokenPair};

async fn everywhere(strategy: &Signed, account: &Account) -> Invalidated {
    strategy.0.invalidate_all(&key(account)).await.unwrap()
}

async fn end_others(strategy: &Signed, kept: Option<SessionId>) -> u64 {
    strategy
        .sessions()
        .end_sessions(&key(&alice()), kept)
        .await
        .unwrap()
}

async fn is_over(strategy: &Signed, pair: &TokenPair) {
    assert_eq!(strategy.read(pair).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy
            .refresh(refresh_of(pair), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
}

/// The pair after a refresh, which works.
async fn goes_on(strategy: &Signed, pair: &TokenPair) -> TokenPair {
    assert_eq!(strategy.read(pair).await, Ok(()));
    let next = strategy.refresh(refresh_of(pair), alice()).await.unwrap();
    assert_eq!(strategy.read(&next).await, Ok(()));
    next
}

/// More sessions than one page holds, and a login afterwards works at once.
#[tokio::test]
async fn everywhere_means_every_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let mut pairs = Vec::new();
    for _ in 0..220 {
        pairs.push(strategy.open(&alice()).await);
    }
    let bobs = strategy.open(&bob()).await;
    assert_eq!(everywhere(&strategy, &alice()).await, Invalidated::All(220));
    let fence = claim(&pairs[0], "fence");
    assert_eq!(
        ground.denylist.noted(),
        [format!("fence:{fence}")],
        "one entry ends them all"
    );
    for pair in &pairs {
        assert_eq!(claim(pair, "fence"), fence);
        is_over(&strategy, pair).await;
    }
    assert_eq!(strategy.read(&bobs).await, Ok(()));
    let again = strategy.open(&alice()).await;
    assert_ne!(claim(&again, "fence"), fence);
    goes_on(&strategy, &again).await;
    assert_eq!(everywhere(&strategy, &alice()).await, Invalidated::All(1));
    assert_eq!(everywhere(&strategy, &alice()).await, Invalidated::All(0));
}

#[tokio::test]
async fn everywhere_ends_tokens_without_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let alone = strategy.0.write_token(&alice()).await.unwrap().token;
    let said = claims(&alone);
    assert!(
        said["fence"].is_string() && said.get("sid").is_none(),
        "{said}"
    );
    let bobs = strategy.0.write_token(&bob()).await.unwrap().token;
    assert_eq!(
        everywhere(&strategy, &alice()).await,
        Invalidated::All(0),
        "no session ended"
    );
    assert_eq!(strategy.read_token(&alone).await, Err(Refusal::Revoked));
    assert_eq!(strategy.read_token(&bobs).await, Ok(None));
    let later = strategy.0.write_token(&alice()).await.unwrap().token;
    assert_eq!(strategy.read_token(&later).await, Ok(None));
}

#[tokio::test]
async fn ending_others_spares_one_and_its_tokens() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [first, kept, third] = [
        strategy.open(&alice()).await,
        strategy.open(&alice()).await,
        strategy.open(&alice()).await,
    ];
    let alone = strategy.0.write_token(&alice()).await.unwrap().token;
    let (session, fence) = (kept.access.session_id, claim(&kept, "fence"));
    assert_eq!(end_others(&strategy, session).await, 2);
    // In this order, so that the session that is kept is good at every moment.
    let entries = [
        format!("kept:{fence}:{}", session.unwrap()),
        format!("fence:{fence}"),
    ];
    assert_eq!(ground.denylist.noted(), entries);
    for pair in [&first, &third] {
        is_over(&strategy, pair).await;
    }
    assert_eq!(strategy.read_token(&alone).await, Err(Refusal::Revoked));
    assert_eq!(strategy.listed(&alice()).await, [session]);
    let next = goes_on(&strategy, &kept).await;
    assert_ne!(
        claim(&next, "fence"),
        fence,
        "it is behind another fence from now on"
    );
    // As often as one likes.
    assert_eq!(end_others(&strategy, session).await, 0);
    assert_eq!(strategy.read(&kept).await, Ok(()));
    goes_on(&strategy, &next).await;
}

/// An access token of the session that was kept can still be revoked, alone and with its session.
#[tokio::test]
async fn what_was_kept_can_be_ended() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [one, other] = [strategy.open(&alice()).await, strategy.open(&bob()).await];
    for (pair, account) in [(&one, alice()), (&other, bob())] {
        strategy
            .sessions()
            .end_sessions(&key(&account), pair.access.session_id)
            .await
            .unwrap();
        assert_eq!(strategy.read(pair).await, Ok(()));
    }
    strategy
        .0
        .destroy_token(&one.access.token, &alice())
        .await
        .unwrap();
    assert_eq!(strategy.read(&one).await, Err(Refusal::Revoked));
    strategy
        .sessions()
        .end_session(other.access.session_id.unwrap(), &key(&bob()))
        .await
        .unwrap();
    assert_eq!(strategy.read(&other).await, Err(Refusal::Revoked));
}

/// What was kept once ends with the next ending that doesn't keep it: the tokens that it was given before too.
#[tokio::test]
async fn what_was_kept_ends_with_the_next_ending() {
    for times in [1, 2, 3] {
        for keeps_another in [false, true] {
            let ground = Ground::new();
            let strategy = ground.signed();
            let kept = strategy.open(&alice()).await;
            for _ in 0..times {
                assert_eq!(end_others(&strategy, kept.access.session_id).await, 0);
            }
            let another = strategy.open(&alice()).await;
            assert_eq!(strategy.read(&kept).await, Ok(()));
            let next = end_others(
                &strategy,
                another.access.session_id.filter(|_| keeps_another),
            )
            .await;
            assert_eq!(next, if keeps_another { 1 } else { 2 });
            is_over(&strategy, &kept).await;
            assert_eq!(strategy.read(&another).await.is_ok(), keeps_another);
        }
    }
}

/// Sessions that are opened while "everywhere" runs are over whole, or go on whole.
#[tokio::test]
async fn a_login_during_everywhere_leaves_no_half_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let early = Login::default().behind(
        strategy
            .sessions()
            .login_fence(&key(&alice()))
            .await
            .unwrap(),
    );
    let first = strategy.open(&alice()).await;
    let opened = || {
        let (slot, strategy) = (Arc::new(OnceLock::new()), strategy.clone());
        let filled = Arc::clone(&slot);
        let opening = async move {
            let mut pairs = Vec::new();
            for _ in 0..20 {
                pairs.push(strategy.open(&alice()).await);
            }
            filled.set(pairs).unwrap();
        };
        (slot, opening)
    };
    let (before, opening) = opened();
    ground.store.before_next_ending(opening);
    let (after, opening) = opened();
    ground.denylist.before_next_denial(opening);
    everywhere(&strategy, &alice()).await;

    is_over(&strategy, &first).await;
    for pair in before.get().expect("logins came before the mark") {
        is_over(&strategy, pair).await;
    }
    for pair in after.get().expect("logins came after the mark") {
        goes_on(&strategy, pair).await;
    }
    let overtaken = strategy
        .sessions()
        .log_in(&alice(), &early)
        .await
        .unwrap_err();
    assert_eq!(refusal(overtaken), Refusal::Overtaken);
}

/// A refresh between the mark and the denial finds nothing; one before the mark is over with the rest.
#[tokio::test]
async fn a_refresh_during_everywhere_keeps_nothing_alive() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [one, other] = [strategy.open(&alice()).await, strategy.open(&alice()).await];
    let refreshed = |pair: &TokenPair| {
        let (slot, strategy, token) = (
            Arc::new(OnceLock::new()),
            strategy.clone(),
            refresh_of(pair).clone(),
        );
        let filled = Arc::clone(&slot);
        (slot, async move {
            filled.set(strategy.refresh(&token, alice()).await).unwrap();
        })
    };
    let (before, refreshing) = refreshed(&one);
    ground.store.before_next_ending(refreshing);
    let (after, refreshing) = refreshed(&other);
    ground.denylist.before_next_denial(refreshing);
    assert_eq!(everywhere(&strategy, &alice()).await, Invalidated::All(2));
    is_over(&strategy, before.get().unwrap().as_ref().unwrap()).await;
    assert_eq!(
        after.get().unwrap().as_ref().unwrap_err(),
        &Refusal::Unknown
    );
    for pair in [&one, &other] {
        is_over(&strategy, pair).await;
    }
}

/// Whatever ends everything next denies what an ending before it left undenied.
#[tokio::test]
async fn an_ending_that_got_no_further_than_its_mark_is_finished_by_the_next() {
    for keeps_another in [false, true] {
        let ground = Ground::new();
        let strategy = ground.signed();
        let [first, kept] = [strategy.open(&alice()).await, strategy.open(&alice()).await];
        ground.denylist.fail(true);
        assert!(
            strategy
                .sessions()
                .end_sessions(&key(&alice()), kept.access.session_id)
                .await
                .is_err()
        );
        assert_eq!(
            strategy
                .refresh(refresh_of(&first), alice())
                .await
                .unwrap_err(),
            Refusal::Unknown
        );
        ground.denylist.fail(false);
        let kept = goes_on(&strategy, &kept).await;
        let keep = kept.access.session_id.filter(|_| keeps_another);
        assert_eq!(end_others(&strategy, keep).await, u64::from(!keeps_another));
        assert_eq!(strategy.read(&first).await, Err(Refusal::Revoked));
        assert_eq!(strategy.read(&kept).await.is_ok(), keeps_another);
        let fence = format!("fence:{}", claim(&first, "fence"));
        assert!(ground.denylist.noted().contains(&fence));
        end_others(&strategy, keep).await;
        assert!(
            !ground.denylist.noted().contains(&fence),
            "what is denied isn't denied again and again"
        );
    }
}

/// So does whoever logs out of a session that was ended, and doesn't find it any more.
#[tokio::test]
async fn an_ending_that_got_no_further_than_its_mark_is_finished_by_a_logout() {
    for by_id in [false, true] {
        let ground = Ground::new();
        let strategy = ground.signed();
        let [first, second, kept] = [
            strategy.open(&alice()).await,
            strategy.open(&alice()).await,
            strategy.open(&alice()).await,
        ];
        ground.denylist.fail(true);
        assert!(
            strategy
                .sessions()
                .end_sessions(&key(&alice()), kept.access.session_id)
                .await
                .is_err()
        );
        ground.denylist.fail(false);
        assert_eq!(
            strategy.read(&second).await,
            Ok(()),
            "nobody was told that it is over"
        );
        if by_id {
            let session = first.access.session_id.unwrap();
            let ended = strategy
                .sessions()
                .end_session(session, &key(&alice()))
                .await
                .unwrap();
            assert_eq!(ended, EndOutcome::AlreadyEnded);
        } else {
            strategy.log_out(&first.access.token).await.unwrap();
        }
        for pair in [&first, &second] {
            is_over(&strategy, pair).await;
        }
        goes_on(&strategy, &kept).await;
        everywhere(&strategy, &alice()).await;
        is_over(&strategy, &kept).await;
    }
}

/// Whatever the server that ends everything gives its own tokens to live.
#[tokio::test]
async fn a_fence_is_denied_for_as_long_as_its_latest_token_lives() {
    let ground = Ground::new();
    let hours =
        |hours| Lifetimes::new(Duration::from_hours(hours), Duration::from_hours(60)).unwrap();
    let (patient, brief) = (ground.living(hours(48)), ground.signed());
    let [first, second] = [patient.open(&alice()).await, patient.open(&alice()).await];
    assert_eq!(end_others(&brief, second.access.session_id).await, 1);
    for seconds in [901, 24 * 3600 + 120, 48 * 3600 + 4] {
        ground.at(seconds);
        assert_eq!(
            patient.read(&first).await,
            Err(Refusal::Revoked),
            "after {seconds} s"
        );
        if seconds < 48 * 3600 {
            assert_eq!(patient.read(&second).await, Ok(()), "after {seconds} s");
        }
    }
    ground.at(48 * 3600 + 5);
    assert_eq!(patient.read(&first).await, Err(Refusal::Expired));
}

/// Promise P4 for logins: the fence is the sessions', whatever the access tokens are.
#[tokio::test]
async fn an_overtaken_login_is_refused() {
    let strategy = Ground::new().signed();
    let user = alice();
    let begin = async || {
        Login::default().behind(strategy.sessions().login_fence(&key(&user)).await.unwrap())
    };
    let log_in = async |login: &Login| {
        strategy
            .sessions()
            .log_in(&user, login)
            .await
            .map(drop)
            .map_err(refusal)
    };
    let attempt = begin().await;
    assert_eq!(log_in(&attempt).await, Ok(()));
    everywhere(&strategy, &user).await;
    assert_eq!(log_in(&attempt).await, Err(Refusal::Overtaken));
    let attempt = begin().await;
    end_others(&strategy, None).await;
    assert_eq!(log_in(&attempt).await, Err(Refusal::Overtaken));
}

/// An answer that was lost is asked for again at a server whose tokens live longer. The token that it gives ends with its
/// session, also where that is ended by a server which knows of short lives alone.
#[tokio::test]
async fn a_retry_at_a_server_of_longer_lifetimes_outlives_no_ending() {
    for answered_before in [Duration::from_secs(2), Duration::from_mins(15)] {
        let ground = Ground::new();
        let living =
            |access| ground.living(Lifetimes::new(access, Duration::from_hours(24)).unwrap());
        let (brief, patient) = (living(answered_before), living(Duration::from_hours(1)));
        let first = brief.open(&alice()).await;
        let next = brief.refresh(refresh_of(&first), alice()).await.unwrap();
        ground.at(5);
        let again = patient.refresh(refresh_of(&first), alice()).await.unwrap();
        assert_eq!(refresh_of(&again).expose(), refresh_of(&next).expose());
        assert_eq!(patient.read(&again).await, Ok(()));
        let session = again.access.session_id.unwrap();
        assert_eq!(
            brief
                .sessions()
                .end_session(session, &key(&alice()))
                .await
                .unwrap(),
            EndOutcome::Ended
        );
        for seconds in (5..4000).step_by(5) {
            ground.at(seconds);
            assert!(
                patient.read(&again).await.is_err(),
                "good again after {seconds} s"
            );
        }
    }
}
