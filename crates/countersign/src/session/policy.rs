//! The policy of sessions: lifetimes, reuse detection and the limit on sessions per user.
//!
//! These are plain settings. The builders of the [strategies](crate::strategy) take them, and
//! `strategy/sessions` applies them. Values that can't work are refused here, with a
//! [`ConfigError`](crate::ConfigError), so that the rest of the crate needs no checks.

use std::num::NonZeroU32;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::error::ConfigError;

/// The longest lifetime that may be configured: 100 years of 366 days.
pub const MAX_LIFETIME: Duration = Duration::from_hours(100 * 366 * 24);

/// The lifetimes of a session and of its tokens.
///
/// There are three of them:
///
/// - the *access lifetime*: the life of one access token;
/// - the *refresh lifetime*: the idle timeout, which starts anew with each rotation of the refresh
///   token;
/// - the *session limit*: the longest life of a session, counted from login, however often it is
///   refreshed. Without a limit, a session that is used regularly never ends.
///
/// The builders of [`DatabaseTokenStrategy`](crate::strategy::DatabaseTokenStrategy) and
/// `RedisTokenStrategy` take these as separate settings. [`Sessions`](crate::strategy::Sessions)
/// takes them as this type.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use countersign::{Lifetimes, Timestamp};
///
/// const DAY: Duration = Duration::from_secs(86_400);
///
/// let lifetimes = Lifetimes::new(Duration::from_secs(900), 30 * DAY)?;
/// let lifetimes = lifetimes.with_max_session_age(180 * DAY)?;
/// let login = Timestamp::from_unix_seconds(1_768_478_400);
/// let limit = lifetimes.session_end(login);
/// assert_eq!(limit, Some(login.saturating_add(180 * DAY)));
///
/// // A late refresh: the session limit comes before the idle timeout.
/// let late = login.saturating_add(170 * DAY);
/// assert_eq!(Some(lifetimes.refresh_end(late, limit)), limit);
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Lifetimes {
    access: Duration,
    refresh: Duration,
    session: Option<Duration>,
}

impl Lifetimes {
    /// Creates lifetimes without a session limit.
    ///
    /// `access` is the life of an access token, `refresh` the idle timeout of a session.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names the setting if one of them is shorter than one second
    /// or longer than [`MAX_LIFETIME`].
    pub fn new(access: Duration, refresh: Duration) -> Result<Self, ConfigError> {
        let access = checked("access lifetime (max_age)", access)?;
        let refresh = checked("refresh lifetime (refresh_max_age)", refresh)?;
        Ok(Self {
            access,
            refresh,
            session: None,
        })
    }

    /// Sets the longest life of a session, counted from login.
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `session lifetime` if it is shorter than one second or
    /// longer than [`MAX_LIFETIME`].
    pub fn with_max_session_age(mut self, session: Duration) -> Result<Self, ConfigError> {
        self.session = Some(checked("session lifetime", session)?);
        Ok(self)
    }

    /// Returns the life of an access token.
    pub const fn access(&self) -> Duration {
        self.access
    }

    /// Returns the idle timeout of a session.
    pub const fn refresh(&self) -> Duration {
        self.refresh
    }

    /// Returns the absolute expiry of a session that opens at `now`, or `None` without a session
    /// limit.
    pub fn session_end(&self, now: Timestamp) -> Option<Timestamp> {
        self.session.map(|session| now.saturating_add(session))
    }

    /// Returns the expiry of a refresh token issued at `now`: the idle timeout, or `session_end` if
    /// that comes first.
    pub fn refresh_end(&self, now: Timestamp, session_end: Option<Timestamp>) -> Timestamp {
        now.saturating_add(self.refresh)
            .min(session_end.unwrap_or(Timestamp::MAX))
    }

    /// Returns the expiry of an access token issued at `now`: the end of its life, or `session_end`
    /// if that comes first.
    pub fn access_end(&self, now: Timestamp, session_end: Option<Timestamp>) -> Timestamp {
        now.saturating_add(self.access)
            .min(session_end.unwrap_or(Timestamp::MAX))
    }
}

