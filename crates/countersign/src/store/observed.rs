//! A wrapper that measures and traces the operations of any store.

use std::time::Instant;

use async_trait::async_trait;
use tracing::Instrument;
use tracing::field::Empty;

use crate::clock::Timestamp;
use crate::error::{Failure, FailureKind};
use crate::session::SessionId;
use crate::store::{
    AccessRecord, ClearUser, Cleared, EndUser, EndedFence, Fence, NewAccess, NewRefresh, Opened,
    Page, Reauthentication, RefreshRecord, RotateOutcome, RotateRequest, SessionCursor,
    SessionPage, SessionRecord, SweepLimit, Swept, TokenStore, Used, UserSurvey,
};
use crate::token::{Digest, Locator, StoredToken};
use crate::user::UserKey;

/// A store that reports each operation of the store inside, and otherwise behaves like it.
///
/// [`Auth`](crate::Auth) wraps its store in this. Wrap a store yourself if you build a strategy
/// from parts.
///
/// - **Spans.** Each operation runs in a [`tracing`] span `token_store` at the level `debug`, with
///   the fields `operation` (the name of the method), `outcome` and `micros`. The last two are
///   absent if the caller dropped the operation before it ended. Log lines and spans of the store
///   inside belong to this span.
/// - **Metrics.** With the feature `metrics`, the histogram `countersign_store_seconds` has the
///   duration, with the labels `operation` and `outcome`. Its count is the number of operations.
///
/// The outcome is `done`, `found`, `absent`, `fenced` or `gone` after an answer, and `unavailable`
/// or `internal` after a [`Failure`]. Neither spans nor metrics contain tokens, digests, user ids
/// or sessions.
///
/// While no subscriber is interested in the span and the feature `metrics` is off, an operation
/// costs one more allocation, and nothing is measured.
///
/// # Examples
///
/// ```
/// use countersign::UserKey;
/// use countersign::store::{MemoryStore, Observed, TokenStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), countersign::Failure> {
/// let store = Observed::new(MemoryStore::new());
/// // A span `token_store` with `operation="unsettled"` and `outcome="done"`.
/// assert!(store.unsettled(&UserKey::Int(7)).await?.is_empty());
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Observed<S> {
    inner: S,
}

impl<S> Observed<S> {
    /// Wraps `store`.
    pub const fn new(store: S) -> Self {
        Self { inner: store }
    }
}

#[deny(clippy::missing_trait_methods)]
#[async_trait]
impl<S: TokenStore> TokenStore for Observed<S> {
    async fn insert_access(&self, access: &NewAccess) -> Result<Opened, Failure> {
        observe("insert_access", self.inner.insert_access(access)).await
    }

    async fn find_access(&self, token: &StoredToken) -> Result<Option<AccessRecord>, Failure> {
        observe("find_access", self.inner.find_access(token)).await
    }

    async fn remove_access(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        observe("remove_access", self.inner.remove_access(token, owner)).await
    }

    async fn fence(&self, user: &UserKey, fresh: Fence, now: Timestamp) -> Result<Fence, Failure> {
        observe("fence", self.inner.fence(user, fresh, now)).await
    }

    async fn end_user(&self, end: &EndUser) -> Result<(), Failure> {
        observe("end_user", self.inner.end_user(end)).await
    }

    async fn unsettled(&self, user: &UserKey) -> Result<Vec<EndedFence>, Failure> {
        observe("unsettled", self.inner.unsettled(user)).await
    }

    async fn settle(
        &self,
        user: &UserKey,
        fences: &[Fence],
        now: Timestamp,
    ) -> Result<(), Failure> {
        observe("settle", self.inner.settle(user, fences, now)).await
    }

    async fn clear(&self, clear: &ClearUser) -> Result<Cleared, Failure> {
        observe("clear", self.inner.clear(clear)).await
    }

    async fn survey_part(
        &self,
        user: &UserKey,
        limit: &SweepLimit,
        after: Option<&SessionCursor>,
    ) -> Result<UserSurvey, Failure> {
        observe("survey_part", self.inner.survey_part(user, limit, after)).await
    }

    async fn survey(&self, user: &UserKey, limit: &SweepLimit) -> Result<UserSurvey, Failure> {
        observe("survey", self.inner.survey(user, limit)).await
    }

