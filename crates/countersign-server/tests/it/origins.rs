//! Where browsers reach the server, and whose pages may ask it.

use reqwest::header::{COOKIE, HOST, ORIGIN};
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use crate::flows::{cookie_post, jar, me_by_cookie};
use crate::harness::{PASSWORD, Place, Reply, Server, Tokens};

const ADA: &str = "ada@example.org";

fn credentials() -> serde_json::Value {
    json!({ "identifier": ADA, "password": PASSWORD })
}

/// A login through cookies by a browser that says `Origin` and nothing else.
fn login_from(server: &Server, origin: &str) -> RequestBuilder {
    server
        .request(Method::POST, "/auth/cookie/login")
        .header(ORIGIN, origin)
        .json(&credentials())
}

/// A proxy that keeps its own name in `Host`, as nginx does unless told otherwise, in front of a site over plain http.
#[tokio::test]
async fn the_public_url_counts_and_not_the_host() {
    for (public_url, own) in [
        ("http://app.example", "http://app.example"),
        ("http://app.example:80/", "http://app.example"),
        ("https://app.example", "https://app.example"),
        ("https://app.example:443/accounts", "https://app.example"),
        (
            "https://app.example:8443/accounts/",
            "https://app.example:8443",
        ),
        ("http://[::1]:8000", "http://[::1]:8000"),
    ] {
        let server = Place::new(Vec::new())
            .with("PUBLIC_URL", public_url)
            .start();
        server.register(ADA).await.expect(StatusCode::CREATED);
        let host = server.address().to_string();
        let jar = jar(&Reply::of(login_from(&server, own))
            .await
            .expect(StatusCode::NO_CONTENT));
        me_by_cookie(&server, &jar).await.expect(StatusCode::OK);
        for origin in [
            format!("http://{host}"),
            format!("https://{host}"),
            format!("{own}.evil.example"),
            "https://evil.example".to_owned(),
            "http://app.example:444".to_owned(),
            "null".to_owned(),
        ] {
            let refused = Reply::of(login_from(&server, &origin)).await;
            refused.expect_problem(StatusCode::FORBIDDEN, "CSRF_FAILED");
        }
        let refresh = server
            .request(Method::POST, "/auth/cookie/refresh")
            .header(COOKIE, &jar);
        let named_as_we_are = refresh
            .header(ORIGIN, "http://app.test")
            .header(HOST, "app.test");
        Reply::of(named_as_we_are)
            .await
            .expect_problem(StatusCode::FORBIDDEN, "CSRF_FAILED");
        let refresh = Reply::of(cookie_post(&server, "/auth/cookie/refresh", &jar)).await;
        refresh.expect(StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn routes_are_there_at_the_root_and_below_the_path() {
    for path in [
        "/accounts",
        "/a/b-c/d.e~f_g",
        "/auth",
        "/auth/sessions",
        "/auth/logout",
        "/users",
        "/healthz",
    ] {
        let server = Place::new(Vec::new())
            .with("PUBLIC_URL", &format!("https://app.example{path}"))
            .start();
        // A body that is refused unread costs its connection.
        let server = server.with_new_connections();
        let at = |route: &str| format!("{path}{route}");
        let account = json!({ "email": ADA, "password": PASSWORD });
        server
            .post(&at("/auth/register"), account)
            .await
            .expect(StatusCode::CREATED);
        let tokens = Tokens::of(&server.post(&at("/auth/login"), credentials()).await);
        for prefix in ["", path] {
            server
                .get(&format!("{prefix}/users/me"), &tokens.access)
                .await
                .expect(StatusCode::OK);
            for health in ["/healthz", "/readyz"] {
                let reply =
                    Reply::of(server.request(Method::GET, &format!("{prefix}{health}"))).await;
                reply.expect(StatusCode::OK);
            }
        }
        let body = json!({ "refresh_token": tokens.refresh });
        let renewed = Tokens::of(&server.post(&at("/auth/refresh"), body).await);
        let login = cookie_post(&server, &at("/auth/cookie/login"), "").json(&credentials());
        let first = Reply::of(login).await.expect(StatusCode::NO_CONTENT);
        for cookie in first.headers.get_all("set-cookie") {
            let cookie = cookie.to_str().unwrap();
            assert!(
                cookie.starts_with("__Host-countersign_") && cookie.contains("; Path=/;"),
                "{cookie}"
            );
        }
        let refresh = Reply::of(cookie_post(
            &server,
            &at("/auth/cookie/refresh"),
            &jar(&first),
        ))
        .await;
        let second = jar(&refresh.expect(StatusCode::NO_CONTENT));
        let logout = Reply::of(cookie_post(&server, &at("/auth/cookie/logout"), &second)).await;
        logout.expect(StatusCode::NO_CONTENT);
        me_by_cookie(&server, &second)
            .await
            .expect(StatusCode::UNAUTHORIZED);

        // A body that can't be taken keeps nobody from logging out.
        let logout = server
            .request(Method::POST, &at("/auth/logout"))
            .bearer_auth(&renewed.access);
        Reply::of(logout.body(vec![b'x'; 100_000]))
            .await
            .expect(StatusCode::NO_CONTENT);
        server
            .me(&renewed.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);

        let nowhere = Reply::of(server.request(Method::GET, &at("/nowhere/at/all"))).await;
        nowhere.expect_problem(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND");
        let method = Reply::of(server.request(Method::PUT, &at("/users/me"))).await;
        method.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
    }
}

const FRONT: &str = "https://www.example.com";
const ADMIN: &str = "http://admin.example.com:8080";

fn with_two_fronts() -> Server {
    let origins = "https://www.example.com:443, http://admin.example.com:8080";
    Place::new(Vec::new())
        .with("PUBLIC_URL", "https://auth.example.com")
        .with("ALLOWED_ORIGINS", origins)
        .start()
}

fn cors_headers(reply: &Reply) -> Vec<String> {
    let names = reply.headers.keys().map(|name| name.as_str().to_owned());
    names
        .filter(|name| name.starts_with("access-control-"))
        .collect()
}

fn list(reply: &Reply, name: &str) -> Vec<String> {
    let values = reply
        .headers
        .get_all(name)
        .iter()
        .map(|value| value.to_str().unwrap().to_ascii_lowercase());
    values
        .flat_map(|value| {
            value
                .split(',')
                .map(|part| part.trim().to_owned())
                .collect::<Vec<_>>()
        })
        .collect()
}

#[tokio::test]
async fn answers_name_allowed_origins_alone() {
    // A body that is refused unread costs its connection.
    let server = with_two_fronts().with_new_connections();
    server.register(ADA).await.expect(StatusCode::CREATED);
    let tokens = server.login(ADA).await;
    let long = vec![b'x'; 100_000];
    let asked = |origin: Option<&'static str>| {
        let requests = vec![
            server
                .request(Method::GET, "/users/me")
                .bearer_auth(&tokens.access),
            server.request(Method::GET, "/users/me"),
            server.request(Method::GET, "/nowhere"),
            server.request(Method::PUT, "/users/me"),
            server
                .request(Method::POST, "/auth/login")
                .body(long.clone()),
            server.request(Method::GET, "/healthz"),
        ];
        requests.into_iter().map(move |request| match origin {
            Some(origin) => request.header(ORIGIN, origin),
            None => request,
        })
    };
    for origin in [FRONT, ADMIN] {
        for request in asked(Some(origin)) {
            let reply = Reply::of(request).await;
            assert_eq!(
                reply.header("access-control-allow-origin"),
                origin,
                "{reply:?}"
            );
            assert_eq!(reply.header("access-control-allow-credentials"), "true");
            let exposed = list(&reply, "access-control-expose-headers");
            assert!(
                exposed.contains(&"www-authenticate".to_owned())
                    && exposed.contains(&"retry-after".to_owned())
            );
            assert!(
                list(&reply, "vary").contains(&"origin".to_owned()),
                "{reply:?}"
            );
        }
    }
    let others = [
        "https://evil.example",
        "https://www.example.com.evil.example",
        "http://www.example.com",
        "null",
    ];
    for origin in others.into_iter().map(Some).chain([None]) {
        for request in asked(origin) {
            let reply = Reply::of(request).await;
            assert_eq!(
                cors_headers(&reply),
                Vec::<String>::new(),
                "{origin:?} {reply:?}"
            );
            assert!(
                list(&reply, "vary").contains(&"origin".to_owned()),
                "{origin:?} {reply:?}"
            );
        }
    }
}

fn preflight(server: &Server, path: &str, origin: &str, method: &str) -> RequestBuilder {
    let request = server.request(Method::OPTIONS, path).header(ORIGIN, origin);
    let request = request.header("access-control-request-method", method);
    request.header(
        "access-control-request-headers",
        "authorization,content-type",
    )
}

#[tokio::test]
async fn preflights_are_answered_for_allowed_origins_alone() {
    let server = with_two_fronts();
    for (path, method) in [
        ("/auth/cookie/login", "POST"),
        ("/users/me", "PATCH"),
        (
            "/auth/sessions/11111111-2222-4333-8444-555555555555",
            "DELETE",
        ),
        ("/users/me", "GET"),
    ] {
        for origin in [FRONT, ADMIN] {
            let reply = Reply::of(preflight(&server, path, origin, method)).await;
            assert!(reply.status.is_success(), "{reply:?}");
            assert_eq!(reply.header("access-control-allow-origin"), origin);
            assert_eq!(reply.header("access-control-allow-credentials"), "true");
            assert!(
                list(&reply, "access-control-allow-methods").contains(&method.to_ascii_lowercase()),
                "{reply:?}"
            );
            let headers = list(&reply, "access-control-allow-headers");
            assert!(
                headers.contains(&"authorization".to_owned())
                    && headers.contains(&"content-type".to_owned())
            );
            assert!(
                list(&reply, "vary").contains(&"origin".to_owned()),
                "{reply:?}"
            );
            assert!(!format!("{:?}", reply.headers).contains('*'), "{reply:?}");
        }
        for origin in [
            "https://evil.example",
            "https://www.example.com/",
            "https://auth.example.com",
            "null",
            "",
        ] {
            let reply = Reply::of(preflight(&server, path, origin, method)).await;
            assert!(reply.status.is_client_error(), "{origin}: {reply:?}");
            assert_eq!(cors_headers(&reply), Vec::<String>::new(), "{origin}");
            assert!(
                list(&reply, "vary").contains(&"origin".to_owned()),
                "{reply:?}"
            );
        }
    }
    // Without the setting there are no other origins.
    let server = Place::new(Vec::new()).start();
    let reply = Reply::of(preflight(&server, "/auth/login", FRONT, "POST")).await;
    assert_eq!(cors_headers(&reply), Vec::<String>::new());
    reply.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
}

/// A page of an allowed origin is as good as one of our own, for cookies too.
#[tokio::test]
async fn pages_of_allowed_origins_send_cookies() {
    let server = with_two_fronts();
    server.register(ADA).await.expect(StatusCode::CREATED);
    let site = ("sec-fetch-site", "same-site");
    let login = login_from(&server, FRONT).header(site.0, site.1);
    let first = jar(&Reply::of(login).await.expect(StatusCode::NO_CONTENT));
    let refresh = |origin: &str| {
        let refresh = server
            .request(Method::POST, "/auth/cookie/refresh")
            .header(COOKIE, &first);
        refresh.header(ORIGIN, origin).header(site.0, site.1)
    };
    Reply::of(refresh("https://evil.example.com"))
        .await
        .expect_problem(StatusCode::FORBIDDEN, "CSRF_FAILED");
    let reply = Reply::of(refresh(ADMIN))
        .await
        .expect(StatusCode::NO_CONTENT);
    assert_eq!(reply.header("access-control-allow-origin"), ADMIN);
}

#[test]
fn what_is_no_origin_or_no_url_is_refused_by_name() {
    let place = Place::new(Vec::new());
    for (setting, text, said) in [
        ("ALLOWED_ORIGINS", "https://a.example/", "slash"),
        ("ALLOWED_ORIGINS", "https://a.example/app", "path"),
        (
            "ALLOWED_ORIGINS",
            "https://ok.example,https://a.example?x",
            "https://a.example?x",
        ),
        ("ALLOWED_ORIGINS", "a.example", "a.example"),
        ("ALLOWED_ORIGINS", "*", "*"),
        ("ALLOWED_ORIGINS", "https://*.example", "https://*.example"),
        ("ALLOWED_ORIGINS", "null", "null"),
        (
            "ALLOWED_ORIGINS",
            "ftp://a.example",
            "does not start with http:// or https://",
        ),
        ("ALLOWED_ORIGINS", "https://me:secret@a.example", "user"),
        ("ALLOWED_ORIGINS", "https://A.example", "https://a.example"),
        (
            "ALLOWED_ORIGINS",
            "https://bücher.example",
            "https://xn--bcher-kva.example",
        ),
        (
            "ALLOWED_ORIGINS",
            "https://a.example:0443",
            "https://a.example:0443",
        ),
        ("PUBLIC_URL", "app.example", "http"),
        ("PUBLIC_URL", "ftp://app.example", "http"),
        ("PUBLIC_URL", "https://me:secret@app.example", "user"),
        ("PUBLIC_URL", "https://app.example/a?b=c", "?"),
        ("PUBLIC_URL", "https://app.example/a#b", "#"),
        ("PUBLIC_URL", "https://app.example/a//b", "path"),
        ("PUBLIC_URL", "https://app.example/a/../b", "path"),
        ("PUBLIC_URL", "https://app.example/{a}", "path"),
        ("PUBLIC_URL", "https://app.example/a%20b", "path"),
        ("PUBLIC_URL", "https://app.example/:a/*b", "path"),
        ("PUBLIC_URL", "https://app.example/check", "/check"),
        ("COOKIE_NAME", "a b", "letters"),
        ("COOKIE_NAME", "__Host-a", "letters"),
        ("COOKIE_SAMESITE", "None", "lax, strict, none"),
        ("COOKIE_SAMESITE", "none", "insecure_cookies"),
    ] {
        let place = if text == "none" {
            place.clone().with("INSECURE_COOKIES", "true")
        } else {
            place.clone()
        };
        let output = place.with(setting, text).run(&["config", "check"]);
        let error = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{setting}={text}: {error}");
        assert!(
            error.contains(&format!("COUNTERSIGN_{setting}")) && error.contains(said),
            "{text}: {error}"
        );
        assert!(!error.contains("secret"), "{error}");
    }
}

/// Two servers on one host by paths: the same browser is logged in to both.
#[tokio::test]
async fn two_servers_on_one_host_have_cookies_of_their_own() {
    for (settings, access, refresh) in [
        (
            vec![("COOKIE_NAME", "shop")],
            "__Host-shop",
            "__Host-shop_refresh",
        ),
        (
            vec![("COOKIE_NAME", "shop"), ("INSECURE_COOKIES", "true")],
            "shop",
            "shop_refresh",
        ),
        (
            vec![("COOKIE_NAME", "shop"), ("PROFILE", "litestar-auth")],
            "shop",
            "shop_refresh",
        ),
        (
            vec![],
            "__Host-countersign_access",
            "__Host-countersign_refresh",
        ),
    ] {
        let place = settings
            .into_iter()
            .fold(Place::new(Vec::new()), |place, (name, value)| {
                place.with(name, value)
            });
        let server = place.start();
        server.register(ADA).await.expect(StatusCode::CREATED);
        let login =
            Reply::of(cookie_post(&server, "/auth/cookie/login", "").json(&credentials())).await;
        let own = jar(&login.expect(StatusCode::NO_CONTENT));
        let names: Vec<&str> = own
            .split("; ")
            .map(|pair| pair.split_once('=').unwrap().0)
            .collect();
        assert_eq!(names, [access, refresh]);
        let foreign = "__Host-other=x; __Host-other_refresh=y";
        me_by_cookie(&server, &format!("{foreign}; {own}"))
            .await
            .expect(StatusCode::OK);
        let both = format!("{own}; {foreign}");
        Reply::of(cookie_post(&server, "/auth/cookie/refresh", &both))
            .await
            .expect(StatusCode::NO_CONTENT);
    }
}

#[tokio::test]
async fn cookies_say_when_other_sites_may_send_them() {
    for (samesite, said) in [("lax", "Lax"), ("strict", "Strict"), ("none", "None")] {
        let server = Place::new(Vec::new())
            .with("COOKIE_SAMESITE", samesite)
            .start();
        server.register(ADA).await.expect(StatusCode::CREATED);
        let login =
            Reply::of(cookie_post(&server, "/auth/cookie/login", "").json(&credentials())).await;
        let login = login.expect(StatusCode::NO_CONTENT);
        let set: Vec<_> = login
            .headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect();
        assert_eq!(set.len(), 2);
        assert!(
            set.iter()
                .all(|cookie| cookie.contains(&format!("; SameSite={said}; Secure"))),
            "{set:?}"
        );
    }
}
