//! `/logout` and `/logout/all`: what is ended, and what a second try says.

use std::time::Duration;

use serde_json::json;

use crate::http::App;

#[tokio::test]
async fn the_access_token_ends_its_session_and_again_is_fine() {
    let app = App::new();
    let [here, there] = [app.tokens(1).await, app.tokens(1).await];
    for _ in 0..2 {
        app.post("/auth/logout", &[("authorization", &here.bearer())], "")
            .await
            .is_empty_204();
    }
    assert!(!app.is_live(&here.access).await);
    assert!(app.is_live(&there.access).await);
    let refresh = app
        .post_json("/auth/refresh", &json!({"refresh_token": here.refresh}))
        .await;
    assert_eq!(refresh.code(), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn the_refresh_token_ends_the_session_too() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let refresh = json!({"refresh_token": tokens.refresh});
    for _ in 0..2 {
        app.post_json("/auth/logout", &refresh).await.is_empty_204();
    }
    assert!(!app.is_live(&tokens.access).await);
}

#[tokio::test]
async fn an_expired_access_token_ends_its_session_alone_or_beside_the_refresh_token() {
    let app = App::new();
    let [alone, tokens] = [app.tokens(1).await, app.tokens(1).await];
    app.world.clock.advance(Duration::from_mins(20));
    for _ in 0..2 {
        app.post("/auth/logout", &[("authorization", &alone.bearer())], "")
            .await
            .is_empty_204();
    }
    let refresh = app
        .post_json("/auth/refresh", &json!({"refresh_token": alone.refresh}))
        .await;
    assert_eq!(refresh.code(), "REFRESH_TOKEN_INVALID");
    let body = json!({"refresh_token": tokens.refresh}).to_string();
    let both = [
        ("authorization", tokens.bearer()),
        ("content-type", "application/json".to_owned()),
    ];
    let both: Vec<(&str, &str)> = both
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    app.post("/auth/logout", &both, body).await.is_empty_204();
    let refresh = app
        .post_json("/auth/refresh", &json!({"refresh_token": tokens.refresh}))
        .await;
    assert_eq!(refresh.code(), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn logout_of_nobody_is_told_so() {
    let app = App::new();
    app.post("/auth/logout", &[], "").await.is_problem(
        401,
        "AUTHENTICATION_REQUIRED",
        Some("Bearer"),
    );
    let invalid_token = Some(r#"Bearer error="invalid_token""#);
    for bad in ["Bearer nonsense", "Bearer csa_nonsense"] {
        let reply = app
            .post("/auth/logout", &[("authorization", bad)], "")
            .await;
        reply.is_problem(401, "AUTHENTICATION_FAILED", invalid_token);
    }
    let reply = app
        .post("/auth/logout", &[("authorization", "Bearer")], "")
        .await;
    reply.is_problem(
        400,
        "CREDENTIALS_MALFORMED",
        Some(r#"Bearer error="invalid_request""#),
    );
    app.post_json("/auth/logout", &json!({"refresh_token": "unknown"}))
        .await
        .is_empty_204();
    app.post_json("/auth/logout", &json!({}))
        .await
        .is_problem(422, "REQUEST_BODY_INVALID", None);
}

#[tokio::test]
async fn logout_all_ends_every_session_of_this_user() {
    let app = App::new();
    let [one, other, stranger] = [
        app.tokens(1).await,
        app.tokens(1).await,
        app.tokens(2).await,
    ];
    let twice = [
        ("authorization", one.bearer()),
        ("authorization", one.bearer()),
    ];
    let twice: Vec<(&str, &str)> = twice
        .iter()
        .map(|(name, value)| (*name, value.as_str()))
        .collect();
    assert_eq!(
        app.post("/auth/logout/all", &twice, "").await.code(),
        "CREDENTIALS_MALFORMED"
    );
    let nobody = app.post("/auth/logout/all", &[], "").await;
    nobody.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
    assert!(app.is_live(&other.access).await);

    app.post("/auth/logout/all", &[("authorization", &one.bearer())], "")
        .await
        .is_empty_204();
    assert!(!app.is_live(&one.access).await && !app.is_live(&other.access).await);
    assert!(app.is_live(&stranger.access).await);
    let refresh = app
        .post_json("/auth/refresh", &json!({"refresh_token": other.refresh}))
        .await;
    assert_eq!(refresh.code(), "REFRESH_TOKEN_INVALID");
}
