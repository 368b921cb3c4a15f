//! What a client does after its request went wrong, and what it must find.

mod password;

use std::collections::BTreeSet;
use std::fmt;

use futures_util::future::join;
use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use self::password::Owner;
use crate::flows::logout;
use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, patiently};

const HOLDER: &str = "ada@example.org";
const GUEST: &str = "bob@example.org";

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Step {
    Refresh,
    Login,
    Logout,
    LogoutEverywhere,
    NewPassword,
}

pub(crate) const STEPS: [Step; 5] = [
    Step::Refresh,
    Step::Login,
    Step::Logout,
    Step::LogoutEverywhere,
    Step::NewPassword,
];

/// What went wrong over all failpoints: nothing of this may.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Harm {
    /// Sessions whose holder had to log in again.
    pub(crate) lost: usize,
    /// Refresh tokens with more than one successor.
    pub(crate) forks: usize,
    /// Ended sessions of which a token was good again.
    pub(crate) resurrections: usize,
}

impl fmt::Display for Harm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>4} {:>5} {:>13}",
            self.lost, self.forks, self.resurrections
        )
    }
}

/// A server, and clients that hold sessions there: one that stays, one that comes and goes, one that changes its password.
pub(crate) struct World {
    place: Place,
    server: Option<Server>,
    holder: Tokens,
    guest: Tokens,
    owner: Owner,
    /// Sessions whose end was acknowledged.
    ended: Vec<Tokens>,
    pub(crate) harm: Harm,
}

impl World {
    pub(crate) async fn new(place: Place) -> Self {
        // Retries come in time, and access tokens last, on a machine however slow.
        let place = place
            .with("REUSE_GRACE", "5m")
            .with("ACCESS_LIFETIME", "12h");
        let place = place
            .with("SWEEP_INTERVAL", "1h")
            .with("LOGIN_LIMIT", "1000/1m");
        let server = place.start();
        let (holder, guest) = (server.newcomer(HOLDER).await, server.newcomer(GUEST).await);
        let owner = Owner::new(&server, &place).await;
        Self {
            place,
            server: Some(server),
            holder,
            guest,
            owner,
            ended: Vec::new(),
            harm: Harm::default(),
        }
    }

    pub(crate) fn server(&self) -> &Server {
        self.server.as_ref().unwrap()
    }

    /// SIGKILL, and a new process on the same data.
    pub(crate) fn kill_and_start(&mut self) {
        self.server.take().unwrap().kill();
        self.server = Some(self.place.start());
    }

    /// The request that will go wrong.
    pub(crate) async fn request(&mut self, step: Step) -> RequestBuilder {
        if matches!(step, Step::Logout | Step::LogoutEverywhere) {
            self.guest = self.server().login(GUEST).await;
        }
        let post = |path| self.server().request(Method::POST, path);
        match step {
            Step::Refresh => {
                post("/auth/refresh").json(&json!({ "refresh_token": self.holder.refresh }))
            }
            Step::Login => {
                post("/auth/login").json(&json!({ "identifier": HOLDER, "password": PASSWORD }))
            }
            Step::Logout => post("/auth/logout").bearer_auth(&self.guest.access),
            Step::LogoutEverywhere => post("/auth/logout/all").bearer_auth(&self.guest.access),
            Step::NewPassword => self.new_password().await,
        }
    }

    /// Tries again what got `answer`, or none, and looks at what has become of the sessions.
    pub(crate) async fn settle(&mut self, step: Step, answer: Option<Reply>) {
        let answer = answer.filter(|reply| reply.status != StatusCode::SERVICE_UNAVAILABLE);
        match step {
            Step::Refresh => self.refresh_again(answer).await,
            Step::Login => self.log_in_again(answer).await,
            Step::Logout | Step::LogoutEverywhere => self.log_out_again(step, answer).await,
            Step::NewPassword => self.change_again(answer).await,
        }
        if step != Step::Refresh && self.me(&self.holder.access).await.status != StatusCode::OK {
            self.harm.lost += 1;
        }
        for at in self.ended.len().saturating_sub(2)..self.ended.len() {
            self.is_over(&self.ended[at].clone()).await;
        }
    }

