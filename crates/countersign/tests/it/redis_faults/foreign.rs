//! Keys and records that aren't ours, where ours would be: they are nobody's token.

use countersign::Refusal;
use countersign::strategy::{Strategy, TokenControl};
use testbed::Redis;

use crate::fixture::log;
use crate::fixture::users::Account;
use crate::redis_faults::entry::key_of;
use crate::redis_faults::ground::{Ground, LONG, Pair, connect, left};

struct Place {
    server: &'static Redis,
    ground: Ground,
    account: Account,
    pair: Pair,
    neighbour: Pair,
    key: String,
}

impl Place {
    async fn new() -> Self {
        log::listen();
        let server = Redis::shared();
        let prefix = server.prefix();
        let ground = Ground::new(&connect(server.url(), LONG), &prefix);
        let account = Account::new(1);
        let pair = ground.open(&account).await.unwrap();
        let neighbour = ground.open(&Account::new(2)).await.unwrap();
        let key = key_of(&prefix, &account.key());
        log::take();
        Self {
            server,
            ground,
            account,
            pair,
            neighbour,
            key,
        }
    }

    /// The user's fields that begin with `kind`, of which there is one.
    fn field(&self, kind: char) -> String {
        let fields = self.server.command(&["HKEYS", &self.key]);
        fields
            .lines()
            .find(|field| field.len() > 1 && field.starts_with(kind))
            .unwrap()
            .to_owned()
    }

    fn set(&self, field: &str, value: &str) {
        self.server.command(&["HSET", &self.key, field, value]);
    }

    async fn access_is_unknown(&self, what: &str) {
        assert_eq!(
            self.ground.refusal(&self.pair.access).await.unwrap(),
            Some(Refusal::Unknown),
            "{what}"
        );
        assert!(warned(), "{what}: nobody is told");
    }

    async fn refresh_is_unknown(&self, what: &str) {
        assert!(
            !self.ground.would_refresh(&self.pair.refresh).await.unwrap(),
            "{what}"
        );
        assert!(warned(), "{what}: nobody is told");
        let users = &crate::fixture::users::users;
        let refreshed = self
            .ground
            .refreshable()
            .refresh_session(&self.pair.refresh, users)
            .await
            .unwrap_err();
        assert_eq!(refreshed.refusal(), Some(Refusal::Unknown), "{what}");
    }

    /// Others never notice; whoever ends everything has an empty place again, in which to log in.
    async fn is_cleared(&self, what: &str) {
        assert!(
            self.ground.accepts(&self.neighbour.access).await.unwrap(),
            "{what}: another user's token is refused"
        );
        self.ground.goes_on(&Account::new(2), &self.neighbour).await;
        self.ground
            .strategy()
            .invalidate_all(&self.account.key())
            .await
            .unwrap();
        assert!(
            !left(self.server, &self.key).contains(&self.key),
            "{what}: something is left"
        );
        let again = self.ground.open(&self.account).await.unwrap();
        self.ground.goes_on(&self.account, &again).await;
        assert!(
            !self.ground.accepts(&self.pair.access).await.unwrap(),
            "{what}: an ended token is back"
        );
    }
}

fn warned() -> bool {
    log::take()
        .iter()
        .any(|line| line.contains("WARN") && line.contains("token_row_unreadable"))
}

/// What lies where a user's tokens would be is no token, and gives way to one.
#[tokio::test]
async fn redis_keys_of_another_type() {
    let values: [&[&str]; 5] = [
        &["SET", "KEY", "text"],
        &["LPUSH", "KEY", "item"],
        &["SADD", "KEY", "member"],
        &["ZADD", "KEY", "1", "member"],
        &["XADD", "KEY", "*", "field", "value"],
    ];
    for value in values {
        let place = Place::new().await;
        place.server.command(&["DEL", &place.key]);
        let command: Vec<&str> = value
            .iter()
            .map(|word| if *word == "KEY" { &*place.key } else { word })
            .collect();
        place.server.command(&command);
        let what = value[0];
        place.access_is_unknown(what).await;
        place.refresh_is_unknown(what).await;
        let (strategy, refreshable) = (place.ground.strategy(), place.ground.refreshable());
        strategy
            .destroy_token(&place.pair.access, &place.account)
            .await
            .unwrap();
        refreshable
            .end_session(place.pair.session, &place.account.key())
            .await
            .unwrap();
        let page = countersign::store::Page {
            after: None,
            limit: 10,
        };
        let store = strategy.sessions().unwrap().store();
        let listed = countersign::store::TokenStore::sessions(store, &place.account.key(), &page)
            .await
            .unwrap();
        assert_eq!(listed, countersign::store::SessionPage::default(), "{what}");
        place.is_cleared(what).await;
        // A login takes the place as well.
        place.server.command(&["DEL", &place.key]);
        place.server.command(&command);
        let pair = place.ground.open(&place.account).await.unwrap();
        place.ground.goes_on(&place.account, &pair).await;
    }
}

