//! Failed logins, counted in the shared database, so that every server sees the same count (SECURITY row L-04).
//!
//! A failure counts against the account from this address, against the account from anywhere, and against the address
//! for any account; the last two have room for ten times as many. A window ends by itself, whatever an attacker does
//! meanwhile, so nobody is locked out for good. Rows hold keyed digests, neither addresses nor accounts.
//!
//! Those who register are counted in the same table, by address alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::store::{Row, Value, ValueError};
use countersign::{ConfigError, Digest, DigestKeyRing, Failure, PlainToken, Secret, Timestamp};

use crate::config::RateLimit;

const PART: &str = "login limit store";

/// How much more the account from anywhere, and the address for any account, may fail.
const WIDE_FACTOR: u32 = 10;

/// Counts failed logins.
#[derive(Clone)]
pub struct Throttle {
    driver: Arc<dyn Driver>,
    keys: DigestKeyRing,
    limit: Option<RateLimit>,
    statements: Arc<Statements>,
}

/// Where a request comes from, as far as that is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The address that it came from.
    pub address: IpAddr,
    /// Whether that is a proxy's, so that it says nothing of who asks.
    pub is_shared: bool,
}

/// Whether another attempt may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// It may. `failed_before` says that this account has failed from this address in this window.
    Free {
        /// Whether there is a count to forget after a success.
        failed_before: bool,
    },
    /// Not before this much time has passed.
    Wait(Duration),
}

/// Who tries to log in, as the three keys that failures are counted under.
#[derive(Clone, Debug)]
pub struct Attempt([Digest; 3]);

struct Statements {
    read: Statement,
    count: Vec<Script>,
    count_one: Script,
    forget: Script,
    sweep: Script,
}

impl Throttle {
    /// Counts in this database. The keys of rows are made with a secret of their own, derived from `secret`.
    ///
    /// # Errors
    /// [`ConfigError`] never in practice: the derived secret is long enough.
    pub fn new(driver: Arc<dyn Driver>, secret: &Secret, limit: Option<RateLimit>) -> Result<Self, ConfigError> {
        let root = DigestKeyRing::new("root", secret)?;
        let derived = root.digest(&PlainToken::new("countersign login limit, version 1"));
        let derived = Secret::dangerous_without_variety_check("login limit secret", derived.as_str())?;
        let statements = Arc::new(Statements::new(driver.dialect()));
        Ok(Self { driver, keys: DigestKeyRing::new("login-limit", &derived)?, limit, statements })
    }

    /// The keys of an attempt on the account that `identifier` names in canonical form.
    pub fn attempt(&self, identifier: &str, source: Source) -> Attempt {
        let from = subscriber(source.address);
        let by_source = ["source", &from, identifier];
        // What comes through a proxy is everybody's, so that there only the account counts, here too.
        let by_source = if source.is_shared { &by_source[..] } else { &by_source[..2] };
        Attempt([self.key(&["both", &from, identifier]), self.key(&["account", identifier]), self.key(by_source)])
    }

    /// Counts one who wants to register from there, and says whether they may: `limit` is how many may.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked; so for every method here.
    pub async fn registers(&self, source: Source, limit: RateLimit, now: Timestamp) -> Result<Allowance, Failure> {
        if source.is_shared {
            return Ok(Allowance::Free { failed_before: false });
        }
        let key = self.key(&["registration", &subscriber(source.address)]);
        let attempt = Attempt([key.clone(), key.clone(), key]);
        // Whoever is over the limit already costs a read and no write.
        if let Allowance::Wait(wait) = self.judge(&attempt, limit, now, false).await? {
            return Ok(Allowance::Wait(wait));
        }
        let [key, ..] = &attempt.0;
        let window_ends = now.saturating_add(limit.window).as_micros();
        let params = [key.as_str().into(), now.as_micros().into(), window_ends.into()];
        self.driver.run(&self.statements.count_one, &params).await?;
        self.judge(&attempt, limit, now, true).await
    }

    /// Whether `attempt` may be made now.
    ///
    /// # Errors
    /// As for [`registers`](Self::registers).
    pub async fn check(&self, attempt: &Attempt, now: Timestamp) -> Result<Allowance, Failure> {
        let Some(limit) = self.limit else { return Ok(Allowance::Free { failed_before: false }) };
        self.judge(attempt, limit, now, false).await
    }

    /// Counts a failure. When that was one too many, the answer says how long to wait.
    ///
    /// # Errors
    /// As for [`registers`](Self::registers).
    pub async fn failed(&self, attempt: &Attempt, now: Timestamp) -> Result<Allowance, Failure> {
        let Some(limit) = self.limit else { return Ok(Allowance::Free { failed_before: true }) };
        let window_ends = now.saturating_add(limit.window).as_micros();
        // In one order everywhere, so that no two servers wait for each other's rows.
        let mut keys: Vec<&str> = attempt.0.iter().map(Digest::as_str).collect();
        keys.sort_unstable();
        let mut params: Vec<Value> = keys.into_iter().map(Into::into).collect();
        params.push(now.as_micros().into());
        params.push(window_ends.into());
        for script in &self.statements.count {
            self.driver.run(script, &params).await?;
        }
        self.judge(attempt, limit, now, true).await
    }

