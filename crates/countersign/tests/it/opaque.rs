//! Opaque tokens over a store in memory: keys rotate, stored texts open nothing, names are names (SECURITY rows K-03, O-02,
//! O-05).

#![cfg(feature = "sqlite")]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;

use countersign::store::sql::{DatabaseTokenModels, TokenTable, UserTable};
use countersign::store::{MemoryStore, TokenStore};
use countersign::strategy::DatabaseTokenStrategy;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::token::DigestKeyRing;
use countersign::user::UserKeyKind;
use countersign::{PlainToken, Profile, Refusal, Secret, SystemEntropy};

use crate::fixture::users::{Account, numbered_users};

fn secret() -> Secret {
    Secret::generate(&SystemEntropy).unwrap()
}

async fn is_good(strategy: &DatabaseTokenStrategy, token: &PlainToken) -> bool {
    strategy
        .read_token(Some(token), &numbered_users)
        .await
        .unwrap()
        .accepted()
        .is_some()
}

#[tokio::test]
async fn digest_keys_rotate_without_a_logout() {
    let (old, new) = (secret(), secret());
    let store: Arc<dyn TokenStore> = Arc::new(MemoryStore::new());
    let strategy = |ring| {
        DatabaseTokenStrategy::builder(Arc::clone(&store))
            .digest_keys(ring)
            .build()
            .expect("it builds")
    };
    let before = strategy(DigestKeyRing::new("old", &old).unwrap());
    let pair = before.open_session(&Account::of(7)).await.unwrap();
    let both = strategy(
        DigestKeyRing::new("new", &new)
            .unwrap()
            .accept("old", &old)
            .unwrap(),
    );
    assert!(is_good(&both, &pair.access.token).await);
    let issued = both
        .refresh_session(&pair.refresh.unwrap().token, &numbered_users)
        .await
        .unwrap()
        .issued;
    let after = strategy(DigestKeyRing::new("new", &new).unwrap());
    assert!(
        is_good(&after, &issued.access.token).await,
        "what was issued since is of the new key"
    );
    assert!(
        !is_good(&after, &pair.access.token).await,
        "the old key has been retired"
    );
}

#[tokio::test]
async fn what_is_stored_opens_nothing() {
    for (profile, legacy) in [
        (Profile::Countersign, false),
        (Profile::LitestarAuth, false),
        (Profile::LitestarAuth, true),
    ] {
        let ring = DigestKeyRing::new("k", &secret()).unwrap();
        let strategy =
            DatabaseTokenStrategy::builder(Arc::new(MemoryStore::new()) as Arc<dyn TokenStore>)
                .digest_keys(ring.clone())
                .profile(profile)
                .accept_legacy_plaintext_tokens(legacy)
                .build()
                .unwrap();
        let pair = strategy.open_session(&Account::of(7)).await.unwrap();
        let refresh = pair.refresh.unwrap().token;
        for token in [&pair.access.token, &refresh] {
            let stored = PlainToken::new(ring.digest(token).as_str());
            assert!(!is_good(&strategy, &stored).await, "{profile:?} {legacy}");
            let refused = strategy
                .refresh_session(&stored, &numbered_users)
                .await
                .map(drop)
                .unwrap_err()
                .refusal();
            let expected = if profile == Profile::Countersign {
                Refusal::Malformed
            } else {
                Refusal::Unknown
            };
            assert_eq!(refused, Some(expected), "{profile:?} {legacy}");
        }
        assert!(is_good(&strategy, &pair.access.token).await);
    }
}

#[test]
fn tables_and_columns_have_plain_names() {
    let models = |access, refresh| DatabaseTokenModels::new(access, refresh, UserKeyKind::Int);
    assert!(models(TokenTable::new("a"), TokenTable::new("b")).is_ok());
    let long = "x".repeat(64);
    for name in [
        "",
        "a b",
        "a\"b",
        "a`b",
        "a;b",
        "a--",
        "a.b",
        "ä",
        "a\0",
        "x\" OR \"1\"=\"1",
        &long,
    ] {
        let name = name.to_owned();
        let table = models(TokenTable::new(name.clone()), TokenTable::new("b"));
        assert_eq!(
            table.unwrap_err().setting(),
            "access_token_model",
            "{name:?}"
        );
        let column = models(
            TokenTable::new("a"),
            TokenTable::new("b").token(name.clone()),
        );
        assert_eq!(
            column.unwrap_err().setting(),
            "refresh_token_model",
            "{name:?}"
        );
        let users = UserTable {
            table: "user".into(),
            id: "id".into(),
            columns: vec![name.clone().into()],
        };
        let joined = DatabaseTokenModels::bundled(UserKeyKind::Int).join_users(users);
        assert_eq!(joined.unwrap_err().setting(), "user_table", "{name:?}");
    }
}
