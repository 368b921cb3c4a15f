//! Times in the forms of the databases.
//!
//! Each database has an earliest and a latest time. Times outside become the nearest that it has,
//! so that a token which never expires is stored as one that expires at the end of time.

#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
use jiff::{civil, tz::Offset};

use crate::clock::Timestamp;

/// The microseconds from the Unix epoch to 2000-01-01, the epoch of PostgreSQL.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
const EPOCH: i64 = 946_684_800_000_000;
/// The earliest time of a `timestamptz`, in microseconds since 2000.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
const EARLIEST: i64 = -211_813_488_000_000_000;
/// The first time that is too late for a `timestamptz`, in microseconds since 2000.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
const END: i64 = 9_223_371_331_200_000_000;

/// Returns the microseconds since 2000. Times out of range become PostgreSQL's `infinity` or
/// `-infinity`.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
pub(super) const fn since_2000(moment: Timestamp) -> i64 {
    match moment.as_micros().saturating_sub(EPOCH) {
        _ if moment.as_micros() == i64::MAX => i64::MAX,
        END.. => i64::MAX,
        ..EARLIEST => i64::MIN,
        micros => micros,
    }
}

/// Returns the time for microseconds since 2000. PostgreSQL's `infinity` becomes the end of the
/// range.
#[cfg(any(feature = "postgres", feature = "sqlx-postgres"))]
pub(super) const fn from_2000(raw: [u8; 8]) -> Timestamp {
    match i64::from_be_bytes(raw) {
        i64::MIN => Timestamp::from_micros(i64::MIN),
        micros => Timestamp::from_micros(micros.saturating_add(EPOCH)),
    }
}

/// Returns a time as MySQL's `DATETIME(6)` in UTC. Times outside of the years 1000 to 9999 become
/// the nearest time inside.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(super) fn datetime(moment: Timestamp) -> civil::DateTime {
    let earliest = civil::date(1000, 1, 1).at(0, 0, 0, 0);
    let latest = civil::date(9999, 12, 31).at(23, 59, 59, 999_999_000);
    let edge = if moment.as_micros() < 0 {
        earliest
    } else {
        latest
    };

    let moment = jiff::Timestamp::from_microsecond(moment.as_micros());
    moment
        .map_or(edge, |moment| Offset::UTC.to_datetime(moment))
        .clamp(earliest, latest)
}

/// Returns the time that the parts of a date mean in UTC, or `None` if there is no such date.
#[cfg(any(feature = "mysql", feature = "sqlx-mysql"))]
pub(super) fn moment(year: u16, parts: [u8; 5], micros: u32) -> Option<Timestamp> {
    let [month, day, hour, minute, second] = parts.map(|part| i8::try_from(part).ok());
    let nanos = i32::try_from(micros).ok()?.checked_mul(1000)?;
    let date = civil::DateTime::new(
        year.try_into().ok()?,
        month?,
        day?,
        hour?,
        minute?,
        second?,
        nanos,
    )
    .ok()?;

    Some(Timestamp::from_micros(
        Offset::UTC.to_timestamp(date).ok()?.as_microsecond(),
    ))
}

#[cfg(all(test, any(feature = "postgres", feature = "sqlx-postgres")))]
mod tests {
    use super::*;

    #[test]
    fn the_ends_of_time_are_infinity() {
        let infinity = |moment| since_2000(Timestamp::from_micros(moment));
        assert_eq!(infinity(i64::MAX), i64::MAX);
        assert_eq!(infinity(i64::MIN), i64::MIN);
        assert_eq!(from_2000(i64::MAX.to_be_bytes()), Timestamp::MAX);
        assert_eq!(
            from_2000(i64::MIN.to_be_bytes()),
            Timestamp::from_micros(i64::MIN)
        );
        assert_eq!(infinity(EPOCH), 0);
    }
}
