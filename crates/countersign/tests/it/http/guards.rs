//! Visitors, roles, and refusals in plain text.

use axum::Router;
use axum::middleware::from_extractor;
use axum::routing::get;
use countersign::axum::Guarded;
use countersign::tower::{AuthLayer, Guard};
use countersign::{AuthOutcome, Problem, Refusal};
use http::StatusCode;

use crate::fixture::web::Member;
use crate::http::{App, reply, request};

const ONLY_ONE: Problem = Problem::new(
    StatusCode::FORBIDDEN,
    "ONLY_ONE",
    "Only member 1 may do this.",
);

/// Member 1, with the answer of the library.
enum First {}

impl Guard<Member> for First {
    fn allows(member: &Member) -> bool {
        member.id == 1
    }
}

/// Member 1, with an answer of the application's own.
enum Owner {}

impl Guard<Member> for Owner {
    const REFUSAL: Problem = ONLY_ONE;

    fn allows(member: &Member) -> bool {
        member.id == 1
    }
}

const SCOPE: Option<&str> = Some(r#"Bearer error="insufficient_scope""#);
const INVALID: Option<&str> = Some(r#"Bearer error="invalid_token""#);

#[tokio::test]
async fn a_visitor_is_none_and_neither_a_bad_token_nor_an_outage_is_a_visitor() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let bearer = tokens.bearer();
    let good = [("authorization", bearer.as_str())];
    assert_eq!(app.get("/greet", &[]).await.body, "nobody");
    assert_eq!(app.get("/greet", &good).await.body, "member 1");
    let bad = [("authorization", "Bearer nonsense")];
    let refused = app.get("/greet", &bad).await;
    refused.is_problem(401, "AUTHENTICATION_FAILED", INVALID);
    app.world.store.switch(false);
    let down = app.get("/greet", &good).await;
    down.is_problem(503, "STORE_UNAVAILABLE", None);
    assert_eq!(app.get("/greet", &[]).await.body, "nobody");
}

/// Routers that ask the same rule in every way there is.
fn guarded(app: &App) -> [Router; 5] {
    let layer = || AuthLayer::new(app.authenticator.clone());
    let page = || Router::new().route("/x", get(async || "let in"));
    let handler = get(async |member: Guarded<First, Member>| {
        assert_eq!(member.user.id, 1);
        "let in"
    });
    [
        page().layer(layer().require(|member| member.id == 1)),
        page().layer(layer().guard::<First>()),
        page().layer(layer().required().require(|_| true).guard::<First>()),
        Router::new().route("/x", handler).layer(layer()),
        page()
            .route_layer(from_extractor::<Guarded<First, Member>>())
            .layer(layer()),
    ]
}

#[tokio::test]
async fn a_rule_lets_some_users_in_and_answers_the_others_with_403() {
    let app = App::new();
    let [first, second] = [app.tokens(1).await.bearer(), app.tokens(2).await.bearer()];
    let ask = async |router: &Router, bearer: &str| {
        let headers = [("authorization", bearer)];
        reply(router.clone(), request("GET", "/x", &headers, "")).await
    };
    let routers = guarded(&app);
    for router in &routers {
        assert_eq!(ask(router, &first).await.body, "let in");
        let other = ask(router, &second).await;
        other.is_problem(403, "PERMISSION_DENIED", SCOPE);
        let bad = ask(router, "Bearer nonsense").await;
        bad.is_problem(401, "AUTHENTICATION_FAILED", INVALID);
        let nobody = reply(router.clone(), request("GET", "/x", &[], "")).await;
        nobody.is_problem(401, "AUTHENTICATION_REQUIRED", Some("Bearer"));
    }
    app.world.store.switch(false);
    for router in &routers {
        ask(router, &first)
            .await
            .is_problem(503, "STORE_UNAVAILABLE", None);
    }
}

#[tokio::test]
async fn the_answer_of_a_rule_can_be_the_applications_own() {
    let app = App::new();
    let layer = AuthLayer::new(app.authenticator.clone());
    let page = || Router::new().route("/x", get(async || "let in"));
    let handler = get(async |_: Guarded<Owner, Member>| "let in");
    let second = app.tokens(2).await.bearer();
    for router in [
        page().layer(layer.clone().guard::<Owner>()),
        page().layer(
            layer
                .clone()
                .required()
                .require_or(|member| member.id == 1, ONLY_ONE),
        ),
        page().layer(layer.clone().guard::<Owner>().require(|_| false)),
        Router::new().route("/x", handler).layer(layer),
    ] {
        let headers = [("authorization", second.as_str())];
        let other = reply(router, request("GET", "/x", &headers, "")).await;
        other.is_problem(403, "ONLY_ONE", None);
    }
}

#[tokio::test]
async fn a_guard_without_a_layer_is_a_loud_500() {
    let handler = get(async |_: Guarded<First, Member>| "let in");
    let router = Router::new().route("/x", handler);
    let missing = reply(router, request("GET", "/x", &[], "")).await;
    missing.is_problem(500, "AUTH_LAYER_MISSING", None);
}

/// What a server on another `http` crate has: text and bytes. The outcome and the refusal are the same as by the layer.
#[tokio::test]
async fn requests_in_plain_text_have_the_same_outcomes() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let (bearer, cookies) = (tokens.bearer(), tokens.cookies());
    let ask = async |method: &str, target: &str, headers: &[(&str, &str)]| {
        let headers = headers
            .iter()
            .map(|(name, value)| (*name, value.as_bytes()));
        app.authenticator
            .authenticate_headers(method, target, headers)
            .await
    };
    let id = |outcome: AuthOutcome<Member>| outcome.accepted().map(|accepted| accepted.user.id);
    let good = ("Authorization", bearer.as_str());
    let cookie = ("cookie", cookies.as_str());
    assert_eq!(id(ask("POST", "/me", &[good]).await), Some(1));
    assert_eq!(id(ask("GET", "/me", &[cookie]).await), Some(1));
    let own = ("origin", "https://app.example");
    let host = ("host", "app.example");
    assert_eq!(id(ask("POST", "/me", &[cookie, own, host]).await), Some(1));
    let absolute = ask("POST", "https://app.example/me", &[cookie, own]).await;
    assert_eq!(id(absolute), Some(1));

    let foreign = ask(
        "POST",
        "/me",
        &[cookie, ("origin", "https://evil.example"), host],
    )
    .await;
    assert!(matches!(foreign, AuthOutcome::CrossSite));
    let two = ask("GET", "/me", &[good, cookie]).await;
    assert!(matches!(two, AuthOutcome::Refused(Refusal::Ambiguous)));
    let twice = ask("GET", "/me", &[good, good]).await;
    assert!(matches!(twice, AuthOutcome::Refused(_)));
    assert!(matches!(
        ask("GET", "/me", &[]).await,
        AuthOutcome::NotOffered
    ));
    for (method, target, header) in [
        ("NO METHOD", "/me", good),
        ("GET", "http://[", good),
        ("GET", "/me", ("not a name", "x")),
        ("GET", "/me", ("cookie", "a\r\nb")),
    ] {
        let outcome = ask(method, target, &[good, header]).await;
        let malformed = AuthOutcome::<Member>::Refused(Refusal::MalformedRequest);
        assert_eq!(format!("{outcome:?}"), format!("{malformed:?}"));
    }
    app.world.store.switch(false);
    assert!(matches!(
        ask("GET", "/me", &[good]).await,
        AuthOutcome::Failed(_)
    ));
}

