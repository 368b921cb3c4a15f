//! Refusals as pages, and cookies that are renewed while a page is served.

use std::time::Duration;

use axum::Router;
use axum::routing::get;
use countersign::auth::AuthenticatorBuilder;
use countersign::axum::CurrentUser;
use countersign::tower::AuthLayer;
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{AuthenticationBackend, Authenticator, Profile};
use http::{StatusCode, header};

use crate::fixture::web::{Member, World};
use crate::http::{App, Reply, Tokens, greet, me, reply, request};

/// What browsers send to show a page.
const HTML: (&str, &str) = (
    "accept",
    "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8",
);
const NAVIGATE: (&str, &str) = ("sec-fetch-mode", "navigate");
const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const TYPED: (&str, &str) = ("sec-fetch-site", "none");

/// A site whose pages send visitors to `/login`: at the root, and nested.
fn site(app: &App) -> Router {
    let layer = AuthLayer::new(app.authenticator.clone()).required();
    let layer = layer.or_redirect_to("/login").unwrap();
    let pages = Router::new()
        .route("/account", get(async || "account").post(async || "saved"))
        .route("/login", get(async || "form"))
        .fallback(async || "nothing here")
        .layer(layer.clone().require(|member| member.id == 1));
    let nested = Router::new()
        .route("/orders", get(async || "orders"))
        .layer(layer);
    Router::new().nest("/shop", nested).merge(pages)
}

async fn ask(router: &Router, method: &str, path: &str, headers: &[(&str, &str)]) -> Reply {
    reply(router.clone(), request(method, path, headers, "")).await
}

#[tokio::test]
async fn a_visitor_is_sent_to_the_login_page_and_told_where_to_return() {
    let app = App::new();
    let router = site(&app);
    for (path, location) in [
        ("/account", "/login?next=/account"),
        (
            "/account?page=2&to=https://evil.example",
            "/login?next=/account%3Fpage%3D2%26to%3Dhttps%3A//evil.example",
        ),
        ("/shop/orders?a=b", "/login?next=/shop/orders%3Fa%3Db"),
        ("/caf%C3%A9", "/login?next=/caf%25C3%25A9"),
        // A browser that was sent to one of these would leave the site.
        ("//evil.example/account", "/login"),
        ("/..//evil.example", "/login"),
        ("/\\evil.example", "/login"),
    ] {
        for (method, more) in [("GET", NAVIGATE), ("HEAD", NAVIGATE), ("GET", ("dnt", "1"))] {
            let sent = ask(&router, method, path, &[HTML, more]).await;
            assert_eq!(sent.status, StatusCode::SEE_OTHER, "{path}");
            assert_eq!(sent.header("location"), Some(location), "{path}");
            assert_eq!(sent.header("cache-control"), Some("no-store"));
            assert_eq!(sent.body, "");
        }
    }
    let stale = [HTML, ("cookie", "__Host-countersign_access=csa_x")];
    let sent = ask(&router, "GET", "/account", &stale).await;
    assert_eq!(sent.header("location"), Some("/login?next=/account"));
}

#[tokio::test]
async fn an_absolute_target_is_returned_to_by_its_path() {
    let app = App::new();
    let target = "https://evil.example/account?x=1";
    let sent = ask(&site(&app), "GET", target, &[HTML]).await;
    assert_eq!(
        sent.header("location"),
        Some("/login?next=/account%3Fx%3D1")
    );
}

