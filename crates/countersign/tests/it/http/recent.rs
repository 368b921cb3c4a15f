//! Step-up: routes that ask for a recent authentication, and the route that records one.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use axum::Router;
use axum::routing::{any, delete, get};
use countersign::axum::{AuthRoutes, CredentialVerifier, LoginAttempt, LoginVerdict, RecentLogin};
use countersign::store::TokenStore;
use countersign::strategy::Strategy;
use countersign::tower::{AuthLayer, RecentLoginLayer};
use countersign::{Failure, Timestamp, UserId};
use http::StatusCode;
use serde_json::json;

use crate::fixture::web::{Member, World, opaque};
use crate::http::stores::{signed, sqlite};
use crate::http::{App, JSON, Reply, Tokens, Verifier, me, reply, request};

const AGE: Duration = Duration::from_mins(5);
const TICK: Duration = Duration::from_micros(1);

/// What a client is told that has to let its user authenticate again.
const CHALLENGE: &str = "Bearer error=\"insufficient_user_authentication\", \
     error_description=\"A more recent authentication is required\", max_age=\"300\"";

async fn change(member: RecentLogin<Member, 300>) -> String {
    format!("{} at {}", member.user.id, member.authenticated_at)
}

/// An application with dangerous actions: `DELETE /account` behind the layer, and `POST /change`,
/// which asks by the extractor.
fn app_with(world: World, verifier: impl CredentialVerifier<Member> + 'static) -> App {
    let mut app = App::over(world);
    let routes = AuthRoutes::new(app.authenticator.clone())
        .login(verifier)
        .reauthentication()
        .build()
        .unwrap();
    let dangerous = Router::new()
        .route("/account", delete(async || "deleted"))
        .route_layer(RecentLoginLayer::<Member>::new(AGE));
    app.router = Router::new()
        .route("/me", get(me))
        .route("/change", any(change))
        .merge(dangerous)
        .nest("/auth", routes)
        .layer(AuthLayer::new(app.authenticator.clone()));
    app
}

fn app(world: World) -> App {
    let verifier = Verifier(world.members.clone());
    app_with(world, verifier)
}

async fn delete_account(app: &App, bearer: &str) -> Reply {
    let request = request("DELETE", "/account", &[("authorization", bearer)], "");
    app.call(request).await
}

async fn change_it(app: &App, bearer: &str) -> Reply {
    app.post("/change", &[("authorization", bearer)], "").await
}

async fn prove(app: &App, bearer: &str, password: &str) -> Reply {
    let body = json!({"identifier": "me", "password": password}).to_string();
    let headers = [JSON, ("authorization", bearer)];
    app.post("/auth/reauthenticate", &headers, body).await
}

async fn refresh(app: &App, tokens: &Tokens) -> Tokens {
    let body = json!({"refresh_token": tokens.refresh});
    app.post_json("/auth/refresh", &body).await.tokens()
}

/// Checks that a token is good for other routes, and refused by both guards.
async fn is_refused(app: &App, tokens: &Tokens) {
    for reply in [
        delete_account(app, &tokens.bearer()).await,
        change_it(app, &tokens.bearer()).await,
    ] {
        reply.is_problem(401, "RECENT_AUTHENTICATION_REQUIRED", Some(CHALLENGE));
    }
    assert!(app.is_live(&tokens.access).await);
}

async fn is_let_in(app: &App, tokens: &Tokens) {
    let deleted = delete_account(app, &tokens.bearer()).await;
    assert_eq!(
        (deleted.status, deleted.body.as_str()),
        (StatusCode::OK, "deleted")
    );
    assert_eq!(
        change_it(app, &tokens.bearer()).await.status,
        StatusCode::OK
    );
}

/// The same clock and members over each kind of strategy.
async fn worlds() -> Vec<World> {
    let mut worlds = vec![World::new()];
    for is_signed in [false, true] {
        let world = World::new();
        let store = if is_signed {
            world.store.clone() as Arc<dyn TokenStore>
        } else {
            sqlite().await
        };
        let strategy: Arc<dyn Strategy<Member>> = if is_signed {
            signed(&world, Some(store))
        } else {
            opaque(
                countersign::Profile::Countersign,
                store,
                world.clock.clone(),
            )
        };
        worlds.push(World { strategy, ..world });
    }
    worlds
}

#[tokio::test]
async fn a_login_is_recent_until_it_has_the_age() {
    for world in worlds().await {
        let app = app(world);
        let tokens = app.tokens(1).await;
        is_let_in(&app, &tokens).await;
        let shown = change_it(&app, &tokens.bearer()).await.body;
        assert_eq!(shown, "1 at 2026-01-15T12:00:00Z");
        app.world.clock.advance(AGE);
        is_let_in(&app, &tokens).await;
        app.world.clock.advance(TICK);
        is_refused(&app, &tokens).await;
        let refreshed = refresh(&app, &tokens).await;
        is_refused(&app, &refreshed).await;
    }
}

