//! Routers driven in memory: each route, each refusal, exact headers and bodies.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "test code"
)]
#![cfg(feature = "axum")]

mod bodies;
mod changed;
mod cookies;
mod cross_site;
mod events;
mod forms;
mod forward;
mod grpc;
mod guards;
mod layer;
mod login;
mod logout;
mod logout_bodies;
mod logout_cookies;
mod own;
mod pages;
mod recent;
mod remember;
mod sessions;
mod stores;
mod websocket;

use std::sync::Arc;
use std::time::Duration;

use crate::fixture::stores::SECRET_CAUSE;
use crate::fixture::web::{Member, Members, World};
use axum::Router;
use axum::body::Body;
use axum::routing::{any, get, post};
use countersign::axum::{AuthRoutes, CredentialVerifier, CurrentUser, LoginAttempt, LoginVerdict};
use countersign::tower::AuthLayer;
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{AuthenticationBackend, Authenticator, Failure, OriginPolicy, Profile};
use http::{HeaderMap, Request, StatusCode};
use http_body_util::BodyExt;
use serde_json::Value;
use tower::ServiceExt;

/// Lets members in whose password is `password of N`; a few names force the other verdicts.
struct Verifier(Arc<Members>);

#[async_trait::async_trait]
impl CredentialVerifier<Member> for Verifier {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        assert_eq!(format!("{login:?}"), "LoginAttempt(..)");
        let retry_after = Duration::from_millis(41_500);
        match login.identifier() {
            "limited" => return Ok(LoginVerdict::RateLimited { retry_after }),
            "busy" => return Ok(LoginVerdict::Overloaded { retry_after }),
            "down" => return Err(Failure::unavailable("accounts", SECRET_CAUSE)),
            "from 192.0.2.7"
                if login.client_address().map(|ip| ip.to_string()).as_deref()
                    != Some("192.0.2.7") =>
            {
                return Ok(LoginVerdict::Rejected);
            }
            _ => {}
        }
        let id = login
            .password()
            .strip_prefix("password of ")
            .and_then(|id| id.parse().ok());
        Ok(id
            .and_then(|id| self.0.find(id))
            .map_or(LoginVerdict::Rejected, LoginVerdict::Accepted))
    }
}

/// An application: `/auth/…`, `/me` (GET and POST), `/any`, `/greet`.
struct App {
    world: World,
    authenticator: Arc<Authenticator<Member>>,
    router: Router,
}

impl App {
    fn new() -> Self {
        Self::over(World::new())
    }

    fn over(world: World) -> Self {
        let verifier = Verifier(world.members.clone());
        Self::with(world, verifier)
    }

    fn with(world: World, verifier: impl CredentialVerifier<Member> + 'static) -> Self {
        Self::build(
            world,
            verifier,
            CookieTransport::builder(Profile::Countersign)
                .build()
                .unwrap(),
        )
    }

    fn with_cookies(world: World, cookies: CookieTransport) -> Self {
        let verifier = Verifier(world.members.clone());
        Self::build(world, verifier, cookies)
    }

    fn build(
        world: World,
        verifier: impl CredentialVerifier<Member> + 'static,
        cookies: CookieTransport,
    ) -> Self {
        Self::routed(world, cookies, |routes| routes.login(verifier))
    }

    /// With the routes that `settings` asks for.
    fn routed(
        world: World,
        cookies: CookieTransport,
        settings: impl FnOnce(AuthRoutes<Member>) -> AuthRoutes<Member>,
    ) -> Self {
        crate::fixture::log::listen();
        let authenticator = Authenticator::builder(world.members.clone())
            .backend(AuthenticationBackend::new(
                "api",
                BearerTransport,
                world.strategy.clone(),
            ))
            .backend(AuthenticationBackend::new(
                "web",
                cookies,
                world.strategy.clone(),
            ))
            .origins(
                OriginPolicy::default()
                    .trust("https://front.example")
                    .unwrap(),
            )
            .build()
            .unwrap();
        let authenticator = Arc::new(authenticator);
        let routes = settings(AuthRoutes::new(authenticator.clone()))
            .build()
            .unwrap();
        let app = Router::new()
            .route("/me", get(me).post(me))
            .route("/any", any(me))
            .route("/greet", get(greet))
            .route("/open", post(async || "open"))
            .nest("/auth", routes)
            .layer(AuthLayer::new(authenticator.clone()));
        Self {
            world,
            authenticator,
            router: app,
        }
    }

    async fn call(&self, request: Request<Body>) -> Reply {
        reply(self.router.clone(), request).await
    }

