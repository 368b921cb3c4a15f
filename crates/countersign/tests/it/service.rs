//! The way in: what an application gets from a few lines, on each store and with each kind of token.

#![cfg(all(
    feature = "axum",
    feature = "jwt",
    feature = "sqlite",
    feature = "postgres",
    feature = "mysql",
    feature = "redis",
    feature = "testing"
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

use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use countersign::auth::SessionEnd;
use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
use countersign::clock::{Clock, SystemClock};
use countersign::denylist::MemoryDenylist;
use countersign::redis::{Redis, RedisOptions};
use countersign::store::MemoryStore;
use countersign::store::sql::{Database, DatabaseOptions, Driver, SetupError, Statement};
use countersign::strategy::Login;
use countersign::testing::ManualClock;
use countersign::transport::CookieTransport;
use countersign::{
    Auth, AuthBuilder, ClientInfo, Failure, Profile, Secret, Timestamp, User, Users,
};
use http::{Request, StatusCode, header};
use http_body_util::BodyExt;
use serde_json::{Value, json};
use tower::ServiceExt;

use crate::fixture::databases::{Kind, Place};
use crate::fixture::eventually;
use crate::fixture::log;

#[derive(Clone)]
struct Member {
    id: i64,
    hash: String,
    is_active: bool,
    /// `false` for an account type that keeps its hash to itself.
    shows_hash: bool,
}

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.id
    }

    fn password_hash(&self) -> Option<&str> {
        self.shows_hash.then_some(&*self.hash)
    }

    fn is_active(&self) -> bool {
        self.is_active
    }
}

/// Accounts whose hash is the password, and something that happens while a password is being checked.
#[derive(Clone, Default)]
struct Members {
    rows: Arc<Mutex<HashMap<i64, Member>>>,
    meanwhile: Arc<Mutex<Option<Member>>>,
}

impl Members {
    fn with_ada() -> Self {
        let members = Self::default();
        members.put(&ada("pw"));
        members
    }

    fn put(&self, member: &Member) {
        self.rows.lock().unwrap().insert(member.id, member.clone());
    }
}

fn ada(password: &str) -> Member {
    Member {
        id: 7,
        hash: password.to_owned(),
        is_active: true,
        shows_hash: true,
    }
}

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok(self.rows.lock().unwrap().get(id).cloned())
    }

    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        let found = match login.identifier() {
            "ada" => self.find(&7).await?,
            _ => None,
        };
        let judged = found.filter(|member| member.hash == login.password());
        if let Some(changed) = self.meanwhile.lock().unwrap().take() {
            self.put(&changed);
        }
        Ok(judged.map_or(LoginVerdict::Rejected, LoginVerdict::Accepted))
    }
}

fn secret() -> Secret {
    Secret::new("secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap()
}

fn key() -> Secret {
    Secret::new("key", "Qm3_vX08-LsT5yRw1ZkHc7NdUe2BjGfA").unwrap()
}

fn builder(members: &Members) -> AuthBuilder<Member> {
    Auth::builder(members.clone()).secret(&secret())
}

fn app(auth: &Auth<Member>) -> Router {
    let me = get(|member: CurrentUser<Member>| async move { member.user.id.to_string() });
    Router::new()
        .route("/me", me)
        .layer(auth.layer())
        .nest("/auth", auth.routes())
}

/// Status, cookies and body of an answer.
struct Reply {
    status: StatusCode,
    cookies: Vec<String>,
    body: Value,
}

async fn ask(app: &Router, request: Request<Body>) -> Reply {
    let response = app.clone().oneshot(request).await.unwrap();
    let cookies = response.headers().get_all(header::SET_COOKIE);
    let cookies = cookies.iter().map(|cookie| {
        cookie
            .to_str()
            .unwrap()
            .split(';')
            .next()
            .unwrap()
            .to_owned()
    });
    let (status, cookies) = (response.status(), cookies.collect());
    let body = response.into_body().collect().await.unwrap().to_bytes();
    let body = serde_json::from_slice(&body).unwrap_or(Value::Null);
    Reply {
        status,
        cookies,
        body,
    }
}

async fn post(app: &Router, path: &str, body: Value) -> Reply {
    let request = Request::post(path).header(header::CONTENT_TYPE, "application/json");
    ask(app, request.body(Body::from(body.to_string())).unwrap()).await
}

async fn log_in(app: &Router, password: &str) -> Reply {
    let login = json!({ "identifier": "ada", "password": password });
    post(app, "/auth/login", login).await
}

async fn me(app: &Router, access: &str) -> StatusCode {
    let request = Request::get("/me").header(header::AUTHORIZATION, format!("Bearer {access}"));
    ask(app, request.body(Body::empty()).unwrap()).await.status
}

fn text<'a>(reply: &'a Reply, name: &str) -> &'a str {
    reply.body[name]
        .as_str()
        .unwrap_or_else(|| panic!("no {name} in {}", reply.body))
}

