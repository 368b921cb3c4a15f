//! The readiness of the server, as `/readyz` reports it.
//!
//! A look at the stores does the same as requests do: it reads and writes every table, and uses
//! Redis as the strategy does. A look that only asked `SELECT 1` would report a read-only replica,
//! a full disk or a missing table as ready.
//!
//! There is one look at a time. A good answer holds for 900 milliseconds, also for callers that
//! arrived during the look. A bad answer holds for the callers that were waiting when its look
//! began. So however many callers wait for a silent store, each waits for two looks at most.

use std::sync::Arc;
use std::time::Duration;

use countersign::Failure;
use countersign::clock::Clock;
use countersign::denylist::DenylistStore;
use countersign::entropy::Entropy;
use countersign::redis::Redis;
use countersign::store::Value;
use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::strategy::Strategy;
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::accounts::Account;
use crate::shutdown::{Phase, Stop};

/// The time for which a good answer is given again without another look.
const GOOD_FOR: Duration = Duration::from_millis(900);
/// The lifetime of the rows and keys that a look writes, in case they can't be deleted again.
const SCRATCH: Duration = Duration::from_mins(2);

/// The readiness of the server to answer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// All stores that requests need work.
    Ready,
    /// A store doesn't work. The log says which, and its symptom (`not_ready`).
    Unready,
    /// The server was told to stop and wants no more requests.
    Leaving,
}

/// The stores that requests need.
///
/// Clones share the outcome of the last look, and there is one look at a time among them.
#[derive(Clone)]
pub struct Stores {
    look: Arc<Look>,
    last: Arc<Mutex<Last>>,
    stop: Option<Stop>,
}

/// The outcome of the last look.
#[derive(Default)]
struct Last {
    /// The end of the time for which the last good answer is given again.
    good_until: Option<Instant>,
    /// The moment at which the last look began, if its answer was bad.
    bad_since: Option<Instant>,
    /// The fault that was logged last, so that it isn't logged again.
    told: Option<String>,
}

