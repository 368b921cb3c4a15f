//! The limit of failed logins, and the limit of registrations.
//!
//! Failures are counted in the shared database, so that all servers see the same counts. Each
//! failure counts three times:
//!
//! - for this account from this address, up to the limit;
//! - for this account from any address, up to ten times the limit;
//! - for any account from this address, up to ten times the limit.
//!
//! A count belongs to a window that begins with its first failure and ends by itself, so that
//! nobody can lock an account for good. The rows hold keyed digests instead of addresses and
//! accounts.
//!
//! Registrations are counted in the same table, by address alone.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use countersign::store::sql::{Dialect, Driver, Script, Statement};
use countersign::store::{Row, Value, ValueError};
use countersign::token::{Digest, DigestKeyRing};
use countersign::{ConfigError, Failure, PlainToken, Secret, Timestamp};

use crate::address::Source;
use crate::config::RateLimit;

/// The component that failures name.
const PART: &str = "login limit store";

/// The factor of the limits that are shared by addresses or by accounts.
const WIDE_FACTOR: u32 = 10;

/// The counter of failed logins and of registrations.
///
/// Around each password check, call [`check`](Self::check) before it, and [`failed`](Self::failed)
/// or [`forget`](Self::forget) after it.
#[derive(Clone)]
pub struct Throttle {
    driver: Arc<dyn Driver>,
    keys: DigestKeyRing,
    limit: Option<RateLimit>,
    statements: Arc<Statements>,
}

/// The answer to the question whether another attempt is allowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allowance {
    /// The attempt is allowed.
    Free {
        /// `true` if failures of this account from this address are counted, which a success should
        /// [forget](Throttle::forget).
        failed_before: bool,
    },
    /// The limit is reached. Another attempt is allowed after this time.
    Wait(Duration),
}

/// An attempt to log in, as the three keys that its failure is counted under.
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
    /// Creates a counter in this database. The keys of its rows are digests under a secret that is
    /// derived from `secret`. Without a `limit`, every login is allowed and nothing is counted.
    ///
    /// # Errors
    /// [`ConfigError`] if a digest key can't be made. This doesn't happen in practice, because the
    /// derived secret is long enough.
    pub fn new(
        driver: Arc<dyn Driver>,
        secret: &Secret,
        limit: Option<RateLimit>,
    ) -> Result<Self, ConfigError> {
        let root = DigestKeyRing::new("root", secret)?;
        let derived = root.digest(&PlainToken::new("countersign login limit, version 1"));
        let derived =
            Secret::dangerous_without_variety_check("login limit secret", derived.as_str())?;
        let statements = Arc::new(Statements::new(driver.dialect()));
        Ok(Self {
            driver,
            keys: DigestKeyRing::new("login-limit", &derived)?,
            limit,
            statements,
        })
    }

    /// Returns the keys of an attempt to log in to an account from `source`.
    ///
    /// `identifier` is the account's address as
    /// [`Lookup::counted`](crate::accounts::Lookup::counted) returns it, so that all spellings
    /// share one count.
    pub fn attempt(&self, identifier: &str, source: Source) -> Attempt {
        let from = subscriber(source.address);
        let by_source = ["source", &from, identifier];
        // Behind an unknown proxy all clients have one address, so it never counts without the
        // account.
        let by_source = if source.is_shared {
            &by_source[..]
        } else {
            &by_source[..2]
        };

        Attempt([
            self.key(&["both", &from, identifier]),
            self.key(&["account", identifier]),
            self.key(by_source),
        ])
    }

    /// Counts a registration attempt from `source`, and returns whether it is allowed. `limit` is
    /// the number of attempts in a window.
    ///
    /// Attempts beyond the limit aren't counted. Clients behind an unknown proxy aren't limited.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached.
    pub async fn registers(
        &self,
        source: Source,
        limit: RateLimit,
        now: Timestamp,
    ) -> Result<Allowance, Failure> {
        if source.is_shared {
            return Ok(Allowance::Free {
                failed_before: false,
            });
        }

        let key = self.key(&["registration", &subscriber(source.address)]);
        let attempt = Attempt([key.clone(), key.clone(), key]);

        // A client that is over the limit already costs a read and no write.
        if let Allowance::Wait(wait) = self.judge(&attempt, limit, now, false).await? {
            return Ok(Allowance::Wait(wait));
        }

        let [key, ..] = &attempt.0;
        let window_ends = now.saturating_add(limit.window).as_micros();
        let params = [
            key.as_str().into(),
            now.as_micros().into(),
            window_ends.into(),
        ];
        self.driver.run(&self.statements.count_one, &params).await?;
        self.judge(&attempt, limit, now, true).await
    }

    /// Returns whether `attempt` is allowed now. Counts nothing.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached.
    pub async fn check(&self, attempt: &Attempt, now: Timestamp) -> Result<Allowance, Failure> {
        let Some(limit) = self.limit else {
            return Ok(Allowance::Free {
                failed_before: false,
            });
        };
        self.judge(attempt, limit, now, false).await
    }

    /// Counts a failure. Returns [`Allowance::Wait`] if it exceeded the limit.
    ///
    /// Parallel attempts that were all allowed by [`check`](Self::check) may exceed the limit
    /// together. Those beyond it learn so from this answer.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The failure may have been counted.
    pub async fn failed(&self, attempt: &Attempt, now: Timestamp) -> Result<Allowance, Failure> {
        let Some(limit) = self.limit else {
            return Ok(Allowance::Free {
                failed_before: true,
            });
        };

        let window_ends = now.saturating_add(limit.window).as_micros();
        // The same order everywhere, so that servers don't deadlock on each other's rows.
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

    /// Removes the failures of this account from this address, after a successful login.
    ///
    /// The two wider counts stay. Otherwise an attacker could log in to an account of his own now
    /// and then, and so guess passwords of others without a limit.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The call can be repeated.
    pub async fn forget(&self, attempt: &Attempt) -> Result<(), Failure> {
        let [both, ..] = &attempt.0;
        self.driver
            .run(&self.statements.forget, &[both.as_str().into()])
            .await
            .map(drop)
    }

    /// Deletes up to `limit` counts whose window has ended at `now`. Returns the number of deleted
    /// counts.
    ///
    /// # Errors
    /// [`Failure`] if the database can't be reached. The call can be repeated.
    pub async fn sweep(&self, now: Timestamp, limit: u32) -> Result<u64, Failure> {
        let params = [now.as_micros().into(), i64::from(limit).into()];
        let outcome = self.driver.run(&self.statements.sweep, &params).await?;
        Ok(outcome.affected.first().copied().unwrap_or(0))
    }

    /// Reads the counts of an attempt and compares them with `limit`.
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

    /// Returns the digest of a row's key. The separator keeps `("a", "bc")` and `("ab", "c")`
    /// apart.
    fn key(&self, parts: &[&str]) -> Digest {
        self.keys.digest(&PlainToken::new(parts.join("\0")))
    }
}

