//! Settings of what tokens are worth, and who may log in how often.

use std::num::NonZeroUsize;
use std::time::Duration;

use countersign::{ConfigError, Lifetimes, Profile};

use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

const STRATEGY: Setting = Setting {
    key: "strategy",
    kind: Kind::Plain,
    default: "database",
    form: "database|redis|jwt",
    help: "Access tokens looked up in the database or on Redis, or signed.",
};
const PROFILE: Setting = Setting {
    key: "profile",
    kind: Kind::Plain,
    default: "countersign",
    form: "countersign|litestar-auth",
    help: "Whose token and claim formats to write and read.",
};
const ACCESS_LIFETIME: Setting = Setting {
    key: "access_lifetime",
    kind: Kind::Plain,
    default: "15m",
    form: "TIME",
    help: "An access token's life.",
};
const REFRESH_LIFETIME: Setting = Setting {
    key: "refresh_lifetime",
    kind: Kind::Plain,
    default: "30d",
    form: "TIME",
    help: "How long a session may lie idle.",
};
const SESSION_LIFETIME: Setting = Setting {
    key: "session_lifetime",
    kind: Kind::Plain,
    default: "180d",
    form: "TIME",
    help: "When a session ends however often it is refreshed.",
};
const LOGIN_LIMIT: Setting = Setting {
    key: "login_limit",
    kind: Kind::Plain,
    default: "10/1m",
    form: "NUMBER/TIME|off",
    help: "Failed logins per account and address; then 429 until the time is over.",
};
const PASSWORD_THREADS: Setting = Setting {
    key: "password_threads",
    kind: Kind::Plain,
    default: "auto",
    form: "NUMBER|auto",
    help: "Threads that hash passwords, 19 MiB each; auto leaves one core free.",
};
const PASSWORD_QUEUE: Setting = Setting {
    key: "password_queue",
    kind: Kind::Plain,
    default: "64",
    form: "NUMBER",
    help: "Passwords that may wait for a thread; more are answered with 503.",
};

/// This section's settings.
pub(super) const SETTINGS: &[&Setting] = &[
    &STRATEGY,
    &PROFILE,
    &ACCESS_LIFETIME,
    &REFRESH_LIFETIME,
    &SESSION_LIFETIME,
    &LOGIN_LIMIT,
    &PASSWORD_THREADS,
    &PASSWORD_QUEUE,
];

/// What tokens are worth.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// Which strategy issues and reads them.
    pub strategy: StrategyKind,
    /// Whose formats.
    pub profile: Profile,
    /// How long they live.
    pub lifetimes: Lifetimes,
    /// When a session ends however often it is refreshed.
    pub session_lifetime: Duration,
    /// Failed logins; `None` for no limit.
    pub login_limit: Option<LoginLimit>,
    /// Threads that hash passwords.
    pub password_threads: NonZeroUsize,
    /// Passwords that may wait.
    pub password_queue: usize,
}

/// Which strategy.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyKind {
    /// Opaque access tokens in the database.
    Database,
    /// Opaque access tokens on Redis, and sessions with them.
    Redis,
    /// Signed access tokens; sessions in the database, revocations there or on Redis.
    Jwt,
}

const STRATEGIES: &[(&str, StrategyKind)] =
    &[("database", StrategyKind::Database), ("redis", StrategyKind::Redis), ("jwt", StrategyKind::Jwt)];

impl StrategyKind {
    /// Its name, as the setting has it.
    pub fn name(self) -> &'static str {
        STRATEGIES.iter().find(|(_, kind)| *kind == self).map_or("", |(name, _)| *name)
    }
}

/// So many failed logins in so much time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LoginLimit {
    /// How many.
    pub failures: u32,
    /// In how long.
    pub window: Duration,
}

impl Tokens {
    /// Reads the section.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        const PROFILES: &[(&str, Profile)] =
            &[("countersign", Profile::Countersign), ("litestar-auth", Profile::LitestarAuth)];
        Ok(Self {
            strategy: sources.parse(&STRATEGY, parse::one_of(STRATEGIES))?,
            profile: sources.parse(&PROFILE, parse::one_of(PROFILES))?,
            lifetimes: lifetimes(sources)?,
            session_lifetime: sources.parse(&SESSION_LIFETIME, lifetime)?,
            login_limit: sources.parse(&LOGIN_LIMIT, login_limit)?,
            password_threads: sources.parse(&PASSWORD_THREADS, password_threads)?,
            password_queue: sources.parse(&PASSWORD_QUEUE, parse::number(1..=65_536))?,
        })
    }
}

fn lifetimes(sources: &Sources) -> Result<Lifetimes, ConfigError> {
    let refresh = sources.parse(&REFRESH_LIFETIME, lifetime)?;
    // Logging out everywhere finds signed tokens through their session's refresh token, so none may outlive it.
    let access = sources.parse(&ACCESS_LIFETIME, |text| match lifetime(text)? {
        access if access > refresh => Err("must not be longer than the refresh lifetime".to_owned()),
        access => Ok(access),
    })?;
    let session = sources.parse(&SESSION_LIFETIME, lifetime)?;
    Lifetimes::new(access, refresh)?.with_session_limit(session)
}

fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse::duration(text)?;
    let fits = (Duration::from_secs(1)..=countersign::MAX_LIFETIME).contains(&lifetime);
    if fits { Ok(lifetime) } else { Err("must be between 1 second and 100 years".to_owned()) }
}

fn login_limit(text: &str) -> Result<Option<LoginLimit>, String> {
    if text == "off" {
        return Ok(None);
    }
    let malformed = || "must be `off` or a number and a time, as 10/1m".to_owned();
    let (failures, window) = text.split_once('/').ok_or_else(malformed)?;
    let failures = parse::number(1..=1000)(failures.trim())?;
    let window = lifetime(window.trim()).map_err(|_| malformed())?;
    if window > Duration::from_hours(24) {
        return Err("must count over a day at most, so that nobody is locked out for good".to_owned());
    }
    Ok(Some(LoginLimit { failures, window }))
}

fn password_threads(text: &str) -> Result<NonZeroUsize, String> {
    if text == "auto" {
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        return Ok(NonZeroUsize::new(cores.saturating_sub(1)).unwrap_or(NonZeroUsize::MIN));
    }
    let number = parse::number(1_usize..=1024)(text)?;
    NonZeroUsize::new(number).ok_or_else(|| "must be at least 1".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn login_limits() {
        let ten_a_minute = LoginLimit { failures: 10, window: Duration::from_mins(1) };
        assert_eq!(login_limit("10/1m"), Ok(Some(ten_a_minute)));
        assert_eq!(login_limit("off"), Ok(None));
        for bad in ["", "10", "0/1m", "10/", "/1m", "10/forever", "10/2d", "-1/1m"] {
            assert!(login_limit(bad).is_err(), "{bad}");
        }
    }
}