    /// Looks at every session that ever ended.
    pub(crate) async fn finish(&mut self) -> Harm {
        for at in 0..self.ended.len() {
            self.is_over(&self.ended[at].clone()).await;
        }
        self.harm
    }

    /// Two tabs that missed the answer ask at once.
    async fn refresh_again(&mut self, answer: Option<Reply>) {
        let presented = self.holder.refresh.clone();
        let (one, other) = join(self.refresh(&presented), self.refresh(&presented)).await;
        let answers: Vec<Reply> = [one, other].into_iter().chain(answer).collect();
        let (good, bad): (Vec<_>, Vec<_>) = answers
            .iter()
            .partition(|reply| reply.status == StatusCode::OK);
        let successors: BTreeSet<String> =
            good.iter().map(|reply| Tokens::of(reply).refresh).collect();
        self.harm.forks += usize::from(successors.len() > 1);
        let next = good.first().map(|reply| Tokens::of(reply));
        let alive = match &next {
            Some(next) => self.me(&next.access).await.status == StatusCode::OK,
            None => false,
        };
        if alive && bad.is_empty() {
            self.holder = next.unwrap();
        } else {
            self.harm.lost += 1;
            eprintln!("lost: {bad:?}");
            self.holder = self.server().login(HOLDER).await;
        }
    }

    /// A login that nobody heard of does no harm; one that was answered is good.
    async fn log_in_again(&mut self, answer: Option<Reply>) {
        let credentials = json!({ "identifier": HOLDER, "password": PASSWORD });
        let login = match answer {
            Some(answer) => answer,
            None => patiently(|| self.server().post("/auth/login", credentials.clone())).await,
        };
        let tokens = Tokens::of(&login);
        let next = self.refresh(&tokens.refresh).await;
        if next.status == StatusCode::OK {
            let next = Tokens::of(&next);
            patiently(|| logout(self.server(), &next.access))
                .await
                .expect(StatusCode::NO_CONTENT);
            self.ended.extend([tokens, next]);
        } else {
            self.harm.lost += 1;
        }
    }

    /// Whoever isn't told that everything has ended, and has lost the token to ask with, logs in to ask again.
    async fn log_out_again(&mut self, step: Step, answer: Option<Reply>) {
        let everywhere = step == Step::LogoutEverywhere;
        let path = if everywhere {
            "/auth/logout/all"
        } else {
            "/auth/logout"
        };
        let ask = |access: &str| {
            Reply::of(
                self.server()
                    .request(Method::POST, path)
                    .bearer_auth(access),
            )
        };
        let mut answer = match answer {
            Some(answer) => answer,
            None => patiently(|| ask(&self.guest.access)).await,
        };
        if everywhere && answer.status == StatusCode::UNAUTHORIZED {
            let again = self.server().login(GUEST).await;
            answer = patiently(|| ask(&again.access)).await;
        }
        answer.expect(StatusCode::NO_CONTENT);
        self.ended.push(self.guest.clone());
    }

    async fn is_over(&mut self, tokens: &Tokens) {
        let access = self.me(&tokens.access).await;
        let refresh = self.refresh(&tokens.refresh).await;
        if (access.status, refresh.status) != (StatusCode::UNAUTHORIZED, StatusCode::UNAUTHORIZED) {
            eprintln!("came back: {access:?} {refresh:?}");
            self.harm.resurrections += 1;
        }
    }

    async fn refresh(&self, token: &str) -> Reply {
        patiently(|| self.server().refresh(token)).await
    }

    async fn me(&self, token: &str) -> Reply {
        patiently(|| self.server().me(token)).await
    }
}
