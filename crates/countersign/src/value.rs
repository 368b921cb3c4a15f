//! Values on their way to and from a database, the same for every SQL dialect.
//!
//! The drivers translate a [`Value`] into the types of their database, and rows back into [`Row`]s.
//! The methods of [`Row`] accept every form in which a dialect returns a type, so that callers need
//! no distinction.

use std::fmt;

use uuid::Uuid;

use crate::clock::Timestamp;

/// The value of one column or parameter.
///
/// Its `Debug` output shows the variant only, because rows hold digests, email addresses and
/// password hashes.
#[derive(Clone, PartialEq)]
#[expect(
    clippy::exhaustive_enums,
    reason = "the kinds of values that all databases can hold"
)]
pub enum Value {
    /// SQL's `NULL`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A 64-bit integer.
    Int(i64),
    /// A text in UTF-8.
    Text(String),
    /// A string of bytes.
    Bytes(Vec<u8>),
    /// A UUID: the type `uuid` on PostgreSQL, 16 bytes on SQLite and MySQL.
    Uuid(Uuid),
    /// A moment: `timestamptz` on PostgreSQL, `DATETIME(6)` in UTC on MySQL, a text of the form
    /// `YYYY-MM-DD HH:MM:SS.ffffff` in UTC on SQLite.
    Time(Timestamp),
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Null => "Null",
            Self::Bool(_) => "Bool(..)",
            Self::Int(_) => "Int(..)",
            Self::Text(_) => "Text(..)",
            Self::Bytes(_) => "Bytes(..)",
            Self::Uuid(_) => "Uuid(..)",
            Self::Time(_) => "Time(..)",
        })
    }
}

macro_rules! from {
    ($($type:ty => $variant:ident),+ $(,)?) => {
        $(impl From<$type> for Value {
            fn from(value: $type) -> Self {
                Self::$variant(value.into())
            }
        })+
    };
}

from!(bool => Bool, i64 => Int, &str => Text, String => Text, Vec<u8> => Bytes, Uuid => Uuid, Timestamp => Time);

impl<T: Into<Value>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The error for a column that holds another type than the one that was asked for.
///
/// [`Display`](fmt::Display) names the column's number and the wanted type, and nothing of the
/// value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} is not {wanted}")]
pub struct ValueError {
    column: usize,
    wanted: &'static str,
}

/// One row of a result. Columns are counted from 0.
///
/// [`UserManager::read_joined`](crate::UserManager::read_joined) gets one with the columns of the
/// user's table.
///
/// # Examples
///
/// ```
/// use countersign::store::{Row, Value};
///
/// let row = Row::new(vec![Value::Int(7), "ada@example.org".into(), Value::Null]);
/// assert_eq!(row.int(0), Ok(Some(7)));
/// assert_eq!(row.text(1), Ok(Some("ada@example.org")));
/// assert_eq!(row.text(2), Ok(None));
/// assert!(row.int(1).is_err());
/// ```
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<Value>);

impl Row {
    /// Creates a row from its columns.
    pub const fn new(columns: Vec<Value>) -> Self {
        Self(columns)
    }

    /// Returns the value of a column, or [`Value::Null`] if the row has no such column.
    pub fn value(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    /// Returns the row without its first `first` columns.
    #[must_use]
    pub fn skip(mut self, first: usize) -> Self {
        self.0.drain(..first.min(self.0.len()));
        self
    }

    /// Returns a text, or `None` for `NULL`. Bytes are accepted if they are UTF-8.
    ///
    /// # Errors
    /// [`ValueError`] if the column holds something else.
    pub fn text(&self, column: usize) -> Result<Option<&str>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Bytes(bytes) => std::str::from_utf8(bytes)
                .map(Some)
                .map_err(|_| wrong(column, "a string")),
            _ => Err(wrong(column, "a string")),
        }
    }

    /// Returns an integer, or `None` for `NULL`.
    ///
    /// # Errors
    /// [`ValueError`] if the column holds something else.
    pub fn int(&self, column: usize) -> Result<Option<i64>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Int(int) => Ok(Some(*int)),
            _ => Err(wrong(column, "an integer")),
        }
    }

    /// Returns a truth value. An integer is `true` unless it is 0, and `NULL` is `false`.
    ///
    /// # Errors
    /// [`ValueError`] if the column holds something else.
    pub fn bool(&self, column: usize) -> Result<bool, ValueError> {
        match self.value(column) {
            Value::Null => Ok(false),
            Value::Bool(truth) => Ok(*truth),
            Value::Int(int) => Ok(*int != 0),
            _ => Err(wrong(column, "a boolean")),
        }
    }

    /// Returns a UUID, or `None` for `NULL`. Exactly 16 bytes are accepted as well.
    ///
    /// # Errors
    /// [`ValueError`] if the column holds something else. A UUID in the form of a text is refused.
    pub fn uuid(&self, column: usize) -> Result<Option<Uuid>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Uuid(id) => Ok(Some(*id)),
            Value::Bytes(bytes) => Uuid::from_slice(bytes)
                .map(Some)
                .map_err(|_| wrong(column, "a UUID")),
            _ => Err(wrong(column, "a UUID")),
        }
    }

    /// Returns a moment, or `None` for `NULL`.
    ///
    /// Accepted are the dialect's own type, an integer of microseconds since the Unix epoch, and a
    /// text. A text is `YYYY-MM-DD`, alone or followed by a space or `T` and `HH:MM:SS`, with an
    /// optional fraction and an optional `Z` or offset. Without an offset it is UTC. Digits beyond
    /// microseconds are dropped.
    ///
    /// # Errors
    /// [`ValueError`] if the column holds something else.
    pub fn time(&self, column: usize) -> Result<Option<Timestamp>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Time(moment) => Ok(Some(*moment)),
            Value::Int(micros) => Ok(Some(Timestamp::from_micros(*micros))),
            Value::Text(text) => parse_time(text)
                .map(Some)
                .ok_or(wrong(column, "a timestamp")),
            _ => Err(wrong(column, "a timestamp")),
        }
    }
}

