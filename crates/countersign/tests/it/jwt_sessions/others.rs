//! Endings by others than the user: reuse, the limit on sessions, and denials for the original.

use std::num::NonZeroU32;

use countersign::strategy::Login;
use countersign::strategy::TokenControl;
use countersign::{Profile, Refusal, SessionLimit, WhenFull};

use crate::fixture::signed::{Ground, Signed, alice, claim, claims, key, refresh_of, refusal};
use crate::fixture::users::Accounts;
use crate::jwt_sessions::at;

#[tokio::test]
async fn reuse_ends_signed_access_tokens() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let [first, other] = [strategy.open(&alice()).await, strategy.open(&alice()).await];
    let second = strategy.refresh(refresh_of(&first), alice()).await.unwrap();
    let third = strategy
        .refresh(refresh_of(&second), alice())
        .await
        .unwrap();
    assert_eq!(
        strategy
            .refresh(refresh_of(&first), alice())
            .await
            .unwrap_err(),
        Refusal::Reused
    );
    for pair in [&first, &second, &third] {
        assert_eq!(strategy.read(pair).await, Err(Refusal::Revoked));
    }
    assert_eq!(
        strategy
            .refresh(refresh_of(&third), alice())
            .await
            .unwrap_err(),
        Refusal::Unknown
    );
    assert_eq!(strategy.read(&other).await, Ok(()));
    // Denied for as long as one of them could have lived, and longer.
    ground.at(15 * 60 - 1);
    assert_eq!(strategy.read(&third).await, Err(Refusal::Revoked));
}

/// A theft that could not be recorded ends nothing yet; the next presentation does.
#[tokio::test]
async fn a_reuse_that_could_not_be_recorded_is_found_again() {
    let ground = Ground::new();
    let strategy = ground.signed();
    let first = strategy.open(&alice()).await;
    let second = strategy.refresh(refresh_of(&first), alice()).await.unwrap();
    strategy
        .refresh(refresh_of(&second), alice())
        .await
        .unwrap();
    ground.denylist.fail(true);
    let failed = strategy
        .sessions()
        .refresh_session(refresh_of(&first), &Accounts::of([alice()]))
        .await
        .unwrap_err();
    assert_eq!(failed.refusal(), None);
    ground.denylist.fail(false);
    assert_eq!(
        strategy
            .refresh(refresh_of(&first), alice())
            .await
            .unwrap_err(),
        Refusal::Reused
    );
    assert_eq!(strategy.read(&second).await, Err(Refusal::Revoked));
}

#[tokio::test]
async fn one_too_many_ends_signed_access_tokens() {
    let ground = Ground::new();
    let most = NonZeroU32::new(3).unwrap();
    let capped = |when_full| {
        let sessions = ground
            .sessions(Ground::lifetimes())
            .with_limit(Some(SessionLimit { most, when_full }));
        Signed::of(ground.builder(sessions))
    };
    let strategy = capped(WhenFull::EvictOldest);
    let mut all = Vec::new();
    for second in 0..4 {
        ground.at(second);
        all.push(strategy.open(&alice()).await);
    }
    for (pair, answer) in all
        .iter()
        .zip([Err(Refusal::Revoked), Ok(()), Ok(()), Ok(())])
    {
        assert_eq!(
            strategy.read(pair).await,
            answer,
            "the oldest was one too many"
        );
    }
    let refused = capped(WhenFull::Refuse)
        .sessions()
        .log_in(&alice(), &Login::default())
        .await
        .unwrap_err();
    assert_eq!(refusal(refused), Refusal::TooManySessions);
    assert_eq!(strategy.listed(&alice()).await.len(), 3);
    let session = strategy
        .sessions()
        .session(all[2].access.session_id.unwrap(), &key(&alice()))
        .await
        .unwrap();
    assert_eq!(
        session.unwrap().opened_at,
        Some(at(2)),
        "when its user last proved who they are"
    );
}

/// The original looks at a token's own id and at nothing else.
#[tokio::test]
async fn ids_of_tokens_are_denied_beside_their_session_for_the_original() {
    let ground = Ground::new();
    let strategy = Signed::of(
        ground
            .builder(ground.sessions(Ground::lifetimes()))
            .profile(Profile::LitestarAuth),
    );
    let pairs = [
        strategy.open(&alice()).await,
        strategy.open(&alice()).await,
        strategy.open(&alice()).await,
    ];
    let mut ends: [Vec<String>; 3] = Default::default();
    for (pair, ids) in pairs.iter().zip(&mut ends) {
        ground.at(10);
        let next = strategy.refresh(refresh_of(pair), alice()).await.unwrap();
        ids.push(format!("sid:{}", pair.access.session_id.unwrap()));
        ids.extend([claim(&next, "jti"), claim(pair, "jti")]);
        ids.sort();
    }
    let noted = || {
        let mut noted = ground.denylist.noted();
        noted.sort();
        noted
    };
    strategy
        .sessions()
        .end_session_of(refresh_of(&pairs[0]))
        .await
        .unwrap();
    assert_eq!(noted(), ends[0]);
    strategy.log_out(&pairs[1].access.token).await.unwrap();
    let out = noted();
    assert!(
        ends[1].iter().all(|id| out.contains(id)),
        "{out:?} lacks some of {:?}",
        ends[1]
    );
    strategy.0.invalidate_all(&key(&alice())).await.unwrap();
    let everywhere = noted();
    assert!(
        ends[2].iter().all(|id| everywhere.contains(id)),
        "{everywhere:?} lacks some of {:?}",
        ends[2]
    );
    assert!(claims(&pairs[2].access.token)["sid"].is_string());
}
