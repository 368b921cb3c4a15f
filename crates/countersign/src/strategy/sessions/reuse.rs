//! Refresh tokens that are presented more than once.

use std::fmt;
use std::time::Duration;

use crate::answer::SessionId;
use crate::error::{Failure, Refusal};
use crate::strategy::sessions::count;
use crate::user::UserKey;

/// Why a refresh token isn't the session's current one: for the log and for metrics, never for the caller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReuseCause {
    /// It had just been exchanged: its answer was lost, or another holder came a moment later. Answered again.
    Retry,
    /// Another caller exchanged it at the same time. Answered again.
    SecondTab,
    /// Its successor had been exchanged as well. The session ends.
    AfterConfirmation,
    /// Its successor hadn't been exchanged, and its window had passed. The session ends.
    LongStale,
    /// No session has its family: it ended, expired and was swept, or never was. Refused; there is nothing to end.
    Unknown,
}

impl ReuseCause {
    /// A stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::SecondTab => "second_tab",
            Self::AfterConfirmation => "after_confirmation",
            Self::LongStale => "long_stale",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for ReuseCause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A refresh token that was presented again outside its window: its session has to end (promise P3).
#[derive(Clone, Debug)]
pub(super) struct Reuse {
    pub(super) session: SessionId,
    pub(super) owner: UserKey,
    pub(super) cause: ReuseCause,
    /// How long ago the session's refresh token was last exchanged.
    pub(super) since_exchange: Duration,
}

/// Why a refresh token isn't exchanged.
#[derive(Debug)]
pub(super) enum Rejection {
    Refused(Refusal),
    /// The session has to end first.
    Reused(Reuse),
    Failed(Failure),
}

impl From<Refusal> for Rejection {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

impl From<Failure> for Rejection {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

/// The fate of the session of a token that was reused.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// This call has ended it.
    SessionEnded,
    /// Whoever presented the token hung up while the session was being ended.
    CallerLeft,
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::CallerLeft => "caller_left",
        }
    }
}

/// A session that is being ended. When this is dropped before the answer has come, as with the request of a caller who hangs
/// up, the reuse is reported all the same: otherwise a thief who doesn't wait would leave no trace.
pub(super) struct Watch<'a>(Option<&'a Reuse>);

impl<'a> Watch<'a> {
    pub(super) const fn over(reuse: &'a Reuse) -> Self {
        Self(Some(reuse))
    }

    /// Takes the store's answer: of the calls that come at once, the one that ended the session reports it.
    pub(super) fn hears(mut self, ended: Result<bool, Failure>) -> Result<(), Failure> {
        let reuse = self.0.take();
        if let Some(reuse) = reuse.filter(|_| matches!(ended, Ok(true))) {
            reuse.report(Outcome::SessionEnded);
        }
        ended.map(drop)
    }
}

impl Drop for Watch<'_> {
    fn drop(&mut self) {
        if let Some(reuse) = self.0 {
            reuse.report(Outcome::CallerLeft);
        }
    }
}

impl Reuse {
    fn report(&self, outcome: Outcome) {
        count::reuse(self.cause.as_str());
        tracing::warn!(
            event = "refresh_token_reused",
            session = %self.session,
            cause = self.cause.as_str(),
            since_exchange_ms = u64::try_from(self.since_exchange.as_millis()).unwrap_or(u64::MAX),
            outcome = outcome.as_str(),
            "an exchanged refresh token was presented again: its session ends"
        );
    }
}

/// A repetition that is answered.
pub(super) fn forgiven(session: SessionId, cause: ReuseCause) {
    count::reuse(cause.as_str());
    tracing::info!(
        event = "refresh_token_repeated",
        session = %session,
        cause = cause.as_str(),
        "a refresh token that had just been exchanged was presented again"
    );
}
