//! The other users, who read and refresh at a steady pace while sessions are ended.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, StatusCode};
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::MissedTickBehavior;

use crate::harness::{PASSWORD, Server, Tokens};

/// The number of users who read.
const READERS: usize = 8;
/// The number of users who refresh.
const REFRESHERS: usize = 4;
/// The interval of each reader.
const READ_EVERY: Duration = Duration::from_millis(25);
/// The interval of each refresher.
const REFRESH_EVERY: Duration = Duration::from_millis(100);

/// The kind of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    Read,
    Refresh,
}

/// A request: the moment at which it was due, and the time from then to its answer.
///
/// A user who is held up catches up afterwards, so a pause counts as often as the requests that it
/// delayed.
#[derive(Clone, Copy, Debug)]
struct Sample {
    what: What,
    due: Instant,
    took: Duration,
    good: bool,
}

/// The other users. They stop when this is dropped.
pub(crate) struct Bystanders {
    samples: Arc<Mutex<Vec<Sample>>>,
    _crowd: JoinSet<()>,
}

/// The figures of the requests in some period.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen {
    pub(crate) requests: usize,
    pub(crate) failed: usize,
    pub(crate) p50: Duration,
    pub(crate) p99: Duration,
    pub(crate) worst: Duration,
}

impl Bystanders {
    /// Registers and logs in the users, and starts their requests.
    pub(crate) async fn start(server: &Server) -> Self {
        let samples = Arc::new(Mutex::new(Vec::new()));
        let mut crowd = JoinSet::new();
        for at in 0..READERS + REFRESHERS {
            let email = format!("bystander-{at}@example.org");
            let tokens = server.newcomer(&email).await;
            let one = Bystander {
                client: Client::builder()
                    .timeout(Duration::from_mins(1))
                    .build()
                    .unwrap(),
                base: server.url(""),
                email,
                tokens,
                samples: Arc::clone(&samples),
            };
            if at < READERS {
                crowd.spawn(one.keep_reading())
            } else {
                crowd.spawn(one.keep_refreshing())
            };
        }
        Self {
            samples,
            _crowd: crowd,
        }
    }

    /// Returns the figures of the requests that were due at `start` or later.
    pub(crate) fn since(&self, what: What, start: Instant) -> Seen {
        let samples = self.samples.lock().unwrap();
        let within: Vec<&Sample> = samples
            .iter()
            .filter(|one| one.what == what && one.due >= start)
            .collect();
        let mut times: Vec<Duration> = within.iter().map(|one| one.took).collect();
        times.sort_unstable();
        let at = |share: f64| {
            let last = times.len().saturating_sub(1);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "an index"
            )]
            times
                .get((last as f64 * share).round() as usize)
                .copied()
                .unwrap_or_default()
        };
        Seen {
            requests: within.len(),
            failed: within.iter().filter(|one| !one.good).count(),
            p50: at(0.5),
            p99: at(0.99),
            worst: at(1.0),
        }
    }
}

impl Seen {
    /// Returns the figures as a JSON object.
    pub(crate) fn to_json(self) -> Value {
        let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
        json!({
            "requests": self.requests,
            "failed": self.failed,
            "p50_ms": milliseconds(self.p50),
            "p99_ms": milliseconds(self.p99),
            "max_ms": milliseconds(self.worst),
        })
    }
}

/// One user, with the current tokens.
struct Bystander {
    client: Client,
    base: String,
    email: String,
    tokens: Tokens,
    samples: Arc<Mutex<Vec<Sample>>>,
}

impl Bystander {
    /// Reads the account for ever.
    async fn keep_reading(self) {
        let mut pace = pace(READ_EVERY);
        loop {
            let due = pace.tick().await.into_std();
            let request = self
                .client
                .get(format!("{}/users/me", self.base))
                .bearer_auth(&self.tokens.access);
            let good =
                matches!(request.send().await, Ok(response) if response.status() == StatusCode::OK);
            self.note(What::Read, due, good);
        }
    }

    /// Refreshes the session for ever.
    ///
    /// A refresh without an answer is repeated with the same token. After one that is refused, the
    /// user logs in again.
    async fn keep_refreshing(mut self) {
        let mut pace = pace(REFRESH_EVERY);
        loop {
            let due = pace.tick().await.into_std();
            let answer = self
                .post(
                    "/auth/refresh",
                    json!({ "refresh_token": self.tokens.refresh }),
                )
                .await;
            self.note(
                What::Refresh,
                due,
                matches!(answer, Some((StatusCode::OK, _))),
            );
            self.take(answer.as_ref());
            if matches!(answer, Some((StatusCode::UNAUTHORIZED, _))) {
                let answer = self
                    .post(
                        "/auth/login",
                        json!({ "identifier": self.email, "password": PASSWORD }),
                    )
                    .await;
                self.take(answer.as_ref());
            }
        }
    }

    /// Takes the tokens from an answer, if it has some.
    fn take(&mut self, answer: Option<&(StatusCode, Value)>) {
        if let Some((StatusCode::OK, body)) = answer {
            let text = |name: &str| body[name].as_str().unwrap().to_owned();
            self.tokens = Tokens {
                access: text("access_token"),
                refresh: text("refresh_token"),
            };
        }
    }

    /// Sends a JSON request. Returns `None` if there is no answer.
    async fn post(&self, path: &str, body: Value) -> Option<(StatusCode, Value)> {
        let response = self
            .client
            .post(format!("{}{path}", self.base))
            .json(&body)
            .send()
            .await
            .ok()?;
        Some((response.status(), response.json().await.ok()?))
    }

    /// Adds a sample.
    fn note(&self, what: What, due: Instant, good: bool) {
        self.samples.lock().unwrap().push(Sample {
            what,
            due,
            took: due.elapsed(),
            good,
        });
    }
}

/// Returns an interval whose missed ticks come at once.
fn pace(every: Duration) -> tokio::time::Interval {
    let mut pace = tokio::time::interval(every);
    pace.set_missed_tick_behavior(MissedTickBehavior::Burst);
    pace
}

/// Waits for this time.
pub(crate) async fn pass(time: Duration) {
    let _ = tokio::time::timeout(time, std::future::pending::<()>()).await;
}
