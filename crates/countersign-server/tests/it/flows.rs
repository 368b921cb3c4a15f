//! The main job, on every database and every strategy.

use futures_util::future::join_all;
use reqwest::header::{COOKIE, SET_COOKIE};
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, everywhere, on_redis};

#[tokio::test]
async fn a_bearer_session_from_register_to_logout() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let account = server
            .register("Ada@Example.org")
            .await
            .expect(StatusCode::CREATED);
        assert_eq!(account.header("cache-control"), "no-store");
        let account = account.json();
        assert_eq!(account["email"], "ada@example.org");
        assert_eq!(
            (&account["is_active"], &account["is_verified"]),
            (&json!(true), &json!(false))
        );

        let reply = server
            .post(
                "/auth/login",
                json!({ "identifier": "ADA@example.org", "password": PASSWORD }),
            )
            .await;
        assert_eq!(reply.header("cache-control"), "no-store");
        assert_eq!(reply.json()["token_type"], "bearer");
        assert_eq!(reply.json()["expires_in"], 900);
        let first = Tokens::of(&reply);
        assert_eq!(
            server.me(&first.access).await.expect(StatusCode::OK).json(),
            account
        );

        let second = Tokens::of(&server.refresh(&first.refresh).await);
        server.me(&second.access).await.expect(StatusCode::OK);
        let retry = Tokens::of(&server.refresh(&first.refresh).await);
        assert_eq!(retry.refresh, second.refresh, "a lost answer is told again");
        server.me(&retry.access).await.expect(StatusCode::OK);

        let stolen = server.login("ada@example.org").await;
        let mut live = stolen.refresh.clone();
        for _ in 0..2 {
            live = Tokens::of(&server.refresh(&live).await).refresh;
        }
        server
            .refresh(&stolen.refresh)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
        server
            .refresh(&live)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
        server
            .me(&stolen.access)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED");

        let other = server.login("ada@example.org").await;
        logout(&server, &second.access)
            .await
            .expect(StatusCode::NO_CONTENT);
        for token in [&first.access, &second.access] {
            server
                .me(token)
                .await
                .expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED");
        }
        server
            .refresh(&second.refresh)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server.me(&other.access).await.expect(StatusCode::OK);
    }
}

/// Whoever opens the laptop after a night has nothing but expired access tokens, and may log out all the same.
#[tokio::test]
async fn an_expired_access_token_still_logs_out() {
    let each = everywhere().map(|(name, place)| async move {
        let server = place.with("ACCESS_LIFETIME", "1s").start();
        let tokens = server.newcomer("ada@example.org").await;
        while server.me(&tokens.access).await.status == StatusCode::OK {}
        for _ in 0..2 {
            let reply = logout(&server, &tokens.access).await;
            assert_eq!(
                reply.status,
                StatusCode::NO_CONTENT,
                "{name}: {}",
                reply.text
            );
        }
        let reply = server.refresh(&tokens.refresh).await;
        assert_eq!(
            reply.status,
            StatusCode::UNAUTHORIZED,
            "{name}: {}",
            reply.text
        );
    });
    join_all(each).await;
}

