//! Login routes of an application's own: one call, with the fence inside.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::response::{IntoResponse, Redirect};
use axum::routing::post;
use countersign::auth::LoginError;
use countersign::axum::LoginVerdict;
use countersign::store::{MemoryStore, Page};
use countersign::strategy::Strategy;
use countersign::strategy::{DatabaseTokenStrategy, Login};
use countersign::transport::{BearerTransport, CookieTransport};
use countersign::{AuthenticationBackend, ClientInfo, Failure, Profile};
use countersign::{Secret, SessionLimit, UserId, WhenFull};
use http::StatusCode;

use crate::fixture::web::{Member, World};
use crate::http::{reply, request};

fn web(strategy: &Arc<dyn Strategy<Member>>) -> AuthenticationBackend<Member> {
    let cookies = CookieTransport::builder(Profile::Countersign)
        .build()
        .unwrap();
    AuthenticationBackend::new("web", cookies, strategy.clone())
}

async fn everywhere(world: &World) {
    let sessions = world.strategy.as_refreshable().unwrap();
    sessions.end_sessions(&1_i64.to_key(), None).await.unwrap();
}

async fn count(backend: &AuthenticationBackend<Member>, id: i64) -> usize {
    let page = Page {
        after: None,
        limit: 100,
    };
    backend
        .sessions_of(&id, &page)
        .await
        .unwrap()
        .sessions
        .len()
}

/// The account is judged behind the fence, whether or not its id is known before: "everywhere" during a judgement leads to
/// another one, and three in a row end the attempt.
#[tokio::test]
async fn a_judgement_that_is_overtaken_is_made_again() {
    for (known, changes, judgements, is_in) in [
        (true, 0, 1, true),
        (true, 1, 2, true),
        (true, 2, 3, true),
        (true, 3, 3, false),
        (false, 0, 2, true),
        (false, 1, 2, true),
        (false, 3, 4, true),
        (false, 4, 4, false),
    ] {
        let world = World::new();
        let (backend, judged) = (web(&world.strategy), AtomicUsize::new(0));
        let judge = || async {
            let member = world.members.find(1);
            if judged.fetch_add(1, Ordering::SeqCst) < changes {
                everywhere(&world).await;
            }
            Ok(member)
        };
        let id = known.then_some(&1);
        let logged_in = backend.log_in(id, ClientInfo::new(), judge).await;
        assert_eq!(logged_in.is_ok(), is_in, "{known} {changes}");
        assert_eq!(
            judged.load(Ordering::SeqCst),
            judgements,
            "{known} {changes}"
        );
        assert_eq!(count(&backend, 1).await, usize::from(is_in));
    }
}

/// The fence of one user lets nobody else in: whoever the judge names is judged behind their own.
#[tokio::test]
async fn another_user_is_judged_behind_their_own_fence() {
    let world = World::new();
    let (backend, judged) = (web(&world.strategy), AtomicUsize::new(0));
    let judge = || async {
        // The first judgement is of the old password, which is changed in its course.
        let is_first = judged.fetch_add(1, Ordering::SeqCst) == 0;
        if is_first {
            everywhere(&world).await;
        }
        Ok(world.members.find(1).filter(|_| is_first))
    };
    let refused = backend
        .log_in(Some(&2), ClientInfo::new(), judge)
        .await
        .unwrap_err();
    assert!(matches!(refused, LoginError::BadCredentials));
    assert_eq!((count(&backend, 1).await, count(&backend, 2).await), (0, 0));
}

#[tokio::test]
async fn verdicts_become_errors() {
    let world = World::new();
    let backend = web(&world.strategy);
    let retry_after = Duration::from_secs(3);
    let inactive = world.members.put(3, false);
    for (verdict, code) in [
        (LoginVerdict::Accepted(inactive), "LOGIN_BAD_CREDENTIALS"),
        (LoginVerdict::Rejected, "LOGIN_BAD_CREDENTIALS"),
        (LoginVerdict::RateLimited { retry_after }, "RATE_LIMITED"),
        (LoginVerdict::Overloaded { retry_after }, "OVERLOADED"),
    ] {
        let judge = || std::future::ready(Ok(verdict.clone()));
        let error = backend
            .log_in(Some(&3), ClientInfo::new(), judge)
            .await
            .unwrap_err();
        assert_eq!(countersign::Problem::from(error).code(), code);
    }
    let judge = || std::future::ready(Err::<Option<Member>, _>(Failure::unavailable("x", "y")));
    let error = backend
        .log_in(None, ClientInfo::new(), judge)
        .await
        .unwrap_err();
    assert_eq!(
        countersign::Problem::from(error).code(),
        "STORE_UNAVAILABLE"
    );
    world.store.switch(false);
    let judge = || std::future::ready(Ok(world.members.find(1)));
    let error = backend
        .log_in(Some(&1), ClientInfo::new(), judge)
        .await
        .unwrap_err();
    assert!(matches!(error, LoginError::Failed(_)));
}