    /// Forgets the failures of this account from this address, after a success. The wide counts stay, so that an
    /// attacker's own account doesn't pay for his guesses.
    ///
    /// # Errors
    /// As for [`registers`](Self::registers).
    pub async fn forget(&self, attempt: &Attempt) -> Result<(), Failure> {
        let [both, ..] = &attempt.0;
        self.driver.run(&self.statements.forget, &[both.as_str().into()]).await.map(drop)
    }

    /// Removes counts whose window has ended, at most `limit`; how many there were.
    ///
    /// # Errors
    /// As for [`registers`](Self::registers).
    pub async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        let params = [now.as_micros().into(), i64::from(limit).into()];
        let outcome = self.driver.run(&self.statements.sweep, &params).await?;
        Ok(outcome.affected.first().copied().unwrap_or(0))
    }

    async fn judge(
        &self,
        attempt: &Attempt,
        limit: RateLimit,
        now: Timestamp,
        counted: bool,
    ) -> Result<Allowance, Failure> {
        let params: Vec<Value> = attempt.0.iter().map(|key| key.as_str().into()).collect();
        let rows = self.driver.fetch(&self.statements.read, &params).await?;
        judge(attempt, &rows, limit, now, counted).map_err(|error| Failure::internal(PART, error))
    }

    fn key(&self, parts: &[&str]) -> Digest {
        self.keys.digest(&PlainToken::new(parts.join("\0")))
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// An IPv6 subscriber commonly holds a whole /64, so that is one source.
fn subscriber(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", u128::from(address) >> 64),
    }
}

/// Weighs counts against limits. Before an attempt, a full count refuses; after a failure, only an overfull one does.
fn judge(
    attempt: &Attempt,
    rows: &[Row],
    limit: RateLimit,
    now: Timestamp,
    counted: bool,
) -> Result<Allowance, ValueError> {
    let [both, ..] = &attempt.0;
    let mut wait = Duration::ZERO;
    let mut failed_before = false;
    for row in rows {
        let window_ends = Timestamp::from_micros(row.int(2)?.unwrap_or(0));
        if window_ends <= now {
            continue;
        }
        let is_both = row.text(0)? == Some(both.as_str());
        let most = if is_both { limit.most } else { limit.most.saturating_mul(WIDE_FACTOR) };
        let most = i64::from(most).saturating_add(i64::from(counted));
        failed_before |= is_both;
        if row.int(1)?.unwrap_or(0) >= most {
            wait = wait.max(window_ends.since(now));
        }
    }
    Ok(if wait.is_zero() { Allowance::Free { failed_before } } else { Allowance::Wait(wait) })
}

impl Statements {
    fn new(dialect: Dialect) -> Self {
        let read = "SELECT key_digest, failures, window_ends FROM login_failure WHERE key_digest IN (?1, ?2, ?3)";
        // MySQL locks gaps between rows, so there three rows in one statement can wait for each other in a circle.
        let rounds: &[&[u8]] = match dialect {
            Dialect::Mysql => &[&[1], &[2], &[3]],
            _ => &[&[1, 2, 3]],
        };
        let sweep = match dialect {
            Dialect::Mysql => "DELETE FROM login_failure WHERE window_ends <= ?1 LIMIT ?2",
            // The condition is repeated outside: a window that begins meanwhile in the same row stays.
            Dialect::Sqlite => {
                "DELETE FROM login_failure WHERE window_ends <= ?1 AND key_digest IN \
                 (SELECT key_digest FROM login_failure WHERE window_ends <= ?1 LIMIT ?2)"
            }
            // Rows that a login holds are left to the next sweep, so that neither waits for the other.
            Dialect::Postgres => {
                "DELETE FROM login_failure WHERE window_ends <= ?1 AND key_digest IN \
                 (SELECT key_digest FROM login_failure WHERE window_ends <= ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED)"
            }
        };
        Self {
            read: Statement::new(dialect, read),
            count: rounds.iter().map(|keys| Script::new(dialect, &[&count(dialect, keys, 4)])).collect(),
            count_one: Script::new(dialect, &[&count(dialect, &[1], 2)]),
            forget: Script::new(dialect, &["DELETE FROM login_failure WHERE key_digest = ?1"]),
            sweep: Script::new(dialect, &[sweep]),
        }
    }
}

/// Counts one more under each key, or starts a new window where the old one has ended. `failures` is set before
/// `window_ends`, because MySQL reads columns as already assigned. `now` is the number of the parameter that says what time it
/// is; the one behind it says when a window ends that begins now.
fn count(dialect: Dialect, keys: &[u8], now: u8) -> String {
    let ends = now + 1;
    let conflict = match dialect {
        Dialect::Mysql => "ON DUPLICATE KEY UPDATE",
        _ => "ON CONFLICT (key_digest) DO UPDATE SET",
    };
    let rows: Vec<String> = keys.iter().map(|key| format!("(?{key}, 1, ?{ends})")).collect();
    let rows = rows.join(", ");
    format!(
        "INSERT INTO login_failure (key_digest, failures, window_ends) VALUES {rows} {conflict} \
         failures = CASE WHEN login_failure.window_ends <= ?{now} THEN 1 ELSE login_failure.failures + 1 END, \
         window_ends = CASE WHEN login_failure.window_ends <= ?{now} THEN ?{ends} ELSE login_failure.window_ends END"
    )
}
