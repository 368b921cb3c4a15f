//! Our server and litestar-auth 1.1.1 on the same accounts, secret and Redis denylist: a token that one of them ends is
//! refused by the other in the next moment.

use reqwest::header::COOKIE;
use reqwest::{Method, StatusCode};
use serde_json::{Value, json};

use crate::flows::{cookie_post, jar, logout};
use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, on_redis};
use crate::original::Original;

const JWT_SECRET: &str = "Vb3-xn81Qzr7_tYw62kcLma5PjHdU0sF";
const ANOTHER: &str = "another long password";

/// How sessions end at our server.
#[derive(Clone, Copy, Debug)]
enum Ending {
    LogoutByAccessToken,
    LogoutByRefreshToken,
    LogoutByCookies,
    LogoutAll,
    LogoutOfItsOwnToken,
    LogoutAllByItsOwnToken,
    OneOfTheList,
    RevokeOthers,
    NewPassword,
    NewAddress,
    NewAddressAndBack,
    Reuse,
    Eviction,
    SessionRevoke,
    SessionRevokeAll,
    UserDisable,
    UserDisableAndEnable,
    UserSetPassword,
    UserDelete,
}

const ENDINGS: [Ending; 19] = [
    Ending::LogoutByAccessToken,
    Ending::LogoutByRefreshToken,
    Ending::LogoutByCookies,
    Ending::LogoutAll,
    Ending::LogoutOfItsOwnToken,
    Ending::LogoutAllByItsOwnToken,
    Ending::OneOfTheList,
    Ending::RevokeOthers,
    Ending::NewPassword,
    Ending::NewAddress,
    Ending::NewAddressAndBack,
    Ending::Reuse,
    Ending::Eviction,
    Ending::SessionRevoke,
    Ending::SessionRevokeAll,
    Ending::UserDisable,
    Ending::UserDisableAndEnable,
    Ending::UserSetPassword,
    Ending::UserDelete,
];

/// Access tokens, after an ending.
struct Outcome {
    ended: Vec<String>,
    kept: Vec<String>,
}

impl Outcome {
    fn new<const E: usize, const K: usize>(ended: [&Tokens; E], kept: [&Tokens; K]) -> Self {
        let access =
            |tokens: &[&Tokens]| tokens.iter().map(|tokens| tokens.access.clone()).collect();
        Self {
            ended: access(&ended),
            kept: access(&kept),
        }
    }
}

/// Both of them, and an account.
struct Both {
    place: Place,
    server: Server,
    original: Original,
    email: String,
    /// What isn't as it must be.
    faults: Vec<String>,
}

impl Both {
    /// The session limit is that of the table: a login and two more.
    fn start() -> Self {
        let redis = testbed::Redis::shared().url();
        let place = Place::new(on_redis(redis))
            .with("STRATEGY", "jwt")
            .with("PROFILE", "litestar-auth")
            .with("JWT_ALGORITHM", "HS256")
            .with("JWT_SECRET", JWT_SECRET)
            .with("REUSE_GRACE", "0s")
            .with("SESSION_LIMIT", "3");
        let server = place.start();
        let original = Original::beside(&place, JWT_SECRET, redis);
        Self {
            place,
            server,
            original,
            email: String::new(),
            faults: Vec::new(),
        }
    }

    /// A new account with three sessions.
    async fn account(&mut self, email: String) -> [Tokens; 3] {
        let first = self.server.newcomer(&email).await;
        let more = [
            self.server.login(&email).await,
            self.server.login(&email).await,
        ];
        self.email = email;
        let [second, third] = more;
        [first, second, third]
    }

    /// Says what is wrong with `token`, which must be good at both or refused by both.
    async fn examine(&mut self, what: &str, token: &str, is_good: bool) {
        let ours = self.server.me(token).await.status == StatusCode::OK;
        let theirs = self.original.read(token).is_some();
        let wrong = if is_good { "refuses" } else { "accepts" };
        for (who, answer) in [("our server", ours), ("the original", theirs)] {
            if answer != is_good {
                self.faults.push(format!("{what}: {who} {wrong} it"));
            }
        }
    }

    async fn check(&mut self, name: &str, outcome: &Outcome) {
        for (at, token) in outcome.ended.iter().enumerate() {
            self.examine(&format!("{name}, ended token {at}"), token, false)
                .await;
        }
        for (at, token) in outcome.kept.iter().enumerate() {
            self.examine(&format!("{name}, kept token {at}"), token, true)
                .await;
        }
    }

