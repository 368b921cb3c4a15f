//! Endings during which the process that does the work is killed.

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

/// The number of sampled sessions of each account, whose tokens are presented afterwards.
const SAMPLE: usize = 100;
/// The first guess at the duration of an ending, within which the kill happens.
const FIRST_GUESS: Duration = Duration::from_millis(200);
/// The longest guess.
const LONGEST: Duration = Duration::from_secs(20);

/// Runs all rounds on one store. Returns the figures and the number of faults.
pub(crate) async fn run(ground: &Ground, arguments: &Arguments) -> (Value, usize) {
    eprintln!(
        "{}: {} endings of {} sessions, killed",
        ground.name(),
        arguments.rounds,
        arguments.sessions
    );
    let endings = arguments.endings();
    let emails: Vec<String> = (0..arguments.rounds)
        .map(|round| format!("round-{round}@example.org"))
        .collect();
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
    (
        json!({ "backend": ground.name(), "sessions": arguments.sessions, "rounds": rounds }),
        faults,
    )
}

/// The event that came first, the kill or an answer.
enum First {
    /// The ending was acknowledged before the kill.
    Acknowledged,
    /// The server answered with an error, so the ending may be half done.
    Failed(String),
    /// The process was killed, after this time.
    Killed(Duration),
}

/// One ending of one account, with a kill.
struct Round<'a> {
    ending: Ending,
    ground: &'a Ground,
    account: &'a Account,
    patience: Duration,
    /// The event that came first.
    first: First,
    /// The duration of the ending that was asked for after the kill. `None` if it wasn't
    /// acknowledged.
    again: Option<Duration>,
    /// Everything that was found wrong.
    faults: Vec<String>,
}

impl<'a> Round<'a> {
    /// Creates a round that hasn't run yet.
    const fn new(
        ending: Ending,
        ground: &'a Ground,
        account: &'a Account,
        patience: Duration,
    ) -> Self {
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

    /// Asks for the ending, kills the process, asks again, and looks for faults.
    ///
    /// The kill comes at a random moment within `within`. That guess is then set to the duration of
    /// the ending, if it was acknowledged first, or else doubled.
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
            self.faults
                .push("the ending is not acknowledged any more".to_owned());
        }
        self.look(&server, &mut ender).await;
    }

    /// Presents the sampled tokens and notes a fault if any is accepted.
    async fn present(&mut self, server: &Server, when: &str) {
        let (alive, presented) = self.account.alive(server).await;
        if alive > 0 {
            self.faults
                .push(format!("{alive} of {presented} tokens are alive {when}"));
        }
    }

    /// Looks at what is left of the account after the ending.
    async fn look(&mut self, server: &Server, ender: &mut Ender<'_>) {
        self.present(server, "in the end").await;
        if self.ending.keeps_asker() && !ender.goes_on(server).await {
            self.faults.push("the kept session is gone".to_owned());
        }
        if !self.ending.leaves_account() {
            if ender.log_in(server).await {
                self.faults
                    .push("the account can be logged in to".to_owned());
            }
            return;
        }
        if !ender.log_in(server).await {
            self.faults
                .push("the account can't be logged in to".to_owned());
            return;
        }
        let expected = if self.ending.keeps_asker() { 2 } else { 1 };
        let listed = ender.listed(server).await;
        if listed != expected {
            self.faults.push(format!(
                "{listed} sessions are listed instead of {expected}"
            ));
        }
    }

    /// Returns the outcome as a line for people.
    fn text(&self) -> String {
        let first = match &self.first {
            First::Acknowledged => "acknowledged before the kill".to_owned(),
            First::Failed(answer) => format!("answered {answer} before the kill"),
            First::Killed(at) => format!("killed at {}", shown(*at)),
        };
        let again = self.again.map_or_else(|| "never".to_owned(), shown);
        let faults = if self.faults.is_empty() {
            "nothing answers".to_owned()
        } else {
            self.faults.join("; ")
        };
        format!(
            "{:<13} {first}, again acknowledged after {again}: {faults}",
            self.ending.name()
        )
    }

    /// Returns the outcome as a JSON object.
    fn to_json(&self) -> Value {
        json!({
            "ending": self.ending.name(),
            "killed_s": if let First::Killed(at) = self.first { Some(at.as_secs_f64()) } else { None },
            "acknowledged_again_s": self.again.map(|time| time.as_secs_f64()),
            "faults": self.faults,
        })
    }
}

/// Asks for an ending over HTTP and kills the server after `delay`.
///
/// Returns `None` if the server was killed first, `Some(None)` if the ending was acknowledged, and
/// otherwise the answer.
async fn interrupt(
    ender: &mut Ender<'_>,
    server: &Server,
    delay: Duration,
) -> Option<Option<String>> {
    let mut asked = std::pin::pin!(ender.ask(server));
    if let Ok(answer) = tokio::time::timeout(delay, &mut asked).await {
        server.signal("-KILL");
        return Some(answer);
    }
    server.signal("-KILL");
    // The answer may have been sent before the kill.
    match asked.await {
        None => Some(None),
        Some(_) => None,
    }
}

/// Runs an ending's command and kills it together with the server after `delay`.
///
/// Returns the same as [`interrupt`].
async fn interrupt_command(
    ender: &Ender<'_>,
    server: &Server,
    delay: Duration,
) -> Option<Option<String>> {
    let mut command = ender.command();
    pass(delay).await;
    let done = command.try_wait().unwrap().is_some();
    let _ = command.kill();
    server.signal("-KILL");
    if done {
        Some(ender.finish(command))
    } else {
        command.wait().ok().and(None)
    }
}

/// Returns a random number between 0 and 1.
fn random() -> f64 {
    RandomState::new().build_hasher().finish() as f64 / u64::MAX as f64
}
