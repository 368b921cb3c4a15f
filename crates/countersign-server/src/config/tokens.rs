//! Settings of tokens, sessions, logins and registrations.
//!
//! Strategy and profile are recorded in the shared database, so that all servers of a deployment
//! agree on them. Their defaults hold only for a new deployment; see [`Sources::agreed`].

use std::num::{NonZeroU32, NonZeroUsize};
use std::time::Duration;

use countersign::{ConfigError, Lifetimes, Profile, ReusePolicy, SessionLimit, WhenFull};

use crate::config::setting::{Kind, Setting};
use crate::config::{Sources, parse};

/// The strategy, which decides how access tokens are made.
pub const STRATEGY: Setting = Setting {
    key: "strategy",
    kind: Kind::Plain,
    default: "database",
    form: "database|redis|jwt",
    example: "database",
    help: "Kind of access tokens: looked up in the database, looked up on Redis, or signed (jwt).",
};
/// The profile, which decides the formats of tokens and claims.
pub const PROFILE: Setting = Setting {
    key: "profile",
    kind: Kind::Plain,
    default: "countersign",
    form: "countersign|litestar-auth",
    example: "countersign",
    help: "Format of tokens and claims: countersign's own, or that of litestar-auth.",
};
const ACCESS_LIFETIME: Setting = Setting {
    key: "access_lifetime",
    kind: Kind::Plain,
    default: "15m",
    form: "TIME",
    example: "15m",
    help: "Lifetime of an access token.",
};
const REFRESH_LIFETIME: Setting = Setting {
    key: "refresh_lifetime",
    kind: Kind::Plain,
    default: "30d",
    form: "TIME",
    example: "30d",
    help: "How long a session may be idle before it ends.",
};
const SESSION_LIFETIME: Setting = Setting {
    key: "session_lifetime",
    kind: Kind::Plain,
    default: "180d",
    form: "TIME",
    example: "180d",
    help: "Maximum age of a session; refreshing does not extend it.",
};
const REUSE_GRACE: Setting = Setting {
    key: "reuse_grace",
    kind: Kind::Plain,
    default: "10s",
    form: "TIME",
    example: "10s",
    help: "How long a refresh token that was already exchanged returns the same successor again; with 0s, its reuse ends the session at once.",
};
const REUSE_CLOSE_ON_USE: Setting = Setting {
    key: "reuse_close_on_use",
    kind: Kind::Plain,
    default: "true",
    form: "true|false",
    example: "true",
    help: "Whether reuse_grace ends as soon as the successor is exchanged; set false for clients that refresh in bursts.",
};
const SESSION_LIMIT: Setting = Setting {
    key: "session_limit",
    kind: Kind::Plain,
    default: "off",
    form: "NUMBER[/refuse]|off",
    example: "5",
    help: "Maximum number of sessions per account; a further login ends the oldest one or, with /refuse, is refused.",
};
const LOGIN_LIMIT: Setting = Setting {
    key: "login_limit",
    kind: Kind::Plain,
    default: "10/1m",
    form: "NUMBER/TIME|off",
    example: "10/1m",
    help: "Maximum number of failed logins per account and address; further ones get 429 until the time has passed.",
};
const REGISTRATION: Setting = Setting {
    key: "registration",
    kind: Kind::Plain,
    default: "60/1h",
    form: "open|NUMBER/TIME|off",
    example: "60/1h",
    help: "Who may register: anyone (open), a limited number per client address and then 429, or nobody (off).",
};
/// The treatment of accounts that have a second factor.
pub const SECOND_FACTOR: Setting = Setting {
    key: "second_factor",
    kind: Kind::Plain,
    default: "refuse",
    form: "refuse|ignore",
    example: "refuse",
    help: "Whether to refuse logins to accounts with a second factor in litestar-auth, or to ignore the second factor.",
};
const PASSWORD_THREADS: Setting = Setting {
    key: "password_threads",
    kind: Kind::Plain,
    default: "auto",
    form: "NUMBER|auto",
    example: "4",
    help: "Number of threads that hash passwords, each using 19 MiB while hashing; auto leaves one core free.",
};
const PASSWORD_QUEUE: Setting = Setting {
    key: "password_queue",
    kind: Kind::Plain,
    default: "64",
    form: "NUMBER",
    example: "64",
    help: "Maximum number of logins that wait for such a thread, and a quarter as many registrations; further ones get 503.",
};