/// Login, a protected route, refresh, logout, and nothing that answers afterwards.
async fn lives_and_ends(auth: &Auth<Member>) {
    let app = app(auth);
    let login = log_in(&app, "pw").await;
    assert_eq!(login.status, StatusCode::OK, "{}", login.body);
    assert_eq!(me(&app, text(&login, "access_token")).await, StatusCode::OK);

    let body = json!({ "refresh_token": text(&login, "refresh_token") });
    let refreshed = post(&app, "/auth/refresh", body).await;
    assert_eq!(refreshed.status, StatusCode::OK, "{}", refreshed.body);
    let access = text(&refreshed, "access_token");
    assert_eq!(me(&app, access).await, StatusCode::OK);

    let logout = Request::post("/auth/logout");
    let logout = logout.header(header::AUTHORIZATION, format!("Bearer {access}"));
    let logout = ask(&app, logout.body(Body::empty()).unwrap()).await;
    assert_eq!(logout.status, StatusCode::NO_CONTENT);
    for token in [&login, &refreshed] {
        let access = text(token, "access_token");
        assert_eq!(me(&app, access).await, StatusCode::UNAUTHORIZED);
        let body = json!({ "refresh_token": text(token, "refresh_token") });
        let refresh = post(&app, "/auth/refresh", body).await;
        assert_eq!(refresh.status, StatusCode::UNAUTHORIZED);
    }
    assert_eq!(log_in(&app, "wrong").await.status, StatusCode::UNAUTHORIZED);
}

/// Opaque tokens, and then signed ones.
async fn on(place: impl Fn(AuthBuilder<Member>) -> AuthBuilder<Member>) {
    opaque(&place).await;
    let members = Members::with_ada();
    let key = key();
    let signed = place(builder(&members)).jwt(move |jwt| jwt.secret(&key));
    lives_and_ends(&signed.build().await.unwrap()).await;
    keeps_the_lifetime_of_its_login(place(builder(&members)), true).await;
}

/// A session of two hours, and one of a year where the limit is half of one: refreshes keep what the login chose.
async fn keeps_the_lifetime_of_its_login(builder: AuthBuilder<Member>, is_signed: bool) {
    const HOUR: Duration = Duration::from_hours(1);
    let clock = Arc::new(ManualClock::new(SystemClock.now()));
    let key = key();
    let builder = builder.clock(clock.clone());
    let auth = if is_signed {
        builder.jwt(move |jwt| jwt.secret(&key))
    } else {
        builder
    };
    let auth = auth.build().await.unwrap();
    let sessions = auth.strategy().as_refreshable().unwrap();
    let users = |_: i64| async { Ok(Some(ada("pw"))) };
    for (lifetime, pause, times) in [(2 * HOUR, HOUR / 2, 3), (365 * 24 * HOUR, 500 * HOUR, 10)] {
        let end = clock.now().saturating_add(lifetime);
        let login = Login::from(ClientInfo::new()).lasting(lifetime).unwrap();
        let judge = || async { Ok(Some(ada("pw"))) };
        let mut pair = auth.log_in(Some(&7), login, judge).await.unwrap().tokens;
        for _ in 0..times {
            clock.advance(pause);
            let refresh = pair.refresh.unwrap().token;
            pair = sessions
                .refresh_session(&refresh, &users)
                .await
                .unwrap()
                .issued;
            let idle = clock.now().saturating_add(30 * 24 * HOUR);
            assert_eq!(pair.refresh.as_ref().unwrap().expires_at, end.min(idle));
            assert!(pair.access.expires_at <= end);
        }
        if lifetime == 2 * HOUR {
            clock.advance(pause);
            let refresh = pair.refresh.unwrap().token;
            let refused = sessions
                .refresh_session(&refresh, &users)
                .await
                .unwrap_err();
            assert!(refused.refusal().is_some(), "{refused}");
        }
    }
}

