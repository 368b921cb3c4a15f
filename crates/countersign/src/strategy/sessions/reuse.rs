//! Refresh tokens that are presented more than once.

use std::fmt;
use std::time::Duration;

use crate::answer::SessionId;
use crate::error::{Failure, Refusal};
use crate::store::TokenStore;
use crate::strategy::sessions::Sessions;
use crate::user::UserKey;

/// Why a refresh token that had been exchanged was presented again: for the log and for metrics, never for the caller.
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
}

impl ReuseCause {
    /// A stable name for logs and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Retry => "retry",
            Self::SecondTab => "second_tab",
            Self::AfterConfirmation => "after_confirmation",
            Self::LongStale => "long_stale",
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
#[non_exhaustive]
pub struct Reuse {
    /// The session.
    pub session: SessionId,
    /// Whose it is.
    pub owner: UserKey,
    /// Why it is reuse.
    pub cause: ReuseCause,
    /// How long ago the session's refresh token was last exchanged.
    pub since_exchange: Duration,
}

/// A refresh token that isn't exchanged.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rejected {
    /// Why.
    pub refusal: Refusal,
    /// What has to be ended for it: [`Sessions::end_reused`].
    pub reuse: Option<Reuse>,
}

impl From<Refusal> for Rejected {
    fn from(refusal: Refusal) -> Self {
        Self { refusal, reuse: None }
    }
}

impl From<Reuse> for Rejected {
    fn from(reuse: Reuse) -> Self {
        Self { refusal: Refusal::Reused, reuse: Some(reuse) }
    }
}

impl<S: TokenStore> Sessions<S> {
    /// Ends a session whose refresh token was reused. Of those that come at once, the one that ends it reports it. Inside of a
    /// transaction of the caller's it is ended outside of that, so that no rollback brings it back.
    ///
    /// # Errors
    /// [`Failure`] when that could not be recorded.
    pub async fn end_reused(&self, reuse: &Reuse) -> Result<(), Failure> {
        let ended = match &self.outside {
            Some(outside) => outside.end_session(reuse.session, &reuse.owner).await?,
            None => self.store.end_session(reuse.session, &reuse.owner).await?,
        };
        if ended {
            tracing::warn!(
                event = "refresh_token_reused",
                session = %reuse.session,
                cause = reuse.cause.as_str(),
                since_exchange_ms = u64::try_from(reuse.since_exchange.as_millis()).unwrap_or(u64::MAX),
                outcome = "session_ended",
                "an exchanged refresh token was presented again: its session has ended"
            );
        }
        Ok(())
    }
}

/// A repetition that is answered.
pub(super) fn forgiven(session: SessionId, cause: ReuseCause) {
    tracing::info!(
        event = "refresh_token_repeated",
        session = %session,
        cause = cause.as_str(),
        "a refresh token that had just been exchanged was presented again"
    );
}
