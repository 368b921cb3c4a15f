//! `/sessions`: the device list, and what ends from it.

use std::collections::BTreeSet;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use countersign::strategy::DatabaseTokenStrategy;
use countersign::{Secret, SessionLimit, WhenFull};
use serde_json::{Value, json};

use crate::fixture::web::World;
use crate::http::{App, JSON, Reply, Tokens, request};

async fn log_in(app: &App, id: i64, user_agent: &str, label: &str) -> Tokens {
    let body = json!({"identifier": "me", "password": format!("password of {id}"), "label": label});
    let mut request = request(
        "POST",
        "/auth/login",
        &[JSON, ("user-agent", user_agent)],
        body.to_string(),
    );
    let address = countersign::axum::ClientAddress("2001:db8::7".parse().unwrap());
    request.extensions_mut().insert(address);
    app.call(request).await.tokens()
}

async fn sessions(app: &App, tokens: &Tokens) -> Vec<Value> {
    let reply = app
        .get("/auth/sessions", &[("authorization", &tokens.bearer())])
        .await;
    assert_eq!(
        (reply.status.as_u16(), reply.header("cache-control")),
        (200, Some("no-store")),
        "{}",
        reply.body
    );
    let mut body: Value = serde_json::from_str(&reply.body).unwrap();
    body["sessions"].take().as_array().unwrap().clone()
}

async fn call(app: &App, method: &str, path: &str, tokens: &Tokens) -> Reply {
    app.call(request(
        method,
        path,
        &[("authorization", &tokens.bearer())],
        "",
    ))
    .await
}

#[tokio::test]
async fn they_are_listed_with_what_the_user_knows_them_by() {
    let app = App::new();
    let phone = log_in(&app, 1, "Mozilla/5.0\t (Phone)", "Ada's phone").await;
    app.world.clock.advance(Duration::from_mins(5));
    let laptop = log_in(&app, 1, "curl/8", "").await;
    log_in(&app, 2, "other", "not hers").await;
    let listed = sessions(&app, &laptop).await;
    assert_eq!(listed.len(), 2);
    let client = json!({"ip": "2001:db8::7", "user_agent": "curl/8", "label": null});
    assert_eq!(
        (&listed[0]["client"], &listed[0]["current"]),
        (&client, &json!(true)),
        "the one used last comes first"
    );
    assert_eq!(listed[1]["client"]["user_agent"], "Mozilla/5.0 (Phone)");
    assert_eq!(
        (&listed[1]["client"]["label"], &listed[1]["current"]),
        (&json!("Ada's phone"), &json!(false))
    );
    assert_eq!(listed[1]["created_at"], "2026-01-15T12:00:00Z");
    let mut members: Vec<_> = listed[1]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    members.sort_unstable();
    assert_eq!(
        members,
        [
            "client",
            "created_at",
            "current",
            "expires_at",
            "id",
            "last_used_at"
        ]
    );

    app.world.clock.advance(Duration::from_mins(5));
    app.post_json("/auth/refresh", &json!({"refresh_token": phone.refresh}))
        .await
        .tokens();
    let again = sessions(&app, &phone).await;
    assert_eq!(
        (&again[0]["id"], &again[0]["created_at"]),
        (&listed[1]["id"], &listed[1]["created_at"])
    );
    assert_eq!(
        (&again[0]["last_used_at"], &again[0]["current"]),
        (&json!("2026-01-15T12:10:00Z"), &json!(true))
    );
}

