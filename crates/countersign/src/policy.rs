//! How long tokens and sessions live; combinations that can't work do not build.

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

pub(crate) fn checked(setting: &'static str, lifetime: Duration) -> Result<Duration, ConfigError> {
    if (Duration::from_secs(1)..=MAX_LIFETIME).contains(&lifetime) {
        Ok(lifetime)
    } else {
        Err(ConfigError::new(setting, "must be between 1 second and 100 years", "give it as `15m` or `30d`"))
    }
}
