//! Cookies that a stranger has planted beside ours: they let nobody in, and never keep anybody from logging out.

use countersign::Profile;
use countersign::transport::{Candidates, CookieTransport};
use http::StatusCode;
use serde_json::json;

use crate::fixture::web::World;
use crate::http::{App, Reply, Tokens};

const SAME_ORIGIN: (&str, &str) = ("sec-fetch-site", "same-origin");
const INVALID_REQUEST: Option<&str> = Some(r#"Bearer error="invalid_request""#);
const ROUTES: [&str; 2] = ["/auth/cookie/logout", "/auth/logout"];

/// An application for each way in which cookies are named, with the names.
fn apps() -> Vec<(App, &'static str, &'static str)> {
    let ours = || CookieTransport::builder(Profile::Countersign);
    let plain = ours().secure(false).allow_insecure_cookie_auth(true);
    let original = CookieTransport::builder(Profile::LitestarAuth);
    vec![
        (
            App::new(),
            "__Host-countersign_access",
            "__Host-countersign_refresh",
        ),
        (
            App::with_cookies(World::new(), plain.build().unwrap()),
            "countersign_access",
            "countersign_refresh",
        ),
        (
            App::with_cookies(World::new(), original.build().unwrap()),
            "litestar_auth",
            "litestar_auth_refresh",
        ),
    ]
}

async fn log_out(app: &App, route: &str, cookies: &str) -> Reply {
    app.post(route, &[("cookie", cookies), SAME_ORIGIN], "")
        .await
}

async fn is_over(app: &App, tokens: &Tokens) -> bool {
    let refresh = app
        .post_json("/auth/refresh", &json!({"refresh_token": tokens.refresh}))
        .await;
    !app.is_live(&tokens.access).await && refresh.code() == "REFRESH_TOKEN_INVALID"
}

/// What is planted beside the victim's own two cookies, in front of them and behind.
fn planted(access: &str, refresh: &str, thief: &Tokens) -> Vec<String> {
    let junk = [
        "",
        "\"\"",
        "x",
        "a b",
        "\u{a0}",
        "csa_nonsense",
        "csr_nonsense",
    ];
    let junk = junk
        .iter()
        .flat_map(|text| [format!("{access}={text}"), format!("{refresh}={text}")]);
    let tokens = [
        format!("{access}={}", thief.access),
        format!("{refresh}={}", thief.refresh),
        format!("{access}={}; {refresh}={}", thief.access, thief.refresh),
        format!("{access}={}; {refresh}={}", thief.refresh, thief.access),
        format!("{access}=; {refresh}="),
    ];
    junk.chain(tokens).collect()
}

#[tokio::test]
async fn a_planted_cookie_never_keeps_anybody_from_logging_out() {
    for (app, access, refresh) in apps() {
        for route in ROUTES {
            let sample = app.tokens(2).await;
            for (index, _) in planted(access, refresh, &sample).iter().enumerate() {
                for front in [true, false] {
                    let (own, thief) = (app.tokens(1).await, app.tokens(2).await);
                    let extra = planted(access, refresh, &thief)[index].clone();
                    let own_pair = format!("{access}={}; {refresh}={}", own.access, own.refresh);
                    let cookies = if front {
                        format!("{extra}; {own_pair}")
                    } else {
                        format!("{own_pair}; {extra}")
                    };
                    let me = app.get("/me", &[("cookie", &cookies)]).await;
                    assert!(
                        matches!(me.body.as_str(), "member 1") || me.status == 400,
                        "{cookies}: {}",
                        me.body
                    );
                    let reply = log_out(&app, route, &cookies).await;
                    assert_eq!(
                        reply.status.as_u16(),
                        204,
                        "{route} {cookies}: {}",
                        reply.body
                    );
                    assert_eq!(reply.set_cookies().len(), 2, "{route} {cookies}");
                    assert!(is_over(&app, &own).await, "{route} {cookies}");
                    log_out(&app, route, &cookies).await.is_empty_204();
                }
            }
        }
    }
}

#[tokio::test]
async fn the_same_cookie_twice_is_ended_once() {
    for (app, access, refresh) in apps() {
        for route in ROUTES {
            let own = app.tokens(1).await;
            let pair = format!("{access}={}; {refresh}={}", own.access, own.refresh);
            let double = format!("{pair}; {pair}");
            app.get("/me", &[("cookie", &double)]).await.is_problem(
                400,
                "CREDENTIALS_MALFORMED",
                INVALID_REQUEST,
            );
            assert!(app.is_live(&own.access).await);
            log_out(&app, route, &double).await.is_empty_204();
            assert!(is_over(&app, &own).await);
        }
    }
}

/// A good token in a header, and anything in cookies: the header's session ends, and the cookies' where a page of ours sent them.
#[tokio::test]
async fn a_bearer_token_logs_out_beside_any_cookies() {
    for (app, access, refresh) in apps() {
        for site in ["same-origin", "cross-site"] {
            let [bearer, cookie] = [app.tokens(1).await, app.tokens(2).await];
            for cookies in [
                format!("{access}={}", cookie.access),
                format!("{access}=; {refresh}="),
            ] {
                let header = bearer.bearer();
                let headers = [
                    ("authorization", &*header),
                    ("cookie", &*cookies),
                    ("sec-fetch-site", site),
                ];
                app.post("/auth/logout", &headers, "").await.is_empty_204();
            }
            assert!(is_over(&app, &bearer).await);
            assert_eq!(
                app.is_live(&cookie.access).await,
                site == "cross-site",
                "a page of another site ends nothing"
            );
        }
    }
}

/// Only what can be read can be ended, and the answer says when there was more.
#[tokio::test]
async fn the_answer_says_what_could_not_be_read() {
    for (app, access, refresh) in apps() {
        for route in ROUTES {
            for cookies in [
                format!("{access}="),
                format!("{refresh}=a b"),
                format!("{access}=; {refresh}="),
            ] {
                let reply = log_out(&app, route, &cookies).await;
                reply.is_problem(400, "CREDENTIALS_MALFORMED", INVALID_REQUEST);
                assert_eq!(
                    reply.set_cookies().len(),
                    2,
                    "so that the browser gets rid of them"
                );
            }
            // More than are looked at: those that are end, and nobody is told that all did.
            let mut many = Vec::new();
            for _ in 0..=Candidates::MAX {
                many.push(app.tokens(1).await);
            }
            let cookies: Vec<String> = many
                .iter()
                .map(|tokens| format!("{access}={}", tokens.access))
                .collect();
            let before = app.world.store.calls();
            let reply = log_out(&app, route, &cookies.join("; ")).await;
            reply.is_problem(400, "CREDENTIALS_MALFORMED", INVALID_REQUEST);
            assert_eq!(reply.set_cookies().len(), 2);
            assert!(
                app.world.store.calls() - before <= 4 * Candidates::MAX,
                "what one request costs is bounded"
            );
            for (at, tokens) in many.iter().enumerate() {
                assert_eq!(is_over(&app, tokens).await, at < Candidates::MAX, "{at}");
            }
        }
    }
}

/// The cookie's own session, and nobody else's: a stranger's page can't make a browser log out.
#[tokio::test]
async fn logout_by_cookie_asks_for_proof_of_origin() {
    for (app, access, refresh) in apps() {
        let own = app.tokens(1).await;
        let pair = format!("{access}={}; {refresh}={}", own.access, own.refresh);
        for cookies in [
            pair.clone(),
            format!("{pair}; {pair}"),
            format!("{access}=; {pair}"),
        ] {
            for route in ROUTES {
                for (name, value) in [
                    ("sec-fetch-site", "cross-site"),
                    ("origin", "https://evil.example"),
                    ("x-none", ""),
                ] {
                    let form = ("content-type", "application/x-www-form-urlencoded");
                    let reply = app
                        .post(route, &[("cookie", &cookies), (name, value), form], "a=b")
                        .await;
                    reply.is_problem(403, "CSRF_FAILED", None);
                    assert!(reply.set_cookies().is_empty());
                }
            }
        }
        assert!(app.is_live(&own.access).await);
    }
}

/// A form of our own page logs out as well: nobody reads a logout's answer.
#[tokio::test]
async fn a_form_of_our_own_page_logs_out() {
    for (app, access, refresh) in apps() {
        for route in ROUTES {
            for kind in [
                "application/x-www-form-urlencoded",
                "text/plain",
                "multipart/form-data; boundary=x",
            ] {
                let own = app.tokens(1).await;
                let pair = format!("{access}={}; {refresh}={}", own.access, own.refresh);
                let headers = [("cookie", &*pair), SAME_ORIGIN, ("content-type", kind)];
                app.post(route, &headers, "a=b").await.is_empty_204();
                assert!(is_over(&app, &own).await, "{route} {kind}");
            }
        }
    }
}

#[tokio::test]
async fn a_store_that_is_down_keeps_the_cookies() {
    for (app, access, refresh) in apps() {
        for route in ROUTES {
            let own = app.tokens(1).await;
            let pair = format!(
                "{access}={}; {refresh}={}; {access}=",
                own.access, own.refresh
            );
            app.world.store.switch(false);
            let reply = log_out(&app, route, &pair).await;
            reply.is_problem(503, "STORE_UNAVAILABLE", None);
            assert!(
                reply.set_cookies().is_empty(),
                "trying again must be possible"
            );
            app.world.store.switch(true);
            assert_eq!(
                app.get("/me", &[("authorization", &own.bearer())])
                    .await
                    .status,
                StatusCode::OK
            );
            log_out(&app, route, &pair).await.is_empty_204();
        }
    }
}
