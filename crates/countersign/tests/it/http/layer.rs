//! The layer and the extractors.

use std::sync::Arc;

use axum::Router;
use axum::routing::get;
use countersign::axum::CurrentUser;
use countersign::tower::AuthLayer;
use countersign::transport::BearerTransport;
use countersign::{AuthOutcome, AuthenticationBackend, Authenticator};
use http::header;

use crate::fixture::web::{Member, World};
use crate::http::{App, me, reply, request};

fn bearer_only(world: &World) -> Arc<Authenticator<Member>> {
    crate::fixture::log::listen();
    let api = AuthenticationBackend::new("api", BearerTransport, world.strategy.clone());
    Arc::new(
        Authenticator::builder(world.members.clone())
            .backend(api)
            .build()
            .unwrap(),
    )
}

#[tokio::test]
async fn each_outcome_has_its_answer() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    assert_eq!(
        app.get("/me", &[("authorization", &tokens.bearer())])
            .await
            .body,
        "member 1"
    );
    assert_eq!(
        app.get("/greet", &[("authorization", &tokens.bearer())])
            .await
            .body,
        "member 1"
    );
    assert_eq!(app.get("/greet", &[]).await.body, "nobody");
    assert_eq!(
        app.get("/greet", &[("authorization", "Basic eA==")])
            .await
            .body,
        "nobody"
    );
    let required = ("AUTHENTICATION_REQUIRED", "Bearer");
    for none in [vec![], vec![("authorization", "Basic eA==")]] {
        app.get("/me", &none)
            .await
            .is_problem(401, required.0, Some(required.1));
    }
    app.world.members.put(1, false);
    let unknown = format!("{}z", &tokens.bearer()[..tokens.bearer().len() - 1]);
    for path in ["/me", "/greet"] {
        for bad in [
            tokens.bearer(),
            "Bearer nonsense".to_owned(),
            unknown.clone(),
        ] {
            let reply = app.get(path, &[("authorization", &bad)]).await;
            reply.is_problem(
                401,
                "AUTHENTICATION_FAILED",
                Some(r#"Bearer error="invalid_token""#),
            );
        }
        for malformed in ["Bearer", "Bearer a b", "Bearer\tx"] {
            let reply = app.get(path, &[("authorization", malformed)]).await;
            reply.is_problem(
                400,
                "CREDENTIALS_MALFORMED",
                Some(r#"Bearer error="invalid_request""#),
            );
        }
    }
}

#[tokio::test]
async fn requests_without_credentials_touch_no_store() {
    let app = App::new();
    for path in ["/me", "/greet", "/nowhere"] {
        app.get(path, &[]).await;
    }
    assert_eq!(app.world.store.calls(), 0);
}

#[tokio::test]
async fn answers_to_credentials_are_not_cached_unless_they_say_so() {
    let world = World::new();
    let tokens = world
        .strategy
        .write_token(&world.members.find(1).unwrap())
        .await
        .unwrap();
    let bearer = format!("Bearer {}", tokens.token.expose());
    let own = get(async || ([(header::CACHE_CONTROL, "private, max-age=5")], "own"));
    let router = Router::new()
        .route("/plain", get(async || "plain"))
        .route("/own", own)
        .layer(AuthLayer::new(bearer_only(&world)));
    let cache = async |path: &str, headers: &[(&str, &str)]| {
        let reply = reply(router.clone(), request("GET", path, headers, "")).await;
        reply.header("cache-control").map(str::to_owned)
    };
    let offered = [("authorization", bearer.as_str())];
    assert_eq!(cache("/plain", &offered).await.as_deref(), Some("no-store"));
    assert_eq!(
        cache("/own", &offered).await.as_deref(),
        Some("private, max-age=5")
    );
    assert_eq!(cache("/plain", &[]).await, None);
}

/// SECURITY row B-06.
#[tokio::test]
async fn the_required_layer_protects_whatever_is_inside() {
    let world = World::new();
    let tokens = world
        .strategy
        .write_token(&world.members.find(1).unwrap())
        .await
        .unwrap();
    let bearer = format!("Bearer {}", tokens.token.expose());
    let authenticator = bearer_only(&world);
    let router = Router::new()
        .route("/inside", get(async || "inside"))
        .route("/me", get(me))
        .layer(AuthLayer::new(authenticator).required());
    for (method, path) in [
        ("GET", "/inside"),
        ("POST", "/inside"),
        ("GET", "/nowhere"),
        ("OPTIONS", "/inside"),
    ] {
        let nobody = reply(router.clone(), request(method, path, &[], "")).await;
        nobody.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
        let bad = reply(
            router.clone(),
            request(method, path, &[("authorization", "Bearer x")], ""),
        )
        .await;
        bad.is_problem(
            401,
            "AUTHENTICATION_FAILED",
            Some(r#"Bearer error="invalid_token""#),
        );
    }
    let good = [("authorization", bearer.as_str())];
    for (path, status) in [("/inside", 200), ("/me", 200), ("/nowhere", 404)] {
        assert_eq!(
            reply(router.clone(), request("GET", path, &good, ""))
                .await
                .status
                .as_u16(),
            status
        );
    }
    world.store.switch(false);
    let down = reply(router, request("GET", "/inside", &good, "")).await;
    down.is_problem(503, "STORE_UNAVAILABLE", None);
}

#[tokio::test]
async fn a_missing_layer_is_a_loud_500() {
    let router = Router::new().route("/me", get(me));
    let missing = reply(router, request("GET", "/me", &[], "")).await;
    missing.is_problem(500, "AUTH_LAYER_MISSING", None);
}

#[tokio::test]
async fn what_is_attached_shows_nothing_of_the_user() {
    let world = World::new();
    let tokens = world
        .strategy
        .write_token(&world.members.find(1).unwrap())
        .await
        .unwrap();
    let shown = async |member: CurrentUser<Member>, request: axum::extract::Request| {
        let outcome = request
            .extensions()
            .get::<AuthOutcome<Member>>()
            .unwrap()
            .clone();
        format!("{member:?} {outcome:?}")
    };
    let router = Router::new()
        .route("/", get(shown))
        .layer(AuthLayer::new(bearer_only(&world)));
    let bearer = format!("Bearer {}", tokens.token.expose());
    let reply = reply(
        router,
        request("GET", "/", &[("authorization", &bearer)], ""),
    )
    .await;
    assert!(
        reply.body.contains("Accepted") && !reply.body.contains("Account {"),
        "{}",
        reply.body
    );
}
