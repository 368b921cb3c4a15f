//! Users who don't want to be remembered: cookies that end with the browser, and sessions that end early. Refreshes keep both.

use std::time::Duration;

use countersign::Profile;
use countersign::axum::{AuthRoutes, FormPages};
use countersign::transport::CookieTransport;
use http::StatusCode;
use serde_json::{Value, json};

use crate::fixture::web::World;
use crate::http::{App, JSON, Reply, Verifier};

const OWN: (&str, &str) = ("sec-fetch-site", "same-origin");
const FORM: (&str, &str) = ("content-type", "application/x-www-form-urlencoded");
const HOUR: Duration = Duration::from_hours(1);

fn app_with(profile: Profile) -> App {
    let world = World::new();
    let verifier = Verifier(world.members.clone());
    let cookies = CookieTransport::builder(profile);
    App::routed(world, cookies.build().unwrap(), |routes| {
        let routes = routes.login(verifier).remember_me(12 * HOUR);
        routes.forms(FormPages::new("/sign-in"))
    })
}

fn login(remember: Option<Value>) -> String {
    let mut body = json!({"identifier": "me", "password": "password of 1"});
    if let Some(remember) = remember {
        body["remember"] = remember;
    }
    body.to_string()
}

impl Reply {
    /// The cookies as a browser sends them back.
    fn jar(&self) -> String {
        let pairs = self.set_cookies().into_iter();
        let pairs: Vec<&str> = pairs
            .map(|cookie| cookie.split(';').next().unwrap())
            .collect();
        pairs.join("; ")
    }

    /// `true` if both cookies have a `Max-Age`, `false` if neither has.
    #[track_caller]
    fn is_kept(&self) -> bool {
        let cookies = self.set_cookies();
        let kept = cookies
            .iter()
            .filter(|cookie| cookie.contains("Max-Age="))
            .count();
        assert!(cookies.len() == 2 && [0, 2].contains(&kept), "{cookies:?}");
        kept == 2
    }
}

async fn refresh(app: &App, jar: &str) -> Reply {
    app.post("/auth/cookie/refresh", &[("cookie", jar), OWN], "")
        .await
}

#[tokio::test]
async fn refreshes_keep_what_the_login_chose() {
    for (remember, is_kept) in [
        (None, true),
        (Some(Value::Null), true),
        (Some(json!(true)), true),
        (Some(json!(false)), false),
    ] {
        let app = app_with(Profile::Countersign);
        let mut reply = app
            .post("/auth/cookie/login", &[JSON, OWN], login(remember))
            .await;
        reply.is_empty_204();
        for _ in 0..3 {
            assert_eq!(reply.is_kept(), is_kept);
            let me = app.get("/me", &[("cookie", &reply.jar())]).await;
            assert_eq!(me.body, "member 1");
            app.world.clock.advance(3 * HOUR);
            reply = refresh(&app, &reply.jar()).await;
            reply.is_empty_204();
        }
        // A lost answer is told again, in the same cookies.
        let retried = refresh(&app, &reply.jar()).await;
        assert_eq!(
            refresh(&app, &reply.jar()).await.set_cookies(),
            retried.set_cookies()
        );
        app.world.clock.advance(3 * HOUR);
        let late = refresh(&app, &retried.jar()).await;
        assert_eq!(
            late.status == StatusCode::NO_CONTENT,
            is_kept,
            "12 hours are over"
        );
    }
}

#[tokio::test]
async fn bodies_without_cookies_end_early_too() {
    let app = app_with(Profile::Countersign);
    let tokens = app
        .post("/auth/login", &[JSON], login(Some(json!(false))))
        .await
        .tokens();
    app.world.clock.advance(11 * HOUR);
    let body = json!({"refresh_token": tokens.refresh});
    let reply = app.post_json("/auth/refresh", &body).await;
    let tokens = reply.tokens();
    app.world.clock.advance(HOUR);
    assert!(!app.is_live(&tokens.access).await);
    let body = json!({"refresh_token": tokens.refresh});
    let reply = app.post_json("/auth/refresh", &body).await;
    assert_eq!(reply.code(), "REFRESH_TOKEN_INVALID");
}

