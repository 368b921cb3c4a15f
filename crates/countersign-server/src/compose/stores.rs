//! What must work before requests can be served.

use std::sync::Arc;
use std::time::Duration;

use countersign::denylist::DenylistStore;
use countersign::redis::Redis;
use countersign::store::Value;
use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::{Clock, Entropy, Failure, Strategy};
use tokio::sync::Mutex;
use tokio::time::Instant;
use uuid::Uuid;

use crate::accounts::Account;
use crate::shutdown::{Phase, Stop};

/// The time for which a good answer is given again without another look.
const GOOD_FOR: Duration = Duration::from_millis(900);
/// The life of what a look writes, in case that it can't be removed again.
const SCRATCH: Duration = Duration::from_mins(2);

/// The readiness of the server to answer requests.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Readiness {
    /// They can.
    Ready,
    /// A store doesn't do its work. The log says which, and what it does.
    Unready,
    /// The server has been told to stop, and asks not to be sent any more.
    Leaving,
}

/// The stores that requests need. Clones look once for all who ask at the same time.
#[derive(Clone)]
pub struct Stores {
    look: Arc<Look>,
    last: Arc<Mutex<Last>>,
    stop: Option<Stop>,
}

/// The outcome of the last look.
#[derive(Default)]
struct Last {
    good_until: Option<Instant>,
    told: Option<String>,
}

/// The parts that a look tries.
pub(super) struct Look {
    pub(super) database: Arc<dyn Driver>,
    pub(super) redis: Option<Redis>,
    /// The denylist of signed tokens, with strategy jwt.
    pub(super) denylist: Option<Arc<dyn DenylistStore>>,
    /// The strategy that writes to Redis, with strategy redis.
    pub(super) on_redis: Option<Arc<dyn Strategy<Account>>>,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) entropy: Arc<dyn Entropy>,
}

impl Stores {
    pub(super) fn new(look: Look) -> Self {
        Self { look: Arc::new(look), last: Arc::default(), stop: None }
    }

    /// Says that it is leaving once `stop` says so.
    #[must_use]
    pub fn leaving_at(mut self, stop: Stop) -> Self {
        self.stop = Some(stop);
        self
    }

    /// Returns whether requests can be served, seen by doing what they do.
    pub async fn readiness(&self) -> Readiness {
        if self.stop.as_ref().is_some_and(|stop| stop.phase() >= Phase::Leave) {
            return Readiness::Leaving;
        }
        // Whoever comes meanwhile waits for this look, and finds its answer.
        let mut last = self.last.lock().await;
        if last.good_until.is_some_and(|until| Instant::now() < until) {
            return Readiness::Ready;
        }
        match self.look.look().await {
            Ok(()) => {
                last.good_until = Some(Instant::now() + GOOD_FOR);
                if last.told.take().is_some() {
                    tracing::info!(event = "ready_again");
                }
                Readiness::Ready
            }
            Err(failure) => {
                last.good_until = None;
                last.tell(&failure);
                Readiness::Unready
            }
        }
    }
}

impl Last {
    /// Once for each fault, however often somebody asks.
    fn tell(&mut self, failure: &Failure) {
        let cause = std::error::Error::source(failure).map(ToString::to_string).unwrap_or_default();
        let story = format!("{failure}: {cause}");
        if self.told.as_ref() == Some(&story) {
            return;
        }
        let part = failure.part();
        let symptom = failure.symptom().map(|symptom| symptom.to_string());
        tracing::warn!(event = "not_ready", part, symptom, cause, "requests can't be served");
        self.told = Some(story);
    }
}

impl Look {
    async fn look(&self) -> Result<(), Failure> {
        tokio::try_join!(self.at_the_database(), self.at_redis(), self.at_the_denylist()).map(drop)
    }

    /// Reads and writes every table, and leaves nothing behind. Rows of users aren't made: a table that was adopted may
    /// allow them to real users alone.
    async fn at_the_database(&self) -> Result<(), Failure> {
        let dialect = self.database.dialect();
        let user = dialect.quote("user");
        let tables = ["access_token", "refresh_token", "session_fence", "ended_fence", "login_failure", "denied_token"];
        let all = tables.join(", ");
        let read = Statement::new(dialect, &format!("SELECT 1 FROM {user}, {all} WHERE 1 = 0"));
        self.database.fetch(&read, &[]).await?;
        let ends = self.clock.now().saturating_add(SCRATCH).as_micros();
        let key = format!("readyz-{}", self.id()?.simple());
        self.database.run(&writes(dialect), &[Value::from(key), Value::from(ends)]).await.map(drop)
    }

    async fn at_redis(&self) -> Result<(), Failure> {
        let Some(redis) = &self.redis else { return Ok(()) };
        redis.ping().await?;
        let Some(strategy) = &self.on_redis else { return Ok(()) };
        // Nobody has this account, so its token opens nothing.
        let nobody = Account {
            id: Uuid::nil(),
            email: String::new(),
            hashed_password: String::new(),
            is_active: false,
            is_verified: false,
            created_at: None,
        };
        let issued = strategy.write_token(&nobody).await?;
        strategy.destroy_token(&issued.token, &nobody).await.map(drop)
    }

    async fn at_the_denylist(&self) -> Result<(), Failure> {
        let Some(denylist) = &self.denylist else { return Ok(()) };
        let now = self.clock.now();
        denylist.deny("readyz", now.saturating_add(SCRATCH), now).await?;
        denylist.is_any_denied(&["readyz"], now).await.map(drop)
    }

    fn id(&self) -> Result<Uuid, Failure> {
        let mut bytes = [0; 16];
        self.entropy.fill(&mut bytes)?;
        Ok(uuid::Builder::from_random_bytes(bytes).into_uuid())
    }
}

/// A row that is made and removed, and writes to all other tables that touch no row: what they need is checked all the same.
fn writes(dialect: Dialect) -> Script {
    let user = dialect.quote("user");
    let none = |table: &str, columns: &str| {
        let write = format!("INSERT INTO {table} ({columns}) SELECT {columns} FROM {table} WHERE 1 = 0");
        [write, format!("DELETE FROM {table} WHERE 1 = 0")]
    };
    let tables = [
        none("access_token", "token, created_at, user_id, session_id, expires_at, fence"),
        none("refresh_token", "token, created_at, user_id, session_id, expires_at, family, fence"),
        none("session_fence", "user_id, fence, used_at"),
    ];
    let mut steps = vec!["INSERT INTO login_failure (key_digest, failures, window_ends) VALUES (?1, 0, ?2)".to_owned()];
    steps.extend(tables.into_iter().flatten());
    steps.push(format!("UPDATE {user} SET is_active = is_active WHERE 1 = 0"));
    steps.push("DELETE FROM login_failure WHERE key_digest = ?1".to_owned());
    Script::new(dialect, &steps.iter().map(String::as_str).collect::<Vec<_>>())
}

impl std::fmt::Debug for Stores {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Stores").field("redis", &self.look.redis).finish_non_exhaustive()
    }
}