#[tokio::test]
async fn a_long_list_comes_in_pages() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    for _ in 0..4 {
        app.tokens(1).await;
    }
    app.tokens(2).await;
    let page = async |query: &str| {
        let reply = call(&app, "GET", &format!("/auth/sessions{query}"), &tokens).await;
        assert_eq!(reply.status, 200, "{}", reply.body);
        serde_json::from_str::<Value>(&reply.body).unwrap()
    };
    let all = page("").await;
    assert_eq!(
        (all["sessions"].as_array().unwrap().len(), &all["next"]),
        (5, &Value::Null)
    );
    let (mut ids, mut query, mut sizes) = (BTreeSet::new(), "?limit=2".to_owned(), Vec::new());
    loop {
        let page = page(&query).await;
        let listed = page["sessions"].as_array().unwrap();
        ids.extend(
            listed
                .iter()
                .map(|session| session["id"].as_str().unwrap().to_owned()),
        );
        sizes.push(listed.len());
        let Some(next) = page["next"].as_str() else {
            break;
        };
        query = format!("?after={next}&limit=2");
    }
    assert_eq!((ids.len(), sizes.as_slice()), (5, [2, 2, 1].as_slice()));
    assert_eq!(
        page("?other=1").await,
        all,
        "what isn't known is left alone"
    );

    for query in [
        "limit=0",
        "limit=1001",
        "limit=x",
        "limit=",
        "after=",
        "after=x",
        "after=0_%20",
        "after=1_",
        "after=9_",
    ] {
        let reply = call(&app, "GET", &format!("/auth/sessions?{query}"), &tokens).await;
        assert_eq!(
            (reply.status.as_u16(), reply.code().as_str()),
            (422, "REQUEST_QUERY_INVALID"),
            "{query}"
        );
    }
}

