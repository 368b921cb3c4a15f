//! The kinds of endings, and a client that asks for one until it is acknowledged.

use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use clap::ValueEnum;
use reqwest::{Method, StatusCode};
use serde_json::json;

use crate::account::Account;
use crate::ground::Ground;
use crate::harness::{PASSWORD, Server, Tokens};

/// The password that a change sets.
const ANOTHER: &str = "another long password";

/// An operation that ends all sessions of an account, or all but the one that asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Ending {
    LogoutAll,
    RevokeOthers,
    NewPassword,
    UserDisable,
    UserDelete,
}

/// A client that ends the sessions of an account, with the tokens and the password it knows.
pub(crate) struct Ender<'a> {
    pub(crate) ending: Ending,
    ground: &'a Ground,
    account: &'a Account,
    /// The current tokens of its session.
    tokens: Tokens,
    current_password: &'static str,
}

/// The outcome of asking for an ending.
#[derive(Debug)]
pub(crate) struct Asked {
    /// The time until the acknowledgement, or `None` if it didn't come in time.
    pub(crate) acknowledged: Option<Duration>,
    /// Each answer, with the time it took.
    pub(crate) answers: Vec<(String, Duration)>,
}

impl Ending {
    /// Returns the name of the ending on the command line.
    pub(crate) fn name(self) -> String {
        self.to_possible_value().unwrap().get_name().to_owned()
    }

    /// Returns `true` if the session that asks is kept.
    pub(crate) const fn keeps_asker(self) -> bool {
        matches!(self, Self::RevokeOthers | Self::NewPassword)
    }

    /// Returns `true` if a login is possible after the ending.
    pub(crate) const fn leaves_account(self) -> bool {
        !matches!(self, Self::UserDisable | Self::UserDelete)
    }
}

impl<'a> Ender<'a> {
    /// Creates a client with the tokens of the session that asks.
    pub(crate) fn new(ending: Ending, ground: &'a Ground, account: &'a Account) -> Self {
        Self {
            ending,
            ground,
            account,
            tokens: account.asker.clone(),
            current_password: PASSWORD,
        }
    }

    /// Asks until the ending is acknowledged, or until `patience` ends.
    pub(crate) async fn insist(&mut self, server: &Server, patience: Duration) -> Asked {
        let start = Instant::now();
        let mut answers = Vec::new();
        loop {
            let asked = Instant::now();
            let answer = self.ask(server).await;
            answers.push((
                answer.clone().unwrap_or_else(|| "done".to_owned()),
                asked.elapsed(),
            ));
            if answer.is_none() {
                return Asked {
                    acknowledged: Some(start.elapsed()),
                    answers,
                };
            }
            if start.elapsed() > patience {
                return Asked {
                    acknowledged: None,
                    answers,
                };
            }
        }
    }

    /// Asks once. Returns `None` for an acknowledgement, and the answer otherwise.
    pub(crate) async fn ask(&mut self, server: &Server) -> Option<String> {
        let (method, path, body) = match self.ending {
            Ending::LogoutAll => (Method::POST, "/auth/logout/all", None),
            Ending::RevokeOthers => (Method::POST, "/auth/sessions/revoke-others", None),
            Ending::NewPassword => {
                let body =
                    json!({ "current_password": self.current_password, "password": ANOTHER });
                (Method::PATCH, "/users/me", Some(body))
            }
            Ending::UserDisable | Ending::UserDelete => return self.finish(self.command()),
        };
        let request = server
            .request(method, path)
            .bearer_auth(&self.tokens.access);
        let request = body
            .into_iter()
            .fold(request, |request, body| request.json(&body));
        let status = match request.send().await {
            Ok(response) if response.status().is_success() => return None,
            Ok(response) => response.status(),
            Err(_) => return Some("no answer".to_owned()),
        };
        self.learn(server, status).await;
        Some(status.as_u16().to_string())
    }

    /// Does what a real client does after it was refused.
    ///
    /// An ending that was interrupted may have ended the session that asked for it, and a change of
    /// the password that wasn't acknowledged may have been made.
    async fn learn(&mut self, server: &Server, status: StatusCode) {
        if status == StatusCode::FORBIDDEN {
            self.current_password = if self.current_password == PASSWORD {
                ANOTHER
            } else {
                PASSWORD
            };
        }
        if status == StatusCode::UNAUTHORIZED {
            if self.ending.keeps_asker() {
                self.refresh(server).await
            } else {
                self.log_in(server).await
            };
        }
    }

    /// Returns `true` if the client's session can still be refreshed and used.
    pub(crate) async fn goes_on(&mut self, server: &Server) -> bool {
        self.refresh(server).await && server.me(&self.tokens.access).await.status == StatusCode::OK
    }

    /// Refreshes the session. Returns `true` if that succeeded.
    async fn refresh(&mut self, server: &Server) -> bool {
        let reply = server.refresh(&self.tokens.refresh).await;
        let refreshed = reply.status == StatusCode::OK;
        if refreshed {
            self.tokens = Tokens::of(&reply);
        }
        refreshed
    }

    /// Logs in with any of the possible passwords. Returns `true` if one is accepted.
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

    /// Returns the number of sessions in the account's own list.
    pub(crate) async fn listed(&self, server: &Server) -> usize {
        let reply = server
            .get("/auth/sessions?limit=100", &self.tokens.access)
            .await
            .expect(StatusCode::OK);
        reply.json()["sessions"].as_array().unwrap().len()
    }

    /// Starts the command of an ending that is asked for on the command line.
    pub(crate) fn command(&self) -> Child {
        let email = &*self.account.email;
        let arguments = match self.ending {
            Ending::UserDelete => vec!["user", "delete", email, "--yes", "--json"],
            _ => vec!["user", "disable", email, "--json"],
        };
        let mut command = self.ground.place.command(&arguments);
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap()
    }

    /// Waits for a command. Returns `None` if it succeeded, and its error otherwise.
    ///
    /// A deletion that is asked for again also succeeded if the account is gone.
    pub(crate) fn finish(&self, command: Child) -> Option<String> {
        let output = command.wait_with_output().unwrap();
        if output.status.success() || self.ending == Ending::UserDelete && self.is_gone() {
            return None;
        }
        let said = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        Some(format!(
            "exit {}: {said}",
            output.status.code().unwrap_or(-1)
        ))
    }

    /// Returns `true` if the account isn't listed any more.
    fn is_gone(&self) -> bool {
        let users = self.ground.place.json(&["user", "list"]);
        users["users"]
            .as_array()
            .unwrap()
            .iter()
            .all(|user| user["email"] != *self.account.email)
    }
}
