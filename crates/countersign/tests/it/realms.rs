//! Two kinds of users with the same ids over one store and one secret: what they share without realms, and nothing with them.

#![cfg(all(
    feature = "axum",
    feature = "jwt",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "redis"
))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    clippy::unused_async,
    missing_docs,
    unreachable_pub,
    reason = "test code"
)]

use std::sync::Arc;

use countersign::axum::{LoginAttempt, LoginVerdict};
use countersign::denylist::MemoryDenylist;
use countersign::redis::{Redis, RedisOptions};
use countersign::store::MemoryStore;
use countersign::store::Page;
use countersign::store::sql::SetupError;
use countersign::strategy::Login;
use countersign::token::Invalidated;
use countersign::{Auth, AuthBuilder, AuthError, Failure, Secret, TokenPair, User, Users};
use http::header::AUTHORIZATION;

use crate::fixture::databases::{Kind, Place};

#[derive(Clone)]
struct Person {
    id: i64,
}

impl User for Person {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }
}

/// Knows every id, as two tables of an application may.
struct People;

impl Users for People {
    type User = Person;

    async fn find(&self, id: &i64) -> Result<Option<Person>, Failure> {
        Ok(Some(Person { id: *id }))
    }

    async fn verify(&self, _: &LoginAttempt) -> Result<LoginVerdict<Person>, Failure> {
        Ok(LoginVerdict::Rejected)
    }
}

type Builder = AuthBuilder<Person>;

async fn build(place: &impl Fn(Builder) -> Builder, realm: Option<&str>) -> Auth<Person> {
    let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let builder = place(Auth::builder(People).secret(&secret));
    let builder = match realm {
        Some(realm) => builder.realm(realm),
        None => builder,
    };
    builder.build().await.unwrap()
}

async fn log_in(auth: &Auth<Person>) -> TokenPair {
    let backend = &auth.authenticator().backends()[0];
    backend
        .login(&Person { id: 7 }, &Login::default())
        .await
        .unwrap()
}

async fn is_accepted(auth: &Auth<Person>, tokens: &TokenPair) -> bool {
    let mut headers = http::HeaderMap::new();
    let bearer = format!("Bearer {}", tokens.access.token.expose());
    headers.insert(AUTHORIZATION, bearer.parse().unwrap());
    let answer = auth.authenticator().authenticate(&headers).await.unwrap();
    answer.accepted().is_some()
}

async fn is_refreshed(auth: &Auth<Person>, tokens: &TokenPair) -> bool {
    let backend = &auth.authenticator().backends()[0];
    let refresh = &tokens.refresh.as_ref().unwrap().token;
    match backend.refresh(refresh, auth.authenticator().users()).await {
        Ok(_) => true,
        Err(AuthError::Refused(_)) => false,
        Err(AuthError::Failed(failure)) => panic!("{failure}"),
    }
}

async fn listed(auth: &Auth<Person>) -> usize {
    let backend = &auth.authenticator().backends()[0];
    let page = Page {
        after: None,
        limit: 10,
    };
    backend.sessions_of(&7, &page).await.unwrap().sessions.len()
}

/// Nothing of one realm is known in the other, and nothing that ends here ends there.
async fn are_apart(one: &Auth<Person>, other: &Auth<Person>) {
    let (mine, theirs) = (log_in(one).await, log_in(other).await);
    assert!(is_accepted(one, &mine).await && is_accepted(other, &theirs).await);
    assert!(!is_accepted(one, &theirs).await && !is_accepted(other, &mine).await);
    assert!(!is_refreshed(one, &theirs).await && !is_refreshed(other, &mine).await);
    assert_eq!((listed(one).await, listed(other).await), (1, 1));

    // A logout with a token of the other realm ends nothing.
    let backend = &one.authenticator().backends()[0];
    let refresh = &theirs.refresh.as_ref().unwrap().token;
    backend.logout_with_refresh(refresh).await.unwrap();
    let _ = backend
        .logout(&theirs.access.token, one.authenticator().users())
        .await;
    assert!(is_accepted(other, &theirs).await);

    let ended = backend.logout_everywhere(&7).await.unwrap();
    assert_eq!(ended, Invalidated::All(1));
    assert!(!is_accepted(one, &mine).await && !is_refreshed(one, &mine).await);
    assert_eq!((listed(one).await, listed(other).await), (0, 1));
    assert!(is_accepted(other, &theirs).await && is_refreshed(other, &theirs).await);
    let other = &other.authenticator().backends()[0];
    other.logout_everywhere(&7).await.unwrap();
}

