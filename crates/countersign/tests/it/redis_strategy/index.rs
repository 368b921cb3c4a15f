//! What one user's key holds, and for how long.

use std::time::Duration;

use countersign::redis::Redis;
use countersign::store::TokenStore;
use countersign::strategy::{RefreshableStrategy, Strategy};
use countersign::{Refusal, UserKey};

use crate::fixture::users::numbered_users;
use crate::redis_strategy::ground::{ALICE, Ground, Member};

const HOUR: Duration = Duration::from_hours(1);

impl Ground {
    /// The one key under the prefix.
    fn key(&self) -> String {
        let keys = self.keys();
        assert_eq!(keys.len(), 1, "{keys:?}");
        keys.concat()
    }

    /// How many records a key holds.
    fn records(&self, key: &str) -> usize {
        let fields = self.server.command(&["HKEYS", key]);
        fields.lines().filter(|field| field.len() > 1).count()
    }

    fn millis_left(&self, key: &str) -> i64 {
        self.server.command(&["PTTL", key]).parse().unwrap()
    }
}

/// Promise P9: after ten thousand logins whose tokens have ended, the key is rid of them a few logins later, and holds
/// live ones alone.
#[tokio::test]
async fn a_users_key_holds_no_dead_members_on_redis() {
    let ground = Ground::new();
    let strategy = ground.builder().refresh_lifetime(HOUR).build().unwrap();
    let refreshable: &dyn RefreshableStrategy<Member> = strategy.as_refreshable().unwrap();
    for login in 0..10_000 {
        refreshable.open_session(&ALICE).await.unwrap();
        if login % 100 == 99 {
            ground.clock.advance(Duration::from_secs(1));
        }
    }
    let key = ground.key();
    assert_eq!(ground.records(&key), 20_000, "all of them are alive");
    ground.clock.advance(HOUR * 2);
    let mut logins = 0;
    let mut live = Vec::new();
    while ground.records(&key) > 2 * logins {
        live.push(
            refreshable
                .open_session(&ALICE)
                .await
                .unwrap()
                .access
                .session_id
                .unwrap(),
        );
        logins += 1;
        assert!(logins < 60, "{} records are left", ground.records(&key));
    }
    live.sort_unstable();
    let page = countersign::store::Page {
        after: None,
        limit: 100,
    };
    let listed = strategy
        .sessions()
        .unwrap()
        .store()
        .sessions(&UserKey::Int(ALICE.id), &page)
        .await
        .unwrap();
    let mut listed: Vec<_> = listed.sessions.into_iter().map(|found| found.id).collect();
    listed.sort_unstable();
    assert_eq!(listed, live);
}

/// A session that is refreshed for years leaves what two refreshes leave.
#[tokio::test]
async fn refreshes_leave_nothing_behind_on_redis() {
    let ground = Ground::new();
    let strategy = ground
        .builder()
        .lifetime(HOUR / 4)
        .session_lifetime(None)
        .build()
        .unwrap();
    let refreshable = strategy.as_refreshable().unwrap();
    let mut refresh = refreshable
        .open_session(&ALICE)
        .await
        .unwrap()
        .refresh
        .unwrap()
        .token;
    for _ in 0..200 {
        ground.clock.advance(HOUR / 3);
        let issued = refreshable
            .refresh_session(&refresh, &numbered_users)
            .await
            .unwrap()
            .issued;
        refresh = issued.refresh.unwrap().token;
        assert!(ground.records(&ground.key()) <= 3);
    }
}

/// Promise P9 and conformance case 116: every key has an end, which comes after that of all that it holds, whatever is
/// written later.
#[tokio::test]
async fn a_key_outlives_what_it_holds_on_redis() {
    let ground = Ground::new();
    let millis = |life: Duration| i64::try_from(life.as_millis()).unwrap();
    let short = ground
        .builder()
        .lifetime(Duration::from_millis(1900))
        .build()
        .unwrap();
    short.write_token(&ALICE).await.unwrap();
    let key = ground.key();
    assert!(ground.millis_left(&key) > 1900);
    let long = ground.builder().lifetime(HOUR).build().unwrap();
    long.write_token(&ALICE).await.unwrap();
    assert!(ground.millis_left(&key) > millis(HOUR));
    short.write_token(&ALICE).await.unwrap();
    assert!(
        ground.millis_left(&key) > millis(HOUR),
        "a short life shortened a long one"
    );
    long.as_refreshable()
        .unwrap()
        .open_session(&ALICE)
        .await
        .unwrap();
    let month = millis(HOUR * 24 * 30);
    assert!((month..month + millis(HOUR)).contains(&ground.millis_left(&key)));
}

/// A key that Redis loses, by eviction or by mistake, logs out and never in: also when the user logs in again.
#[tokio::test]
async fn a_lost_key_revives_nothing_on_redis() {
    let ground = Ground::new();
    let strategy = ground.strategy();
    let refreshable = strategy.as_refreshable().unwrap();
    let revoked = refreshable.open_session(&ALICE).await.unwrap();
    let live = refreshable.open_session(&ALICE).await.unwrap();
    refreshable
        .end_session(revoked.access.session_id.unwrap(), &ALICE.key())
        .await
        .unwrap();
    assert_eq!(ground.server.command(&["DEL", &ground.key()]), "1");
    for again in [false, true] {
        if again {
            refreshable.open_session(&ALICE).await.unwrap();
        }
        for pair in [&revoked, &live] {
            assert!(
                crate::redis_strategy::ground::read(&strategy, &pair.access.token)
                    .await
                    .is_err()
            );
            let refresh = &pair.refresh.as_ref().unwrap().token;
            let refused = refreshable
                .refresh_session(refresh, &numbered_users)
                .await
                .unwrap_err();
            assert!(refused.refusal().is_some());
        }
    }
}

/// A key of another type in the place of a user's is no token, and doesn't keep the user out.
#[tokio::test]
async fn a_key_of_another_type_is_replaced_by_a_login_on_redis() {
    let ground = Ground::new();
    let strategy = ground.strategy();
    let refreshable = strategy.as_refreshable().unwrap();
    let lost = refreshable.open_session(&ALICE).await.unwrap();
    let key = ground.key();
    ground.server.command(&["DEL", &key]);
    ground.server.command(&["LPUSH", &key, "foreign"]);
    assert_eq!(
        crate::redis_strategy::ground::read(&strategy, &lost.access.token).await,
        Err(Refusal::Unknown)
    );
    let refused = refreshable
        .refresh_session(&lost.refresh.unwrap().token, &numbered_users)
        .await
        .unwrap_err();
    assert_eq!(refused.refusal(), Some(Refusal::Unknown));
    let again = refreshable.open_session(&ALICE).await.unwrap();
    assert_eq!(
        crate::redis_strategy::ground::read(&strategy, &again.access.token).await,
        Ok(ALICE.id)
    );
    assert_eq!(ground.server.command(&["TYPE", &key]), "hash");
}

#[test]
fn a_handle_hides_its_password() {
    let redis = Redis::connect(
        "redis://app:hunter2@localhost",
        countersign::redis::RedisOptions::default(),
    )
    .unwrap();
    assert!(!format!("{redis:?}").contains("hunter2"));
}