/// Returns a moment as SQLite stores it: `YYYY-MM-DD HH:MM:SS.ffffff` in UTC.
///
/// SQLite compares texts, so the texts have to sort like the moments. Moments before the year 0 or
/// after the year 9999 become the first or last text of that range.
#[cfg(any(feature = "sqlite", test))]
pub(crate) fn time_text(moment: Timestamp) -> String {
    const YEAR_0: i64 = -62_167_219_200_000_000;
    let moment = moment.as_micros();
    if moment < YEAR_0 {
        return "0000-01-01 00:00:00.000000".to_owned();
    }
    match jiff::Timestamp::from_microsecond(moment) {
        Ok(moment) => moment.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string(),
        Err(_) => "9999-12-31 23:59:59.999999".to_owned(),
    }
}

/// Reads a text as [`Row::time`] describes it.
fn parse_time(text: &str) -> Option<Timestamp> {
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::Offset::UTC.to_timestamp(civil).ok()
    })?;
    // Rounding towards the past: a token must never live longer because of the digits that are
    // dropped.
    i64::try_from(moment.as_nanosecond().div_euclid(1_000))
        .ok()
        .map(Timestamp::from_micros)
}

const fn wrong(column: usize, wanted: &'static str) -> ValueError {
    ValueError { column, wanted }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_every_spelling_of_a_time() {
        let ten_to_noon = Timestamp::from_unix_seconds(1_768_477_800);
        let same = [
            "2026-01-15 11:50:00.000000",
            "2026-01-15 11:50:00",
            "2026-01-15T11:50:00",
            "2026-01-15T11:50:00Z",
            "2026-01-15 14:50:00+03:00",
            "2026-01-15 08:50:00-03:00",
        ];
        for text in same {
            assert_eq!(
                Row::new(vec![text.into()]).time(0),
                Ok(Some(ten_to_noon)),
                "{text}"
            );
        }
        let micros = |text: &str| {
            Row::new(vec![text.into()])
                .time(0)
                .map(|time| time.unwrap().as_micros())
        };
        assert_eq!(
            micros("2026-01-15T14:50:00.5+03:00"),
            Ok(ten_to_noon.as_micros() + 500_000)
        );
        assert_eq!(
            micros("2026-01-15 11:50:00.123456789"),
            Ok(ten_to_noon.as_micros() + 123_456)
        );
        assert_eq!(micros("2026-01-15"), Ok(1_768_435_200_000_000));
        for text in ["yesterday", "", "2026-13-01", "25:00"] {
            assert!(Row::new(vec![text.into()]).time(0).is_err(), "{text}");
        }
        assert_eq!(time_text(ten_to_noon), "2026-01-15 11:50:00.000000");
        assert_eq!(time_text(Timestamp::MAX).len(), 26);
    }

    /// SQLite compares texts, so what lies beyond the years 0 to 9999 is written as the end that it lies beyond.
    #[test]
    fn times_of_any_age_are_written_in_their_order() {
        let year_0 = -62_167_219_200_000_000;
        let moments = [
            i64::MIN,
            year_0 - 1,
            year_0,
            year_0 + 1,
            -1,
            0,
            1_768_477_800_000_000,
            i64::MAX - 1,
            i64::MAX,
        ];
        let texts = moments.map(|micros| time_text(Timestamp::from_micros(micros)));
        assert!(texts.is_sorted(), "{texts:#?}");
        for text in &texts {
            assert_eq!(text.len(), "YYYY-MM-DD HH:MM:SS.ffffff".len(), "{text}");
        }
        assert_eq!(texts[0], "0000-01-01 00:00:00.000000");
        assert_eq!(texts[3], "0000-01-01 00:00:00.000001");
        assert_eq!(texts[8], "9999-12-31 23:59:59.999999");
        assert_eq!(
            Row::new(vec![texts[0].as_str().into()]).time(0),
            Ok(Some(Timestamp::from_micros(year_0)))
        );
    }
}
