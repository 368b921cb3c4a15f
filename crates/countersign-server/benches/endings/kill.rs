//! Endings in which the process that does the work is killed.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::account::{Account, prepare};
use crate::arguments::Arguments;
use crate::bystanders::pass;
use crate::ending::{Ender, Ending};
use crate::ground::Ground;
use crate::harness::Server;
use crate::report::shown;

/// How many tokens of an account are presented afterwards, access and refresh tokens together.
const SAMPLE: usize = 100;
/// Where the search for moments within an ending begins, and where it stops.
const FIRST_GUESS: Duration = Duration::from_millis(200);
const LONGEST: Duration = Duration::from_secs(20);

/// What happened in each round of one backend, and how much was wrong.
pub(crate) async fn run(ground: &Ground, arguments: &Arguments) -> (Value, usize) {
    eprintln!("{}: {} endings of {} sessions, killed", ground.name(), arguments.rounds, arguments.sessions);
    let endings = arguments.endings();
    let emails: Vec<String> = (0..arguments.rounds).map(|round| format!("round-{round}@example.org")).collect();
    let (accounts, _) = prepare(ground, &emails, arguments.sessions, SAMPLE).await;
    let mut within = vec![FIRST_GUESS; endings.len()];
    let (mut rounds, mut faults) = (Vec::new(), 0);
    for (round, account) in accounts.iter().enumerate() {
        let at = round % endings.len();
        let mut one = Round::new(endings[at], ground, account, arguments.patience());
        one.run(&mut within[at]).await;
        eprintln!("  {}", one.text());
        faults += one.faults.len();
        rounds.push(one.to_json());
    }
    (json!({ "backend": ground.name(), "sessions": arguments.sessions, "rounds": rounds }), faults)
}

/// What came first.
enum First {
    Acknowledged,
    /// Another answer: the ending may be half done.
    Failed(String),
    Killed(Duration),
}

struct Round<'a> {
    ending: Ending,
    ground: &'a Ground,
    account: &'a Account,
    patience: Duration,
    /// What came first, the kill or an answer.
    first: First,
    /// When the ending was acknowledged that came after the kill.
    again: Option<Duration>,
    faults: Vec<String>,
}

impl<'a> Round<'a> {
    const fn new(ending: Ending, ground: &'a Ground, account: &'a Account, patience: Duration) -> Self {
        Self {
            ending,
            ground,
            account,
            patience,
            first: First::Killed(Duration::ZERO),
            again: None,
            faults: Vec::new(),
        }
    }

    /// Kills within `within`, which follows how long the ending takes.
    async fn run(&mut self, within: &mut Duration) {
        let server = self.ground.place.start();
        let mut ender = Ender::new(self.ending, self.ground, self.account);
        let delay = within.mul_f64(random());
        let start = Instant::now();
        let answer = if self.ending.leaves_account() {
            interrupt(&mut ender, &server, delay).await
        } else {
            interrupt_command(&ender, &server, delay).await
        };
        (self.first, *within) = match answer {
            Some(None) => (First::Acknowledged, start.elapsed()),
            Some(Some(failed)) => (First::Failed(failed), *within),
            None => (First::Killed(delay), (*within * 2).min(LONGEST)),
        };
        drop(server);
        let server = self.ground.place.start();
        if matches!(self.first, First::Acknowledged) {
            self.present(&server, "after the acknowledgement").await;
        }
        self.again = ender.insist(&server, self.patience).await.acknowledged;
        if self.again.is_none() {
            self.faults.push("the ending is not acknowledged any more".to_owned());
        }
        self.look(&server, &mut ender).await;
    }

    async fn present(&mut self, server: &Server, when: &str) {
        let (alive, presented) = self.account.alive(server).await;
        if alive > 0 {
            self.faults.push(format!("{alive} of {presented} tokens are alive {when}"));
        }
    }

    async fn look(&mut self, server: &Server, ender: &mut Ender<'_>) {
        self.present(server, "in the end").await;
        if self.ending.keeps_asker() && !ender.goes_on(server).await {
            self.faults.push("the kept session is gone".to_owned());
        }
        if !self.ending.leaves_account() {
            if ender.log_in(server).await {
                self.faults.push("the account can be logged in to".to_owned());
            }
            return;
        }
        if !ender.log_in(server).await {
            self.faults.push("the account can't be logged in to".to_owned());
            return;
        }
        let expected = if self.ending.keeps_asker() { 2 } else { 1 };
        let listed = ender.listed(server).await;
        if listed != expected {
            self.faults.push(format!("{listed} sessions are listed instead of {expected}"));
        }
    }

    fn text(&self) -> String {
        let first = match &self.first {
            First::Acknowledged => "acknowledged before the kill".to_owned(),
            First::Failed(answer) => format!("answered {answer} before the kill"),
            First::Killed(at) => format!("killed at {}", shown(*at)),
        };
        let again = self.again.map_or_else(|| "never".to_owned(), shown);
        let faults = if self.faults.is_empty() { "nothing answers".to_owned() } else { self.faults.join("; ") };
        format!("{:<13} {first}, again acknowledged after {again}: {faults}", self.ending.name())
    }

    fn to_json(&self) -> Value {
        json!({
            "ending": self.ending.name(),
            "killed_s": if let First::Killed(at) = self.first { Some(at.as_secs_f64()) } else { None },
            "acknowledged_again_s": self.again.map(|time| time.as_secs_f64()),
            "faults": self.faults,
        })
    }
}

/// What came of an ending over HTTP, or `None` when the server was killed before it answered.
async fn interrupt(ender: &mut Ender<'_>, server: &Server, delay: Duration) -> Option<Option<String>> {
    let mut asked = std::pin::pin!(ender.ask(server));
    if let Ok(answer) = tokio::time::timeout(delay, &mut asked).await {
        server.signal("-KILL");
        return Some(answer);
    }
    server.signal("-KILL");
    // An answer may have been on its way.
    match asked.await {
        None => Some(None),
        Some(_) => None,
    }
}

/// The same for a command, which is killed together with the server.
async fn interrupt_command(ender: &Ender<'_>, server: &Server, delay: Duration) -> Option<Option<String>> {
    let mut command = ender.command();
    pass(delay).await;
    let done = command.try_wait().unwrap().is_some();
    let _ = command.kill();
    server.signal("-KILL");
    if done { Some(ender.finish(command)) } else { command.wait().ok().and(None) }
}

/// Between 0 and 1.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}