    async fn post(&self, path: &str, headers: &[(&str, &str)], body: impl Into<Body>) -> Reply {
        self.call(request("POST", path, headers, body)).await
    }

    async fn post_json(&self, path: &str, body: &Value) -> Reply {
        self.post(path, &[JSON], body.to_string()).await
    }

    async fn get(&self, path: &str, headers: &[(&str, &str)]) -> Reply {
        self.call(request("GET", path, headers, "")).await
    }

    /// The tokens of a new session of member `id`.
    async fn tokens(&self, id: i64) -> Tokens {
        let login =
            serde_json::json!({"identifier": "me", "password": format!("password of {id}")});
        self.post_json("/auth/login", &login).await.tokens()
    }

    async fn is_live(&self, access: &str) -> bool {
        let bearer = format!("Bearer {access}");
        self.get("/me", &[("authorization", &bearer)]).await.status == StatusCode::OK
    }
}

struct Tokens {
    access: String,
    refresh: String,
}

impl Tokens {
    fn bearer(&self) -> String {
        format!("Bearer {}", self.access)
    }

    fn cookies(&self) -> String {
        format!(
            "__Host-countersign_access={}; __Host-countersign_refresh={}",
            self.access, self.refresh
        )
    }
}

const JSON: (&str, &str) = ("content-type", "application/json");

async fn me(member: CurrentUser<Member>) -> String {
    format!("member {}", member.user.id)
}

async fn greet(member: Option<CurrentUser<Member>>) -> String {
    member.map_or_else(
        || "nobody".to_owned(),
        |member| format!("member {}", member.user.id),
    )
}

fn request(
    method: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: impl Into<Body>,
) -> Request<Body> {
    crate::fixture::log::listen();
    let builder = Request::builder().method(method).uri(path);
    let builder = headers.iter().fold(builder, |builder, (name, value)| {
        builder.header(*name, *value)
    });
    builder.body(body.into()).unwrap()
}

async fn reply(router: Router, request: Request<Body>) -> Reply {
    let response = router.oneshot(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let body = body.collect().await.unwrap().to_bytes();
    Reply {
        status: parts.status,
        headers: parts.headers,
        body: String::from_utf8(body.to_vec()).unwrap(),
    }
}

#[derive(Debug)]
struct Reply {
    status: StatusCode,
    headers: HeaderMap,
    body: String,
}

impl Reply {
    fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(|value| value.to_str().unwrap())
    }

    fn set_cookies(&self) -> Vec<&str> {
        self.headers
            .get_all("set-cookie")
            .iter()
            .map(|value| value.to_str().unwrap())
            .collect()
    }

    fn tokens(&self) -> Tokens {
        assert_eq!(self.status, StatusCode::OK, "{}", self.body);
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let text = |name: &str| body[name].as_str().unwrap().to_owned();
        Tokens {
            access: text("access_token"),
            refresh: text("refresh_token"),
        }
    }

    /// Checks a problem answer whole: status, code, challenge, the four members and no more, and nothing to cache.
    #[track_caller]
    fn is_problem(&self, status: u16, code: &str, challenge: Option<&str>) {
        self.is_problem_with(&[], status, code, challenge);
    }

    /// As [`is_problem`](Self::is_problem), with other members beside the four.
    #[track_caller]
    fn is_problem_with(&self, others: &[&str], status: u16, code: &str, challenge: Option<&str>) {
        assert_eq!((self.status.as_u16(), self.code().as_str()), (status, code));
        assert_eq!(
            self.header("content-type"),
            Some("application/problem+json")
        );
        assert_eq!(self.header("cache-control"), Some("no-store"));
        assert_eq!(self.header("www-authenticate"), challenge);
        assert_eq!(
            self.headers.get_all("www-authenticate").iter().count(),
            usize::from(challenge.is_some())
        );
        let body: Value = serde_json::from_str(&self.body).unwrap();
        let mut members: Vec<&String> = body.as_object().unwrap().keys().collect();
        members.sort_unstable();
        let mut expected = [&["code", "detail", "status", "title"], others].concat();
        expected.sort_unstable();
        assert_eq!(members, expected);
        assert_eq!(body["status"], status);
        assert!(
            !self.body.contains("10.1.2.3")
                && !self.body.contains("csa_")
                && !self.body.contains("csr_")
        );
    }

    fn code(&self) -> String {
        let body: Value = serde_json::from_str(&self.body).unwrap_or_default();
        body["code"].as_str().unwrap_or(&self.body).to_owned()
    }

    #[track_caller]
    fn is_empty_204(&self) {
        assert_eq!((self.status.as_u16(), self.body.as_str()), (204, ""));
        assert_eq!(self.header("cache-control"), Some("no-store"));
    }
}
