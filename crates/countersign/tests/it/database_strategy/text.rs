//! What each profile writes: the text of tokens, and the columns of a row.

use countersign::store::TokenStore;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::{PlainToken, Profile};

use crate::database_strategy::ground::{ACCESS, Ground, REFRESH, SESSION, digest, refresh_of};

fn is_url_safe(text: &str) -> bool {
    text.bytes()
        .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Conformance case 003, for tokens as a strategy issues them.
pub(crate) async fn each_profile_spells_tokens_its_own_way(ground: &Ground) {
    for (profile, access_prefix, refresh_prefix, length) in [
        (Profile::Countersign, "csa_", "csr_", 55),
        (Profile::LitestarAuth, "", "", 43),
    ] {
        let tokens = ground.tokens(profile);
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        let next = ground.refresh(&tokens, refresh_of(&pair)).await.unwrap();
        let alone = tokens.write_token(&ground.alice).await.unwrap();
        let begins = |token: &PlainToken, prefix: &str| {
            let text = token.expose();
            assert!(
                text.starts_with(prefix) && text.len() == length && is_url_safe(text),
                "{profile:?}: {text}"
            );
        };
        for access in [&pair.access.token, &next.access.token, &alone.token] {
            begins(access, access_prefix);
        }
        for refresh in [refresh_of(&pair), refresh_of(&next)] {
            begins(refresh, refresh_prefix);
        }
    }
}

pub(crate) async fn token_bytes_are_as_configured(ground: &Ground) {
    for (bytes, length) in [(16, 22), (24, 32), (32, 43), (128, 171)] {
        let tokens = ground
            .builder(Profile::LitestarAuth)
            .token_bytes(bytes)
            .build()
            .unwrap();
        let pair = tokens.open_session(&ground.alice).await.unwrap();
        assert_eq!(pair.access.token.expose().len(), length);
        assert_eq!(
            refresh_of(&pair).expose().len(),
            length.max(43),
            "half of a refresh token is its family's"
        );
        assert_eq!(
            ground.read(&tokens, &pair.access.token).await,
            Ok(ground.alice.id)
        );
    }
}

/// The original's rows have no end of their own, so that it can read and write them beside us. Ours have one.
pub(crate) async fn the_originals_rows_hold_no_end(ground: &Ground) {
    for profile in [Profile::LitestarAuth, Profile::Countersign] {
        let tokens = ground.tokens(profile);
        let first = tokens.open_session(&ground.alice).await.unwrap();
        let second = ground.refresh(&tokens, refresh_of(&first)).await.unwrap();
        let born = first.issued_at;
        let ours = |end| (profile == Profile::Countersign).then_some(end);
        for access in [&first.access.token, &second.access.token] {
            let row = ground
                .store
                .find_access(&digest(access))
                .await
                .unwrap()
                .unwrap();
            assert_eq!(
                row.expires_at,
                ours(born.saturating_add(ACCESS)),
                "{profile:?}"
            );
        }
        let row = ground
            .store
            .find_refresh(&digest(refresh_of(&second)))
            .await
            .unwrap()
            .unwrap();
        assert_eq!(
            row.expires_at,
            ours(born.saturating_add(REFRESH)),
            "{profile:?}"
        );
        assert_eq!(
            row.session_expires_at,
            ours(born.saturating_add(SESSION)),
            "{profile:?}"
        );
        assert_eq!(row.created_at, Some(born));
    }
}
