//! Refresh sessions of signed tokens: opened, refreshed, and ended one at a time. What ends a session ends its access
//! tokens.

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

mod others;

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::fixture::signed::{Ground, NOW, alice, bob, claim, key, refresh_of, secret};
use crate::fixture::users::{Account, Accounts};
use countersign::denylist::{DenylistStore, MemoryDenylist};
use countersign::strategy::JwtStrategy;
use countersign::strategy::Strategy;
use countersign::token::{EndOutcome, LoggedOut};
use countersign::{Lifetimes, PlainToken, Refusal, Timestamp};

#[tokio::test]
async fn a_refresh_keeps_the_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let first = strategy.open(&alice()).await;
    assert!(first.access.session_id.is_some());
    ground.at(600);
    let second = strategy.refresh(refresh_of(&first), alice()).await.unwrap();
    assert_eq!(second.access.session_id, first.access.session_id);
    assert_eq!(strategy.read(&second).await, Ok(()));
    // A lost answer is told again: the same refresh token, and an access token that counts as the same.
    ground.at(605);
    let again = strategy.refresh(refresh_of(&first), alice()).await.unwrap();
    assert!(refresh_of(&again) == refresh_of(&second));
    assert_eq!(claim(&again, "jti"), claim(&second, "jti"));
    assert_eq!(
        again.refresh.as_ref().unwrap().expires_at,
        second.refresh.as_ref().unwrap().expires_at
    );
    assert_eq!(
        (again.issued_at, again.access.issued_at),
        (at(605), at(605))
    );
    assert_eq!(
        again.access.expires_at, second.access.expires_at,
        "no ending denies it for longer"
    );
    assert_eq!(strategy.read(&again).await, Ok(()));
    let inactive = Account {
        active: false,
        ..alice()
    };
    assert_eq!(
        strategy
            .refresh(refresh_of(&second), inactive)
            .await
            .unwrap_err(),
        Refusal::UserInactive
    );
    let third = strategy
        .refresh(refresh_of(&second), alice())
        .await
        .expect("a refused user costs no token");
    assert_ne!(claim(&third, "jti"), claim(&second, "jti"));
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_unix_seconds(NOW + seconds)
}

#[tokio::test]
async fn an_access_token_never_outlives_its_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let mut pair = strategy.open(&alice()).await;
    for hours in [20, 40, 47] {
        ground.at(hours * 3600);
        pair = strategy.refresh(refresh_of(&pair), alice()).await.unwrap();
    }
    ground.at(48 * 3600 - 60);
    pair = strategy.refresh(refresh_of(&pair), alice()).await.unwrap();
    assert_eq!(pair.access.expires_at, at(48 * 3600));
    ground.at(48 * 3600);
    assert_eq!(
        strategy
            .refresh(refresh_of(&pair), alice())
            .await
            .unwrap_err(),
        Refusal::Expired
    );
}

#[tokio::test]
async fn ending_a_session_ends_its_access_tokens_and_no_others() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [phone, laptop] = [strategy.open(&alice()).await, strategy.open(&alice()).await];
    let session = phone.access.session_id.unwrap();
    ground.at(60);
    let later = strategy.refresh(refresh_of(&phone), alice()).await.unwrap();

    let end = async |account: &Account| {
        strategy
            .sessions()
            .end_session(session, &key(account))
            .await
            .unwrap()
    };
    assert_eq!(end(&bob()).await, EndOutcome::AlreadyEnded);
    assert_eq!(
        ground.denylist.noted(),
        [""; 0],
        "nobody fills the denylist with what isn't theirs"
    );
    assert_eq!(strategy.read(&later).await, Ok(()));
    assert_eq!(end(&alice()).await, EndOutcome::Ended);
    assert_eq!(ground.denylist.noted(), [format!("sid:{session}")]);
    for seconds in [60, 900, 964] {
        ground.at(seconds);
        assert_eq!(
            strategy.read(&later).await,
            Err(Refusal::Revoked),
            "after {seconds} s"
        );
    }
    ground.at(61);
    assert_eq!(strategy.read(&phone).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy
            .refresh(refresh_of(&later), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(strategy.read(&laptop).await, Ok(()));
    assert_eq!(end(&alice()).await, EndOutcome::AlreadyEnded);
    assert_eq!(ground.denylist.noted(), [""; 0]);
}

#[tokio::test]
async fn logging_out_ends_the_session_of_a_good_token() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [pair, other] = [strategy.open(&alice()).await, strategy.open(&alice()).await];
    let session = pair.access.session_id;
    assert_eq!(
        strategy.log_out(&pair.access.token).await,
        Ok(LoggedOut::Ended(session))
    );
    assert_eq!(
        ground.denylist.noted(),
        [format!("sid:{}", session.unwrap())]
    );
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy
            .refresh(refresh_of(&pair), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(
        strategy.log_out(&pair.access.token).await,
        Ok(LoggedOut::AlreadyEnded)
    );
    assert_eq!(strategy.read(&other).await, Ok(()));
}

#[tokio::test]
async fn a_logout_that_got_no_further_than_denying_is_finished_by_the_next() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let pair = strategy.open(&alice()).await;
    let access = &pair.access.token;
    strategy.0.destroy_token(access, &alice()).await.unwrap();
    assert_eq!(
        strategy.log_out(access).await,
        Ok(LoggedOut::AlreadyEnded),
        "the token alone is revoked"
    );
    let next = strategy
        .refresh(refresh_of(&pair), alice())
        .await
        .expect("its session goes on");

    let session = next.access.session_id;
    ground
        .denylist
        .deny(&format!("sid:{}", session.unwrap()), at(1000), at(0))
        .await
        .unwrap();
    assert_eq!(strategy.read(&next).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy.log_out(&next.access.token).await,
        Ok(LoggedOut::Ended(session))
    );
    assert_eq!(
        strategy
            .refresh(refresh_of(&next), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(
        strategy.log_out(&next.access.token).await,
        Ok(LoggedOut::AlreadyEnded)
    );
}

/// A logout that could not be recorded says so, leaves a session that can be found, and is finished by the next.
#[tokio::test]
async fn a_logout_that_fails_can_be_repeated() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let pair = strategy.open(&alice()).await;
    ground.denylist.fail(true);
    let failed = strategy
        .sessions()
        .log_out(&pair.access.token)
        .await
        .unwrap_err();
    assert_eq!(failed.refusal(), None);
    assert_eq!(strategy.listed(&alice()).await, [pair.access.session_id]);
    ground.denylist.fail(false);
    assert_eq!(
        strategy.log_out(&pair.access.token).await,
        Ok(LoggedOut::Ended(pair.access.session_id))
    );
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Revoked));
}

