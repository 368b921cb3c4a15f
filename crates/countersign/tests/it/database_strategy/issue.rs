//! Access tokens: issued, read, and refused.

use std::sync::atomic::Ordering;

use countersign::store::TokenStore;
use countersign::strategy::{RefreshableStrategy, SessionControl, Strategy};
use countersign::token::{EndOutcome, TokenStatus};
use countersign::{PlainToken, Profile, Refusal};

use crate::database_strategy::ground::{
    ACCESS, Ground, OTHER_SECRET, PROFILES, TICK, digest, refresh_of, secret, text,
};

/// Conformance case 013.
pub(crate) async fn a_token_names_its_user_and_is_stored_as_its_digest(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let issued = tokens.write_token(&ground.alice).await.unwrap();
        let read = ground.authenticate(&tokens, &issued.token).await.unwrap();
        assert_eq!(read.user, ground.alice);
        assert_eq!(
            (read.issued_at, read.expires_at),
            (issued.issued_at, issued.expires_at)
        );
        assert_eq!(issued.life(), ACCESS);
        assert_ne!(digest(&issued.token).as_str(), issued.token.expose());
        assert!(
            ground
                .store
                .find_access(&digest(&issued.token))
                .await
                .unwrap()
                .is_some()
        );
        assert!(
            ground
                .store
                .find_access(&text(&issued.token))
                .await
                .unwrap()
                .is_none()
        );
    }
}

/// Conformance case 014.
pub(crate) async fn nothing_offered_asks_nobody(ground: &Ground) {
    for profile in PROFILES {
        let answer = ground
            .tokens(profile)
            .read_token(None, &ground.members)
            .await
            .unwrap();
        assert_eq!(answer, TokenStatus::NotOffered);
    }
    assert_eq!(ground.store.counts(), (0, 0));
    assert_eq!(ground.members.asked.load(Ordering::SeqCst), 0);
}

/// Conformance case 015. What can't be a token of ours is refused unasked.
pub(crate) async fn an_unknown_token_is_refused(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let unknown = tokens.write_token(&ground.alice).await.unwrap().token;
    assert_eq!(ground.clear(&ground.alice).await, 1);
    assert_eq!(ground.read(&tokens, &unknown).await, Err(Refusal::Unknown));

    let original = ground.tokens(Profile::LitestarAuth);
    for text in ["a", "access-unknown", "tök\u{0}en", &"x".repeat(1024)] {
        assert_eq!(
            ground.read(&original, &PlainToken::new(text)).await,
            Err(Refusal::Unknown),
            "{text}"
        );
    }
    let before = ground.store.counts();
    let junk = [
        ("", Refusal::Malformed),
        ("csa_", Refusal::Malformed),
        (&"x".repeat(1025), Refusal::TooLong),
    ];
    for (text, refusal) in junk {
        assert_eq!(
            ground.read(&tokens, &PlainToken::new(text)).await,
            Err(refusal),
            "{text}"
        );
    }
    assert_eq!(
        ground.read(&original, &PlainToken::new("")).await,
        Err(Refusal::Malformed)
    );
    assert_eq!(
        ground.store.counts(),
        before,
        "no store is asked for what can be no token"
    );
    assert_eq!(
        ground.members.asked.load(Ordering::SeqCst),
        0,
        "nor is anybody's account"
    );
}

/// Conformance cases 016 and 017.
pub(crate) async fn a_token_ends_at_its_end_exactly(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let token = tokens.write_token(&ground.alice).await.unwrap().token;
        ground.clock.advance(ACCESS - TICK);
        assert_eq!(
            ground.read(&tokens, &token).await,
            Ok(ground.alice.id),
            "case 017 in {profile:?}"
        );
        ground.clock.advance(TICK);
        assert_eq!(
            ground.read(&tokens, &token).await,
            Err(Refusal::Expired),
            "case 016 in {profile:?}"
        );
    }
}

