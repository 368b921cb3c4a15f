//! The helpers of the feature `testing` that an application's tests use.

#![cfg(all(feature = "axum", feature = "jwt", feature = "testing"))]
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    missing_docs,
    reason = "test code"
)]

use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::routing::get;
use countersign::axum::{CurrentUser, LoginAttempt, LoginVerdict};
use countersign::denylist::MemoryDenylist;
use countersign::strategy::JwtStrategy;
use countersign::testing::{ManualClock, SeededEntropy, TestSession, auth};
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{
    Auth, AuthBuilder, AuthenticationBackend, Authenticator, Failure, Profile, Secret,
    SystemEntropy, User, Users,
};
use http::{HeaderMap, Request, StatusCode, header};
use tower::ServiceExt;

struct Member(i64);

impl User for Member {
    type Id = i64;

    fn id(&self) -> &i64 {
        &self.0
    }
}

struct Members;

impl Users for Members {
    type User = Member;

    async fn find(&self, id: &i64) -> Result<Option<Member>, Failure> {
        Ok(Some(Member(*id)))
    }

    async fn verify(&self, _: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        Ok(LoginVerdict::Rejected)
    }
}

fn app(auth: &Auth<Member>) -> Router {
    let me = get(|member: CurrentUser<Member>| async move { member.user.0.to_string() });
    Router::new()
        .route("/me", me)
        .layer(auth.layer())
        .nest("/auth", auth.routes())
}

async fn ask(app: &Router, method: &str, path: &str, headers: HeaderMap) -> StatusCode {
    let mut request = Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap();
    request.headers_mut().extend(headers);
    app.clone().oneshot(request).await.unwrap().status()
}

fn cookies() -> CookieTransport {
    CookieTransport::builder(Profile::Countersign)
        .build()
        .unwrap()
}

#[tokio::test]
async fn one_session_is_good_in_the_header_and_in_cookies() {
    let auth = auth(Members).cookies(cookies()).build().await.unwrap();
    let (app, session) = (app(&auth), auth.test_session(&Member(7)).await.unwrap());
    assert!(session.id().is_some());
    for headers in [session.bearer(), session.cookie()] {
        assert_eq!(ask(&app, "GET", "/me", headers).await, StatusCode::OK);
    }
    // A page may also do what changes something.
    let logout = ask(&app, "POST", "/auth/cookie/logout", session.cookie()).await;
    assert_eq!(logout, StatusCode::NO_CONTENT);
    for headers in [session.bearer(), session.cookie()] {
        assert_eq!(
            ask(&app, "GET", "/me", headers).await,
            StatusCode::UNAUTHORIZED
        );
    }
}

#[tokio::test]
async fn without_a_cookie_transport_there_are_no_cookies() {
    let auth = auth(Members).build().await.unwrap();
    let session = auth.test_session(&Member(7)).await.unwrap();
    assert!(session.cookies().is_empty());
    assert!(!session.cookie().contains_key(header::COOKIE));
}

#[tokio::test]
async fn tokens_stay_out_of_debug_output() {
    let auth = auth(Members).cookies(cookies()).build().await.unwrap();
    let session = auth.test_session(&Member(7)).await.unwrap();
    let shown = format!("{session:?}");
    let refresh = session.tokens().refresh.as_ref().unwrap();
    for token in [&session.tokens().access.token, &refresh.token] {
        assert!(!shown.contains(token.expose()), "{shown}");
    }
}

/// Tokens without sessions, in the header and in cookies.
#[tokio::test]
async fn a_strategy_without_sessions_gives_an_access_token() {
    let strategy = JwtStrategy::<Member>::builder()
        .secret(&Secret::generate(&SystemEntropy).unwrap())
        .denylist_store(Arc::new(MemoryDenylist::default()))
        .build()
        .unwrap();
    let strategy: Arc<dyn countersign::strategy::Strategy<Member>> = Arc::new(strategy);
    let users = |id: i64| async move { Ok::<_, Failure>(Some(Member(id))) };
    let authenticator = Authenticator::builder(Arc::new(users))
        .backend(AuthenticationBackend::new(
            "api",
            BearerTransport,
            Arc::clone(&strategy),
        ))
        .backend(AuthenticationBackend::new("web", cookies(), strategy))
        .build()
        .unwrap();
    let session = TestSession::open(&authenticator, &Member(7)).await.unwrap();
    assert!(session.id().is_none() && session.tokens().refresh.is_none());
    for headers in [session.bearer(), session.cookie()] {
        let answer = authenticator.authenticate(&headers).await.unwrap();
        assert_eq!(answer.accepted().map(|accepted| accepted.user.0), Some(7));
    }
}

/// The tokens of the first session of an `Auth` with a fixed clock and fixed randomness.
async fn first_tokens(
    settings: impl Fn(AuthBuilder<Member>) -> AuthBuilder<Member>,
) -> [String; 2] {
    let auth = auth(Members)
        .clock(Arc::new(ManualClock::default()))
        .entropy(Arc::new(SeededEntropy::new(7)));
    let auth = settings(auth).build().await.unwrap();
    let session = auth.test_session(&Member(7)).await.unwrap();
    let refresh = session.tokens().refresh.as_ref().unwrap();
    [&session.tokens().access.token, &refresh.token].map(|token| token.expose().to_owned())
}

#[tokio::test]
async fn fixed_randomness_gives_the_same_tokens_in_each_run() {
    let opaque = |auth: AuthBuilder<Member>| auth;
    assert_eq!(first_tokens(opaque).await, first_tokens(opaque).await);
    let signed = |auth: AuthBuilder<Member>| {
        auth.jwt(|jwt| {
            let secret = Secret::generate(&SeededEntropy::new(8)).unwrap();
            jwt.secret(&secret)
                .denylist_store(Arc::new(MemoryDenylist::default()))
        })
    };
    let tokens = first_tokens(signed).await;
    assert_eq!(tokens, first_tokens(signed).await);
    assert_ne!(tokens, first_tokens(opaque).await);
}
