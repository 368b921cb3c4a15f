//! How long tokens and sessions live; combinations that can't work do not build.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::ConfigError;

/// The longest lifetime that may be configured: 100 years.
pub const MAX_LIFETIME: Duration = Duration::from_hours(100 * 366 * 24);

/// The lifetimes of a session's tokens.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    access: Duration,
    refresh: Duration,
    session: Option<Duration>,
}

impl Lifetimes {
    /// `access` is an access token's life, `refresh` how long a session may lie idle.
    ///
    /// # Errors
    /// [`ConfigError`] that names the setting when one is shorter than a second or longer than [`MAX_LIFETIME`].
    pub fn new(access: Duration, refresh: Duration) -> Result<Self, ConfigError> {
        let access = checked("access lifetime (max_age)", access)?;
        let refresh = checked("refresh lifetime (refresh_max_age)", refresh)?;
        Ok(Self { access, refresh, session: None })
    }

    /// Also ends a session this long after login, however often it is refreshed.
    ///
    /// # Errors
    /// [`ConfigError`] when out of range.
    pub fn with_session_limit(mut self, session: Duration) -> Result<Self, ConfigError> {
        self.session = Some(checked("session lifetime", session)?);
        Ok(self)
    }

    /// An access token's life.
    pub const fn access(&self) -> Duration {
        self.access
    }

    /// How long a session may lie idle.
    pub const fn refresh(&self) -> Duration {
        self.refresh
    }

    /// When a session that opens at `now` ends whatever happens; `None` without an absolute limit.
    pub fn session_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.session.map(|session| now.saturating_add(session))
    }

    /// When a refresh token issued at `now` ends: after the idle time, and never after its session.
    pub fn refresh_end(&self, now: Timestamp, session_end: Option<Timestamp>) -> Timestamp {
        now.saturating_add(self.refresh).min(session_end.unwrap_or(Timestamp::MAX))
    }

    /// When an access token issued at `now` ends: after its life, and never after its session.
    pub fn access_end(&self, now: Timestamp, session_end: Option<Timestamp>) -> Timestamp {
        now.saturating_add(self.access).min(session_end.unwrap_or(Timestamp::MAX))
    }
}

/// How often a refresh token may be presented again after it was exchanged (promise P2).
///
/// ```
/// use std::time::Duration;
/// use countersign::ReusePolicy;
///
/// assert_eq!(ReusePolicy::default().grace(), Duration::from_secs(10));
/// let strict = ReusePolicy::strict();
/// let patient = ReusePolicy::new(Duration::from_secs(60))?.without_close_on_use();
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReusePolicy {
    grace: Duration,
    close_on_use: bool,
}

impl ReusePolicy {
    /// The longest window: 5 minutes.
    pub const MAX_GRACE: Duration = Duration::from_mins(5);

    /// Within `grace` of its exchange, a refresh token yields its successor again; zero is [`strict`](Self::strict).
    ///
    /// # Errors
    /// [`ConfigError`] that names `reuse_grace` when it is longer than [`MAX_GRACE`](Self::MAX_GRACE).
    pub fn new(grace: Duration) -> Result<Self, ConfigError> {
        if grace > Self::MAX_GRACE {
            let problem = "must not be longer than 5 minutes";
            return Err(ConfigError::new("reuse_grace", problem, "give it as `10s`, or `0s` for no window"));
        }
        Ok(Self { grace, close_on_use: true })
    }

    /// No window: whoever presents a refresh token for the second time ends its session.
    pub const fn strict() -> Self {
        Self { grace: Duration::ZERO, close_on_use: true }
    }

    /// Keeps the window open after the successor has been exchanged in its turn, for clients that refresh in a burst. The
    /// last eight exchanges of a session are remembered.
    #[must_use]
    pub const fn without_close_on_use(mut self) -> Self {
        self.close_on_use = false;
        self
    }

    /// The window.
    pub const fn grace(&self) -> Duration {
        self.grace
    }

    /// Whether the window ends as soon as the successor has been exchanged.
    pub const fn closes_on_use(&self) -> bool {
        self.close_on_use
    }
}

impl Default for ReusePolicy {
    fn default() -> Self {
        Self { grace: Duration::from_secs(10), close_on_use: true }
    }
}

/// How many sessions a user may have at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SessionCap {
    /// The most live sessions of one user.
    pub most: NonZeroU32,
    /// What a login does that would be one too many.
    pub when_full: WhenFull,
}

/// What a login does when its user has as many sessions as allowed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum WhenFull {
    /// It ends the session that was opened first.
    #[default]
    EvictOldest,
    /// It is refused.
    Refuse,
}

pub(crate) fn checked(setting: &'static str, lifetime: Duration) -> Result<Duration, ConfigError> {
    if (Duration::from_secs(1)..=MAX_LIFETIME).contains(&lifetime) {
        Ok(lifetime)
    } else {
        Err(ConfigError::new(setting, "must be between 1 second and 100 years", "give it as `15m` or `30d`"))
    }
}
