//! Nothing in the log, at any level and from any target, whatever happens.

use std::sync::Arc;
use std::time::Duration;

use countersign::denylist::{DenylistStore, MemoryDenylist, SqlDenylist};
use countersign::store::sql::{DatabaseTokenModels, SqlStore};
use countersign::store::{MemoryStore, TokenStore};
use countersign::strategy::Strategy;
use countersign::strategy::{DatabaseTokenStrategy, JwtStrategy, Sessions};
use countersign::testing::SeededEntropy;
use countersign::user::UserKeyKind;
use countersign::{Lifetimes, PlainToken, UserId};
use serde_json::json;

use crate::fixture::databases::{Kind, Place};
use crate::fixture::log;
use crate::redaction::needles::{
    EMAIL, ID, PASSWORD, People, Person, ada, found, of_token, ring, signing_secret, standing,
};
use crate::redaction::site::{Site, pair};

/// Where tokens and denied ids are kept.
struct Stores {
    tokens: Arc<dyn TokenStore>,
    denied: Arc<dyn DenylistStore>,
    _place: Option<Place>,
}

impl Stores {
    fn in_memory() -> Self {
        Self {
            tokens: Arc::new(MemoryStore::new()),
            denied: Arc::new(MemoryDenylist::default()),
            _place: None,
        }
    }

    async fn in_sql(kind: Kind) -> Self {
        let place = Place::new(kind);
        let database = place.migrated().await;
        let tokens = SqlStore::new(
            database.driver(),
            DatabaseTokenModels::bundled(UserKeyKind::Uuid),
        );
        Self {
            tokens: Arc::new(tokens),
            denied: Arc::new(SqlDenylist::new(&database)),
            _place: Some(place),
        }
    }

    /// Both strategies, with tokens that are the same for the same seed.
    fn strategies(&self, seed: u64) -> [Arc<dyn Strategy<Person>>; 2] {
        let opaque = DatabaseTokenStrategy::builder(Arc::clone(&self.tokens))
            .digest_keys(ring())
            .entropy(Arc::new(SeededEntropy::new(seed)))
            .build()
            .unwrap();
        let lifetimes = Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap();
        let sessions = Sessions::new(Arc::clone(&self.tokens), ring(), lifetimes);
        let signed = JwtStrategy::builder()
            .secret(&signing_secret())
            .denylist_store(Arc::clone(&self.denied))
            .sessions(sessions.with_entropy(Arc::new(SeededEntropy::new(seed + 1))))
            .build()
            .unwrap();
        [Arc::new(opaque), Arc::new(signed)]
    }
}

/// Logs in, reads, rotates, replays, is refused in every way, logs out; what must not be seen of it.
async fn visit(strategy: &Arc<dyn Strategy<Person>>) -> Vec<String> {
    let site = Site::over(strategy, &Arc::default());
    let nothing = ("accept", "*/*");
    let (first, refresh) = site.tokens().await;
    let bearer = |token: &PlainToken| format!("Bearer {}", token.expose());
    assert_eq!(
        site.post("/me", ("authorization", &bearer(&first)), json!(null))
            .await
            .0,
        200
    );
    let cookie = format!("__Host-countersign_access={}", first.expose());
    assert_eq!(
        site.post("/me", ("cookie", &cookie), json!(null)).await.0,
        200
    );

    let exchange = json!({"refresh_token": refresh.expose()});
    let (status, _, body) = site.post("/auth/refresh", nothing, exchange.clone()).await;
    assert_eq!(status, 200);
    let (second, next) = pair(&body);
    assert_eq!(
        site.post("/auth/refresh", nothing, exchange.clone())
            .await
            .0,
        200,
        "a retry"
    );

    let forged = PlainToken::new(format!(
        "{}x",
        &second.expose()[..second.expose().len() - 1]
    ));
    for offered in [
        bearer(&forged),
        bearer(&next),
        format!("Bearer{}", second.expose()),
        "Bearer needle-needle".into(),
    ] {
        assert_ne!(
            site.post("/me", ("authorization", &offered), json!(null))
                .await
                .0,
            200
        );
    }
    assert_eq!(site.login("wrong-password-needle").await.0, 401);
    let (status, headers, _) = site
        .post(
            "/auth/cookie/login",
            nothing,
            json!({"identifier": EMAIL, "password": PASSWORD}),
        )
        .await;
    assert_eq!(
        (status, headers.get_all("set-cookie").iter().count()),
        (204, 2)
    );
    assert_eq!(
        site.post(
            "/auth/logout",
            ("authorization", &bearer(&second)),
            json!(null)
        )
        .await
        .0,
        204
    );
    assert_eq!(
        site.post("/me", ("authorization", &bearer(&second)), json!(null))
            .await
            .0,
        401
    );

    let (of_thief, stolen) = site.tokens().await;
    let mut generations = vec![of_thief, stolen.clone()];
    let mut current = stolen.clone();
    for _ in 0..2 {
        let exchange = json!({"refresh_token": current.expose()});
        let (access, next) = pair(&site.post("/auth/refresh", nothing, exchange).await.2);
        current = next.clone();
        generations.extend([access, next]);
    }
    let reused = json!({"refresh_token": stolen.expose()});
    assert_eq!(
        site.post("/auth/refresh", nothing, reused).await.0,
        401,
        "theft"
    );

    let (third, last) = site.tokens().await;
    strategy.destroy_token(&third, &ada()).await.unwrap();
    strategy
        .as_refreshable()
        .unwrap()
        .end_session_of(&last)
        .await
        .unwrap();
    let alone = strategy.write_token(&ada()).await.unwrap().token;
    let _ = strategy.read_token(Some(&alone), &People).await.unwrap();
    strategy.invalidate_all(&ID.to_key()).await.unwrap();
    let cookies = headers.get_all("set-cookie").iter().map(|value| {
        let pair = value.to_str().unwrap().split(';').next().unwrap();
        PlainToken::new(pair.split_once('=').unwrap().1)
    });
    let mut tokens: Vec<_> = cookies.collect();
    tokens.extend([first, refresh, second, next, third, last, alone]);
    tokens.extend(generations);
    let mut needles: Vec<_> = tokens.iter().flat_map(of_token).collect();
    needles.extend(["wrong-password-needle", "needle-needle"].map(str::to_owned));
    needles
}