/// The parts that a look tries.
///
/// Each part fails the look as a whole, because a request may need any of them.
pub(super) struct Look {
    pub(super) database: Arc<dyn Driver>,
    pub(super) redis: Option<Redis>,
    /// The denylist of signed tokens, with strategy `jwt`.
    pub(super) denylist: Option<Arc<dyn DenylistStore>>,
    /// The strategy that writes to Redis, with strategy `redis`.
    pub(super) on_redis: Option<Arc<dyn Strategy<Account>>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Stores {
    /// Creates a handle without an outcome.
    pub(super) fn new(look: Look) -> Self {
        Self {
            look: Arc::new(look),
            last: Arc::default(),
            stop: None,
        }
    }

    /// Makes [`readiness`](Self::readiness) return [`Readiness::Leaving`] once `stop` is announced.
    #[must_use]
    pub fn leaving_at(mut self, stop: Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Returns the readiness, after a look at the stores if the last one is too old.
    ///
    /// A fault is logged once, however often the readiness is asked for, and so is its end
    /// (`ready_again`). An unready answer is never kept for a call that comes later. A look may wait
    /// for a silent store until the store's timeout, so a health check needs a longer timeout than
    /// the stores.
    pub async fn readiness(&self) -> Readiness {
        if self
            .stop
            .as_ref()
            .is_some_and(|stop| stop.phase() >= Phase::Leave)
        {
            return Readiness::Leaving;
        }

        let arrived = Instant::now();
        // Held during the look, so that callers that arrive meanwhile find its answer.
        let mut last = self.last.lock().await;
        let began = Instant::now();
        if let Some(answer) = last.answer_for(arrived, began) {
            return answer;
        }

        match self.look.look().await {
            Ok(()) => {
                last.good_until = Some(Instant::now() + GOOD_FOR);
                last.bad_since = None;
                if last.told.take().is_some() {
                    tracing::info!(event = "ready_again");
                }
                Readiness::Ready
            }
            Err(failure) => {
                last.good_until = None;
                last.bad_since = Some(began);
                last.tell(&failure);
                Readiness::Unready
            }
        }
    }
}

impl Last {
    /// Returns the answer for a caller that arrived at `arrived` and has its turn `now`, or `None` if
    /// the stores have to be looked at.
    ///
    /// A bad answer is only for callers that arrived before its look began. The fault may be over
    /// for those who come later.
    fn answer_for(&self, arrived: Instant, now: Instant) -> Option<Readiness> {
        if self.good_until.is_some_and(|until| now < until) {
            return Some(Readiness::Ready);
        }
        self.bad_since
            .filter(|began| arrived <= *began)
            .map(|_| Readiness::Unready)
    }

    /// Logs a failure, unless the last failure was the same.
    fn tell(&mut self, failure: &Failure) {
        let cause = std::error::Error::source(failure)
            .map(ToString::to_string)
            .unwrap_or_default();
        let story = format!("{failure}: {cause}");
        if self.told.as_ref() == Some(&story) {
            return;
        }

        let part = failure.part();
        let symptom = failure.symptom().map(|symptom| symptom.to_string());
        tracing::warn!(
            event = "not_ready",
            part,
            symptom,
            cause,
            "requests can't be served"
        );
        self.told = Some(story);
    }
}

impl Look {
    /// Looks at all stores at once, and fails with the first failure.
    async fn look(&self) -> Result<(), Failure> {
        tokio::try_join!(
            self.at_the_database(),
            self.at_redis(),
            self.at_the_denylist()
        )
        .map(drop)
    }

    /// Reads and writes every table of the database, and leaves nothing behind.
    ///
    /// No token of a user is written: in tables that were adopted from litestar-auth, a foreign key
    /// may allow tokens of existing users only.
    async fn at_the_database(&self) -> Result<(), Failure> {
        let dialect = self.database.dialect();
        let user = dialect.quote("user");
        let tables = [
            "access_token",
            "refresh_token",
            "session_fence",
            "ended_fence",
            "login_failure",
            "denied_token",
        ];
        let all = tables.join(", ");
        let read = Statement::new(dialect, &format!("SELECT 1 FROM {user}, {all} WHERE 1 = 0"));
        self.database.fetch(&read, &[]).await?;

        // If the row can't be deleted again, a sweep deletes it after this time.
        let ends = self.clock.now().saturating_add(SCRATCH).as_micros();
        let key = format!("readyz-{}", self.id()?.simple());
        self.database
            .run(&writes(dialect), &[Value::from(key), Value::from(ends)])
            .await
            .map(drop)
    }

    /// Asks Redis for an answer and, with strategy `redis`, writes a token and deletes it.
    ///
    /// An answer alone doesn't show that writes are accepted: Redis may be full or read-only.
    async fn at_redis(&self) -> Result<(), Failure> {
        let Some(redis) = &self.redis else {
            return Ok(());
        };
        redis.ping().await?;
        let Some(strategy) = &self.on_redis else {
            return Ok(());
        };

        // No account has this id, so the token opens nothing even if it can't be deleted.
        let nobody = Account {
            id: Uuid::nil(),
            email: String::new(),
            hashed_password: String::new(),
            is_active: false,
            is_verified: false,
            created_at: None,
        };

        let issued = strategy.write_token(&nobody).await?;
        strategy
            .destroy_token(&issued.token, &nobody)
            .await
            .map(drop)
    }

    /// Denies an id that no token has, and looks it up.
    async fn at_the_denylist(&self) -> Result<(), Failure> {
        let Some(denylist) = &self.denylist else {
            return Ok(());
        };
        let now = self.clock.now();
        denylist
            .deny("readyz", now.saturating_add(SCRATCH), now)
            .await?;
        denylist.is_any_denied(&["readyz"], now).await.map(drop)
    }

    /// Returns a random id for the rows of one look.
    fn id(&self) -> Result<Uuid, Failure> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// Returns a script that writes one row and deletes it, and touches no row of any other table.
///
/// A statement that matches no row still needs the table, its columns and the right to write.
fn writes(dialect: Dialect) -> Script {
    let user = dialect.quote("user");
    let tables = [
        writes_none(
            "access_token",
            "token, created_at, user_id, session_id, expires_at, fence",
        ),
        writes_none(
            "refresh_token",
            "token, created_at, user_id, session_id, expires_at, family, fence",
        ),
        writes_none("session_fence", "user_id, fence, used_at"),
    ];

    let mut steps = vec![
        "INSERT INTO login_failure (key_digest, failures, window_ends) VALUES (?1, 0, ?2)"
            .to_owned(),
    ];
    steps.extend(tables.into_iter().flatten());
    steps.push(format!(
        "UPDATE {user} SET is_active = is_active WHERE 1 = 0"
    ));
    steps.push("DELETE FROM login_failure WHERE key_digest = ?1".to_owned());

    Script::new(
        dialect,
        &steps.iter().map(String::as_str).collect::<Vec<_>>(),
    )
}

/// Returns an insertion and a deletion that match no row.
fn writes_none(table: &str, columns: &str) -> [String; 2] {
    [
        format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE 1 = 0"),
        format!("DELETE FROM {table} WHERE 1 = 0"),
    ]
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores")
            .field("redis", &self.look.redis)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of those who wait while a store is silent, the first looks again, and all others share what that look finds.
    #[test]
    fn a_bad_answer_is_shared_by_those_who_waited_for_it() {
        let start = Instant::now();
        let at = |seconds| start + Duration::from_secs(seconds);
        let bad = Last {
            bad_since: Some(at(10)),
            ..Last::default()
        };
        assert_eq!(
            bad.answer_for(at(5), at(20)),
            Some(Readiness::Unready),
            "it waited while another looked"
        );
        assert_eq!(
            bad.answer_for(at(15), at(20)),
            None,
            "it came while the stores were looked at"
        );
        assert_eq!(bad.answer_for(at(21), at(21)), None);
        let good = Last {
            good_until: Some(at(10)),
            ..Last::default()
        };
        assert_eq!(good.answer_for(at(9), at(9)), Some(Readiness::Ready));
        assert_eq!(good.answer_for(at(5), at(10)), None);
    }
}
