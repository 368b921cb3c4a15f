//! Failed logins, counted in the shared database, so that every server sees the same count (SECURITY row L-04).
//!
//! A failure counts against the account from this address, against the account from anywhere, and against the address
//! for any account; the last two have room for ten times as many. A window ends by itself, whatever an attacker does
//! meanwhile, so nobody is locked out for good. Rows hold keyed digests, neither addresses nor accounts.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::store::{Row, Value, ValueError};
use countersign::{ConfigError, Digest, DigestKeyRing, Failure, PlainToken, Secret, Timestamp};

use crate::config::LoginLimit;

const PART: &str = "login limit store";

/// How much more the account from anywhere, and the address for any account, may fail.
const WIDE_FACTOR: u32 = 10;

/// Counts failed logins.
#[derive(Clone)]
pub struct Throttle {
    driver: Arc<dyn Driver>,
    keys: DigestKeyRing,
    limit: Option<LoginLimit>,
    statements: Arc<Statements>,
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
    forget: Script,
    sweep: Script,
}

impl Throttle {
    /// Counts in this database. The keys of rows are made with a secret of their own, derived from `secret`.
    ///
    /// # Errors
    /// [`ConfigError`] never in practice: the derived secret is long enough.
    pub fn new(driver: Arc<dyn Driver>, secret: &Secret, limit: Option<LoginLimit>) -> Result<Self, ConfigError> {
        let root = DigestKeyRing::new("root", secret)?;
        let derived = root.digest(&PlainToken::new("countersign login limit, version 1"));
        let derived = Secret::dangerous_without_variety_check("login limit secret", derived.as_str())?;
        let statements = Arc::new(Statements::new(driver.dialect()));
        Ok(Self { driver, keys: DigestKeyRing::new("login-limit", &derived)?, limit, statements })
    }

    /// The keys of an attempt on the account that `identifier` names in canonical form.
    pub fn attempt(&self, identifier: &str, address: IpAddr) -> Attempt {
        let source = source(address);
        let key = |text: String| self.keys.digest(&PlainToken::new(text));
        Attempt([
            key(format!("both\0{source}\0{identifier}")),
            key(format!("account\0{identifier}")),
            key(format!("source\0{source}")),
        ])
    }

    /// Whether `attempt` may be made now.
    ///
    /// # Errors
    /// [`Failure`] when the database can't be asked; so for every method here.
    pub async fn check(&self, attempt: &Attempt, now: Timestamp) -> Result<Allowance, Failure> {
        let Some(limit) = self.limit else { return Ok(Allowance::Free { failed_before: false }) };
        let params: Vec<Value> = attempt.0.iter().map(|key| key.as_str().into()).collect();
        let rows = self.driver.fetch(&self.statements.read, &params).await?;
        judge(attempt, &rows, limit, now, false).map_err(|error| Failure::internal(PART, error))
    }

    /// Counts a failure. When that was one too many, the answer says how long to wait.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
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
        let rows = self.driver.fetch(&self.statements.read, params.get(..3).unwrap_or_default()).await?;
        judge(attempt, &rows, limit, now, true).map_err(|error| Failure::internal(PART, error))
    }

    /// Forgets the failures of this account from this address, after a success. The wide counts stay, so that an
    /// attacker's own account doesn't pay for his guesses.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub async fn forget(&self, attempt: &Attempt) -> Result<(), Failure> {
        let [both, ..] = &attempt.0;
        self.driver.run(&self.statements.forget, &[both.as_str().into()]).await.map(drop)
    }

    /// Removes counts whose window has ended, at most `limit`; how many there were.
    ///
    /// # Errors
    /// As for [`check`](Self::check).
    pub async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        let params = [now.as_micros().into(), i64::from(limit).into()];
        let outcome = self.driver.run(&self.statements.sweep, &params).await?;
        Ok(outcome.affected.first().copied().unwrap_or(0))
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle").field("limit", &self.limit).finish_non_exhaustive()
    }
}

/// An IPv6 subscriber commonly holds a whole /64, so that is one source.
fn source(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", u128::from(address) >> 64),
    }
}

/// Weighs counts against limits. Before an attempt, a full count refuses; after a failure, only an overfull one does.
fn judge(
    attempt: &Attempt,
    rows: &[Row],
    limit: LoginLimit,
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
        let most = if is_both { limit.failures } else { limit.failures.saturating_mul(WIDE_FACTOR) };
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
            _ => {
                "DELETE FROM login_failure WHERE key_digest IN \
                 (SELECT key_digest FROM login_failure WHERE window_ends <= ?1 LIMIT ?2)"
            }
        };
        Self {
            read: Statement::new(dialect, read),
            count: rounds.iter().map(|keys| Script::new(dialect, &[&count(dialect, keys)])).collect(),
            forget: Script::new(dialect, &["DELETE FROM login_failure WHERE key_digest = ?1"]),
            sweep: Script::new(dialect, &[sweep]),
        }
    }
}

/// Counts one more under each key, or starts a new window where the old one has ended. `failures` is set before
/// `window_ends`, because MySQL reads columns as already assigned.
fn count(dialect: Dialect, keys: &[u8]) -> String {
    let conflict = match dialect {
        Dialect::Mysql => "ON DUPLICATE KEY UPDATE",
        _ => "ON CONFLICT (key_digest) DO UPDATE SET",
    };
    let rows: Vec<String> = keys.iter().map(|key| format!("(?{key}, 1, ?5)")).collect();
    let rows = rows.join(", ");
    format!(
        "INSERT INTO login_failure (key_digest, failures, window_ends) VALUES {rows} {conflict} \
         failures = CASE WHEN login_failure.window_ends <= ?4 THEN 1 ELSE login_failure.failures + 1 END, \
         window_ends = CASE WHEN login_failure.window_ends <= ?4 THEN ?5 ELSE login_failure.window_ends END"
    )
}