#[tokio::test]
async fn a_problem_in_plain_text_is_the_one_that_is_sent() {
    for problem in [
        Problem::NOT_OFFERED,
        Problem::PERMISSION_DENIED,
        Problem::STORE_UNAVAILABLE,
        ONLY_ONE,
    ] {
        let answer = Router::new().route("/", get(async move || problem));
        let sent = reply(answer, request("GET", "/", &[], "")).await;
        assert_eq!(sent.body.as_bytes(), problem.body());
        assert_eq!(sent.status, problem.status());
        for (name, value) in problem.headers() {
            assert_eq!(sent.header(&name), Some(value.as_str()));
        }
        assert!(
            problem
                .headers()
                .iter()
                .any(|(name, _)| name == "content-type")
        );
    }
}

/// One request with a bad token is no warning.
#[tokio::test]
async fn a_refused_token_is_no_warning() {
    let app = App::new();
    let tokens = app.tokens(1).await;
    let cookies = tokens.cookies();
    let foreign = [
        ("cookie", cookies.as_str()),
        ("origin", "https://evil.example"),
    ];
    crate::http::events::take();
    app.get("/me", &[("authorization", "Bearer nonsense")])
        .await;
    app.post("/me", &foreign, "").await;
    app.post_json(
        "/auth/refresh",
        &serde_json::json!({"refresh_token": "csr_x"}),
    )
    .await;
    let lines = crate::http::events::take();
    assert_eq!(lines.matches("event=\"refused\"").count(), 3, "{lines}");
    assert!(
        !lines.contains("WARN") && !lines.contains("ERROR"),
        "{lines}"
    );
}