#[tokio::test]
async fn a_reauthentication_counts_for_every_token_of_its_session_and_no_other() {
    for world in worlds().await {
        let app = app(world);
        let (first, other) = (app.tokens(1).await, app.tokens(1).await);
        app.world.clock.advance(2 * AGE);
        let second = refresh(&app, &first).await;
        is_refused(&app, &second).await;
        prove(&app, &second.bearer(), "password of 1")
            .await
            .is_empty_204();
        is_let_in(&app, &second).await;
        is_let_in(&app, &first).await;
        is_refused(&app, &other).await;
        let third = refresh(&app, &second).await;
        is_let_in(&app, &third).await;
        app.world.clock.advance(AGE + TICK);
        is_refused(&app, &third).await;
    }
}

#[tokio::test]
async fn only_the_password_of_the_sessions_user_counts() {
    let app = app(World::new());
    let tokens = app.tokens(1).await;
    app.world.clock.advance(2 * AGE);
    for password in ["password of 2", "password of 9", "wrong"] {
        let refused = prove(&app, &tokens.bearer(), password).await;
        refused.is_problem(401, "LOGIN_BAD_CREDENTIALS", Some("Bearer"));
    }
    for (identifier, status, code) in [
        ("limited", 429, "RATE_LIMITED"),
        ("busy", 503, "OVERLOADED"),
        ("down", 503, "STORE_UNAVAILABLE"),
    ] {
        let body = json!({"identifier": identifier, "password": "password of 1"}).to_string();
        let headers = [JSON, ("authorization", &*tokens.bearer())];
        let refused = app.post("/auth/reauthenticate", &headers, body).await;
        refused.is_problem(status, code, None);
    }
    let anonymous = app
        .post_json(
            "/auth/reauthenticate",
            &json!({"identifier": "me", "password": "password of 1"}),
        )
        .await;
    anonymous.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
    app.world.members.put(1, false);
    let inactive = prove(&app, &tokens.bearer(), "password of 1").await;
    assert_eq!(inactive.code(), "AUTHENTICATION_FAILED");
    app.world.members.put(1, true);
    is_refused(&app, &tokens).await;
}

#[tokio::test]
async fn a_session_that_has_ended_is_not_revived() {
    let app = app(World::new());
    let tokens = app.tokens(1).await;
    app.post("/auth/logout", &[("authorization", &tokens.bearer())], "")
        .await
        .is_empty_204();
    let refused = prove(&app, &tokens.bearer(), "password of 1").await;
    assert_eq!(refused.code(), "AUTHENTICATION_FAILED");
    let refreshed = app
        .post_json("/auth/refresh", &json!({"refresh_token": tokens.refresh}))
        .await;
    assert_eq!(refreshed.code(), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn a_token_without_a_session_is_refused() {
    for world in worlds().await {
        let member = world.members.find(1).unwrap();
        let token = world.strategy.write_token(&member).await.unwrap().token;
        let app = app(world);
        let tokens = Tokens {
            access: token.expose().to_owned(),
            refresh: String::new(),
        };
        is_refused(&app, &tokens).await;
        prove(&app, &tokens.bearer(), "password of 1")
            .await
            .is_problem(
                401,
                "AUTHENTICATION_FAILED",
                Some("Bearer error=\"invalid_token\""),
            );
    }
}

/// Signed tokens are read without the store, so the guard alone asks it.
#[tokio::test]
async fn an_outage_is_no_refusal() {
    let world = World::new();
    let strategy = signed(&world, Some(world.store.clone()));
    let app = app(World { strategy, ..world });
    let tokens = app.tokens(1).await;
    app.world.store.switch(false);
    assert!(app.is_live(&tokens.access).await);
    for reply in [
        delete_account(&app, &tokens.bearer()).await,
        change_it(&app, &tokens.bearer()).await,
        prove(&app, &tokens.bearer(), "password of 1").await,
    ] {
        reply.is_problem(503, "STORE_UNAVAILABLE", None);
        assert_eq!(reply.header("retry-after"), Some("5"));
    }
    app.world.store.switch(true);
    is_let_in(&app, &tokens).await;
}

#[tokio::test]
async fn others_than_users_are_answered_as_everywhere() {
    let app = app(World::new());
    for (method, path) in [("DELETE", "/account"), ("POST", "/change")] {
        let anonymous = app.call(request(method, path, &[], "")).await;
        anonymous.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
        let bad = request(method, path, &[("authorization", "Bearer csa_bad")], "");
        assert_eq!(app.call(bad).await.code(), "AUTHENTICATION_FAILED");
    }
    let bare = Router::new()
        .route("/account", delete(async || "deleted"))
        .route_layer(RecentLoginLayer::<Member>::new(AGE))
        .route("/change", any(change));
    for (method, path) in [("DELETE", "/account"), ("POST", "/change")] {
        let reply = reply(bare.clone(), request(method, path, &[], "")).await;
        reply.is_problem(500, "AUTH_LAYER_MISSING", None);
    }
}

/// One read of the session's record on guarded routes, and nothing elsewhere.
#[tokio::test]
async fn a_guarded_route_costs_one_read() {
    let app = app(World::new());
    let tokens = app.tokens(1).await;
    let start = app.world.store.calls();
    assert!(app.is_live(&tokens.access).await);
    let unguarded = app.world.store.calls() - start;
    is_let_in(&app, &tokens).await;
    let guarded = app.world.store.calls() - start - unguarded;
    assert_eq!(
        guarded,
        2 * (unguarded + 1),
        "two guarded routes were called"
    );
}

#[tokio::test]
async fn cookies_need_a_proof_of_origin() {
    let app = app(World::new());
    let cookies = app.tokens(1).await.cookies();
    app.world.clock.advance(2 * AGE);
    let body = json!({"identifier": "me", "password": "password of 1"}).to_string();
    let send = async |site: &str| {
        let headers = [JSON, ("cookie", &*cookies), ("sec-fetch-site", site)];
        app.post("/auth/reauthenticate", &headers, body.clone())
            .await
    };
    send("cross-site")
        .await
        .is_problem(403, "CSRF_FAILED", None);
    let headers = [("cookie", &*cookies), ("sec-fetch-site", "same-origin")];
    let refused = app.post("/change", &headers, "").await;
    refused.is_problem(401, "RECENT_AUTHENTICATION_REQUIRED", Some(CHALLENGE));
    let done = send("same-origin").await;
    done.is_empty_204();
    assert_eq!(done.set_cookies(), Vec::<&str>::new());
    assert_eq!(
        app.post("/change", &headers, "").await.status,
        StatusCode::OK
    );
}

#[tokio::test]
async fn the_route_is_off_unless_asked_for() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let missing = prove(&app, &tokens.bearer(), "password of 1").await;
    assert_eq!(missing.status, StatusCode::NOT_FOUND);
}

/// A verifier whose user changes the password, keeping the session that asks, while the old one is
/// being checked.
struct Changing {
    inner: Verifier,
    strategy: Arc<dyn Strategy<Member>>,
    changes: Arc<AtomicBool>,
}

#[async_trait::async_trait]
impl CredentialVerifier<Member> for Changing {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        if self.changes.load(Ordering::SeqCst) && login.password() != "the new one" {
            return Ok(LoginVerdict::Rejected);
        }
        let verdict = self.inner.verify(login).await?;
        if let (Ok(kept), LoginVerdict::Accepted(member)) = (KEPT.try_with(|kept| *kept), &verdict)
        {
            let sessions = self.strategy.as_refreshable().unwrap();
            sessions
                .end_sessions(&member.id.to_key(), Some(kept))
                .await?;
            self.changes.store(true, Ordering::SeqCst);
        }
        Ok(verdict)
    }
}