async fn opaque(place: impl Fn(AuthBuilder<Member>) -> AuthBuilder<Member>) {
    let members = Members::with_ada();
    let opaque = place(builder(&members)).build().await.unwrap();
    lives_and_ends(&opaque).await;
    keeps_the_lifetime_of_its_login(place(builder(&members)), false).await;
}

#[tokio::test]
async fn on_sqlite() {
    let place = Place::new(Kind::Sqlite);
    on(|builder| builder.database_url(&place.url)).await;
}

#[tokio::test]
async fn on_postgres() {
    let database = Place::new(Kind::Postgres).database();
    on(|builder| builder.database(&database)).await;
}

#[tokio::test]
async fn on_mariadb() {
    let database = Place::new(Kind::MariaDb).database();
    on(|builder| builder.database(&database)).await;
}

#[tokio::test]
async fn on_redis() {
    let server = testbed::Redis::dedicated();
    let redis = Redis::connect(server.url(), RedisOptions::default()).unwrap();
    on(|builder| builder.redis(&redis)).await;
}

#[tokio::test]
async fn in_memory() {
    opaque(|builder| builder.store(MemoryStore::new())).await;
    let (key, denylist) = (key(), Arc::new(MemoryDenylist::default()));
    let signed = builder(&Members::with_ada()).store(MemoryStore::new());
    let signed = signed.jwt(move |jwt| jwt.secret(&key).denylist_store(denylist));
    lives_and_ends(&signed.build().await.unwrap()).await;
}

#[tokio::test]
async fn cookies_alone() {
    let cookies = CookieTransport::builder(Profile::Countersign)
        .build()
        .unwrap();
    let auth = builder(&Members::with_ada())
        .store(MemoryStore::new())
        .cookies(cookies)
        .without_bearer();
    let app = app(&auth.build().await.unwrap());
    assert_eq!(log_in(&app, "pw").await.status, StatusCode::NOT_FOUND);

    let request = Request::post("/auth/cookie/login")
        .header(header::CONTENT_TYPE, "application/json")
        .header("sec-fetch-site", "same-origin");
    let login = json!({ "identifier": "ada", "password": "pw" }).to_string();
    let login = ask(&app, request.body(Body::from(login)).unwrap()).await;
    assert_eq!(login.status, StatusCode::NO_CONTENT);
    let request = Request::get("/me").header(header::COOKIE, login.cookies.join("; "));
    let seen = ask(&app, request.body(Body::empty()).unwrap()).await;
    assert_eq!(seen.status, StatusCode::OK);
}