#[tokio::test]
async fn redis_owners_that_are_none() {
    let long = "x".repeat(100_000);
    for owner in [
        "",
        "alice",
        "u",
        "u-1",
        "i1.5",
        "i 1",
        "zed",
        "u00000000-0000-0000-0000-00000000000g",
        &long,
    ] {
        let place = Place::new().await;
        place.set("u", owner);
        place.access_is_unknown(owner).await;
        place.refresh_is_unknown(owner).await;
        assert!(
            place.ground.open(&place.account).await.is_err(),
            "{owner}: a session is given to somebody else"
        );
        place.is_cleared(owner).await;
    }
    let place = Place::new().await;
    place.server.command(&["HDEL", &place.key, "u"]);
    assert_eq!(
        place.ground.refusal(&place.pair.access).await.unwrap(),
        Some(Refusal::Unknown),
        "nobody's token"
    );
    place.is_cleared("no owner").await;
}

/// Garbage and records of other versions are no token; the user's others are as good as before.
#[tokio::test]
async fn redis_records_that_are_none() {
    let huge = format!("1|{}||1768478400000000||", "9".repeat(400));
    let long = "x".repeat(100_000);
    let other_versions = [
        "2|1968478400000000||1768478400000000|1968478400000000|",
        "3|1||1||",
        "0|1||1||",
        "11|1||1||",
        "v1|1||1||",
    ];
    let garbage = [
        "",
        "1",
        "|||||",
        "1|||||",
        "1|x||1||",
        "1|1||x||",
        "1|1||1|x|",
        "1|1||1||x",
        "1|1||1||||",
        "[]",
    ];
    for record in other_versions
        .into_iter()
        .chain(garbage)
        .chain([&*huge, &*long])
    {
        let place = Place::new().await;
        let (access, session) = (place.field('a'), place.field('s'));
        let beside = place.ground.open(&place.account).await.unwrap();
        place.set(&access, record);
        place.access_is_unknown(record).await;
        place.set(&session, record);
        place.refresh_is_unknown(record).await;
        assert!(
            place.ground.accepts(&beside.access).await.unwrap(),
            "{record}: another token of the user is refused"
        );
        place.ground.goes_on(&place.account, &beside).await;
        place.is_cleared(record).await;
    }
    // A session that can't be read keeps none of its tokens.
    let place = Place::new().await;
    place.set(&place.field('s'), "garbage");
    place.access_is_unknown("its session is garbage").await;
    place.is_cleared("a session").await;
}

/// What says when and how far to tidy may be garbage: a login tidies anew, also in a key that is tidied piece by piece.
#[tokio::test]
async fn redis_marks_that_are_none() {
    for garbage in [
        "",
        "soon",
        "-1",
        "1e999",
        "nan",
        "99999999999999999999999999",
        "\u{7f}",
        "1.5",
    ] {
        for records in [0, 3000] {
            let place = Place::new().await;
            let fill = format!(
                "for i = 1, {records} do redis.call('HSET', KEYS[1], 'a' .. i, 'garbage') end"
            );
            place.server.command(&["EVAL", &fill, "1", &place.key]);
            for mark in ["x", "c"] {
                place.set(mark, garbage);
            }
            for _ in 0..5 {
                place
                    .ground
                    .open(&place.account)
                    .await
                    .unwrap_or_else(|it| panic!("{garbage}, {records}: {it:?}"));
            }
            place.ground.goes_on(&place.account, &place.pair).await;
            place.is_cleared(garbage).await;
        }
    }
}
