//! The same routes over SQLite, over signed tokens, and over both at once.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::routing::get;
use countersign::axum::AuthRoutes;
use countersign::denylist::MemoryDenylist;
use countersign::store::TokenStore;
use countersign::store::sql::{Database, DatabaseOptions, DatabaseTokenModels, Migrator, SqlStore};
use countersign::strategy::Strategy;
use countersign::strategy::{JwtStrategy, Login, Sessions};
use countersign::token::DigestKeyRing;
use countersign::tower::AuthLayer;
use countersign::transport::BearerTransport;
use countersign::user::UserKeyKind;
use countersign::{AuthenticationBackend, Authenticator, Lifetimes, Profile};
use countersign::{Secret, SystemEntropy, TokenPair};
use serde_json::json;

use crate::fixture::web::{Member, World, opaque};
use crate::http::{App, Verifier, me, reply, request};

pub(crate) async fn sqlite() -> Arc<dyn TokenStore> {
    crate::fixture::log::listen();
    let database = Database::connect("sqlite::memory:", DatabaseOptions::default()).unwrap();
    Migrator::new(&database, UserKeyKind::Int)
        .run()
        .await
        .unwrap();
    Arc::new(SqlStore::new(
        database.driver(),
        DatabaseTokenModels::bundled(UserKeyKind::Int),
    ))
}

fn secret() -> Secret {
    Secret::generate(&SystemEntropy).unwrap()
}

pub(crate) fn signed(
    world: &World,
    store: Option<Arc<dyn TokenStore>>,
) -> Arc<dyn Strategy<Member>> {
    let builder = JwtStrategy::builder()
        .secret(&secret())
        .clock(world.clock.clone())
        .denylist_store(Arc::new(MemoryDenylist::default()));
    Arc::new(match store {
        Some(store) => {
            let lifetimes =
                Lifetimes::new(Duration::from_mins(15), Duration::from_hours(24)).unwrap();
            let sessions = Sessions::new(
                store,
                DigestKeyRing::new("k", &secret()).unwrap(),
                lifetimes,
            );
            builder
                .sessions(sessions.with_clock(world.clock.clone()))
                .build()
                .unwrap()
        }
        None => builder.build().unwrap(),
    })
}

