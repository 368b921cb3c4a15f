//! Digest keys change without a logout, although they name users' keys as well (SECURITY row K-03).

use countersign::clock::Clock;
use countersign::store::{NewAccess, NewRefresh, Opened, RotateRequest, TokenStore};
use countersign::strategy::RedisTokenStrategy;
use countersign::strategy::{Strategy, TokenControl};
use countersign::token::{DigestKeyRing, Invalidated};
use countersign::{PlainToken, UserKey};

use crate::fixture::users::numbered_users;
use crate::redis_strategy::ground::{
    ALICE, BOB, Ground, Member, OTHER_SECRET, SECRET, read, secret,
};

fn with(ground: &Ground, ring: DigestKeyRing) -> RedisTokenStrategy<Member> {
    ground.builder().digest_keys(ring).build().unwrap()
}

#[tokio::test]
async fn digest_keys_rotate_without_a_logout_on_redis() {
    let ground = Ground::new();
    let old_ring = DigestKeyRing::new("old", &secret(SECRET)).unwrap();
    let both = DigestKeyRing::new("new", &secret(OTHER_SECRET))
        .unwrap()
        .accept("old", &secret(SECRET))
        .unwrap();
    let (old, new) = (with(&ground, old_ring), with(&ground, both));
    let before = old
        .as_refreshable()
        .unwrap()
        .open_session(&ALICE)
        .await
        .unwrap();
    let after = new
        .as_refreshable()
        .unwrap()
        .open_session(&ALICE)
        .await
        .unwrap();
    assert_eq!(read(&new, &before.access.token).await, Ok(ALICE.id));
    assert!(
        read(&old, &after.access.token).await.is_err(),
        "the old ring has never heard of the new key"
    );

    let refresh = &before.refresh.as_ref().unwrap().token;
    let next = new
        .as_refreshable()
        .unwrap()
        .refresh_session(refresh, &numbered_users)
        .await
        .unwrap()
        .issued;
    assert_eq!(next.access.session_id, before.access.session_id);
    assert_eq!(read(&new, &next.access.token).await, Ok(ALICE.id));
    assert_eq!(
        ground.keys().len(),
        2,
        "a session stays in the key that it was opened in"
    );

    let session = next.access.session_id.unwrap();
    new.as_refreshable()
        .unwrap()
        .end_session(session, &ALICE.key())
        .await
        .unwrap();
    assert!(
        read(&new, &next.access.token).await.is_err()
            && read(&new, &before.access.token).await.is_err()
    );
    let again = old
        .as_refreshable()
        .unwrap()
        .open_session(&ALICE)
        .await
        .unwrap();
    assert!(matches!(
        new.invalidate_all(&ALICE.key()).await.unwrap(),
        Invalidated::All(_)
    ));
    for token in [&again.access.token, &after.access.token] {
        assert!(read(&new, token).await.is_err());
    }
    assert!(ground.keys().is_empty());
}

/// A token that belongs to no session gets one when it is exchanged, and never one that is there.
#[tokio::test]
async fn a_session_is_never_overwritten_on_redis() {
    let ground = Ground::new();
    let strategy = ground.strategy();
    let store = strategy.sessions().unwrap().store();
    let pair = strategy
        .as_refreshable()
        .unwrap()
        .open_session(&ALICE)
        .await
        .unwrap();
    let (session, now) = (pair.access.session_id.unwrap(), ground.clock.now());
    let ring = DigestKeyRing::new("default", &secret(SECRET)).unwrap();
    let digest = |session, label: &str| {
        let place = store
            .locator(&UserKey::Int(ALICE.id), session)
            .unwrap()
            .to_text();
        ring.digest(&PlainToken::new(format!("{place}.{label}")))
    };
    let loose = NewRefresh::new(
        digest(None, "loose"),
        digest(None, "family"),
        UserKey::Int(ALICE.id),
        now,
    );
    assert_eq!(
        store.insert_refresh(&loose, None).await.unwrap(),
        Opened::Done
    );
    let rotate = RotateRequest::new(
        loose.digest.clone().into(),
        digest(Some(session), "next"),
        digest(Some(session), "family"),
        session,
        now,
    );
    store.rotate(&rotate).await.unwrap_err();
    assert!(
        store
            .find_refresh(&loose.digest.into())
            .await
            .unwrap()
            .is_some()
    );
    let refresh = &pair.refresh.unwrap().token;
    strategy
        .as_refreshable()
        .unwrap()
        .refresh_session(refresh, &numbered_users)
        .await
        .unwrap();
}

/// Should two users ever share a tag, neither gets what is the other's.
#[tokio::test]
async fn a_key_has_one_owner_on_redis() {
    let ground = Ground::new();
    let strategy = ground.strategy();
    let store = strategy.sessions().unwrap().store();
    let ring = DigestKeyRing::new("default", &secret(SECRET)).unwrap();
    let place = store
        .locator(&UserKey::Int(ALICE.id), None)
        .unwrap()
        .to_text();
    let access = |label: &str, id: i64| {
        NewAccess::new(
            ring.digest(&PlainToken::new(format!("{place}.{label}"))),
            UserKey::Int(id),
            ground.clock.now(),
        )
    };
    assert_eq!(
        store
            .insert_access(&access("hers", ALICE.id))
            .await
            .unwrap(),
        Opened::Done
    );
    store
        .insert_access(&access("his", BOB.id))
        .await
        .unwrap_err();
    let find = async |label: &str| {
        store
            .find_access(&access(label, 0).digest.into())
            .await
            .unwrap()
    };
    assert_eq!(find("hers").await.unwrap().user, UserKey::Int(ALICE.id));
    assert!(find("his").await.is_none());
}
