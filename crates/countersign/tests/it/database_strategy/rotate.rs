//! Refresh tokens: exchanged once, and for the same session.

use countersign::store::TokenStore;
use countersign::strategy::{RefreshableStrategy, SessionControl};
use countersign::token::EndOutcome;
use countersign::{PlainToken, Profile, Refusal};

use crate::database_strategy::ground::{
    ACCESS, Ground, PROFILES, REFRESH, SESSION, TICK, digest, refresh_of, text,
};

/// Conformance cases 045, 046 and 058; the guard under load is in tests/it/races.rs.
pub(crate) async fn a_token_is_exchanged_once(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let old = tokens.write_refresh_token(&ground.alice).await.unwrap();
        ground.clock.advance(ACCESS);
        let (user, new) = ground.rotate(&tokens, &old.token).await.unwrap();
        assert_eq!(user, ground.alice.id);
        assert_ne!(new.token, old.token);
        assert_eq!(new.expires_at.since(new.issued_at), REFRESH);
        assert!(new.issued_at > old.issued_at);

        let find = async |stored| ground.store.find_refresh(&stored).await.unwrap();
        assert!(
            find(digest(&new.token)).await.is_some(),
            "case 058: the digest"
        );
        assert!(
            find(text(&new.token)).await.is_none(),
            "case 058: and not the text"
        );
        assert!(
            ground.rotate(&tokens, &new.token).await.is_ok(),
            "the successor lives"
        );
        let rows = ground.sessions(&ground.alice).await.len();
        assert_eq!(rows, 1, "case 045: exactly one row");
        let again = ground.rotate(&tokens, &old.token).await;
        assert!(matches!(again, Err(Refusal::Reused)), "case 046: {again:?}");
        assert_eq!(
            ground.clear(&ground.alice).await,
            0,
            "and nothing is left of its session"
        );
    }
}

/// Conformance case 047.
pub(crate) async fn an_unknown_token_touches_nothing(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let unknown = tokens.write_refresh_token(&ground.bob).await.unwrap().token;
        assert_eq!(ground.clear(&ground.bob).await, 1);
        let (_, writes) = ground.store.counts();
        assert_eq!(
            ground.rotate(&tokens, &unknown).await.unwrap_err(),
            Refusal::Unknown
        );
        assert_eq!(
            ground.refresh(&tokens, &unknown).await.unwrap_err(),
            Refusal::Unknown
        );
        assert!(
            ground
                .rotate(&tokens, &PlainToken::new("refresh-unknown"))
                .await
                .is_err()
        );
        assert_eq!(ground.store.counts().1, writes);
        assert_eq!(
            ground.read(&tokens, &pair.access.token).await,
            Ok(ground.alice.id)
        );
        assert!(ground.rotate(&tokens, refresh_of(&pair)).await.is_ok());
        assert_eq!(ground.clear(&ground.alice).await, 2);
    }
}

/// Conformance case 048, to the tick.
pub(crate) async fn an_ended_token_is_refused(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let [late, in_time] = [
            tokens.open_session(&ground.alice).await,
            tokens.open_session(&ground.alice).await,
        ];
        ground.clock.advance(REFRESH - TICK);
        assert!(
            ground
                .refresh(&tokens, refresh_of(&in_time.unwrap()))
                .await
                .is_ok()
        );
        ground.clock.advance(TICK);
        let late = late.unwrap();
        let (_, writes) = ground.store.counts();
        assert_eq!(
            ground
                .refresh(&tokens, refresh_of(&late))
                .await
                .unwrap_err(),
            Refusal::Expired
        );
        assert_eq!(
            ground.rotate(&tokens, refresh_of(&late)).await.unwrap_err(),
            Refusal::Expired
        );
        assert_eq!(ground.store.counts().1, writes);
    }
}

/// Conformance case 057: rotation leaves an access token alone, and the end of the session ends it.
pub(crate) async fn access_tokens_follow_their_session(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let first = tokens.open_session(&ground.alice).await.unwrap();
        let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
        let other = tokens.open_session(&ground.alice).await.unwrap();
        for access in [&first.access, &second.access] {
            let read = ground.authenticate(&tokens, &access.token).await.unwrap();
            assert_eq!(read.session_id, first.access.session_id);
        }
        let ended = tokens.end_session_of(refresh_of(&second)).await.unwrap();
        assert_eq!(ended, EndOutcome::Ended);
        for access in [&first.access, &second.access] {
            assert_eq!(
                ground.read(&tokens, &access.token).await,
                Err(Refusal::Unknown),
                "{profile:?}"
            );
        }
        assert_eq!(
            ground.read(&tokens, &other.access.token).await,
            Ok(ground.alice.id)
        );
        assert_eq!(ground.clear(&ground.alice).await, 2);
    }
}

/// Beyond the cases (the original rotates first and judges the account afterwards).
pub(crate) async fn an_inactive_user_is_refused_and_nothing_is_written(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let (_, writes) = ground.store.counts();
        ground
            .members
            .inactive
            .lock()
            .unwrap()
            .insert(ground.alice.id);
        assert_eq!(
            ground
                .refresh(&tokens, refresh_of(&pair))
                .await
                .unwrap_err(),
            Refusal::UserInactive
        );
        assert_eq!(
            ground.rotate(&tokens, refresh_of(&pair)).await.unwrap_err(),
            Refusal::UserInactive
        );
        ground.members.gone.lock().unwrap().insert(ground.alice.id);
        assert_eq!(
            ground
                .refresh(&tokens, refresh_of(&pair))
                .await
                .unwrap_err(),
            Refusal::UserUnknown
        );
        assert_eq!(ground.store.counts().1, writes);
        ground.members.inactive.lock().unwrap().clear();
        ground.members.gone.lock().unwrap().clear();
        assert!(
            ground.refresh(&tokens, refresh_of(&pair)).await.is_ok(),
            "it is as it was"
        );
    }
}

/// Beyond the cases (promise P5): a session's id and end come from its login, however often it is refreshed.
pub(crate) async fn a_session_keeps_its_name_and_its_end(ground: &Ground) {
    let tokens = ground.tokens(Profile::Countersign);
    let first = tokens.open_session(&ground.alice).await.unwrap();
    let (session, end) = (
        first.access.session_id.unwrap(),
        first.issued_at.saturating_add(SESSION),
    );
    let mut refresh = refresh_of(&first).clone();
    for _ in 0..7 {
        ground.clock.advance(REFRESH - TICK);
        let next = ground.refresh(&tokens, &refresh).await.unwrap();
        let issued = next.refresh.unwrap();
        assert_eq!(
            (next.access.session_id, issued.session_id),
            (Some(session), Some(session))
        );
        assert!(next.access.expires_at <= end && issued.expires_at <= end);
        assert_eq!(ground.sessions(&ground.alice).await, [session]);
        refresh = issued.token;
    }
    ground.clock.advance(TICK * 7);
    assert_eq!(
        ground.refresh(&tokens, &refresh).await.unwrap_err(),
        Refusal::Expired
    );

    // Where there is no limit, as in the original, it goes on.
    let forever = ground.tokens(Profile::LitestarAuth);
    let mut refresh = forever
        .write_refresh_token(&ground.bob)
        .await
        .unwrap()
        .token;
    for _ in 0..8 {
        ground.clock.advance(REFRESH - TICK);
        refresh = ground.rotate(&forever, &refresh).await.unwrap().1.token;
    }
}