    /// Both read all of these as the account's.
    async fn are_good(&self, tokens: &[&str]) {
        for token in tokens {
            let account = self.server.me(token).await.expect(StatusCode::OK).json();
            assert_eq!(self.original.read(token).as_deref(), account["id"].as_str());
        }
    }

    async fn call(&self, method: Method, path: &str, token: &str, body: Option<Value>) -> Reply {
        let request = self.server.request(method, path).bearer_auth(token);
        Reply::of(
            body.into_iter()
                .fold(request, |request, body| request.json(&body)),
        )
        .await
    }

    async fn id_of(&self, tokens: &Tokens) -> String {
        let listed = self
            .call(Method::GET, "/auth/sessions", &tokens.access, None)
            .await
            .expect(StatusCode::OK)
            .json();
        let listed = listed["sessions"].as_array().unwrap();
        let session = listed
            .iter()
            .find(|session| session["current"] == true)
            .unwrap();
        session["id"].as_str().unwrap().to_owned()
    }

    /// Changes the account; the session that did it has a new pair, since its access token carried the old fingerprint.
    async fn change(&self, by: &Tokens, change: Value) -> Tokens {
        self.call(Method::PATCH, "/users/me", &by.access, Some(change))
            .await
            .expect(StatusCode::OK);
        Tokens::of(&self.server.refresh(&by.refresh).await)
    }

    async fn end(&self, ending: Ending, [a, b, c]: [&Tokens; 3]) -> Outcome {
        let email = &*self.email;
        match ending {
            Ending::LogoutByAccessToken => {
                logout(&self.server, &a.access)
                    .await
                    .expect(StatusCode::NO_CONTENT);
                Outcome::new([a], [b, c])
            }
            Ending::LogoutByRefreshToken => {
                let reply = self
                    .server
                    .post("/auth/logout", json!({ "refresh_token": a.refresh }))
                    .await;
                reply.expect(StatusCode::NO_CONTENT);
                Outcome::new([a], [b, c])
            }
            Ending::LogoutByCookies => {
                let login = json!({ "identifier": email, "password": PASSWORD });
                let login =
                    Reply::of(cookie_post(&self.server, "/auth/cookie/login", "").json(&login))
                        .await;
                let cookies = jar(&login.expect(StatusCode::NO_CONTENT));
                let values = cookies
                    .split("; ")
                    .map(|cookie| cookie.split_once('=').unwrap().1);
                let access = values
                    .into_iter()
                    .find(|value| value.matches('.').count() == 2)
                    .unwrap()
                    .to_owned();
                self.are_good(&[&access]).await;
                let request =
                    cookie_post(&self.server, "/auth/cookie/logout", "").header(COOKIE, cookies);
                Reply::of(request).await.expect(StatusCode::NO_CONTENT);
                Outcome {
                    ended: vec![access],
                    kept: vec![b.access.clone(), c.access.clone()],
                }
            }
            Ending::LogoutAll => {
                self.call(Method::POST, "/auth/logout/all", &b.access, None)
                    .await
                    .expect(StatusCode::NO_CONTENT);
                Outcome::new([a, b, c], [])
            }
            Ending::LogoutOfItsOwnToken => {
                let own = self.original.write(email);
                self.are_good(&[&own]).await;
                logout(&self.server, &own)
                    .await
                    .expect(StatusCode::NO_CONTENT);
                Outcome {
                    ended: vec![own],
                    kept: vec![a.access.clone()],
                }
            }
            Ending::LogoutAllByItsOwnToken => {
                let own = self.original.write(email);
                self.are_good(&[&own]).await;
                self.call(Method::POST, "/auth/logout/all", &own, None)
                    .await
                    .expect(StatusCode::NO_CONTENT);
                let mut outcome = Outcome::new([a, b, c], []);
                outcome.ended.push(own);
                outcome
            }
            Ending::OneOfTheList => {
                let path = format!("/auth/sessions/{}", self.id_of(a).await);
                self.call(Method::DELETE, &path, &b.access, None)
                    .await
                    .expect(StatusCode::NO_CONTENT);
                Outcome::new([a], [b, c])
            }
            Ending::RevokeOthers => {
                let path = "/auth/sessions/revoke-others";
                self.call(Method::POST, path, &b.access, None)
                    .await
                    .expect(StatusCode::OK);
                Outcome::new([a, c], [b])
            }
            Ending::NewPassword => {
                let next = self
                    .change(
                        b,
                        json!({ "current_password": PASSWORD, "password": ANOTHER }),
                    )
                    .await;
                Outcome::new([a, c], [&next])
            }
            Ending::NewAddress => {
                let address = format!("new-{email}");
                let next = self
                    .change(b, json!({ "current_password": PASSWORD, "email": address }))
                    .await;
                Outcome::new([a, c], [&next])
            }
            // What the original's tokens carry of the account is then what it was before.
            Ending::NewAddressAndBack => {
                let address =
                    json!({ "current_password": PASSWORD, "email": format!("new-{email}") });
                let next = self.change(b, address).await;
                let next = self
                    .change(
                        &next,
                        json!({ "current_password": PASSWORD, "email": email }),
                    )
                    .await;
                Outcome::new([a, c], [&next])
            }
            Ending::Reuse => {
                let next = Tokens::of(&self.server.refresh(&a.refresh).await);
                self.are_good(&[&next.access]).await;
                self.server
                    .refresh(&a.refresh)
                    .await
                    .expect(StatusCode::UNAUTHORIZED);
                Outcome::new([&next], [b, c])
            }
            Ending::Eviction => {
                let fourth = self.server.login(email).await;
                Outcome::new([a], [b, c, &fourth])
            }
            Ending::SessionRevoke => {
                self.place
                    .json(&["session", "revoke", email, &self.id_of(a).await]);
                Outcome::new([a], [b, c])
            }
            Ending::SessionRevokeAll => {
                self.place.json(&["session", "revoke", email, "--all"]);
                Outcome::new([a, b, c], [])
            }
            Ending::UserDisable => {
                self.place.json(&["user", "disable", email]);
                Outcome::new([a, b, c], [])
            }
            Ending::UserDisableAndEnable => {
                self.place.json(&["user", "disable", email]);
                self.place.json(&["user", "enable", email]);
                Outcome::new([a, b, c], [])
            }
            Ending::UserSetPassword => {
                let file = crate::harness::write(&self.place.data_dir().join("password"), ANOTHER);
                self.place
                    .json(&["user", "set-password", email, "--password-file", &file]);
                Outcome::new([a, b, c], [])
            }
            Ending::UserDelete => {
                self.place.json(&["user", "delete", email, "--yes"]);
                Outcome::new([a, b, c], [])
            }
        }
    }

