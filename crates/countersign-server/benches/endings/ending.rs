//! The endings, and how one is asked for until it is acknowledged.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::account::Account;
use crate::ground::Ground;
use crate::harness::{PASSWORD, Server, Tokens};

const ANOTHER: &str = "another long password";

/// What ends all sessions of an account, or all but the one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ending {
    LogoutAll,
    RevokeOthers,
    NewPassword,
    UserDisable,
    UserDelete,
}

/// Somebody who ends an account's sessions, and what they know by now.
pub(crate) struct Ender<'a> {
    pub(crate) ending: Ending,
    ground: &'a Ground,
    account: &'a Account,
    /// Its session's, by now.
    tokens: Tokens,
    current_password: &'static str,
}

/// What came of it.
#[derive(Debug)]
pub(crate) struct Asked {
    /// When it was acknowledged; `None` when patience ended first.
    pub(crate) acknowledged: Option<Duration>,
    /// Each answer, and how long it took.
    pub(crate) answers: Vec<(String, Duration)>,
}

impl Ending {
    pub(crate) fn name(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    /// Whether the session that asks stays.
    pub(crate) const fn keeps_asker(self) -> bool {
        matches!(self, Self::RevokeOthers | Self::NewPassword)
    }

    /// Whether the account can be logged in to afterwards.
    pub(crate) const fn leaves_account(self) -> bool {
        !matches!(self, Self::UserDisable | Self::UserDelete)
    }
}

impl<'a> Ender<'a> {
    pub(crate) fn new(ending: Ending, ground: &'a Ground, account: &'a Account) -> Self {
        Self { ending, ground, account, tokens: account.asker.clone(), current_password: PASSWORD }
    }

    /// Asks until it is acknowledged, or until `patience` ends.
    pub(crate) async fn insist(&mut self, server: &Server, patience: Duration) -> Asked {
        let start = Instant::now();
        let mut answers = Vec::new();
        loop {
            let asked = Instant::now();
            let answer = self.ask(server).await;
            answers.push((answer.clone().unwrap_or_else(|| "done".to_owned()), asked.elapsed()));
            if answer.is_none() {
                return Asked { acknowledged: Some(start.elapsed()), answers };
            }
            if start.elapsed() > patience {
                return Asked { acknowledged: None, answers };
            }
        }
    }

    /// Asks once; what the answer was unless that is an acknowledgement.
    pub(crate) async fn ask(&mut self, server: &Server) -> Option<String> {
        let (method, path, body) = match self.ending {
            Ending::LogoutAll => (Method::POST, "/auth/logout/all", None),
            Ending::RevokeOthers => (Method::POST, "/auth/sessions/revoke-others", None),
            Ending::NewPassword => {
                let body = json!({ "current_password": self.current_password, "password": ANOTHER });
                (Method::PATCH, "/users/me", Some(body))
            }
            Ending::UserDisable | Ending::UserDelete => return self.finish(self.command()),
        };
        let request = server.request(method, path).bearer_auth(&self.tokens.access);
        let request = body.into_iter().fold(request, |request, body| request.json(&body));
        let status = match request.send().await {
            Ok(response) if response.status().is_success() => return None,
            Ok(response) => response.status(),
            Err(_) => return Some("no answer".to_owned()),
        };
        self.learn(server, status).await;
        Some(status.as_u16().to_string())
    }

    /// What a client does that isn't recognised any more: an ending that got half way may have ended the session that asked
    /// for it, and a change that wasn't acknowledged may have been made.
    async fn learn(&mut self, server: &Server, status: StatusCode) {
        if status == StatusCode::FORBIDDEN {
            self.current_password = if self.current_password == PASSWORD { ANOTHER } else { PASSWORD };
        }
        if status == StatusCode::UNAUTHORIZED {
            if self.ending.keeps_asker() {
                self.refresh(server).await
            } else {
                self.log_in(server).await
            };
        }
    }

    /// Whether its session goes on.
    pub(crate) async fn goes_on(&mut self, server: &Server) -> bool {
        self.refresh(server).await && server.me(&self.tokens.access).await.status == StatusCode::OK
    }

    async fn refresh(&mut self, server: &Server) -> bool {
        let reply = server.refresh(&self.tokens.refresh).await;
        let refreshed = reply.status == StatusCode::OK;
        if refreshed {
            self.tokens = Tokens::of(&reply);
        }
        refreshed
    }

    /// A new session, with whichever password it is by now.
    pub(crate) async fn log_in(&mut self, server: &Server) -> bool {
        for password in [self.current_password, ANOTHER, PASSWORD] {
            let body = json!({ "identifier": self.account.email, "password": password });
            let reply = server.post("/auth/login", body).await;
            if reply.status == StatusCode::OK {
                self.tokens = Tokens::of(&reply);
                return true;
            }
        }
        false
    }

    /// How many sessions the account has, by its own list.
    pub(crate) async fn listed(&self, server: &Server) -> usize {
        let reply = server.get("/auth/sessions?limit=100", &self.tokens.access).await.expect(StatusCode::OK);
        reply.json()["sessions"].as_array().unwrap().len()
    }

    /// The command of the endings that have one, running.
    pub(crate) fn command(&self) -> Child {
        let email = &*self.account.email;
        let arguments = match self.ending {
            Ending::UserDelete => vec!["user", "delete", email, "--yes", "--json"],
            _ => vec!["user", "disable", email, "--json"],
        };
        let mut command = self.ground.place.command(&arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
    }

    pub(crate) fn finish(&self, command: Child) -> Option<String> {
        let output = command.wait_with_output().unwrap();
        if output.status.success() || self.ending == Ending::UserDelete && self.is_gone() {
            return None;
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Some(format!("exit {}: {said}", output.status.code().unwrap_or(-1)))
    }

    fn is_gone(&self) -> bool {
        let users = self.ground.place.json(&["user", "list"]);
        users["users"].as_array().unwrap().iter().all(|user| user["email"] != *self.account.email)
    }
}