#[tokio::test]
async fn programs_and_scripts_get_problems_and_never_a_redirect() {
    let app = App::new();
    let router = site(&app);
    for headers in [
        vec![],
        vec![("accept", "*/*")],
        vec![("accept", "application/json")],
        vec![("accept", "application/json, text/html")],
        vec![("accept", "application/json, text/html;q=0.9, */*;q=0.1")],
        vec![("accept", "text/html;q=0")],
        vec![("accept", "text/*")],
        vec![HTML, ("sec-fetch-mode", "cors")],
        vec![HTML, ("sec-fetch-mode", "same-origin")],
        vec![HTML, ("sec-fetch-mode", "no-cors")],
    ] {
        for method in ["GET", "POST"] {
            let refused = ask(&router, method, "/account", &headers).await;
            refused.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
        }
    }
    let token = [HTML, ("authorization", "bearer nonsense")];
    let refused = ask(&router, "GET", "/account", &token).await;
    refused.is_problem(
        401,
        "AUTHENTICATION_FAILED",
        Some(r#"Bearer error="invalid_token""#),
    );
    // A browser's own, for a password in front of the application.
    let basic = [HTML, ("authorization", "Basic eA==")];
    assert_eq!(
        ask(&router, "GET", "/account", &basic).await.status,
        StatusCode::SEE_OTHER
    );
    // Where nobody has asked for pages there are none.
    let plain = AuthLayer::new(app.authenticator.clone()).required();
    let plain = Router::new()
        .route("/account", get(async || "account"))
        .layer(plain);
    ask(&plain, "GET", "/account", &[HTML, NAVIGATE])
        .await
        .is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
}

#[track_caller]
fn is_page(page: &Reply, status: u16, contains: &str) {
    assert_eq!(page.status.as_u16(), status, "{}", page.body);
    assert_eq!(
        page.header("content-type"),
        Some("text/html; charset=utf-8")
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    assert!(
        page.body.starts_with("<!doctype html>") && page.body.contains(contains),
        "{}",
        page.body
    );
    assert_eq!(page.header("location"), None);
}

#[tokio::test]
async fn what_no_login_can_help_with_is_a_page() {
    let app = App::new();
    let router = site(&app);
    let form = ask(&router, "POST", "/account", &[HTML, NAVIGATE]).await;
    is_page(&form, 401, r#"<a href="/login">"#);
    // The login page is inside: to redirect to it would never end.
    is_page(
        &ask(&router, "GET", "/login?next=/account", &[HTML]).await,
        401,
        "/login",
    );

    let second = app.tokens(2).await;
    let cookies = format!("__Host-countersign_access={}", second.access);
    let cookie = ("cookie", cookies.as_str());
    let denied = ask(&router, "GET", "/account", &[HTML, cookie]).await;
    is_page(&denied, 403, "not allowed");
    assert!(!denied.body.contains("/login"));
    let foreign = ("origin", "https://evil.example");
    is_page(
        &ask(&router, "POST", "/account", &[HTML, cookie, foreign]).await,
        403,
        "origin",
    );
    app.world.store.switch(false);
    let down = ask(&router, "GET", "/account", &[HTML, cookie]).await;
    is_page(&down, 503, "temporarily unavailable");
    assert_eq!(down.header("retry-after"), Some("5"));
}

#[tokio::test]
async fn a_page_can_be_the_applications_own() {
    let app = App::new();
    let layer = AuthLayer::new(app.authenticator.clone()).required();
    let layer = layer.or_redirect_to("/login?lang=de").unwrap();
    let layer = layer.page(|problem| format!("<!doctype html><p>Fehler {}", problem.code()));
    let router = Router::new()
        .route("/account", get(async || "account"))
        .layer(layer);
    let form = ask(&router, "POST", "/account", &[HTML]).await;
    is_page(&form, 401, "Fehler AUTHENTICATION_REQUIRED");
    let sent = ask(&router, "GET", "/account", &[HTML]).await;
    assert_eq!(
        sent.header("location"),
        Some("/login?lang=de&next=/account")
    );
}

#[test]
fn a_login_page_elsewhere_is_refused() {
    let app = App::new();
    for login in [
        "",
        "login",
        "//evil.example/login",
        "https://evil.example/login",
        "/a/../login",
    ] {
        let layer = AuthLayer::new(app.authenticator.clone()).required();
        let error = layer.or_redirect_to(login).unwrap_err().to_string();
        assert!(
            error.contains("login page") && error.contains("/login"),
            "{error}"
        );
    }
}

/// An application whose pages renew cookies: `/` greets, `/me` asks for a member, `/public` says it may be cached.
fn renewing(app: &App) -> Router {
    let layer = AuthLayer::new(app.authenticator.clone())
        .renew_cookies()
        .unwrap();
    let own_cookie = async |_: CurrentUser<Member>| ([(header::SET_COOKIE, "a=b")], "own");
    let public = async || {
        let headers = [
            ("cache-control", "public, max-age=60"),
            ("cdn-cache-control", "public, max-age=60"),
            ("surrogate-control", "max-age=60"),
        ];
        (headers, "public")
    };
    Router::new()
        .route("/", get(greet))
        .route("/me", get(me).post(me))
        .route("/own", get(own_cookie))
        .route("/public", get(public))
        .layer(layer)
}

/// Tokens whose access token has expired.
async fn expired(app: &App) -> Tokens {
    let tokens = app.tokens(1).await;
    app.world.clock.advance(Duration::from_mins(16));
    tokens
}

fn refresh_only(tokens: &Tokens) -> String {
    format!("__Host-countersign_refresh={}", tokens.refresh)
}

/// What a browser would send back after this answer.
fn jar(reply: &Reply) -> String {
    let pairs: Vec<&str> = reply
        .set_cookies()
        .into_iter()
        .filter(|cookie| cookie.starts_with("__Host-countersign"))
        .map(|cookie| cookie.split(';').next().unwrap())
        .collect();
    pairs.join("; ")
}

#[tokio::test]
async fn an_expired_access_cookie_is_renewed_on_a_navigation() {
    let app = App::new();
    let router = renewing(&app);
    for site in [OWN, TYPED] {
        let tokens = expired(&app).await;
        // Browsers drop the expired cookie, or send it where it has no age.
        for cookies in [tokens.cookies(), refresh_only(&tokens)] {
            let headers = [HTML, NAVIGATE, site, ("cookie", cookies.as_str())];
            let page = ask(&router, "GET", "/me", &headers).await;
            assert_eq!(page.body, "member 1");
            assert_eq!(page.header("cache-control"), Some("no-store"));
            assert_eq!(page.set_cookies().len(), 2);
            let new = jar(&page);
            let next = ask(
                &router,
                "GET",
                "/me",
                &[HTML, NAVIGATE, site, ("cookie", &new)],
            )
            .await;
            assert_eq!(next.body, "member 1");
            assert!(next.set_cookies().is_empty(), "the new token is good");
        }
    }
}

#[tokio::test]
async fn tabs_that_load_at_once_get_the_same_cookies() {
    let app = App::new();
    let router = renewing(&app);
    let cookies = expired(&app).await.cookies();
    let headers = [HTML, NAVIGATE, OWN, ("cookie", cookies.as_str())];
    let tab = || ask(&router, "GET", "/me", &headers);
    let (first, second, third) = tokio::join!(tab(), tab(), tab());
    for tab in [&first, &second, &third] {
        assert_eq!(tab.body, "member 1");
        assert_eq!(jar(tab), jar(&first));
    }
    assert!(!jar(&first).is_empty());
    assert!(
        app.is_live(jar(&first).split(['=', ';']).nth(1).unwrap())
            .await
    );
}

#[tokio::test]
async fn an_answer_with_new_cookies_is_never_cached_and_the_handlers_cookies_come_last() {
    let app = App::new();
    let router = renewing(&app);
    let cookies = expired(&app).await.cookies();
    let headers = [HTML, NAVIGATE, OWN, ("cookie", cookies.as_str())];
    let public = ask(&router, "GET", "/public", &headers).await;
    assert_eq!(public.set_cookies().len(), 2);
    assert_eq!(public.header("cache-control"), Some("no-store"));
    for other in ["cdn-cache-control", "surrogate-control"] {
        assert_eq!(public.header(other), None, "it would be obeyed instead");
    }
    let own = ask(&router, "GET", "/own", &headers).await;
    assert_eq!(own.set_cookies().len(), 3);
    assert_eq!(own.set_cookies().last(), Some(&"a=b"));
}

#[tokio::test]
async fn nothing_but_an_own_navigation_renews() {
    let app = App::new();
    let router = renewing(&app);
    let tokens = expired(&app).await;
    let cookies = tokens.cookies();
    let cookie = ("cookie", cookies.as_str());
    let twice = format!("{cookies}; {}", refresh_only(&tokens));
    let mixed = format!(
        "__Host-countersign_refresh={}; __Host-countersign_access=",
        tokens.refresh
    );
    let bearer = tokens.bearer();
    for (method, headers) in [
        ("POST", vec![HTML, NAVIGATE, OWN, cookie]),
        ("HEAD", vec![HTML, NAVIGATE, OWN, cookie]),
        ("GET", vec![HTML, ("sec-fetch-mode", "cors"), OWN, cookie]),
        ("GET", vec![("accept", "*/*"), OWN, cookie]),
        (
            "GET",
            vec![("accept", "application/json"), NAVIGATE, OWN, cookie],
        ),
        (
            "GET",
            vec![HTML, NAVIGATE, ("sec-fetch-site", "cross-site"), cookie],
        ),
        (
            "GET",
            vec![HTML, NAVIGATE, ("sec-fetch-site", "same-site"), cookie],
        ),
        ("GET", vec![HTML, NAVIGATE, cookie]),
        ("GET", vec![HTML, NAVIGATE, OWN, OWN, cookie]),
        ("GET", vec![HTML, NAVIGATE, OWN, ("cookie", twice.as_str())]),
        ("GET", vec![HTML, NAVIGATE, OWN, ("cookie", mixed.as_str())]),
        (
            "GET",
            vec![
                HTML,
                NAVIGATE,
                OWN,
                cookie,
                ("authorization", bearer.as_str()),
            ],
        ),
    ] {
        let refused = ask(&router, method, "/me", &headers).await;
        assert!(refused.status.is_client_error(), "{headers:?}");
        assert!(refused.set_cookies().is_empty(), "{headers:?}");
    }
    // Nobody has exchanged the token meanwhile, and a layer that wasn't told to doesn't either.
    let page = [HTML, NAVIGATE, OWN, cookie];
    assert_eq!(app.get("/me", &page).await.status, StatusCode::UNAUTHORIZED);
    assert_eq!(ask(&router, "GET", "/me", &page).await.body, "member 1");
}

#[tokio::test]
async fn a_refused_refresh_is_a_visitor_and_an_outage_is_503() {
    let app = App::new();
    let router = renewing(&app);
    let tokens = expired(&app).await;
    let cookies = tokens.cookies();
    let page = [HTML, NAVIGATE, OWN, ("cookie", cookies.as_str())];
    app.world.store.switch(false);
    for path in ["/", "/me"] {
        let down = ask(&router, "GET", path, &page).await;
        down.is_problem(503, "STORE_UNAVAILABLE", None);
        assert!(down.set_cookies().is_empty());
        let alone = refresh_only(&tokens);
        let down = ask(
            &router,
            "GET",
            path,
            &[HTML, NAVIGATE, OWN, ("cookie", &alone)],
        )
        .await;
        down.is_problem(503, "STORE_UNAVAILABLE", None);
    }
    app.world.store.switch(true);
    app.world.members.put(1, false);
    assert_eq!(
        ask(&router, "GET", "/", &page).await.body,
        "nobody",
        "an inactive account"
    );
    app.world.members.put(1, true);
    assert_eq!(
        ask(&router, "GET", "/", &page).await.body,
        "member 1",
        "and it was kept"
    );

    let over = expired(&app).await;
    app.post_json(
        "/auth/logout",
        &serde_json::json!({"refresh_token": over.refresh}),
    )
    .await;
    let cookies = over.cookies();
    let visitor = ask(
        &router,
        "GET",
        "/",
        &[HTML, NAVIGATE, OWN, ("cookie", &cookies)],
    )
    .await;
    assert_eq!(visitor.body, "nobody");
    assert!(
        visitor.set_cookies().is_empty(),
        "another tab may hold the successor"
    );
}

/// Cookies whose refresh cookie is sent to `refresh` alone.
fn cookies(path: &str, refresh: &str) -> CookieTransport {
    let builder = CookieTransport::builder(Profile::Countersign).cookie_name("app");
    builder.path(path).refresh_path(refresh).build().unwrap()
}

fn with(world: &World, transport: CookieTransport) -> AuthenticatorBuilder<Member> {
    let web = AuthenticationBackend::new("web", transport, world.strategy.clone());
    Authenticator::builder(world.members.clone()).backend(web)
}

#[test]
fn a_refresh_cookie_that_never_reaches_the_pages_is_an_error() {
    let world = World::new();
    let check = |authenticator: AuthenticatorBuilder<Member>| {
        let layer = AuthLayer::new(std::sync::Arc::new(authenticator.build().unwrap()));
        layer
            .renew_cookies()
            .map(|_| ())
            .map_err(|error| error.to_string())
    };
    for (path, refresh) in [
        ("/", "/auth"),
        ("/app", "/ap"),
        ("/app", "/app/auth"),
        ("/app", "/other"),
    ] {
        let error = check(with(&world, cookies(path, refresh))).unwrap_err();
        assert!(
            error.contains("refresh_path") && error.contains("web"),
            "{error}"
        );
    }
    for (path, refresh) in [
        ("/", "/"),
        ("/app", "/"),
        ("/app", "/app"),
        ("/app/x", "/app"),
        ("/app/x", "/app/"),
    ] {
        assert_eq!(
            check(with(&world, cookies(path, refresh))),
            Ok(()),
            "{path} {refresh}"
        );
    }
    let api = AuthenticationBackend::new("api", BearerTransport, world.strategy.clone());
    let bearer = Authenticator::builder(world.members.clone()).backend(api);
    let error = check(bearer).unwrap_err();
    assert!(error.contains("renew_cookies"), "{error}");
}