    async fn insert_refresh(
        &self,
        refresh: &NewRefresh,
        access: Option<&NewAccess>,
    ) -> Result<Opened, Failure> {
        observe("insert_refresh", self.inner.insert_refresh(refresh, access)).await
    }

    async fn find_refresh(&self, token: &StoredToken) -> Result<Option<RefreshRecord>, Failure> {
        observe("find_refresh", self.inner.find_refresh(token)).await
    }

    async fn find_family(&self, family: &Digest) -> Result<Option<RefreshRecord>, Failure> {
        observe("find_family", self.inner.find_family(family)).await
    }

    async fn rotate(&self, rotate: &RotateRequest) -> Result<RotateOutcome, Failure> {
        observe("rotate", self.inner.rotate(rotate)).await
    }

    async fn remove_refresh(
        &self,
        token: &StoredToken,
        owner: Option<&UserKey>,
    ) -> Result<bool, Failure> {
        observe("remove_refresh", self.inner.remove_refresh(token, owner)).await
    }

    async fn end_session(&self, session: SessionId, owner: &UserKey) -> Result<bool, Failure> {
        observe("end_session", self.inner.end_session(session, owner)).await
    }

    async fn find_session(
        &self,
        session: SessionId,
        owner: &UserKey,
    ) -> Result<Option<SessionRecord>, Failure> {
        observe("find_session", self.inner.find_session(session, owner)).await
    }

    async fn sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        observe("sessions", self.inner.sessions(user, page)).await
    }

    async fn unfenced_sessions(&self, user: &UserKey, page: &Page) -> Result<SessionPage, Failure> {
        observe(
            "unfenced_sessions",
            self.inner.unfenced_sessions(user, page),
        )
        .await
    }

    async fn note_use(&self, used: &[Used]) -> Result<(), Failure> {
        observe("note_use", self.inner.note_use(used)).await
    }

    async fn reauthenticate(&self, again: &Reauthentication) -> Result<bool, Failure> {
        observe("reauthenticate", self.inner.reauthenticate(again)).await
    }

    async fn sweep(&self, limit: &SweepLimit) -> Result<Swept, Failure> {
        observe("sweep", self.inner.sweep(limit)).await
    }

    fn locator(&self, user: &UserKey, session: Option<SessionId>) -> Option<Locator> {
        self.inner.locator(user, session)
    }

    async fn ping(&self) -> Result<(), Failure> {
        observe("ping", self.inner.ping()).await
    }

    fn is_durable(&self) -> bool {
        self.inner.is_durable()
    }
}

/// Runs one operation in its span, and reports how it ended and how long it took.
async fn observe<T: Told>(
    operation: &'static str,
    work: impl Future<Output = Result<T, Failure>> + Send,
) -> Result<T, Failure> {
    let span = tracing::debug_span!("token_store", operation, outcome = Empty, micros = Empty);
    if span.is_disabled() && !cfg!(feature = "metrics") {
        return work.await;
    }

    let started = Instant::now();
    let result = work.instrument(span.clone()).await;
    let elapsed = started.elapsed();
    let outcome = match &result {
        Ok(answer) => answer.word(),
        Err(failure) if failure.kind() == FailureKind::Unavailable => "unavailable",
        Err(_) => "internal",
    };

    span.record("outcome", outcome);
    span.record(
        "micros",
        u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX),
    );
    #[cfg(feature = "metrics")]
    metrics::histogram!(
        "countersign_store_seconds",
        "operation" => operation,
        "outcome" => outcome
    )
    .record(elapsed.as_secs_f64());
    result
}

/// An answer of a store, as spans and metrics name it.
trait Told {
    /// Returns the word for the answer. It comes from a fixed list.
    fn word(&self) -> &'static str {
        "done"
    }
}

impl Told for () {}
impl Told for Fence {}
impl Told for Vec<EndedFence> {}
impl Told for Cleared {}
impl Told for Swept {}
impl Told for UserSurvey {}
impl Told for SessionPage {}

impl Told for bool {
    fn word(&self) -> &'static str {
        if *self { "done" } else { "absent" }
    }
}

impl<T> Told for Option<T> {
    fn word(&self) -> &'static str {
        if self.is_some() { "found" } else { "absent" }
    }
}

impl Told for Opened {
    fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Fenced => "fenced",
        }
    }
}

impl Told for RotateOutcome {
    fn word(&self) -> &'static str {
        match self {
            Self::Done => "done",
            Self::Gone => "gone",
        }
    }
}
