//! Nothing secret and nothing personal in anything that the server writes, however much it is asked to (SECURITY rows
//! G-01 to G-03).

use reqwest::header::COOKIE;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{DATABASES, PASSWORD, Place, Reply, SECRET, Tokens, on_redis};

const EMAIL: &str = "ada.lovelace@example.org";

#[tokio::test]
async fn no_needle_in_any_log() {
    for database in DATABASES {
        for (strategy, format) in [("database", "text"), ("jwt", "json")] {
            eprintln!("{database:?} {strategy}");
            let mut settings = database.fresh();
            let url = settings
                .iter()
                .find(|(name, _)| name.ends_with("DATABASE_URL"))
                .map(|(_, url)| url.clone());
            settings.retain(|(name, _)| !name.ends_with("TOKEN_HASH_SECRET"));
            let place = Place::new(settings)
                .with("TOKEN_HASH_SECRET", SECRET)
                .with("STRATEGY", strategy)
                .with("LOG_FORMAT", format)
                .with("LOG", "trace")
                .with("LOGIN_LIMIT", "3/1h");
            let mut needles = scenario(&place).await;
            needles.extend(
                url.and_then(|url| url.split(['/', '@']).nth(2).map(str::to_owned))
                    .filter(|user| user.contains(':')),
            );
            let server = place.start();
            server.register(EMAIL).await;
            let (_, log) = server.stop();
            needles.retain(|needle| !needle.is_empty());
            for needle in &needles {
                assert!(!log.contains(needle.as_str()), "{needle} is in the log");
            }
        }
    }
}

#[tokio::test]
async fn no_needle_in_any_log_on_redis() {
    let redis = testbed::Redis::dedicated();
    redis.command(&[
        "ACL",
        "SETUSER",
        "user-needle",
        "on",
        ">password-needle",
        "~*",
        "&*",
        "+@all",
    ]);
    let url = redis.url().replace("//", "//user-needle:password-needle@");
    for (strategy, format) in [("redis", "text"), ("jwt", "json")] {
        eprintln!("{strategy}");
        let settings = on_redis(&url);
        let place = Place::new(settings)
            .with("STRATEGY", strategy)
            .with("LOG_FORMAT", format)
            .with("LOG", "trace");
        scenario(&place.with("LOGIN_LIMIT", "3/1h")).await;
    }
}

/// Runs through everything with one server, checks its log, and hands back what must not be in any.
async fn scenario(place: &Place) -> Vec<String> {
    let server = place.start();
    let account = server
        .register(EMAIL)
        .await
        .expect(StatusCode::CREATED)
        .json();
    let first = server.login(EMAIL).await;
    let second = Tokens::of(&server.refresh(&first.refresh).await);
    server.me(&second.access).await.expect(StatusCode::OK);
    server.refresh(&first.refresh).await.expect(StatusCode::OK);
    let stolen = server.login(EMAIL).await;
    let live = Tokens::of(&server.refresh(&stolen.refresh).await);
    let newest = Tokens::of(&server.refresh(&live.refresh).await);
    server
        .refresh(&stolen.refresh)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let login = json!({ "identifier": EMAIL, "password": PASSWORD, "label": "label-needle" });
    let login = server
        .request(Method::POST, "/auth/login")
        .header("user-agent", "agent-needle")
        .json(&login);
    let fourth = Tokens::of(&Reply::of(login).await);
    for (method, path) in [
        (Method::GET, "/auth/sessions"),
        (Method::POST, "/auth/sessions/revoke-others"),
    ] {
        let request = server.request(method, path).bearer_auth(&fourth.access);
        Reply::of(request).await.expect(StatusCode::OK);
    }
    for password in ["current-needle", PASSWORD] {
        let change = json!({ "current_password": password, "email": "ada.needle@example.org" });
        Reply::of(
            server
                .request(Method::PATCH, "/users/me")
                .bearer_auth(&fourth.access)
                .json(&change),
        )
        .await;
    }
    let back = json!({ "current_password": PASSWORD, "email": EMAIL });
    let fifth = Tokens::of(&server.refresh(&fourth.refresh).await);
    let back = server
        .request(Method::PATCH, "/users/me")
        .bearer_auth(&fifth.access)
        .json(&back);
    Reply::of(back).await.expect(StatusCode::OK);
    let first = server.login(EMAIL).await;
    let second = Tokens::of(&server.refresh(&first.refresh).await);
    server
        .me("csa_forged-token")
        .await
        .expect(StatusCode::UNAUTHORIZED);
    let cookie = format!("__Host-countersign_access={}", second.access);
    Reply::of(
        server
            .request(Method::GET, "/users/me")
            .header(COOKIE, cookie),
    )
    .await
    .expect(StatusCode::OK);
    server
        .request(Method::GET, "/users/me?token=query-needle")
        .header("x-header", "header-needle")
        .send()
        .await
        .unwrap();
    server.get("/path-needle/\u{1b}[31m", "x").await;
    crate::flows::logout(&server, &second.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    let third = server.login(EMAIL).await;
    let all = server
        .request(Method::POST, "/auth/logout/all")
        .bearer_auth(&third.access);
    Reply::of(all).await.expect(StatusCode::NO_CONTENT);
    let wrong = json!({ "identifier": EMAIL, "password": "wrong-password-needle" });
    for _ in 0..4 {
        server.post("/auth/login", wrong.clone()).await;
    }
    let (_, log) = server.stop();

    for event in [
        "login",
        "login_failed",
        "refresh",
        "refresh_token_reused",
        "refused",
        "logout",
        "logout_everywhere",
        "rate_limited",
        "other_sessions_revoked",
        "account_changed",
    ] {
        assert!(log.contains(event), "{event} is not in the log:\n{log}");
    }
    assert!(
        !log.chars()
            .any(|character| character.is_control() && character != '\n')
    );
    let id = account["id"].as_str().unwrap().to_owned();
    let mut needles = vec![
        id.replace('-', ""),
        id,
        EMAIL.to_owned(),
        "ada.lovelace".to_owned(),
        PASSWORD.to_owned(),
        SECRET.to_owned(),
        "needle".to_owned(),
        "forged-token".to_owned(),
        "$argon2".to_owned(),
    ];
    for tokens in [
        &first, &second, &third, &stolen, &live, &newest, &fourth, &fifth,
    ] {
        needles.extend([digest(&tokens.access), digest(&tokens.refresh)]);
        // Any piece of a token is too much.
        needles.extend(
            [&tokens.access, &tokens.refresh]
                .map(|token| token[token.len() / 2..token.len() / 2 + 12].to_owned()),
        );
    }
    for needle in &needles {
        assert!(
            !log.contains(needle.as_str()),
            "{needle} is in the log:\n{log}"
        );
    }
    needles
}

fn digest(token: &str) -> String {
    let secret = countersign::Secret::new("secret", SECRET).unwrap();
    let ring = countersign::token::DigestKeyRing::new("k", &secret).unwrap();
    ring.digest(&countersign::PlainToken::new(token))
        .as_str()
        .to_owned()
}
