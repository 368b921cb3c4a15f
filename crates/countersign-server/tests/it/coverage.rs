//! Every route without credentials: what a stranger gets. A route that is missing here fails the last test.

use std::collections::BTreeSet;

use reqwest::{Method, StatusCode};

use crate::harness::{Place, Reply, Server};

/// Route, methods, and what a stranger with an empty request is answered.
const ROUTES: &[(&str, &str, u16, &str)] = &[
    ("POST", "/auth/register", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", "/auth/login", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", "/auth/refresh", 415, "UNSUPPORTED_MEDIA_TYPE"),
    ("POST", "/auth/logout", 401, "AUTHENTICATION_REQUIRED"),
    ("POST", "/auth/logout/all", 401, "AUTHENTICATION_REQUIRED"),
    ("POST", "/auth/cookie/login", 403, "CSRF_FAILED"),
    ("POST", "/auth/cookie/refresh", 403, "CSRF_FAILED"),
    ("POST", "/auth/cookie/logout", 403, "CSRF_FAILED"),
    ("GET", "/auth/sessions", 401, "AUTHENTICATION_REQUIRED"),
    (
        "DELETE",
        "/auth/sessions/{id}",
        401,
        "AUTHENTICATION_REQUIRED",
    ),
    (
        "POST",
        "/auth/sessions/revoke-others",
        401,
        "AUTHENTICATION_REQUIRED",
    ),
    ("GET", "/users/me", 401, "AUTHENTICATION_REQUIRED"),
    ("PATCH", "/users/me", 401, "AUTHENTICATION_REQUIRED"),
    ("GET", "/check", 401, "AUTHENTICATION_REQUIRED"),
    ("GET", "/healthz", 200, ""),
    ("GET", "/readyz", 200, ""),
];

#[tokio::test]
async fn what_a_stranger_gets() {
    let server = Place::new(Vec::new()).start();
    for (method, path, status, code) in ROUTES {
        // A page of another site, at worst: what a browser would say of it.
        let request = server
            .request(method.parse().unwrap(), path)
            .header("sec-fetch-site", "cross-site");
        let reply = Reply::of(request).await;
        assert_eq!(
            reply.status.as_u16(),
            *status,
            "{method} {path}: {}",
            reply.text
        );
        if !code.is_empty() {
            let reply = reply.expect_problem(StatusCode::from_u16(*status).unwrap(), code);
            assert_eq!(
                reply.header("www-authenticate").is_empty(),
                *status != 401,
                "{method} {path}"
            );
        }
    }
}

#[tokio::test]
async fn every_other_method_and_path_is_a_problem_too() {
    let server = Place::new(Vec::new()).start();
    // A check has every method.
    for (_, path, ..) in ROUTES.iter().filter(|(_, path, ..)| *path != "/check") {
        let is_own = |method: &str| {
            ROUTES
                .iter()
                .any(|(own, known, ..)| known == path && *own == method)
        };
        for method in ["GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS"] {
            if !is_own(method) {
                let reply = ask(&server, method, path).await;
                reply.expect_problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
            }
        }
    }
    for path in [
        "/",
        "/auth",
        "/auth/",
        "/users/me/",
        "/users//me",
        "/USERS/ME",
        "/users/me/x",
        "/users/%6De",
    ] {
        ask(&server, "GET", path)
            .await
            .expect_problem(StatusCode::NOT_FOUND, "ROUTE_NOT_FOUND");
    }
}

/// Neither method nor path is taken from a header, and nobody is let in by one (SECURITY row B-04).
#[tokio::test]
async fn no_header_stands_for_a_method_a_path_or_a_user() {
    let server = Place::new(Vec::new()).start();
    let headers = [
        ("x-http-method-override", "GET"),
        ("x-method-override", "POST"),
        ("x-original-url", "/healthz"),
        ("x-rewrite-url", "/healthz"),
        ("x-forwarded-prefix", "/healthz"),
        ("x-forwarded-for", "127.0.0.1"),
        ("x-forwarded-user", "ada@example.org"),
        ("x-remote-user", "ada@example.org"),
    ];
    for (name, value) in headers {
        let get = server
            .request(Method::GET, "/users/me?access_token=x")
            .header(name, value);
        Reply::of(get)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_REQUIRED");
        let post = server
            .request(Method::POST, "/users/me")
            .header(name, value);
        Reply::of(post)
            .await
            .expect_problem(StatusCode::METHOD_NOT_ALLOWED, "METHOD_NOT_ALLOWED");
    }
}

/// The table of routes in the code's own documentation names those that are tested here, and no others.
#[test]
fn no_route_is_forgotten() {
    let source = include_str!("../../src/router.rs");
    let documented: BTreeSet<&str> = source
        .lines()
        .filter_map(|line| line.strip_prefix("/// | `"))
        .flat_map(|line| {
            line.split('|')
                .next()
                .unwrap_or_default()
                .split(['`', ' ', ','])
        })
        .filter(|word| word.starts_with('/'))
        .collect();
    let tested: BTreeSet<&str> = ROUTES.iter().map(|(_, path, ..)| *path).collect();
    assert_eq!(documented, tested);
}

async fn ask(server: &Server, method: &str, path: &str) -> Reply {
    Reply::of(server.request(Method::from_bytes(method.as_bytes()).unwrap(), path)).await
}