#[tokio::test]
async fn an_expired_access_token_still_logs_out_by_its_refresh_token() {
    for (_, place) in everywhere() {
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        let reply = server
            .post("/auth/logout", json!({ "refresh_token": tokens.refresh }))
            .await;
        reply.expect(StatusCode::NO_CONTENT);
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server
            .refresh(&tokens.refresh)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}

#[tokio::test]
async fn logging_out_everywhere_ends_every_session_of_that_user_alone() {
    for (_, place) in everywhere() {
        let server = place.start();
        let ada = server.newcomer("ada@example.org").await;
        let elsewhere = server.login("ada@example.org").await;
        let bob = server.newcomer("bob@example.org").await;
        let all = server
            .request(Method::POST, "/auth/logout/all")
            .bearer_auth(&ada.access);
        Reply::of(all).await.expect(StatusCode::NO_CONTENT);
        for tokens in [&ada, &elsewhere] {
            server
                .me(&tokens.access)
                .await
                .expect(StatusCode::UNAUTHORIZED);
            server
                .refresh(&tokens.refresh)
                .await
                .expect(StatusCode::UNAUTHORIZED);
        }
        server.me(&bob.access).await.expect(StatusCode::OK);
        let again = server.login("ada@example.org").await;
        server.me(&again.access).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_cookie_session_from_login_to_logout() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        server
            .register("ada@example.org")
            .await
            .expect(StatusCode::CREATED);
        let login = cookie_post(&server, "/auth/cookie/login", "")
            .json(&json!({ "identifier": "ada@example.org", "password": PASSWORD }));
        let login = Reply::of(login).await.expect(StatusCode::NO_CONTENT);
        let first = jar(&login);
        assert!(
            first.contains("__Host-countersign_access=")
                && first.contains("__Host-countersign_refresh=")
        );
        me_by_cookie(&server, &first).await.expect(StatusCode::OK);

        let refresh = Reply::of(cookie_post(&server, "/auth/cookie/refresh", &first)).await;
        let second = jar(&refresh.expect(StatusCode::NO_CONTENT));
        me_by_cookie(&server, &second).await.expect(StatusCode::OK);
        let retry = Reply::of(cookie_post(&server, "/auth/cookie/refresh", &first)).await;
        let again = jar(&retry.expect(StatusCode::NO_CONTENT));
        let refresh_cookie = |jar: &str| {
            jar.split("; ")
                .find(|pair| pair.contains("_refresh="))
                .map(str::to_owned)
        };
        assert_eq!(
            refresh_cookie(&again),
            refresh_cookie(&second),
            "another tab, or a lost answer"
        );

        let logout = Reply::of(cookie_post(&server, "/auth/cookie/logout", &second)).await;
        let cleared = logout.expect(StatusCode::NO_CONTENT);
        assert!(
            cleared
                .headers
                .get_all(SET_COOKIE)
                .iter()
                .all(|cookie| cookie.to_str().unwrap().contains("Max-Age=0"))
        );
        me_by_cookie(&server, &second)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}

/// litestar-auth has no refresh tokens on Redis.
#[tokio::test]
async fn the_originals_tokens_on_redis_are_logged_out_and_never_refreshed() {
    let redis = testbed::Redis::dedicated();
    let place = Place::new(on_redis(redis.url()))
        .with("STRATEGY", "redis")
        .with("PROFILE", "litestar-auth");
    let server = place.start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    let credentials = json!({ "identifier": "ada@example.org", "password": PASSWORD });
    let mut tokens = Vec::new();
    for _ in 0..3 {
        let login = server
            .post("/auth/login", credentials.clone())
            .await
            .expect(StatusCode::OK)
            .json();
        assert!(login.get("refresh_token").is_none(), "{login}");
        tokens.push(login["access_token"].as_str().unwrap().to_owned());
        server
            .me(&tokens[tokens.len() - 1])
            .await
            .expect(StatusCode::OK);
    }
    assert!(
        keys(&redis)
            .iter()
            .all(|key| key.starts_with("litestar_auth:token:"))
    );
    server
        .refresh(&tokens[0])
        .await
        .expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
    let by_refresh = server
        .post("/auth/logout", json!({ "refresh_token": tokens[0] }))
        .await;
    by_refresh.expect(StatusCode::NO_CONTENT);
    for token in &tokens {
        server.me(token).await.expect(StatusCode::OK);
    }
    logout(&server, &tokens[0])
        .await
        .expect(StatusCode::NO_CONTENT);
    server.me(&tokens[0]).await.expect(StatusCode::UNAUTHORIZED);
    server.me(&tokens[1]).await.expect(StatusCode::OK);
    let all = server
        .request(Method::POST, "/auth/logout/all")
        .bearer_auth(&tokens[1]);
    Reply::of(all).await.expect(StatusCode::NO_CONTENT);
    for token in &tokens {
        server
            .me(token)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED");
    }

    let login = Reply::of(cookie_post(&server, "/auth/cookie/login", "").json(&credentials)).await;
    let cookies = jar(&login.expect(StatusCode::NO_CONTENT));
    assert!(
        cookies.starts_with("litestar_auth=") && !cookies.contains("refresh"),
        "{cookies}"
    );
    me_by_cookie(&server, &cookies).await.expect(StatusCode::OK);
    let refresh = Reply::of(cookie_post(&server, "/auth/cookie/refresh", &cookies)).await;
    refresh.expect_problem(StatusCode::UNAUTHORIZED, "REFRESH_TOKEN_INVALID");
    Reply::of(cookie_post(&server, "/auth/cookie/logout", &cookies))
        .await
        .expect(StatusCode::NO_CONTENT);
    me_by_cookie(&server, &cookies)
        .await
        .expect(StatusCode::UNAUTHORIZED);
    server.get("/readyz", "").await.expect(StatusCode::OK);
}

/// The keys of tokens and denied ids; the deployment's own mark is beside them.
fn keys(redis: &testbed::Redis) -> Vec<String> {
    let keys = redis.command(&["KEYS", "*"]);
    let (marks, keys): (Vec<&str>, Vec<&str>) = keys
        .lines()
        .partition(|key| key.starts_with("countersign:deployment:"));
    assert_eq!(marks.len(), 1);
    keys.into_iter().map(str::to_owned).collect()
}

#[tokio::test]
async fn each_profile_denies_under_its_own_keys_on_redis() {
    for (profile, prefix) in [
        ("countersign", "countersign:denylist:"),
        ("litestar-auth", "litestar_auth:jwt:denylist:"),
    ] {
        let redis = testbed::Redis::dedicated();
        let place = Place::new(on_redis(redis.url()))
            .with("STRATEGY", "jwt")
            .with("PROFILE", profile);
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        logout(&server, &tokens.access)
            .await
            .expect(StatusCode::NO_CONTENT);
        let keys = keys(&redis);
        assert!(
            !keys.is_empty() && keys.iter().all(|key| key.starts_with(prefix)),
            "{profile}: {keys:?}"
        );
        redis.command(&["FLUSHALL"]);
        server.me(&tokens.access).await.expect(StatusCode::OK);
    }
}

#[tokio::test]
async fn a_forged_cross_site_request_changes_nothing() {
    let server = Place::new(Vec::new()).start();
    server
        .register("ada@example.org")
        .await
        .expect(StatusCode::CREATED);
    let login = cookie_post(&server, "/auth/cookie/login", "")
        .json(&json!({ "identifier": "ada@example.org", "password": PASSWORD }));
    let cookies = jar(&Reply::of(login).await.expect(StatusCode::NO_CONTENT));
    for path in ["/auth/cookie/refresh", "/auth/cookie/logout"] {
        for (name, value) in [
            ("sec-fetch-site", "cross-site"),
            ("origin", "https://evil.example"),
        ] {
            let forged = server
                .request(Method::POST, path)
                .header(COOKIE, &cookies)
                .header(name, value);
            let reply = Reply::of(forged).await;
            assert_eq!(
                reply.status,
                StatusCode::FORBIDDEN,
                "{path} {name}: {}",
                reply.text
            );
        }
    }
    me_by_cookie(&server, &cookies).await.expect(StatusCode::OK);
}

#[tokio::test]
async fn a_session_outlives_kill_minus_nine() {
    for (name, place) in everywhere() {
        eprintln!("{name}");
        let server = place.start();
        let tokens = server.newcomer("ada@example.org").await;
        server.kill();
        let server = place.start();
        server.me(&tokens.access).await.expect(StatusCode::OK);
        let next = Tokens::of(&server.refresh(&tokens.refresh).await);
        server.kill();
        let server = place.start();
        let again = Tokens::of(&server.refresh(&tokens.refresh).await);
        assert_eq!(
            again.refresh, next.refresh,
            "the answer may have died with the process"
        );
        server.me(&next.access).await.expect(StatusCode::OK);
    }
}

pub(crate) async fn logout(server: &Server, access: &str) -> Reply {
    Reply::of(
        server
            .request(Method::POST, "/auth/logout")
            .bearer_auth(access),
    )
    .await
}

pub(crate) fn cookie_post(server: &Server, path: &str, cookies: &str) -> reqwest::RequestBuilder {
    let request = server
        .request(Method::POST, path)
        .header("sec-fetch-site", "same-origin");
    if cookies.is_empty() {
        request
    } else {
        request.header(COOKIE, cookies)
    }
}

pub(crate) async fn me_by_cookie(server: &Server, cookies: &str) -> Reply {
    Reply::of(
        server
            .request(Method::GET, "/users/me")
            .header(COOKIE, cookies),
    )
    .await
}

pub(crate) fn jar(reply: &Reply) -> String {
    let cookies = reply
        .headers
        .get_all(SET_COOKIE)
        .iter()
        .map(|cookie| cookie.to_str().unwrap());
    cookies
        .map(|cookie| cookie.split(';').next().unwrap())
        .collect::<Vec<_>>()
        .join("; ")
}