#[tokio::test]
async fn it_is_a_truth_value_where_it_is_on() {
    let app = app_with(Profile::Countersign);
    for remember in [json!("false"), json!(0), json!([])] {
        let reply = app
            .post("/auth/login", &[JSON], login(Some(remember.clone())))
            .await;
        reply.is_problem(422, "REQUEST_BODY_INVALID", None);
        let off = App::new()
            .post("/auth/login", &[JSON], login(Some(remember)))
            .await;
        assert_eq!(off.status, StatusCode::OK);
    }
    let twice =
        r#"{"identifier":"me","password":"password of 1","remember":false,"remember":true}"#;
    app.post("/auth/login", &[JSON], twice)
        .await
        .is_problem(422, "REQUEST_BODY_INVALID", None);
    let off = App::new();
    let reply = off
        .post(
            "/auth/cookie/login",
            &[JSON, OWN],
            login(Some(json!(false))),
        )
        .await;
    assert!(reply.is_kept());

    let routes = AuthRoutes::new(app.authenticator.clone()).remember_me(Duration::ZERO);
    assert_eq!(
        routes.build::<()>().unwrap_err().setting(),
        "session lifetime"
    );
}

/// A box that isn't ticked isn't sent.
#[tokio::test]
async fn boxes_of_forms() {
    for (remember, is_kept) in [
        ("", false),
        ("&remember=on", true),
        ("&remember=1", true),
        ("&remember=0", false),
        ("&remember=0&remember=1", true),
        ("&remember=false", false),
    ] {
        let app = app_with(Profile::Countersign);
        let body = format!("identifier=me&password=password+of+1{remember}");
        let reply = app
            .post("/auth/cookie/form/login", &[FORM, OWN], body)
            .await;
        assert_eq!(reply.is_kept(), is_kept, "{remember}");
        assert_eq!(
            refresh(&app, &reply.jar()).await.is_kept(),
            is_kept,
            "{remember}"
        );
    }
}

#[tokio::test]
async fn logouts_end_them() {
    for path in [
        "/auth/cookie/logout",
        "/auth/logout",
        "/auth/cookie/form/logout",
    ] {
        for profile in [Profile::Countersign, Profile::LitestarAuth] {
            let app = app_with(profile);
            let body = login(Some(json!(false)));
            let reply = app.post("/auth/cookie/login", &[JSON, OWN], body).await;
            let jar = reply.jar();
            let refresh_cookie = jar.split("; ").nth(1).unwrap();
            // The refresh cookie alone, as after the access token's end.
            app.post(path, &[("cookie", refresh_cookie), OWN], "").await;
            assert_eq!(
                refresh(&app, &jar).await.code(),
                "REFRESH_TOKEN_INVALID",
                "{path}"
            );
            let me = app.get("/me", &[("cookie", &jar)]).await;
            assert_eq!(me.status, StatusCode::UNAUTHORIZED, "{path}");
        }
    }
}

/// In the profile whose cookies all end with the browser, they stay what the original reads.
#[tokio::test]
async fn the_originals_cookies_have_no_mark() {
    let app = app_with(Profile::LitestarAuth);
    let mut reply = app
        .post(
            "/auth/cookie/login",
            &[JSON, OWN],
            login(Some(json!(false))),
        )
        .await;
    for _ in 0..2 {
        assert!(
            !reply.is_kept() && !reply.jar().contains('~'),
            "{}",
            reply.jar()
        );
        reply = refresh(&app, &reply.jar()).await;
    }
}

/// A browser that has both kinds is asked which; a token with the mark alone is none.
#[tokio::test]
async fn marks_are_no_tokens() {
    let app = app_with(Profile::Countersign);
    let tokens = app.tokens(1).await;
    let name = "__Host-countersign_refresh";
    for (value, code) in [
        ("~".to_owned(), "CREDENTIALS_MALFORMED"),
        (format!("~~{}", tokens.refresh), "REFRESH_TOKEN_INVALID"),
        (format!("{}~", tokens.refresh), "REFRESH_TOKEN_INVALID"),
    ] {
        assert_eq!(
            refresh(&app, &format!("{name}={value}")).await.code(),
            code,
            "{value}"
        );
    }
    let both = format!("{name}={0}; {name}=~{0}", tokens.refresh);
    assert_eq!(refresh(&app, &both).await.code(), "CREDENTIALS_MALFORMED");
    let access = format!("__Host-countersign_access=~{}", tokens.access);
    let me = app.get("/me", &[("cookie", &access)]).await;
    assert_eq!(me.status, StatusCode::UNAUTHORIZED);
}
