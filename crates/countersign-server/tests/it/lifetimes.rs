//! Signed tokens of a lifetime that isn't in force any more, or isn't at the server that ends them: an ending holds for as
//! long as any server may accept the token.

use reqwest::{Method, StatusCode};
use serde_json::json;
use testbed::Postgres;

use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, shared};

/// What is denied by session or fence and ends sooner than half an hour from now.
const BRIEF_DENIALS: &str = "SELECT count(*) FROM denied_token WHERE (id LIKE 'sid:%' OR id LIKE 'fence:%') \
     AND expires_at < (extract(epoch FROM now()) + 1800) * 1000000";
const DENIALS: &str =
    "SELECT count(*) FROM denied_token WHERE id LIKE 'sid:%' OR id LIKE 'fence:%'";

#[derive(Clone, Copy, Debug)]
enum Ending {
    Logout,
    LogoutByRefreshToken,
    LogoutAll,
    EndSession,
    RevokeOthers,
    Reuse,
    Eviction,
    Disable,
}

const ENDINGS: [Ending; 8] = [
    Ending::Logout,
    Ending::LogoutByRefreshToken,
    Ending::LogoutAll,
    Ending::EndSession,
    Ending::RevokeOthers,
    Ending::Reuse,
    Ending::Eviction,
    Ending::Disable,
];

async fn post(server: &Server, path: &str, token: &str) -> Reply {
    Reply::of(server.request(Method::POST, path).bearer_auth(token)).await
}

/// Ends the session of `tokens` at a server whose own tokens are brief.
async fn end(ending: Ending, place: &Place, brief: &Server, email: &str, tokens: &Tokens) {
    match ending {
        Ending::Logout => post(brief, "/auth/logout", &tokens.access)
            .await
            .expect(StatusCode::NO_CONTENT),
        Ending::LogoutAll => post(brief, "/auth/logout/all", &tokens.access)
            .await
            .expect(StatusCode::NO_CONTENT),
        Ending::LogoutByRefreshToken => {
            let body = json!({ "refresh_token": tokens.refresh });
            brief
                .post("/auth/logout", body)
                .await
                .expect(StatusCode::NO_CONTENT)
        }
        Ending::EndSession => {
            let listed = brief
                .get("/auth/sessions", &tokens.access)
                .await
                .expect(StatusCode::OK)
                .json();
            let path = format!(
                "/auth/sessions/{}",
                listed["sessions"][0]["id"].as_str().unwrap()
            );
            let request = brief
                .request(Method::DELETE, &path)
                .bearer_auth(&tokens.access);
            Reply::of(request).await.expect(StatusCode::NO_CONTENT)
        }
        Ending::RevokeOthers => {
            let other = brief.login(email).await;
            post(brief, "/auth/sessions/revoke-others", &other.access)
                .await
                .expect(StatusCode::OK)
        }
        Ending::Reuse => {
            let first = Tokens::of(&brief.refresh(&tokens.refresh).await.expect(StatusCode::OK));
            brief.refresh(&first.refresh).await.expect(StatusCode::OK);
            brief
                .refresh(&tokens.refresh)
                .await
                .expect(StatusCode::UNAUTHORIZED)
        }
        // The limit is two.
        Ending::Eviction => {
            brief.login(email).await;
            let login = json!({ "identifier": email, "password": PASSWORD });
            brief
                .post("/auth/login", login)
                .await
                .expect(StatusCode::OK)
        }
        Ending::Disable => {
            place.json(&["user", "disable", email]);
            brief.me(&tokens.access).await
        }
    };
}

/// Every ending at a server whose tokens live 2 seconds, of a token that a server issued whose tokens live an hour.
#[tokio::test]
async fn endings_hold_for_tokens_of_a_longer_lifetime_on_postgres() {
    let url = Postgres::shared().database();
    let place = Place::new(shared(&url))
        .with("STRATEGY", "jwt")
        .with("JWT_ALGORITHM", "HS256")
        .with("JWT_SECRET", "Vb3-xn81Qzr7_tYw62kcLma5PjHdU0sF")
        .with("SESSION_LIMIT", "2");
    let patient = place.clone().with("ACCESS_LIFETIME", "1h").start();
    let brief_place = place.sibling().with("ACCESS_LIFETIME", "2s");
    let brief = brief_place.start();

    let mut ended = Vec::new();
    for ending in ENDINGS {
        let email = format!("{ending:?}@example.org").to_lowercase();
        let tokens = patient.newcomer(&email).await;
        brief.me(&tokens.access).await.expect(StatusCode::OK);
        end(ending, &brief_place, &brief, &email, &tokens).await;
        for server in [&patient, &brief] {
            assert_eq!(
                server.me(&tokens.access).await.status,
                StatusCode::UNAUTHORIZED,
                "{ending:?}"
            );
        }
        ended.push(tokens);
    }
    assert_ne!(Postgres::execute(&url, DENIALS).trim(), "0");
    assert_eq!(Postgres::execute(&url, BRIEF_DENIALS).trim(), "0");

    // When the tokens of the brief server are over, those of the patient one are still refused.
    let probe = brief.newcomer("probe@example.org").await;
    while brief.me(&probe.access).await.status == StatusCode::OK {}
    for tokens in &ended {
        patient
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}

/// The lifetime was shortened, and the server started again: a token of before is good until its end, and its logout is a
/// logout.
#[tokio::test]
async fn a_lifetime_that_was_shortened_leaves_logouts_whole_on_sqlite() {
    let place = Place::new(Vec::new()).with("STRATEGY", "jwt");
    let server = place.clone().with("ACCESS_LIFETIME", "1h").start();
    let ada = server.newcomer("ada@example.org").await;
    let bob = server.newcomer("bob@example.org").await;
    server.stop();

    let server = place.with("ACCESS_LIFETIME", "2s").start();
    server.me(&ada.access).await.expect(StatusCode::OK);
    post(&server, "/auth/logout", &ada.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    post(&server, "/auth/logout/all", &bob.access)
        .await
        .expect(StatusCode::NO_CONTENT);
    let probe = server.newcomer("probe@example.org").await;
    while server.me(&probe.access).await.status == StatusCode::OK {}
    for tokens in [&ada, &bob] {
        server
            .me(&tokens.access)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        server
            .refresh(&tokens.refresh)
            .await
            .expect(StatusCode::UNAUTHORIZED);
    }
}