#[tokio::test]
async fn one_is_ended_by_its_owner_alone() {
    let app = App::new();
    let [here, there, other] = [
        app.tokens(1).await,
        app.tokens(1).await,
        app.tokens(2).await,
    ];
    let listed = sessions(&app, &here).await;
    let id = |current| {
        listed.iter().find(|s| s["current"] == current).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let path = |id: &str| format!("/auth/sessions/{id}");
    for (path, tokens) in [
        (path(&id(false)), &other),
        (path("11111111-2222-4333-8444-555555555555"), &here),
        (path("nonsense"), &here),
        (path("%00"), &here),
        (path("%FF"), &here),
    ] {
        call(&app, "DELETE", &path, tokens)
            .await
            .is_problem(404, "SESSION_NOT_FOUND", None);
    }
    assert!(app.is_live(&there.access).await);
    call(&app, "DELETE", &path(&id(false)), &here)
        .await
        .is_empty_204();
    assert!(
        !app.is_live(&there.access).await
            && app.is_live(&here.access).await
            && app.is_live(&other.access).await
    );
    let refused = app
        .post_json("/auth/refresh", &json!({"refresh_token": there.refresh}))
        .await;
    assert_eq!(refused.code(), "REFRESH_TOKEN_INVALID");
    call(&app, "DELETE", &path(&id(false)), &here)
        .await
        .is_problem(404, "SESSION_NOT_FOUND", None);
    call(&app, "DELETE", &path(&id(true)), &here)
        .await
        .is_empty_204();
    assert!(!app.is_live(&here.access).await);
}

#[tokio::test]
async fn all_others_end_and_this_one_goes_on() {
    let app = App::new();
    let [here, there, further, other] = [
        app.tokens(1).await,
        app.tokens(1).await,
        app.tokens(1).await,
        app.tokens(2).await,
    ];
    let reply = call(&app, "POST", "/auth/sessions/revoke-others", &here).await;
    assert_eq!(
        (reply.status.as_u16(), reply.body.as_str()),
        (200, r#"{"revoked":2}"#)
    );
    for (tokens, live) in [
        (&here, true),
        (&there, false),
        (&further, false),
        (&other, true),
    ] {
        assert_eq!(app.is_live(&tokens.access).await, live);
    }
    assert_eq!(
        call(&app, "POST", "/auth/sessions/revoke-others", &here)
            .await
            .body,
        r#"{"revoked":0}"#
    );
    app.post_json("/auth/refresh", &json!({"refresh_token": here.refresh}))
        .await
        .tokens();
}

#[tokio::test]
async fn nobody_sees_or_ends_any_without_a_token() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let id = sessions(&app, &tokens).await[0]["id"]
        .as_str()
        .unwrap()
        .to_owned();
    for (method, path) in [
        ("GET", "/auth/sessions".to_owned()),
        ("DELETE", format!("/auth/sessions/{id}")),
        ("POST", "/auth/sessions/revoke-others".to_owned()),
    ] {
        let reply = app.call(request(method, &path, &[], "")).await;
        reply.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
        // A browser sends its cookies along, whoever made it ask.
        let reply = app
            .call(request(method, &path, &[("cookie", &tokens.cookies())], ""))
            .await;
        if method == "GET" {
            assert_eq!(reply.status, 200);
        } else {
            reply.is_problem(403, "CSRF_FAILED", None);
        }
    }
    assert!(app.is_live(&tokens.access).await);
    app.world.store.switch(false);
    let down = call(&app, "GET", "/auth/sessions", &tokens).await;
    assert_eq!(
        (down.status.as_u16(), down.code().as_str()),
        (503, "STORE_UNAVAILABLE")
    );
}

fn capped(when_full: WhenFull) -> App {
    let mut world = World::new();
    let secret = Secret::new("token_hash_secret", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap();
    let cap = SessionLimit {
        most: NonZeroU32::new(2).unwrap(),
        when_full,
    };
    let strategy = DatabaseTokenStrategy::builder(world.store.clone())
        .token_hash_secret(&secret)
        .clock(world.clock.clone())
        .session_limit(Some(cap));
    world.strategy = Arc::new(strategy.build().unwrap());
    App::over(world)
}

#[tokio::test]
async fn one_too_many_ends_the_oldest() {
    let app = capped(WhenFull::EvictOldest);
    let mut all = Vec::new();
    for _ in 0..4 {
        app.world.clock.advance(Duration::from_secs(1));
        all.push(app.tokens(1).await);
    }
    let other = app.tokens(2).await;
    for (tokens, live) in all
        .iter()
        .chain([&other])
        .zip([false, false, true, true, true])
    {
        assert_eq!(app.is_live(&tokens.access).await, live);
    }
}

/// Whoever knows the password ends a session of theirs by logging in, and nobody else's.
#[tokio::test]
async fn a_login_replaces_a_session() {
    let app = capped(WhenFull::Refuse);
    let [first, second, other] = [
        app.tokens(1).await,
        app.tokens(1).await,
        app.tokens(2).await,
    ];
    let id = |listed: &[Value]| {
        listed.iter().find(|s| s["current"] == true).unwrap()["id"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let replace = async |password: &str, id: &str| {
        let body = json!({"identifier": "me", "password": password, "replace": id});
        app.post_json("/auth/login", &body).await
    };
    let (hers, his) = (
        id(&sessions(&app, &first).await),
        id(&sessions(&app, &other).await),
    );
    assert_eq!(
        replace("wrong", &hers).await.code(),
        "LOGIN_BAD_CREDENTIALS"
    );
    assert_eq!(
        replace("password of 1", &his).await.code(),
        "SESSION_LIMIT_REACHED"
    );
    assert_eq!(
        replace("password of 1", "nonsense").await.code(),
        "REQUEST_BODY_INVALID"
    );
    assert!(
        app.is_live(&first.access).await
            && app.is_live(&second.access).await
            && app.is_live(&other.access).await
    );
    let third = replace("password of 1", &hers).await.tokens();
    assert!(!app.is_live(&first.access).await);
    assert!(
        app.is_live(&second.access).await
            && app.is_live(&third.access).await
            && app.is_live(&other.access).await
    );
}

#[tokio::test]
async fn one_too_many_is_refused() {
    let app = capped(WhenFull::Refuse);
    let [first, second] = [app.tokens(1).await, app.tokens(1).await];
    let login = json!({"identifier": "me", "password": "password of 1"});
    let refused = app.post_json("/auth/login", &login).await;
    refused.is_problem_with(&["sessions"], 403, "SESSION_LIMIT_REACHED", None);
    assert!(app.is_live(&first.access).await && app.is_live(&second.access).await);
    let listed = sessions(&app, &first).await;
    assert_eq!(listed.len(), 2);
    let body: Value = serde_json::from_str(&refused.body).unwrap();
    let ids = |sessions: &[Value]| {
        sessions
            .iter()
            .map(|session| session["id"].clone())
            .collect::<Vec<_>>()
    };
    assert_eq!(
        ids(body["sessions"].as_array().unwrap()),
        ids(&listed),
        "what there is to be ended"
    );
    assert!(
        body["sessions"]
            .as_array()
            .unwrap()
            .iter()
            .all(|session| session["current"] == false)
    );
    app.post("/auth/logout", &[("authorization", &first.bearer())], "")
        .await
        .is_empty_204();
    let third = app.tokens(1).await;
    // What has ended doesn't count.
    app.world.clock.advance(Duration::from_hours(31 * 24));
    assert!(!app.is_live(&third.access).await);
    app.tokens(1).await;
    app.tokens(1).await;
}