/// Without realms, with one realm, and with two.
async fn on(place: impl Fn(Builder) -> Builder) {
    let (one, other) = (build(&place, None).await, build(&place, None).await);
    let tokens = log_in(&one).await;
    assert!(
        is_accepted(&other, &tokens).await,
        "without a realm they are one"
    );
    other.authenticator().backends()[0]
        .logout_everywhere(&7)
        .await
        .unwrap();
    assert!(!is_accepted(&one, &tokens).await);

    let staff = build(&place, Some("staff")).await;
    are_apart(&one, &staff).await;
    are_apart(&staff, &one).await;
    let clients = build(&place, Some("clients")).await;
    are_apart(&clients, &staff).await;

    // The realm is a name and no more: another process with the same one reads its tokens.
    let tokens = log_in(&staff).await;
    assert!(is_accepted(&build(&place, Some("staff")).await, &tokens).await);
    let backend = &staff.authenticator().backends()[0];
    backend.logout_everywhere(&7).await.unwrap();
}

/// Opaque tokens, and then signed ones.
async fn of_both_kinds(place: impl Fn(Builder) -> Builder) {
    on(&place).await;
    on(|builder| {
        let key = Secret::new("key", "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA").unwrap();
        place(builder).jwt(move |jwt| jwt.secret(&key).without_session_fingerprint())
    })
    .await;
}

#[tokio::test]
async fn on_sqlite() {
    let place = Place::new(Kind::Sqlite);
    of_both_kinds(|builder| builder.database_url(&place.url)).await;
}

#[tokio::test]
async fn on_postgres() {
    let database = Place::new(Kind::Postgres).database();
    of_both_kinds(|builder| builder.database(&database)).await;
}

#[tokio::test]
async fn on_mariadb() {
    let database = Place::new(Kind::MariaDb).database();
    of_both_kinds(|builder| builder.database(&database)).await;
}

#[tokio::test]
async fn on_redis() {
    let server = testbed::Redis::dedicated();
    let redis = Redis::connect(server.url(), RedisOptions::default()).unwrap();
    of_both_kinds(|builder| builder.redis(&redis)).await;
}

#[tokio::test]
async fn a_name_that_no_table_can_have_is_refused() {
    let long = "a".repeat(17);
    for name in [
        "", "Staff", "1st", "_x", "my-staff", "staff;", "st aff", "stäff", &long,
    ] {
        let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let builder = Auth::builder(People)
            .secret(&secret)
            .store(MemoryStore::new());
        match builder.realm(name).build().await {
            Err(SetupError::Config(error)) => assert_eq!(error.setting(), "realm", "{name}"),
            other => panic!("{name}: {other:?}"),
        }
    }
}

/// As long as a name may be: the names of indexes still fit.
#[tokio::test]
async fn the_longest_name_fits_on_postgres() {
    let database = Place::new(Kind::Postgres).database();
    let names = ["a_realm_of_16_ch", "b_realm_of_16_ch"];
    let place = |builder: Builder| builder.database(&database);
    let (one, other) = (
        build(&place, Some(names[0])).await,
        build(&place, Some(names[1])).await,
    );
    are_apart(&one, &other).await;
}

/// One helper for the settings of several realms must not undo what keeps their tokens apart.
#[tokio::test]
async fn an_audience_without_the_realm_is_refused() {
    for (audience, is_apart) in [
        ("https://api.example", false),
        ("https://api.example/staff", true),
    ] {
        let secret = Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
        let signing = Secret::new("secret", "bM2-vq71Hsd0_eTn54cXoL8RyUkZ3iJw").unwrap();
        let built = Auth::builder(People)
            .store(MemoryStore::new())
            .secret(&secret)
            .jwt(move |jwt| {
                let denylist = Arc::new(MemoryDenylist::new(10).unwrap());
                jwt.secret(&signing)
                    .denylist_store(denylist)
                    .audience(audience)
            })
            .realm("staff")
            .build()
            .await;
        assert_eq!(built.is_ok(), is_apart, "{audience}");
        if let Err(error) = built {
            assert!(error.to_string().contains("the realm staff"), "{error}");
        }
    }
}