/// Conformance case 018: the original's rows age by the setting of whoever reads them; ours hold their end.
pub(crate) async fn age_is_judged_by_the_reader(ground: &Ground) {
    for (profile, again, shorter) in [
        (
            Profile::LitestarAuth,
            Ok(ground.alice.id),
            Err(Refusal::Expired),
        ),
        (
            Profile::Countersign,
            Err(Refusal::Expired),
            Ok(ground.alice.id),
        ),
    ] {
        let token = ground
            .tokens(profile)
            .write_token(&ground.alice)
            .await
            .unwrap()
            .token;
        ground.clock.advance(ACCESS / 2);
        let short = ground.builder(profile).max_age(ACCESS / 2).build().unwrap();
        assert_eq!(ground.read(&short, &token).await, shorter, "{profile:?}");
        ground.clock.advance(ACCESS / 2);
        let long = ground.builder(profile).max_age(ACCESS * 2).build().unwrap();
        assert_eq!(ground.read(&long, &token).await, again, "{profile:?}");
    }
}

/// Conformance case 022: neither kind stands in for the other, be it to get in or to get out.
pub(crate) async fn kinds_do_not_mix(ground: &Ground) {
    for (profile, refusal) in [
        (Profile::Countersign, Refusal::Malformed),
        (Profile::LitestarAuth, Refusal::Unknown),
    ] {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let (access, refresh) = (&pair.access.token, refresh_of(&pair));
        assert_eq!(ground.rotate(&tokens, access).await.unwrap_err(), refusal);
        assert_eq!(ground.refresh(&tokens, access).await.unwrap_err(), refusal);
        assert_eq!(ground.read(&tokens, refresh).await, Err(refusal));
        assert_eq!(
            tokens.destroy_token(refresh, &ground.alice).await.unwrap(),
            EndOutcome::AlreadyEnded
        );
        let ended = tokens.end_session_of(access).await.unwrap();
        assert_eq!(ended, EndOutcome::AlreadyEnded);
        assert_eq!(ground.read(&tokens, access).await, Ok(ground.alice.id));
        assert!(ground.rotate(&tokens, refresh).await.is_ok());
    }
}

/// Conformance case 023.
pub(crate) async fn another_secret_knows_nothing(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let other = ground
            .builder(profile)
            .token_hash_secret(&secret(OTHER_SECRET))
            .build()
            .unwrap();
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let (access, refresh) = (&pair.access.token, refresh_of(&pair));
        assert_eq!(ground.read(&other, access).await, Err(Refusal::Unknown));
        assert_eq!(
            ground.rotate(&other, refresh).await.unwrap_err(),
            Refusal::Unknown
        );
        assert_eq!(
            other.destroy_token(access, &ground.alice).await.unwrap(),
            EndOutcome::AlreadyEnded
        );
        assert_eq!(ground.read(&tokens, access).await, Ok(ground.alice.id));
        assert!(ground.rotate(&tokens, refresh).await.is_ok());
    }
}

/// Conformance case 028.
pub(crate) async fn reads_never_write(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let (_, writes) = ground.store.counts();
        for _ in 0..2 {
            let _ = ground.read(&tokens, &pair.access.token).await;
            let _ = ground.read(&tokens, refresh_of(&pair)).await;
            ground.clock.advance(ACCESS);
        }
        assert_eq!(
            ground.read(&tokens, &pair.access.token).await,
            Err(Refusal::Expired)
        );
        assert_eq!(ground.store.counts().1, writes);
        let row = ground
            .store
            .find_access(&digest(&pair.access.token))
            .await
            .unwrap()
            .expect("the expired row");
        assert_eq!(row.created_at, Some(pair.issued_at));
    }
}

/// Conformance case 029; and a deleted account has no tokens.
pub(crate) async fn the_account_is_the_callers_business(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let token = tokens.write_token(&ground.alice).await.unwrap().token;
    ground
        .members
        .inactive
        .lock()
        .unwrap()
        .insert(ground.alice.id);
    let read = ground.authenticate(&tokens, &token).await.unwrap();
    assert_eq!((read.user.id, read.user.active), (ground.alice.id, false));
    ground.members.gone.lock().unwrap().insert(ground.alice.id);
    assert_eq!(
        ground.read(&tokens, &token).await,
        Err(Refusal::UserUnknown)
    );
}
