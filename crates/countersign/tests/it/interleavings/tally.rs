//! What came of the interleavings.

use std::io::Write;
use std::time::Duration;

use countersign::store::Page;
use countersign::{AuthError, PlainToken, SessionId, TokenPair, UserKey};

use crate::fixture::users::users;
use crate::interleavings::site::Process;

/// What one interleaving showed.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    /// Refreshes and logins that were let in before the end, and those that came after it.
    pub(crate) before: u64,
    pub(crate) after: u64,
    /// What was alive that should have been dead.
    pub(crate) risen: Vec<&'static str>,
    /// Calls that failed.
    pub(crate) failed: Vec<String>,
}

/// Everything that was handed out in a session.
#[derive(Default)]
pub(crate) struct HandedOut {
    pub(crate) session: Option<SessionId>,
    access: Vec<PlainToken>,
    refresh: Vec<PlainToken>,
}

impl HandedOut {
    /// The refresh token of `pair`, which is noted.
    pub(crate) fn note(&mut self, pair: TokenPair) -> PlainToken {
        let refresh = pair.refresh.expect("a refresh token").token;
        self.session = pair.access.session_id;
        self.access.push(pair.access.token);
        self.refresh.push(refresh.clone());
        refresh
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.access.extend(other.access);
        self.refresh.extend(other.refresh);
    }

    /// Which of it is alive still: the session itself, then access tokens, and refresh tokens at last, the newest first,
    /// since showing an old one would end a session that shouldn't be there.
    pub(crate) async fn risen(&self, process: &Process, user: &UserKey) -> Vec<&'static str> {
        let mut risen = Vec::new();
        let session = self.session.expect("a session was opened");
        if process
            .sessions()
            .session(session, user)
            .await
            .unwrap()
            .is_some()
        {
            risen.push("session");
        }
        let listed = process
            .sessions()
            .sessions_of(
                user,
                &Page {
                    after: None,
                    limit: 100,
                },
            )
            .await
            .unwrap();
        if listed.sessions.iter().any(|found| found.id == session) {
            risen.push("listed session");
        }
        for token in &self.access {
            if process
                .sessions()
                .read_token(Some(token), &users)
                .await
                .unwrap()
                .accepted()
                .is_some()
            {
                risen.push("access token");
            }
        }
        for token in self.refresh.iter().rev() {
            if is_let_in(process, token).await {
                risen.push("refresh token");
            }
        }
        risen
    }
}

async fn is_let_in(process: &Process, token: &PlainToken) -> bool {
    match process.sessions().refresh_session(token, &users).await {
        Ok(_) => true,
        Err(AuthError::Refused(_)) => false,
        Err(AuthError::Failed(failure)) => panic!("{failure}"),
    }
}

#[derive(Debug, Default)]
pub(crate) struct Tally {
    played: u64,
    before: u64,
    after: u64,
    resurrections: u64,
    failures: u64,
    /// Some of what went wrong, by the number of the interleaving.
    wrong: Vec<String>,
}

impl Tally {
    pub(crate) fn add(&mut self, number: u64, seen: &Seen) {
        self.played += 1;
        self.before += seen.before;
        self.after += seen.after;
        self.resurrections += u64::from(!seen.risen.is_empty());
        self.failures += seen.failed.len() as u64;
        if !seen.risen.is_empty() || !seen.failed.is_empty() {
            self.wrong.push(format!(
                "interleaving {number}: alive {:?}, failed {:?}",
                seen.risen, seen.failed
            ));
        }
    }

    pub(crate) fn with(mut self, other: Self) -> Self {
        self.played += other.played;
        self.before += other.before;
        self.after += other.after;
        self.resurrections += other.resurrections;
        self.failures += other.failures;
        self.wrong.extend(other.wrong);
        self
    }

    /// Prints a line past the test runner, which keeps what passing tests print to itself.
    pub(crate) fn hold(self, name: &str, time: Duration) {
        let line = format!(
            "{name:<18} {:>7} interleavings, {:>7} refreshes and logins before the end, {:>7} after it, \
             {} resurrections, {:>4} s\n",
            self.played,
            self.before,
            self.after,
            self.resurrections,
            time.as_secs()
        );
        std::io::stdout().write_all(line.as_bytes()).unwrap();
        let some = &self.wrong[..self.wrong.len().min(5)];
        assert_eq!(
            (self.resurrections, self.failures),
            (0, 0),
            "on {name}: {some:#?}"
        );
        assert!(
            self.played < 100 || (self.before > 0 && self.after > 0),
            "on {name}, nothing raced"
        );
    }
}