tokio::task_local! {
    static KEPT: countersign::SessionId;
}

#[tokio::test]
async fn a_password_changed_meanwhile_records_nothing() {
    let world = World::new();
    let verifier = Changing {
        inner: Verifier(world.members.clone()),
        strategy: world.strategy.clone(),
        changes: Arc::default(),
    };
    let app = app_with(world, verifier);
    let tokens = app.tokens(1).await;
    app.world.clock.advance(2 * AGE);
    let sessions = app.world.strategy.as_refreshable().unwrap();
    let page = countersign::store::Page {
        after: None,
        limit: 10,
    };
    let listed = sessions.sessions_of(&1_i64.to_key(), &page).await.unwrap();
    let kept = listed.sessions[0].id;
    let refused = KEPT
        .scope(kept, prove(&app, &tokens.bearer(), "password of 1"))
        .await;
    refused.is_problem(401, "LOGIN_BAD_CREDENTIALS", Some("Bearer"));
    is_refused(&app, &tokens).await;
    let record = sessions
        .session(kept, &1_i64.to_key())
        .await
        .unwrap()
        .unwrap();
    let opened: Option<Timestamp> = record.opened_at;
    assert_eq!(record.authenticated_at, opened);
}

/// A verifier of codes that count once, as soon as it is told so.
struct Once {
    inner: Verifier,
    /// The number of times that the code still counts.
    left: Arc<AtomicUsize>,
}

#[async_trait::async_trait]
impl CredentialVerifier<Member> for Once {
    async fn verify(&self, login: &LoginAttempt) -> Result<LoginVerdict<Member>, Failure> {
        let counted = self
            .left
            .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| {
                left.checked_sub(1)
            });
        match counted {
            Ok(_) => self.inner.verify(login).await,
            Err(_) => Ok(LoginVerdict::Rejected),
        }
    }
}

#[tokio::test]
async fn a_code_that_counts_once_is_asked_for_once() {
    let world = World::new();
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let verifier = Once {
        inner: Verifier(world.members.clone()),
        left: Arc::clone(&left),
    };
    let app = app_with(world, verifier);
    let tokens = app.tokens(1).await;
    left.store(1, Ordering::SeqCst);
    prove(&app, &tokens.bearer(), "password of 1")
        .await
        .is_empty_204();
    let used = prove(&app, &tokens.bearer(), "password of 1").await;
    used.is_problem(401, "LOGIN_BAD_CREDENTIALS", Some("Bearer"));
}