/// The rule for a refresh token that is presented again after it was rotated.
///
/// A second presentation has two possible causes. The client may not have received the response, or
/// a second tab may have sent the same token: both are harmless. Or somebody has stolen the token.
/// The policy tells them apart by time:
///
/// - Within the *grace window* after the rotation, the token yields the same successor again. A
///   lost response or a second tab logs nobody out, and nothing is written.
/// - After the window, the presentation is reuse. It ends the session with all of its tokens,
///   because either the caller or the holder of the successor is a thief.
///
/// By default the window closes early, as soon as the successor has been rotated in its turn. The
/// default window is 10 seconds. A longer window forgives longer outages, and gives a thief who is
/// quick more time to go undetected.
///
/// # Examples
///
/// ```
/// use std::time::Duration;
/// use countersign::ReusePolicy;
///
/// assert_eq!(ReusePolicy::default().grace(), Duration::from_secs(10));
///
/// let strict = ReusePolicy::strict();
/// assert!(strict.grace().is_zero());
///
/// let patient = ReusePolicy::new(Duration::from_secs(60))?.without_close_on_use();
/// assert!(!patient.closes_on_use());
/// # Ok::<_, countersign::ConfigError>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ReusePolicy {
    grace: Duration,
    close_on_use: bool,
}

impl ReusePolicy {
    /// The longest grace window: 5 minutes.
    pub const MAX_GRACE: Duration = Duration::from_mins(5);

    /// Creates a policy with a grace window, which closes early when the successor is rotated.
    ///
    /// A `grace` of zero is the same as [`strict`](Self::strict).
    ///
    /// # Errors
    ///
    /// Returns a [`ConfigError`] that names `reuse_grace` if `grace` is longer than
    /// [`MAX_GRACE`](Self::MAX_GRACE).
    pub fn new(grace: Duration) -> Result<Self, ConfigError> {
        if grace > Self::MAX_GRACE {
            let problem = "must not be longer than 5 minutes";
            return Err(ConfigError::new(
                "reuse_grace",
                problem,
                "use for example 10 seconds, or 0 for no grace window",
            ));
        }
        Ok(Self {
            grace,
            close_on_use: true,
        })
    }

    /// Creates a policy without a grace window: every second presentation ends the session.
    ///
    /// Clients must then never retry a refresh. One lost response costs the session.
    pub const fn strict() -> Self {
        Self {
            grace: Duration::ZERO,
            close_on_use: true,
        }
    }

    /// Keeps the grace window open after the successor has been rotated.
    ///
    /// For clients that refresh in bursts, such as pages that refresh whenever they load. The last
    /// eight rotations of a session are remembered.
    #[must_use]
    pub const fn without_close_on_use(mut self) -> Self {
        self.close_on_use = false;
        self
    }

    /// Returns the length of the grace window. Zero means that there is none.
    pub const fn grace(&self) -> Duration {
        self.grace
    }

    /// Returns `true` if the grace window closes as soon as the successor has been rotated.
    /// Defaults to `true`.
    pub const fn closes_on_use(&self) -> bool {
        self.close_on_use
    }
}

/// A grace window of 10 seconds, which closes early.
impl Default for ReusePolicy {
    fn default() -> Self {
        Self {
            grace: Duration::from_secs(10),
            close_on_use: true,
        }
    }
}

/// The limit on the number of live sessions of one user.
///
/// Concurrent logins are counted together. For a moment there may be more sessions than the limit,
/// and every login that finds too many acts before it is answered.
///
/// # Examples
///
/// ```
/// use std::num::NonZeroU32;
/// use countersign::{SessionLimit, WhenFull};
///
/// let five = NonZeroU32::new(5).expect("five isn't zero");
/// let cap = SessionLimit { most: five, when_full: WhenFull::EvictOldest };
/// # assert_eq!(cap.when_full, WhenFull::default());
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(
    clippy::exhaustive_structs,
    reason = "a number, and what to do beyond it"
)]
pub struct SessionLimit {
    /// The highest number of live sessions of one user.
    pub most: NonZeroU32,
    /// The effect of a login beyond that number.
    pub when_full: WhenFull,
}

/// The effect of a login when its user has reached the [`SessionLimit`]. Defaults to
/// [`EvictOldest`](Self::EvictOldest).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[expect(clippy::exhaustive_enums, reason = "the caller chooses between these")]
pub enum WhenFull {
    /// Ends the session that was opened first, and opens the new one.
    #[default]
    EvictOldest,
    /// Refuses the login with [`Refusal::TooManySessions`](crate::Refusal::TooManySessions). Show
    /// the user the list of sessions, so that one of them can be ended. Concurrent logins may all
    /// be refused, although one of them would have fit.
    Refuse,
}

/// Returns `lifetime` if it is between one second and [`MAX_LIFETIME`]. Otherwise returns an error
/// that names `setting`.
pub(crate) fn checked(setting: &'static str, lifetime: Duration) -> Result<Duration, ConfigError> {
    if (Duration::from_secs(1)..=MAX_LIFETIME).contains(&lifetime) {
        Ok(lifetime)
    } else {
        Err(ConfigError::new(
            setting,
            "must be between 1 second and 100 years",
            "use for example 15 minutes or 30 days",
        ))
    }
}
