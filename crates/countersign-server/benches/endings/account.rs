//! Accounts with many sessions.

use std::time::Instant;

use countersign_server::accounts::Lookup;
use countersign_server::compose::Services;
use futures_util::StreamExt;
use reqwest::StatusCode;

use crate::ground::Ground;
use crate::harness::{Reply, Server, Tokens};

/// The number of sessions that are opened at once.
const CALLERS: usize = 64;

/// An account, the session that asks for the ending, and a sample of its other sessions.
pub(crate) struct Account {
    /// The account's email address.
    pub(crate) email: String,
    /// The tokens of the session that asks.
    pub(crate) asker: Tokens,
    /// The tokens of some other sessions.
    pub(crate) sample: Vec<Tokens>,
}

/// Registers accounts and opens `sessions` for each.
///
/// Returns the accounts, with a sample of `sample` sessions each, and the rate of opened sessions
/// per second. The server that registers them has stopped when this returns.
pub(crate) async fn prepare(
    ground: &Ground,
    emails: &[String],
    sessions: usize,
    sample: usize,
) -> (Vec<Account>, f64) {
    let server = ground.place.start();
    for email in emails {
        server.register(email).await.expect(StatusCode::CREATED);
    }
    let (status, log) = server.stop();
    assert!(status.success(), "{log}");
    ground.make_durable(false);
    let start = Instant::now();
    let accounts = open_all(ground, emails, sessions, sample).await;
    let rate = (sessions * emails.len()) as f64 / start.elapsed().as_secs_f64();
    ground.make_durable(true);
    eprintln!(
        "  {} × {sessions} sessions opened, {rate:.0} a second",
        emails.len()
    );
    (accounts, rate)
}

/// Opens the sessions of all accounts, one account after the other.
async fn open_all(
    ground: &Ground,
    emails: &[String],
    sessions: usize,
    sample: usize,
) -> Vec<Account> {
    let services = ground.services().await;
    let mut accounts = Vec::new();
    for email in emails {
        let mut tokens = open(&services, email, sessions, sample).await;
        eprintln!("  {email}: {sessions} sessions");
        accounts.push(Account {
            email: email.clone(),
            asker: tokens.remove(0),
            sample: tokens,
        });
    }
    accounts
}

/// Opens sessions and returns the tokens of the first one and of `sample` others.
async fn open(services: &Services, email: &str, sessions: usize, sample: usize) -> Vec<Tokens> {
    let account = services
        .accounts()
        .by_address(&Lookup::of(email).unwrap())
        .await
        .unwrap()
        .unwrap();
    let strategy = services.strategy.as_refreshable().unwrap();
    let step = (sessions / sample.max(1)).max(1);
    let opened = futures_util::stream::iter(0..sessions).map(|at| {
        let account = &account;
        async move {
            let pair = strategy.open_session(account).await.unwrap();
            let wanted = at == 0 || at % step == step - 1;
            let text = |token: countersign::token::IssuedToken| token.token.expose().to_owned();
            wanted.then(|| {
                (
                    at,
                    Tokens {
                        access: text(pair.access),
                        refresh: text(pair.refresh.unwrap()),
                    },
                )
            })
        }
    });
    let mut tokens: Vec<_> = opened
        .buffer_unordered(CALLERS)
        .filter_map(std::future::ready)
        .collect()
        .await;
    tokens.sort_by_key(|(at, _)| *at);
    tokens.into_iter().map(|(_, tokens)| tokens).collect()
}

impl Account {
    /// Presents the sampled tokens. Returns how many are accepted, and how many were presented.
    pub(crate) async fn alive(&self, server: &Server) -> (usize, usize) {
        let mut alive = 0;
        for tokens in &self.sample {
            let access = patiently(|| server.me(&tokens.access)).await;
            let refresh = patiently(|| server.refresh(&tokens.refresh)).await;
            alive += usize::from(access != StatusCode::UNAUTHORIZED)
                + usize::from(refresh != StatusCode::UNAUTHORIZED);
        }
        (alive, self.sample.len() * 2)
    }
}

/// Returns the status of an answer, asked for again while the server is unavailable.
async fn patiently<F: Future<Output = Reply>>(ask: impl Fn() -> F) -> StatusCode {
    let mut status = StatusCode::SERVICE_UNAVAILABLE;
    for _ in 0..20 {
        status = ask().await.status;
        if status != StatusCode::SERVICE_UNAVAILABLE {
            break;
        }
    }
    status
}