/// Whose session it was is signed, however long ago; whoever changes a byte ends nothing.
#[tokio::test]
async fn an_expired_access_token_ends_its_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [pair, other] = [strategy.open(&alice()).await, strategy.open(&alice()).await];
    let access = &pair.access.token;
    ground.at(899);
    let next = strategy.refresh(refresh_of(&pair), alice()).await.unwrap();
    // Its end and the leeway.
    ground.at(905);
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Expired));
    let (head, signature) = access.expose().rsplit_once('.').unwrap();
    let other_signature = other.access.token.expose().rsplit_once('.').unwrap().1;
    assert_ne!(signature, other_signature);
    let forged = PlainToken::new(format!("{head}.{other_signature}"));
    assert_eq!(strategy.log_out(&forged).await, Err(Refusal::Signature));
    assert_eq!(
        strategy.log_out(&PlainToken::new("csa_nonsense")).await,
        Err(Refusal::Malformed)
    );
    assert_eq!(strategy.read(&next).await, Ok(()));
    assert_eq!(
        strategy.log_out(access).await,
        Ok(LoggedOut::Ended(pair.access.session_id))
    );
    assert_eq!(strategy.read(&next).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy
            .refresh(refresh_of(&next), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(strategy.log_out(access).await, Ok(LoggedOut::AlreadyEnded));
    assert!(strategy.refresh(refresh_of(&other), alice()).await.is_ok());

    let alone = strategy.0.write_token(&alice()).await.unwrap().token;
    ground.at(905 + 905);
    assert_eq!(
        strategy.log_out(&alone).await,
        Ok(LoggedOut::AlreadyEnded),
        "it has no session, and is over"
    );
}

/// A token without session is revoked alone.
#[tokio::test]
async fn logging_out_revokes_a_token_without_session() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [alone, other] = [
        strategy.0.write_token(&alice()).await,
        strategy.0.write_token(&alice()).await,
    ];
    let [alone, other] = [alone.unwrap().token, other.unwrap().token];
    assert_eq!(strategy.log_out(&alone).await, Ok(LoggedOut::Ended(None)));
    assert_eq!(strategy.read_token(&alone).await, Err(Refusal::Revoked));
    assert_eq!(strategy.log_out(&alone).await, Ok(LoggedOut::AlreadyEnded));
    assert_eq!(strategy.read_token(&other).await, Ok(None));
}

/// Logout when only the refresh token is at hand.
#[tokio::test]
async fn a_refresh_token_ends_its_session() {
    let strategy = Ground::new().signed();
    let pair = strategy.open(&alice()).await;
    assert_eq!(
        strategy
            .sessions()
            .end_session_of(refresh_of(&pair))
            .await
            .unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy
            .sessions()
            .end_session_of(refresh_of(&pair))
            .await
            .unwrap(),
        EndOutcome::AlreadyEnded
    );
}

fn longer_than_its_session() -> Lifetimes {
    Lifetimes::new(Duration::from_hours(2), Duration::from_hours(1)).unwrap()
}