/// A judgement by what the account was lets nobody in: the password was changed, or the account was disabled, while the
/// old password was being checked.
#[tokio::test]
async fn an_account_that_changes_during_the_check_is_judged_again() {
    let disabled = Member {
        is_active: false,
        ..ada("pw")
    };
    let hidden = |member| Member {
        shows_hash: false,
        ..member
    };
    for changed in [
        ada("new"),
        disabled.clone(),
        hidden(ada("new")),
        hidden(disabled),
    ] {
        let members = Members::default();
        members.put(&Member {
            shows_hash: changed.shows_hash,
            ..ada("pw")
        });
        let auth = builder(&members).store(MemoryStore::new());
        let app = app(&auth.build().await.unwrap());
        *members.meanwhile.lock().unwrap() = Some(changed);
        assert_eq!(log_in(&app, "pw").await.status, StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn what_is_missing_is_named() {
    let setting = async |builder: AuthBuilder<Member>| match builder.build().await {
        Err(SetupError::Config(error)) => error.setting().to_owned(),
        other => panic!("{other:?}"),
    };
    let members = Members::default();
    assert_eq!(setting(Auth::builder(members.clone())).await, "secret");
    assert_eq!(setting(builder(&members)).await, "store");
    let unsigned = builder(&members).store(MemoryStore::new()).jwt(|jwt| jwt);
    assert_eq!(setting(unsigned).await, "secret");
    let neither = builder(&members).store(MemoryStore::new()).without_bearer();
    assert_eq!(setting(neither).await, "backends");
}

/// Tables of another kind of user ids are no tables for these users.
#[tokio::test]
async fn tables_are_left_alone_where_that_is_asked() {
    let place = Place::new(Kind::Sqlite);
    let unmade = builder(&Members::with_ada()).database_url(&place.url);
    let unmade = unmade.without_migrations().build().await;
    assert!(matches!(unmade, Err(SetupError::Config(_))), "{unmade:?}");
}

async fn rows(database: &Database, table: &str) -> i64 {
    let count = Statement::new(database.dialect(), &format!("SELECT count(*) FROM {table}"));
    database.fetch(&count, &[]).await.unwrap()[0]
        .int(0)
        .unwrap()
        .unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn maintenance_sweeps_records_use_and_watches() {
    let place = Place::new(Kind::Sqlite);
    let clock = Arc::new(ManualClock::new(Timestamp::from_unix_seconds(
        1_800_000_000,
    )));
    let tick = Duration::from_millis(10);
    let auth = builder(&Members::with_ada())
        .database_url(&place.url)
        .sweep_interval(tick)
        .use_interval(tick)
        .watch_interval(tick)
        .clock(clock.clone())
        .build()
        .await
        .unwrap();
    let database = Database::connect(&place.url, DatabaseOptions::default()).unwrap();
    let app = app(&auth);
    let login = log_in(&app, "pw").await;
    let access = text(&login, "access_token").to_owned();
    clock.advance(Duration::from_mins(1));
    assert_eq!(me(&app, &access).await, StatusCode::OK);

    tokio::spawn(auth.maintain());
    let used = "SELECT count(*) FROM refresh_token WHERE last_used_at = 1800000060000000";
    let used = Statement::new(database.dialect(), used);
    let is_noted = async || {
        let found = database.fetch(&used, &[]).await.unwrap();
        found[0].int(0).unwrap() == Some(1)
    };
    eventually("the use is written", is_noted).await;

    let mut headers = http::HeaderMap::new();
    let bearer = format!("Bearer {access}").parse().unwrap();
    headers.insert(header::AUTHORIZATION, bearer);
    let answer = auth.authenticator().authenticate(&headers).await.unwrap();
    let live = auth.watcher().watch(&answer.accepted().unwrap()).unwrap();
    clock.advance(Duration::from_hours(365 * 24));
    assert_eq!(live.ended().await, SessionEnd::Ended);
    for table in ["access_token", "refresh_token"] {
        eventually("it is swept", async || rows(&database, table).await == 0).await;
    }
    assert_eq!(auth.flush().await.unwrap(), 0);
}

/// Whoever forgets the maintenance is told so, once; whoever doesn't is not.
#[tokio::test(start_paused = true)]
async fn nobody_who_maintains_is_said() {
    log::listen();
    let said = || {
        let lines = log::of_this_thread();
        lines
            .iter()
            .filter(|line| line.contains("not_maintained"))
            .count()
    };
    let members = Members::with_ada();
    let gone = builder(&members)
        .store(MemoryStore::new())
        .build()
        .await
        .unwrap();
    let kept = builder(&members)
        .store(MemoryStore::new())
        .build()
        .await
        .unwrap();
    drop(gone);
    let task = tokio::spawn(kept.maintain());
    tokio::time::advance(Duration::from_hours(1)).await;
    tokio::task::yield_now().await;
    assert_eq!(said(), 0);
    task.abort();

    let forgotten = builder(&members)
        .store(MemoryStore::new())
        .build()
        .await
        .unwrap();
    tokio::task::yield_now().await;
    tokio::time::advance(Duration::from_hours(1)).await;
    eventually("it is said", async || said() == 1).await;
    drop(forgotten);
}
