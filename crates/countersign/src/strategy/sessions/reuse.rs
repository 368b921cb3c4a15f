//! Refresh tokens that are presented more than once: the causes, and how they are reported.
//!
//! Each repetition counts in a metric. A forgiven one is logged at `info`. Reuse, which ends the
//! session, is logged at `warn` as `refresh_token_reused`: once by the call that ended the session,
//! and once for each caller who hangs up meanwhile. Callers are never told the cause.

use std::fmt;
use std::time::Duration;

use crate::error::{Failure, Refusal};
use crate::event;
use crate::session::SessionId;
use crate::strategy::sessions::count;
use crate::user::UserKey;

/// The cause for which a refresh token is not the current one of its session.
///
/// It is for the log and for metrics. Clients get the same answer for every cause that is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ReuseCause {
    /// The token was rotated just now, and the grace window is open: the response was lost, or
    /// another holder came a moment later. It is answered with the same tokens again.
    Retry,
    /// The token was current when it was looked up, and another request rotated it first. It is
    /// answered with the same tokens again.
    SecondTab,
    /// The token was rotated, and its successor too. The session ends.
    AfterConfirmation,
    /// The token was rotated, its successor was not, and the grace window has passed. The session
    /// ends.
    LongStale,
    /// No session has the family of the token: the session has ended, has expired and was swept, or
    /// never was. The token is refused, and there is nothing to end.
    Unknown,
}

impl ReuseCause {
    /// Returns a stable name in snake case, such as `long_stale`. `Display` writes the same.
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

/// A refresh token that was presented again outside of its window. Its session has to end.
#[derive(Clone, Debug)]
pub(super) struct Reuse {
    pub(super) session: SessionId,
    pub(super) owner: UserKey,
    pub(super) cause: ReuseCause,
    /// The time since the token was rotated or, for a token that is not remembered, since the last
    /// rotation.
    pub(super) since_exchange: Duration,
}

/// The reason for which a refresh token is not rotated.
#[derive(Debug)]
pub(super) enum Rejection {
    /// The token is not valid.
    Refused(Refusal),
    /// The token was reused. The session has to be ended before the refusal is answered.
    Reused(Reuse),
    /// A store can't be asked.
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

/// The fate of a session whose refresh token was reused.
#[derive(Clone, Copy, Debug)]
enum Outcome {
    /// The session was ended by this call.
    SessionEnded,
    /// The caller hung up while the session was being ended.
    CallerLeft,
}

impl Outcome {
    /// Returns the name that the log uses.
    const fn as_str(self) -> &'static str {
        match self {
            Self::SessionEnded => "session_ended",
            Self::CallerLeft => "caller_left",
        }
    }
}

/// The guard of a session that is being ended for reuse.
///
/// If it is dropped before the store has answered, as with the request of a caller who hangs up, it
/// reports the reuse. Otherwise a thief who doesn't wait for the answer would leave no trace.
pub(super) struct Watch<'a>(Option<&'a Reuse>);

impl<'a> Watch<'a> {
    /// Creates the guard. The reuse is reported unless [`hears`](Self::hears) is called.
    pub(super) const fn over(reuse: &'a Reuse) -> Self {
        Self(Some(reuse))
    }

    /// Takes the answer of the store. Of several calls at once, the one that ended the session
    /// reports it.
    pub(super) fn hears(mut self, ended: Result<bool, Failure>) -> Result<(), Failure> {
        // Disarms the guard: dropping it reports nothing from here on.
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
    /// Counts and logs the reuse.
    fn report(&self, outcome: Outcome) {
        count::reuse(self.cause.as_str());
        event::refresh_token_reused(
            self.session,
            self.cause.as_str(),
            self.since_exchange,
            outcome.as_str(),
        );
    }
}

/// Counts and logs a repetition that is answered with the same tokens again.
pub(super) fn forgiven(session: SessionId, cause: ReuseCause) {
    count::reuse(cause.as_str());
    event::refresh_token_repeated(session, cause.as_str());
}