/// A token that is there already can't be stored again, and the failure is logged with its cause.
async fn collide(stores: &Stores, seed: u64) -> Vec<String> {
    let mut needles = Vec::new();
    for (one, other) in stores
        .strategies(seed)
        .into_iter()
        .zip(stores.strategies(seed))
    {
        let [one, other] = [&one, &other].map(|strategy| strategy.as_refreshable().unwrap());
        let refresh = one.write_refresh_token(&ada()).await.unwrap().token;
        needles.extend(of_token(&refresh));
        let failure = other.write_refresh_token(&ada()).await.unwrap_err();
        let chain = format!(
            "{failure:?} {failure:#?} {}",
            crate::redaction::errors::chain(&failure)
        );
        assert!(found(&needles, &chain).is_empty(), "{chain}");
    }
    // And once more, through a site that logs it.
    for (one, other) in stores
        .strategies(seed + 10)
        .into_iter()
        .zip(stores.strategies(seed + 10))
    {
        let log_in = async |strategy| Site::over(strategy, &Arc::default()).login(PASSWORD).await;
        let (status, _, body) = log_in(&one).await;
        assert_eq!(status, 200);
        let (access, refresh) = pair(&body);
        needles.extend([access, refresh].iter().flat_map(of_token));
        let (status, _, body) = log_in(&other).await;
        assert!(status >= 500, "{status} {body}");
    }
    needles
}

async fn no_needle(stores: Stores, seed: u64) {
    // Others' threads too, since stores have threads of their own.
    let _listening = log::ListeningToAll::start();
    log::listen();
    let mut needles = standing();
    for strategy in stores.strategies(seed) {
        needles.extend(visit(&strategy).await);
    }
    needles.extend(collide(&stores, seed + 100).await);
    let mine = log::of_this_thread().concat();
    for event in [
        "login",
        "login_failed",
        "refresh",
        "refresh_token_reused",
        "refused",
        "logout",
        "failed",
    ] {
        assert!(
            mine.contains(&format!("event=\"{event}\"")),
            "{event} is not in the log"
        );
    }
    assert!(
        mine.contains("login attempt") && mine.contains("LoginAttempt(..)"),
        "the lines of an application are seen"
    );
    let log = log::everything();
    let told: Vec<_> = found(&needles, &log)
        .into_iter()
        .map(str::to_owned)
        .collect();
    let at: Vec<_> = log
        .lines()
        .filter(|line| !found(&told, line).is_empty())
        .take(5)
        .collect();
    assert!(told.is_empty(), "{told:?} are in the log: {at:#?}");
}

#[tokio::test]
async fn on_memory() {
    no_needle(Stores::in_memory(), 10).await;
}

#[tokio::test]
async fn on_sqlite() {
    no_needle(Stores::in_sql(Kind::Sqlite).await, 20).await;
}

#[cfg(feature = "postgres")]
#[tokio::test]
async fn on_postgres() {
    no_needle(Stores::in_sql(Kind::Postgres).await, 30).await;
    assert!(
        log::of_this_thread().concat().contains("tokio_postgres"),
        "the driver's own lines are seen"
    );
}

#[cfg(feature = "mysql")]
#[tokio::test]
async fn on_mariadb() {
    no_needle(Stores::in_sql(Kind::MariaDb).await, 40).await;
}
