//! Time as a parameter: [`Timestamp`] is a moment, and a [`Clock`] tells the present one.
//!
//! Everything that needs "now" asks a clock that was passed in, so that tests control the time. The
//! system clock is read in this file alone, and `clippy.toml` refuses it elsewhere.

use std::fmt;
use std::time::{Duration, SystemTime};

/// A moment in UTC, in whole microseconds since the Unix epoch.
///
/// Arithmetic saturates: no clock setting and no lifetime can make it overflow or panic.
/// [`Display`](fmt::Display) writes RFC 3339 in UTC.
///
/// # Examples
///
/// ```
/// use countersign::Timestamp;
/// use std::time::Duration;
///
/// let issued = Timestamp::from_unix_seconds(1_768_478_400);
/// assert_eq!(issued.saturating_add(Duration::from_secs(900)).as_unix_seconds(), 1_768_479_300);
/// assert_eq!(issued.to_string(), "2026-01-15T12:00:00Z");
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The latest moment that a timestamp can be. It also serves as "never" where an end is
    /// optional.
    pub const MAX: Self = Self(i64::MAX);

    /// Creates a timestamp from microseconds since the Unix epoch. Negative numbers are before the
    /// epoch.
    pub const fn from_micros(micros: i64) -> Self {
        Self(micros)
    }

    /// Creates a timestamp from seconds since the Unix epoch. Saturates at both ends of the range.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1_000_000))
    }

    /// Returns the microseconds since the Unix epoch.
    pub const fn as_micros(self) -> i64 {
        self.0
    }

    /// Returns the whole seconds since the Unix epoch, rounded down.
    pub const fn as_unix_seconds(self) -> i64 {
        self.0.div_euclid(1_000_000)
    }

    /// Returns the moment that is `duration` later, at most [`Timestamp::MAX`].
    #[must_use]
    pub fn saturating_add(self, duration: Duration) -> Self {
        Self(self.0.saturating_add(micros(duration)))
    }

    /// Returns the moment that is `duration` earlier. Saturates at the earliest possible moment.
    #[must_use]
    pub fn saturating_sub(self, duration: Duration) -> Self {
        Self(self.0.saturating_sub(micros(duration)))
    }

    /// Returns the time that has passed since `earlier`, or zero if `earlier` is the later one.
    pub fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(u64::try_from(self.0.saturating_sub(earlier.0)).unwrap_or(0))
    }
}

fn micros(duration: Duration) -> i64 {
    i64::try_from(duration.as_micros()).unwrap_or(i64::MAX)
}

/// Writes RFC 3339 in UTC, such as `2026-01-15T12:00:00Z`. Moments beyond the years -9999 to 9999
/// are written as microseconds, such as `9223372036854775807us`.
impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match jiff::Timestamp::from_microsecond(self.0) {
            Ok(moment) => moment.fmt(f),
            Err(_) => write!(f, "{}us", self.0),
        }
    }
}

impl fmt::Debug for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// A source of the present time.
///
/// Strategies, denylists and stores never read the system clock. They get the time from the clock
/// that their builder was given, which is [`SystemClock`] by default. Tests pass a clock that they
/// move by hand: `testing::ManualClock` (feature `testing`) is one.
///
/// # Implementing
///
/// - A clock may be called from several threads at once, and often: reading it must not block.
/// - It should agree with the clocks of the other servers of a deployment within a few seconds.
///   Differences beyond the leeway refuse tokens that are good elsewhere.
/// - It need not be monotonic. A clock that is set back makes tokens live longer by that much.
///
/// # Examples
///
/// ```
/// use countersign::clock::Clock;
/// use countersign::Timestamp;
///
/// #[derive(Debug)]
/// struct Noon;
///
/// impl Clock for Noon {
///     fn now(&self) -> Timestamp {
///         Timestamp::from_unix_seconds(1_768_478_400)
///     }
/// }
///
/// assert_eq!(Noon.now().to_string(), "2026-01-15T12:00:00Z");
/// ```
pub trait Clock: fmt::Debug + Send + Sync {
    /// Returns the present moment.
    fn now(&self) -> Timestamp;
}

/// The clock of the operating system.
///
/// A system clock that is set to a time before 1970 reads as the Unix epoch.
#[derive(Clone, Copy, Debug, Default)]
#[expect(clippy::exhaustive_structs, reason = "it has nothing to configure")]
pub struct SystemClock;

impl Clock for SystemClock {
    #[expect(
        clippy::disallowed_methods,
        reason = "the one place that reads the system clock"
    )]
    fn now(&self) -> Timestamp {
        let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
        Timestamp(since_epoch.map_or(0, micros))
    }
}
