//! What becomes of an account whose password was to change.

use reqwest::{Method, RequestBuilder, StatusCode};
use serde_json::json;

use super::World;
use crate::harness::{PASSWORD, Place, Reply, Server, Tokens, patiently};

const OWNER: &str = "cyd@example.org";
/// More tries than two passwords and a refresh can take.
const ROUNDS: usize = 6;

/// An account that changes its password, and a session of it that stays.
pub(super) struct Owner {
    tokens: Tokens,
    password: String,
    /// What the password is to become.
    next: String,
    changes: usize,
    /// Sessions that the change has to end.
    others: Vec<Tokens>,
    /// Whether access tokens end with the password that they were issued under.
    signed: bool,
}

impl Owner {
    pub(super) async fn new(server: &Server, place: &Place) -> Self {
        Self {
            tokens: server.newcomer(OWNER).await,
            password: PASSWORD.to_owned(),
            next: PASSWORD.to_owned(),
            changes: 0,
            others: Vec::new(),
            signed: place.settings.iter().any(|(_, value)| value == "jwt"),
        }
    }
}

impl World {
    /// The change that will go wrong, with another session open.
    pub(super) async fn new_password(&mut self) -> RequestBuilder {
        let other = Tokens::of(&self.log_in_with(&self.owner.password).await);
        let owner = &mut self.owner;
        owner.others = vec![other];
        owner.changes += 1;
        owner.next = format!("{PASSWORD} {}", owner.changes);
        self.change(&self.owner.password)
    }

    /// Whoever isn't told finds out which password is good, and asks again with either until the change is done.
    pub(super) async fn change_again(&mut self, answer: Option<Reply>) {
        if let Some(answer) = answer {
            answer.expect(StatusCode::OK);
        } else {
            self.find_out().await;
            self.insist().await;
        }
        let others = std::mem::take(&mut self.owner.others);
        for other in &others {
            self.is_over(other).await;
        }
        self.ended.extend(others);
        self.is_kept().await;
        self.log_in_with(&self.owner.password)
            .await
            .expect(StatusCode::UNAUTHORIZED);
        self.owner.password.clone_from(&self.owner.next);
    }

    /// Logs in with either password. Once the new one is good, the old one isn't, and no session from before is.
    async fn find_out(&mut self) {
        let mut new = self.log_in_with(&self.owner.next).await;
        let mut old = self.log_in_with(&self.owner.password).await;
        if !new.status.is_success() && !old.status.is_success() {
            // What was under way when its connection was cut has been done in between.
            new = self.log_in_with(&self.owner.next).await;
        }
        if new.status.is_success() {
            for other in self.owner.others.clone() {
                self.is_over(&other).await;
            }
            old = old.expect(StatusCode::UNAUTHORIZED);
        }
        let good = if new.status.is_success() { new } else { old };
        self.owner.others.push(Tokens::of(&good));
    }

    /// Asks with the old password, and where that is the current one no more, with the new one.
    async fn insist(&mut self) {
        let mut current = self.owner.password.clone();
        for _ in 0..ROUNDS {
            let answer = patiently(|| Reply::of(self.change(&current))).await;
            match answer.status {
                StatusCode::OK => return,
                StatusCode::UNAUTHORIZED if self.renew().await => {}
                StatusCode::FORBIDDEN => current.clone_from(&self.owner.next),
                _ => panic!("neither password will do, or the session is gone: {answer:?}"),
            }
        }
        panic!("the change doesn't come to an end");
    }

    /// The session that asked goes on.
    async fn is_kept(&mut self) {
        let is_good =
            self.owner.signed || self.me(&self.owner.tokens.access).await.status == StatusCode::OK;
        let is_renewed =
            self.renew().await && self.me(&self.owner.tokens.access).await.status == StatusCode::OK;
        if is_good && is_renewed {
            return;
        }
        self.harm.lost += 1;
        self.owner.tokens = Tokens::of(&self.log_in_with(&self.owner.next).await);
    }

    async fn renew(&mut self) -> bool {
        let answer = self.refresh(&self.owner.tokens.refresh).await;
        let is_renewed = answer.status == StatusCode::OK;
        if is_renewed {
            self.owner.tokens = Tokens::of(&answer);
        }
        is_renewed
    }

    fn change(&self, current: &str) -> RequestBuilder {
        let body = json!({ "current_password": current, "password": self.owner.next });
        self.server()
            .request(Method::PATCH, "/users/me")
            .bearer_auth(&self.owner.tokens.access)
            .json(&body)
    }

    async fn log_in_with(&self, password: &str) -> Reply {
        patiently(|| {
            self.server().post(
                "/auth/login",
                json!({ "identifier": OWNER, "password": password }),
            )
        })
        .await
    }
}