const ADOPTED_LIFETIME: Setting = Setting {
    key: "adopted_lifetime",
    kind: Kind::Plain,
    default: "keep",
    form: "TIME|keep",
    example: "30d",
    help: "Age at which tokens written by litestar-auth are deleted, because their rows have no expiry; keep never deletes them.",
};

/// The settings of this section, in the order of the help.
pub(super) const SETTINGS: &[&Setting] = &[
    &STRATEGY,
    &PROFILE,
    &ACCESS_LIFETIME,
    &REFRESH_LIFETIME,
    &SESSION_LIFETIME,
    &REUSE_GRACE,
    &REUSE_CLOSE_ON_USE,
    &SESSION_LIMIT,
    &LOGIN_LIMIT,
    &REGISTRATION,
    &SECOND_FACTOR,
    &PASSWORD_THREADS,
    &PASSWORD_QUEUE,
    &ADOPTED_LIFETIME,
];

/// The settings of tokens, sessions, logins and registrations.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    /// The strategy that issues and reads access tokens.
    pub strategy: StrategyKind,
    /// The profile, which decides the formats of tokens and claims.
    pub profile: Profile,
    /// The lifetimes of access tokens (`access_lifetime`) and of idle sessions
    /// (`refresh_lifetime`), limited by the absolute lifetime of a session (`session_lifetime`).
    /// Each is one second to 100 years.
    pub lifetimes: Lifetimes,
    /// The absolute lifetime of a session (`session_lifetime`). Refreshing doesn't extend it.
    pub session_lifetime: Duration,
    /// The treatment of a refresh token that is presented again after its rotation (`reuse_grace`,
    /// up to five minutes, and `reuse_close_on_use`).
    pub reuse: ReusePolicy,
    /// The maximum number of sessions of an account (`session_limit`, 1 to 100,000). `None` if
    /// there is no limit.
    pub session_limit: Option<SessionLimit>,
    /// The limit of failed logins (`login_limit`). `None` if there is no limit.
    pub login_limit: Option<RateLimit>,
    /// The permission to register.
    pub registration: Registration,
    /// The treatment of accounts that have a second factor.
    pub second_factor: SecondFactor,
    /// The number of threads that hash passwords (`password_threads`, 1 to 1024). Defaults to one
    /// fewer than there are cores, but at least one.
    pub password_threads: NonZeroUsize,
    /// The number of logins that may wait for a thread (`password_queue`, 1 to 65,536).
    /// Registrations have a quarter as many places.
    pub password_queue: usize,
    /// The age at which tokens that litestar-auth wrote are swept (`adopted_lifetime`). Their rows
    /// state no expiry. `None` if they aren't swept.
    pub adopted_lifetime: Option<Duration>,
}

/// The strategy that the settings name. Defaults to [`Database`](Self::Database).
///
/// With every strategy the accounts are in the database, and a revocation is effective on all
/// servers at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum StrategyKind {
    /// Opaque access tokens and sessions in the database. The simplest choice: it needs no other
    /// store.
    Database,
    /// Opaque access tokens and sessions on Redis, for more token checks than the database can
    /// answer.
    Redis,
    /// Signed access tokens, which other services can verify by themselves with the public key.
    /// Sessions are in the database, and the ids of revoked tokens there or on Redis.
    Jwt,
}

const STRATEGIES: &[(&str, StrategyKind)] = &[
    ("database", StrategyKind::Database),
    ("redis", StrategyKind::Redis),
    ("jwt", StrategyKind::Jwt),
];

const PROFILES: &[(&str, Profile)] = &[
    ("countersign", Profile::Countersign),
    ("litestar-auth", Profile::LitestarAuth),
];

impl StrategyKind {
    /// Returns the name of the strategy, as the setting has it.
    pub fn name(self) -> &'static str {
        STRATEGIES
            .iter()
            .find(|(_, kind)| *kind == self)
            .map_or("", |(name, _)| *name)
    }
}