/// With cookies a login is a part of any answer, beside cookies that the answer has already; with a body it is the answer.
#[tokio::test]
async fn logins_are_answers() {
    let world = World::new();
    let api = AuthenticationBackend::new("api", BearerTransport, world.strategy.clone());
    let member = Arc::new(world.members.find(1));
    let route = |backend: AuthenticationBackend<Member>, has_page: bool| {
        let member = member.clone();
        post(async move |client: ClientInfo| {
            let judge = || std::future::ready(Ok((*member).clone()));
            let login = Login::from(client)
                .lasting(Duration::from_mins(5))
                .unwrap()
                .until_closed();
            match backend.log_in(Some(&1), login, judge).await {
                Ok(logged_in) if has_page => {
                    let theme = [("set-cookie", "theme=dark")];
                    (theme, logged_in, Redirect::to("/home")).into_response()
                }
                Ok(logged_in) => logged_in.into_response(),
                Err(error) => error.into_response(),
            }
        })
    };
    let router: Router = Router::new()
        .route("/page", route(web(&world.strategy), true))
        .route("/cookies", route(web(&world.strategy), false))
        .route("/body", route(api.clone(), false))
        .route("/lost", route(api.clone(), true));
    let ask = async |path| {
        let agent = [("user-agent", "Browser/1.0")];
        reply(router.clone(), request("POST", path, &agent, "")).await
    };
    let page = ask("/page").await;
    assert_eq!(
        (page.status, page.header("location")),
        (StatusCode::SEE_OTHER, Some("/home"))
    );
    assert_eq!(page.header("cache-control"), Some("no-store"));
    let cookies = page.set_cookies();
    assert!(
        cookies.len() == 3 && cookies.contains(&"theme=dark"),
        "{cookies:?}"
    );
    assert!(
        !cookies.iter().any(|cookie| cookie.contains("Max-Age")),
        "{cookies:?}"
    );
    let bare = ask("/cookies").await;
    bare.is_empty_204();
    assert_eq!(bare.set_cookies().len(), 2);
    let body = ask("/body").await;
    assert!(body.tokens().access.starts_with("csa_"));
    assert_eq!(body.header("cache-control"), Some("no-store"));
    ask("/lost").await.is_problem(500, "INTERNAL", None);
    let listed = api
        .sessions_of(
            &1,
            &Page {
                after: None,
                limit: 9,
            },
        )
        .await
        .unwrap();
    let agents = listed
        .sessions
        .iter()
        .map(|session| session.client.user_agent());
    assert!(agents.eq([Some("Browser/1.0"); 4]));
}

#[tokio::test]
async fn too_many_sessions_are_shown() {
    let cap = SessionLimit {
        most: NonZeroU32::MIN,
        when_full: WhenFull::Refuse,
    };
    let strategy = DatabaseTokenStrategy::builder(MemoryStore::new())
        .token_hash_secret(&Secret::new("x", "pT7-kd93Lmq0_xZs81vBnw4YhGfR2aEc").unwrap())
        .session_limit(Some(cap))
        .build()
        .unwrap();
    let backend = web(&(Arc::new(strategy) as Arc<dyn Strategy<Member>>));
    let judge = || std::future::ready(Ok(Some(Member::of(1))));
    let client = || ClientInfo::new().with_label("phone");
    backend.log_in(Some(&1), client(), judge).await.unwrap();
    let error = backend.log_in(Some(&1), client(), judge).await.unwrap_err();
    let LoginError::TooManySessions { sessions } = &error else {
        panic!("{error:?}")
    };
    assert_eq!(sessions[0].client.label(), Some("phone"));
    let answer = error.into_response();
    assert_eq!(answer.status(), StatusCode::FORBIDDEN);
    let body = axum::body::to_bytes(answer.into_body(), 10_000)
        .await
        .unwrap();
    let body: serde_json::Value = serde_json::from_slice(&body).unwrap();
    assert_eq!(body["sessions"][0]["client"]["label"], "phone");
}