impl std::fmt::Debug for Throttle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Throttle")
            .field("limit", &self.limit)
            .finish_non_exhaustive()
    }
}

/// Returns the text under which an address is counted. An IPv6 address counts as its /64 network,
/// which is commonly held by one subscriber.
fn subscriber(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => format!("{:x}/64", u128::from(address) >> 64),
    }
}

/// Compares counts with limits. Before an attempt (`counted` is `false`), a count that has reached
/// its limit refuses. After a counted failure, only a count above its limit does.
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
        let most = if is_both {
            limit.most
        } else {
            limit.most.saturating_mul(WIDE_FACTOR)
        };
        let most = i64::from(most).saturating_add(i64::from(counted));
        failed_before |= is_both;
        if row.int(1)?.unwrap_or(0) >= most {
            wait = wait.max(window_ends.since(now));
        }
    }

    Ok(if wait.is_zero() {
        Allowance::Free { failed_before }
    } else {
        Allowance::Wait(wait)
    })
}

impl Statements {
    fn new(dialect: Dialect) -> Self {
        let read = "SELECT key_digest, failures, window_ends FROM login_failure WHERE key_digest IN (?1, ?2, ?3)";

        // MySQL locks the gaps between rows, so one statement for three rows could deadlock with
        // another.
        let rounds: &[&[u8]] = match dialect {
            Dialect::Mysql => &[&[1], &[2], &[3]],
            _ => &[&[1, 2, 3]],
        };

        let sweep = match dialect {
            Dialect::Mysql => "DELETE FROM login_failure WHERE window_ends <= ?1 LIMIT ?2",
            // The condition is repeated in the outer statement: a window that begins meanwhile in
            // the same row stays.
            Dialect::Sqlite => {
                "DELETE FROM login_failure WHERE window_ends <= ?1 AND key_digest IN \
                 (SELECT key_digest FROM login_failure WHERE window_ends <= ?1 LIMIT ?2)"
            }
            // Rows that a login has locked are left to the next sweep, so that neither waits for
            // the other.
            Dialect::Postgres => {
                "DELETE FROM login_failure WHERE window_ends <= ?1 AND key_digest IN \
                 (SELECT key_digest FROM login_failure WHERE window_ends <= ?1 LIMIT ?2 FOR UPDATE SKIP LOCKED)"
            }
        };

        Self {
            read: Statement::new(dialect, read),
            count: rounds
                .iter()
                .map(|keys| Script::new(dialect, &[&count(dialect, keys, 4)]))
                .collect(),
            count_one: Script::new(dialect, &[&count(dialect, &[1], 2)]),
            forget: Script::new(
                dialect,
                &["DELETE FROM login_failure WHERE key_digest = ?1"],
            ),
            sweep: Script::new(dialect, &[sweep]),
        }
    }
}

/// Returns the statement that counts a failure under each of `keys`, or starts a new window where
/// the old one has ended.
///
/// `keys` and `now` are numbers of parameters. The parameter `now` is the current time, and the one
/// after it is the end of a window that begins now. `failures` is assigned before `window_ends`,
/// because MySQL evaluates later assignments with the new values of earlier ones.
fn count(dialect: Dialect, keys: &[u8], now: u8) -> String {
    let ends = now + 1;
    let conflict = match dialect {
        Dialect::Mysql => "ON DUPLICATE KEY UPDATE",
        _ => "ON CONFLICT (key_digest) DO UPDATE SET",
    };
    let rows: Vec<String> = keys
        .iter()
        .map(|key| format!("(?{key}, 1, ?{ends})"))
        .collect();
    let rows = rows.join(", ");

    format!(
        "INSERT INTO login_failure (key_digest, failures, window_ends) VALUES {rows} {conflict} \
         failures = CASE WHEN login_failure.window_ends <= ?{now} THEN 1 ELSE login_failure.failures + 1 END, \
         window_ends = CASE WHEN login_failure.window_ends <= ?{now} THEN ?{ends} ELSE login_failure.window_ends END"
    )
}