/// Returns the name of a profile, as the setting has it.
pub fn profile_name(profile: Profile) -> &'static str {
    PROFILES
        .iter()
        .find(|(_, known)| *known == profile)
        .map_or("", |(name, _)| *name)
}

/// A maximum number of attempts in a window of time, written as `10/1m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RateLimit {
    /// The maximum number of attempts, 1 to 1000.
    pub most: u32,
    /// The length of the window: one second to one day, so that nobody is locked out for good.
    pub window: Duration,
}

/// The permission to register.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Registration {
    /// Everybody may register, up to the limit for one address. `None` if there is no limit.
    Open(Option<RateLimit>),
    /// Accounts are created on the command line only.
    Off,
}

/// The treatment of accounts that have a second factor at litestar-auth, for which this server
/// can't ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SecondFactor {
    /// Their logins are refused as if the password were wrong.
    Refuse,
    /// Their password is enough.
    Ignore,
}

impl Tokens {
    /// Reads this section.
    ///
    /// # Errors
    /// [`ConfigError`] if a value can't be parsed, or if access tokens would live longer than idle
    /// sessions.
    pub fn read(sources: &Sources) -> Result<Self, ConfigError> {
        const SECOND_FACTORS: &[(&str, SecondFactor)] = &[
            ("refuse", SecondFactor::Refuse),
            ("ignore", SecondFactor::Ignore),
        ];

        Ok(Self {
            strategy: sources.parse(&STRATEGY, parse::one_of(STRATEGIES))?,
            profile: sources.parse(&PROFILE, parse::one_of(PROFILES))?,
            lifetimes: lifetimes(sources)?,
            session_lifetime: sources.parse(&SESSION_LIFETIME, lifetime)?,
            reuse: reuse(sources)?,
            session_limit: sources.parse(&SESSION_LIMIT, session_limit)?,
            login_limit: sources.parse(&LOGIN_LIMIT, login_limit)?,
            registration: sources.parse(&REGISTRATION, registration)?,
            second_factor: sources.parse(&SECOND_FACTOR, parse::one_of(SECOND_FACTORS))?,
            password_threads: sources.parse(&PASSWORD_THREADS, password_threads)?,
            password_queue: sources.parse(&PASSWORD_QUEUE, parse::number(1..=65_536))?,
            adopted_lifetime: sources.parse(&ADOPTED_LIFETIME, adopted_lifetime)?,
        })
    }
}

/// Parses the lifetimes and checks that they fit together.
fn lifetimes(sources: &Sources) -> Result<Lifetimes, ConfigError> {
    let refresh = sources.parse(&REFRESH_LIFETIME, lifetime)?;
    // "Log out everywhere" finds the signed access tokens of a session by its refresh token, so an
    // access token must not live longer.
    let access = sources.parse(&ACCESS_LIFETIME, |text| match lifetime(text)? {
        access if access > refresh => Err("must not be longer than refresh_lifetime".to_owned()),
        access => Ok(access),
    })?;
    let session = sources.parse(&SESSION_LIFETIME, lifetime)?;
    Lifetimes::new(access, refresh)?.with_max_session_age(session)
}

/// Parses the two settings of reuse detection.
fn reuse(sources: &Sources) -> Result<ReusePolicy, ConfigError> {
    let reuse = sources.parse(&REUSE_GRACE, |text| {
        ReusePolicy::new(parse::duration(text)?)
            .map_err(|_| "must not be longer than 5 minutes".to_owned())
    })?;
    let closes = sources.parse(&REUSE_CLOSE_ON_USE, parse::truth)?;
    Ok(if closes {
        reuse
    } else {
        reuse.without_close_on_use()
    })
}

/// Parses the maximum number of sessions, such as `5` or `5/refuse`.
fn session_limit(text: &str) -> Result<Option<SessionLimit>, String> {
    if text == "off" {
        return Ok(None);
    }
    let (most, when_full) = match text.split_once('/') {
        None => (text, WhenFull::EvictOldest),
        Some((most, "refuse")) => (most, WhenFull::Refuse),
        Some(_) => {
            return Err("must be `off`, a number, or a number followed by `/refuse`".to_owned());
        }
    };
    let most = parse::number(1..=100_000)(most.trim())?;
    Ok(NonZeroU32::new(most).map(|most| SessionLimit { most, when_full }))
}

