//! Expired rows leave, and no others.

use countersign::strategy::{RefreshableStrategy, Strategy};

use crate::database_strategy::ground::{
    ACCESS, Ground, PROFILES, REFRESH, TICK, Tokens, refresh_of,
};

/// How many tokens were removed. Fences leave a day after their last use, and some stores see at once that nobody holds one
/// any more.
async fn clean_up(ground: &Ground, tokens: &Tokens) -> u64 {
    let before = ground.store.swept_fences();
    let removed = tokens.cleanup_expired(100, &mut |_| ()).await.unwrap();
    removed - (ground.store.swept_fences() - before)
}

/// Conformance case 037, in both profiles: by the end that a row holds, and by its age.
pub(crate) async fn takes_what_has_ended_and_nothing_else(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        tokens.open_session(&ground.alice).await.unwrap();
        ground.clock.advance(REFRESH);
        let fresh = tokens.open_session(&ground.bob).await.unwrap();
        assert_eq!(clean_up(ground, &tokens).await, 2, "{profile:?}");
        assert_eq!(clean_up(ground, &tokens).await, 0, "{profile:?}");
        assert_eq!(ground.clear(&ground.alice).await, 0);
        assert_eq!(
            ground.read(&tokens, &fresh.access.token).await,
            Ok(ground.bob.id)
        );
        assert!(ground.rotate(&tokens, refresh_of(&fresh)).await.is_ok());
        assert_eq!(ground.clear(&ground.bob).await, 2);
    }
}

/// Conformance case 038: what can be read is never removed, what can't is.
pub(crate) async fn the_boundary_is_the_readers(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        ground.clock.advance(ACCESS - TICK);
        assert_eq!(clean_up(ground, &tokens).await, 0, "{profile:?}");
        assert_eq!(
            ground.read(&tokens, &pair.access.token).await,
            Ok(ground.alice.id)
        );
        ground.clock.advance(TICK);
        assert_eq!(
            clean_up(ground, &tokens).await,
            1,
            "{profile:?}: the access token"
        );
        ground.clock.advance(REFRESH - ACCESS - TICK);
        assert_eq!(clean_up(ground, &tokens).await, 0, "{profile:?}");
        assert_eq!(ground.sessions(&ground.alice).await.len(), 1);
        ground.clock.advance(TICK);
        assert_eq!(
            clean_up(ground, &tokens).await,
            1,
            "{profile:?}: the refresh token"
        );
        assert_eq!(ground.clear(&ground.alice).await, 0);
    }
}

/// Beyond the cases: no batch is larger than it may be, and what was interrupted goes on.
pub(crate) async fn goes_in_batches_and_can_be_resumed(ground: &Ground) {
    for profile in PROFILES {
        let tokens = ground.tokens(profile);
        for _ in 0..7 {
            tokens.open_session(&ground.alice).await.unwrap();
        }
        ground.clock.advance(REFRESH);
        let live = tokens.write_token(&ground.bob).await.unwrap().token;
        let first = tokens.sessions().sweep(2).await.unwrap();
        assert_eq!(
            (first.access, first.refresh, first.more),
            (2, 2, true),
            "{profile:?}: one batch, then a crash"
        );
        let (mut progress, fences) = (Vec::new(), ground.store.swept_fences());
        let removed = tokens
            .cleanup_expired(2, &mut |so_far| progress.push(so_far))
            .await
            .unwrap();
        assert_eq!(
            removed - (ground.store.swept_fences() - fences),
            10,
            "{profile:?}"
        );
        let mut before = 0;
        for so_far in progress {
            assert!(
                (before..=before + 6).contains(&so_far),
                "{profile:?}: at most 2 of each kind in a batch"
            );
            before = so_far;
        }
        assert_eq!(before, removed, "the last word is the whole count");
        assert_eq!(ground.read(&tokens, &live).await, Ok(ground.bob.id));
        assert_eq!(
            (
                ground.clear(&ground.alice).await,
                ground.clear(&ground.bob).await
            ),
            (0, 1)
        );
    }
}