/// Logging out works when the refresh token has expired, and its access token hasn't.
#[tokio::test]
async fn an_expired_refresh_token_ends_its_session_too() {
    let ground = Ground::new();
    let strategy = ground.living(longer_than_its_session());
    let pair = strategy.open(&alice()).await;
    ground.at(3601);
    assert_eq!(
        strategy.refresh(refresh_of(&pair), alice()).await.map(drop),
        Err(Refusal::Expired)
    );
    assert_eq!(strategy.read(&pair).await, Ok(()));
    assert_eq!(
        strategy
            .sessions()
            .end_session_of(refresh_of(&pair))
            .await
            .unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Revoked));
}

/// A good token whose session has been swept is revoked by itself.
#[tokio::test]
async fn a_token_that_outlives_the_record_of_its_session_is_logged_out() {
    let ground = Ground::new();
    let strategy = ground.living(longer_than_its_session());
    let pair = strategy.open(&alice()).await;
    ground.at(3601);
    assert_eq!(
        ground
            .sessions(longer_than_its_session())
            .sweep(100)
            .await
            .unwrap()
            .refresh,
        1
    );
    assert_eq!(strategy.read(&pair).await, Ok(()));
    assert_eq!(
        strategy.log_out(&pair.access.token).await,
        Ok(LoggedOut::Ended(pair.access.session_id))
    );
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy.log_out(&pair.access.token).await,
        Ok(LoggedOut::AlreadyEnded)
    );
}

/// Whatever the server that ends a session gives its own tokens to live.
#[tokio::test]
async fn a_session_is_denied_for_as_long_as_its_latest_token_lives() {
    let ground = Ground::new();
    let patient =
        ground.living(Lifetimes::new(Duration::from_hours(2), Duration::from_hours(24)).unwrap());
    let brief = ground.signed();
    let pair = patient.open(&alice()).await;
    let session = pair.access.session_id.unwrap();
    assert_eq!(
        brief
            .sessions()
            .end_session(session, &key(&alice()))
            .await
            .unwrap(),
        EndOutcome::Ended
    );
    for seconds in [901, 3600, 7204] {
        ground.at(seconds);
        assert_eq!(
            patient.read(&pair).await,
            Err(Refusal::Revoked),
            "after {seconds} s"
        );
    }
    ground.at(7205);
    assert_eq!(patient.read(&pair).await, Err(Refusal::Expired));
}

/// A logout that overlaps with a refresh ends the session all the same, its newest refresh token included.
#[tokio::test]
async fn a_refresh_during_logout_keeps_nothing_alive() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let pair = strategy.open(&alice()).await;
    let newest = Arc::new(OnceLock::new());
    ground.denylist.before_next_denial({
        let (strategy, token, newest) = (
            strategy.clone(),
            refresh_of(&pair).clone(),
            Arc::clone(&newest),
        );
        async move {
            newest
                .set(strategy.refresh(&token, alice()).await.unwrap())
                .unwrap();
        }
    });
    assert_eq!(
        strategy
            .sessions()
            .end_session_of(refresh_of(&pair))
            .await
            .unwrap(),
        EndOutcome::Ended
    );
    let newest = newest.get().expect("a refresh came in between");
    assert_eq!(strategy.read(newest).await, Err(Refusal::Revoked));
    assert_eq!(
        strategy
            .refresh(refresh_of(newest), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
}

#[tokio::test]
async fn destroying_an_access_token_leaves_its_session() {
    let strategy = Ground::new().signed();
    let pair = strategy.open(&alice()).await;
    assert_eq!(
        strategy
            .0
            .destroy_token(&pair.access.token, &alice())
            .await
            .unwrap(),
        EndOutcome::Ended
    );
    assert_eq!(strategy.read(&pair).await, Err(Refusal::Revoked));
    assert!(strategy.refresh(refresh_of(&pair), alice()).await.is_ok());
}

#[tokio::test]
async fn refresh_tokens_alone() {
    let strategy = Ground::new().signed();
    let first = strategy
        .sessions()
        .write_refresh_token(&alice())
        .await
        .unwrap();
    let rotated = strategy
        .sessions()
        .rotate_refresh_token(&first.token, &Accounts::of([alice()]))
        .await
        .unwrap();
    assert_eq!(
        (rotated.user, rotated.issued.session_id),
        (alice(), first.session_id)
    );
}

#[test]
fn one_lifetime() {
    let ground = Ground::new();
    assert_eq!(ground.signed().0.lifetime(), Duration::from_mins(15));
    let builder = ground.builder(ground.sessions(Ground::lifetimes()));
    let error = builder
        .lifetime(Duration::from_mins(5))
        .build()
        .map(drop)
        .unwrap_err();
    assert_eq!(error.setting(), "lifetime");
    let alone = JwtStrategy::<Account>::builder()
        .secret(&secret())
        .denylist_store(Arc::new(MemoryDenylist::default()));
    assert!(alone.build().unwrap().as_refreshable().is_none());
}

/// A token that has expired and belongs to no session is over already: a logout by it has nothing to end.
#[tokio::test]
async fn an_expired_token_without_session_is_over_already() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let alone = strategy.0.write_token(&alice()).await.unwrap().token;
    ground.at(3600);
    assert_eq!(strategy.log_out(&alone).await, Ok(LoggedOut::AlreadyEnded));
}