/// Parses the lifetime of a token: one second to 100 years.
fn lifetime(text: &str) -> Result<Duration, String> {
    let lifetime = parse::duration(text)?;
    let fits = (Duration::from_secs(1)..=countersign::session::MAX_LIFETIME).contains(&lifetime);
    if fits {
        Ok(lifetime)
    } else {
        Err("must be between 1 second and 100 years".to_owned())
    }
}

/// Parses the age at which litestar-auth's tokens are swept. `keep` sweeps none.
fn adopted_lifetime(text: &str) -> Result<Option<Duration>, String> {
    if text == "keep" {
        Ok(None)
    } else {
        lifetime(text).map(Some)
    }
}

/// Parses the limit of failed logins. `off` counts nothing.
fn login_limit(text: &str) -> Result<Option<RateLimit>, String> {
    match text {
        "off" => Ok(None),
        limit => rate_limit(
            limit,
            "must be `off`, or a number and a time such as `10/1m`",
        )
        .map(Some),
    }
}

/// Parses the permission to register: `open`, `off`, or a limit for one address such as `60/1h`.
fn registration(text: &str) -> Result<Registration, String> {
    match text {
        "off" => Ok(Registration::Off),
        "open" => Ok(Registration::Open(None)),
        limit => {
            let limit = rate_limit(
                limit,
                "must be `open`, `off`, or a number and a time such as `60/1h`",
            )?;
            Ok(Registration::Open(Some(limit)))
        }
    }
}

/// Parses a limit such as `10/1m`. `malformed` is the error text for a value of another form.
fn rate_limit(text: &str, malformed: &str) -> Result<RateLimit, String> {
    let (most, window) = text.split_once('/').ok_or_else(|| malformed.to_owned())?;
    let most = parse::number(1..=1000)(most.trim())?;
    let window = lifetime(window.trim()).map_err(|_| malformed.to_owned())?;
    if window > Duration::from_hours(24) {
        return Err(
            "must have a time of at most one day, so that nobody is locked out for longer"
                .to_owned(),
        );
    }
    Ok(RateLimit { most, window })
}

/// Parses the number of hashing threads. `auto` leaves one core to the requests.
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
    fn session_limits() {
        let cap = |most, when_full| SessionLimit {
            most: NonZeroU32::new(most).unwrap(),
            when_full,
        };
        assert_eq!(session_limit("off"), Ok(None));
        assert_eq!(session_limit("5"), Ok(Some(cap(5, WhenFull::EvictOldest))));
        assert_eq!(
            session_limit("1/refuse"),
            Ok(Some(cap(1, WhenFull::Refuse)))
        );
        for bad in ["", "0", "-1", "5/", "5/evict", "/refuse", "many", "100001"] {
            assert!(session_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn login_limits() {
        let ten_a_minute = RateLimit {
            most: 10,
            window: Duration::from_mins(1),
        };
        assert_eq!(login_limit("10/1m"), Ok(Some(ten_a_minute)));
        assert_eq!(login_limit("off"), Ok(None));
        for bad in [
            "",
            "10",
            "0/1m",
            "10/",
            "/1m",
            "10/forever",
            "10/2d",
            "-1/1m",
        ] {
            assert!(login_limit(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn registrations() {
        let twenty_an_hour = RateLimit {
            most: 20,
            window: Duration::from_hours(1),
        };
        assert_eq!(
            registration("20/1h"),
            Ok(Registration::Open(Some(twenty_an_hour)))
        );
        assert_eq!(registration("open"), Ok(Registration::Open(None)));
        assert_eq!(registration("off"), Ok(Registration::Off));
        for bad in ["", "closed", "true", "20", "0/1h", "20/2d", "1001/1h"] {
            assert!(registration(bad).is_err(), "{bad}");
        }
    }
}