/// Login, use, refresh, logout, and everything after it refused, whatever the strategy.
async fn main_job(app: App) {
    let first = app.tokens(1).await;
    let other = app.tokens(1).await;
    assert!(app.is_live(&first.access).await);
    let second = app
        .post_json("/auth/refresh", &json!({"refresh_token": first.refresh}))
        .await
        .tokens();
    let again = app
        .post_json("/auth/refresh", &json!({"refresh_token": first.refresh}))
        .await
        .tokens();
    assert_eq!(again.refresh, second.refresh);
    for _ in 0..2 {
        app.post("/auth/logout", &[("authorization", &second.bearer())], "")
            .await
            .is_empty_204();
    }
    assert!(!app.is_live(&second.access).await && !app.is_live(&first.access).await);
    let after = app
        .post_json("/auth/refresh", &json!({"refresh_token": second.refresh}))
        .await;
    assert_eq!(after.code(), "REFRESH_TOKEN_INVALID");
    let left = app.tokens(1).await;
    app.world.clock.advance(Duration::from_mins(20));
    assert!(!app.is_live(&left.access).await, "expired");
    for _ in 0..2 {
        app.post("/auth/logout", &[("authorization", &left.bearer())], "")
            .await
            .is_empty_204();
    }
    let after = app
        .post_json("/auth/refresh", &json!({"refresh_token": left.refresh}))
        .await;
    assert_eq!(after.code(), "REFRESH_TOKEN_INVALID");
    let other = app
        .post_json("/auth/refresh", &json!({"refresh_token": other.refresh}))
        .await
        .tokens();
    let stolen = app.tokens(1).await;
    let next = app
        .post_json("/auth/refresh", &json!({"refresh_token": stolen.refresh}))
        .await
        .tokens();
    app.world.clock.advance(Duration::from_secs(10));
    let late = app
        .post_json("/auth/refresh", &json!({"refresh_token": stolen.refresh}))
        .await;
    assert_eq!(late.code(), "REFRESH_TOKEN_INVALID");
    assert!(
        !app.is_live(&next.access).await && !app.is_live(&stolen.access).await,
        "reuse ends the session"
    );
    assert!(app.is_live(&other.access).await);
    app.post(
        "/auth/logout/all",
        &[("authorization", &other.bearer())],
        "",
    )
    .await
    .is_empty_204();
    assert!(!app.is_live(&other.access).await);
    let cookie = app.get("/me", &[("cookie", &other.cookies())]).await;
    cookie.is_problem(
        401,
        "AUTHENTICATION_FAILED",
        Some(r#"Bearer error="invalid_token""#),
    );
}

#[tokio::test]
async fn opaque_tokens_in_sqlite() {
    let mut world = World::new();
    world.strategy = opaque(Profile::Countersign, sqlite().await, world.clock.clone());
    main_job(App::over(world)).await;
}

#[tokio::test]
async fn original_tokens_in_sqlite() {
    let mut world = World::new();
    world.strategy = opaque(Profile::LitestarAuth, sqlite().await, world.clock.clone());
    main_job(App::over(world)).await;
}

#[tokio::test]
async fn signed_tokens_with_sessions_in_sqlite() {
    let mut world = World::new();
    world.strategy = signed(&world, Some(sqlite().await));
    main_job(App::over(world)).await;
}

/// Behind one header, each token is judged by the strategy that it belongs to; without sessions, a signed token is
/// handed out alone and can be ended alone.
#[tokio::test]
async fn opaque_and_signed_tokens_behind_one_header() {
    crate::fixture::log::listen();
    let world = World::new();
    let authenticator = Authenticator::builder(world.members.clone())
        .backend(AuthenticationBackend::new(
            "signed",
            BearerTransport,
            signed(&world, None),
        ))
        .backend(AuthenticationBackend::new(
            "opaque",
            BearerTransport,
            world.strategy.clone(),
        ))
        .build()
        .unwrap();
    let authenticator = Arc::new(authenticator);
    let [signed, opaque] =
        [&authenticator.backends()[0], &authenticator.backends()[1]].map(Clone::clone);
    let routes = AuthRoutes::new(authenticator.clone())
        .login(Verifier(world.members.clone()))
        .build()
        .unwrap();
    let app = Router::new()
        .route("/me", get(me))
        .nest("/auth", routes)
        .layer(AuthLayer::new(authenticator));
    let member = world.members.find(1).unwrap();
    let login = Login::default();
    let tokens = [&signed, &opaque].map(|backend| backend.login(&member, &login));
    let tokens = futures_util::future::join_all(tokens).await;
    let tokens: Vec<TokenPair> = tokens.into_iter().map(Result::unwrap).collect();
    assert!(tokens[0].refresh.is_none() && tokens[1].refresh.is_some());
    let call = async |method: &str, path: &str, token: &str| {
        let bearer = format!("Bearer {token}");
        reply(
            app.clone(),
            request(method, path, &[("authorization", &bearer)], ""),
        )
        .await
    };
    for pair in &tokens {
        assert_eq!(
            call("GET", "/me", pair.access.token.expose()).await.body,
            "member 1"
        );
    }
    let listed = async |query: &str| {
        let page = call(
            "GET",
            &format!("/auth/sessions{query}"),
            tokens[1].access.token.expose(),
        )
        .await;
        serde_json::from_str::<serde_json::Value>(&page.body).unwrap()
    };
    let first = listed("").await;
    assert_eq!(
        first,
        json!({"sessions": [], "next": "1_"}),
        "the one strategy has no sessions, the other comes next"
    );
    let second = listed("?after=1_").await;
    assert_eq!(
        (&second["sessions"][0]["current"], &second["next"]),
        (&json!(true), &serde_json::Value::Null)
    );
    let all = call("POST", "/auth/logout/all", tokens[1].access.token.expose()).await;
    all.is_problem(501, "LOGOUT_ALL_UNSUPPORTED", None);
    let another = signed
        .login(&member, &Login::default())
        .await
        .unwrap()
        .access
        .token;
    let all = call("POST", "/auth/logout/all", another.expose()).await;
    all.is_problem(501, "LOGOUT_ALL_UNSUPPORTED", None);
    let me = call("GET", "/me", another.expose()).await;
    assert_eq!(
        me.code(),
        "AUTHENTICATION_FAILED",
        "the token that was presented is over"
    );
    call("POST", "/auth/logout", tokens[0].access.token.expose())
        .await
        .is_empty_204();
    assert_eq!(
        call("GET", "/me", tokens[0].access.token.expose())
            .await
            .code(),
        "AUTHENTICATION_FAILED"
    );

    let login = json!({"identifier": "me", "password": "password of 1"}).to_string();
    let login = reply(
        app.clone(),
        request("POST", "/auth/login", &[crate::http::JSON], login),
    )
    .await;
    assert!(
        login.body.contains("\"expires_in\":900}"),
        "a strategy without sessions has no refresh token"
    );
    let refresh = json!({"refresh_token": "x"}).to_string();
    let refresh = reply(
        app,
        request("POST", "/auth/refresh", &[crate::http::JSON], refresh),
    )
    .await;
    refresh.is_problem(
        401,
        "REFRESH_TOKEN_INVALID",
        Some(r#"Bearer error="invalid_token""#),
    );
}