    #[track_caller]
    fn found(self) {
        assert!(self.faults.is_empty(), "\n{}", self.faults.join("\n"));
    }
}

#[tokio::test]
async fn every_ending_is_seen_by_the_original_on_redis() {
    let mut both = Both::start();
    for (at, ending) in ENDINGS.into_iter().enumerate() {
        let [a, b, c] = both.account(format!("ada-{at}@example.org")).await;
        both.are_good(&[&a.access, &b.access, &c.access]).await;
        let outcome = both.end(ending, [&a, &b, &c]).await;
        both.check(&format!("{ending:?}"), &outcome).await;
    }
    both.found();
}

/// A refresh leaves the access token before it good until its end, so an ending has to find that one as well.
#[tokio::test]
async fn earlier_access_tokens_end_with_their_session_for_the_original_on_redis() {
    let mut both = Both::start();
    for (at, ending) in [
        Ending::LogoutByAccessToken,
        Ending::LogoutByRefreshToken,
        Ending::LogoutAll,
        Ending::OneOfTheList,
        Ending::RevokeOthers,
        Ending::NewPassword,
        Ending::Reuse,
        Ending::Eviction,
        Ending::UserDisable,
    ]
    .into_iter()
    .enumerate()
    {
        let [first, b, c] = both.account(format!("bob-{at}@example.org")).await;
        let a = Tokens::of(&both.server.refresh(&first.refresh).await);
        both.are_good(&[&first.access, &a.access]).await;
        both.end(ending, [&a, &b, &c]).await;
        both.examine(
            &format!("{ending:?}, the earlier token"),
            &first.access,
            false,
        )
        .await;
    }
    both.found();
}

#[tokio::test]
async fn what_the_original_ends_on_redis_is_refused_by_our_server() {
    let mut both = Both::start();
    let [a, b, _] = both.account("ada@example.org".to_owned()).await;
    let own = both.original.write("ada@example.org");
    both.are_good(&[&a.access, &own]).await;
    for token in [&a.access, &own] {
        both.original.destroy(token);
        both.server
            .me(token)
            .await
            .expect_problem(StatusCode::UNAUTHORIZED, "AUTHENTICATION_FAILED");
        both.examine("destroyed by the original", token, false)
            .await;
    }
    // It ends that one token, as it always did: the session goes on.
    let next = Tokens::of(&both.server.refresh(&a.refresh).await);
    both.are_good(&[&next.access, &b.access]).await;
    both.found();
}
