//! Values as they travel to and from a database, the same for each dialect.

use std::fmt;

use uuid::Uuid;

use crate::clock::Timestamp;
use crate::user::UserKey;

/// One column's value.
///
/// Its `Debug` shows the kind only: rows hold digests, emails and password hashes.
#[derive(Clone, PartialEq)]
pub enum Value {
    /// No value.
    Null,
    /// A truth value.
    Bool(bool),
    /// An integer.
    Int(i64),
    /// A text.
    Text(String),
    /// Bytes.
    Bytes(Vec<u8>),
    /// A UUID: the `uuid` type on PostgreSQL, 16 bytes elsewhere.
    Uuid(Uuid),
    /// A moment: `timestamptz` on PostgreSQL, `DATETIME(6)` in UTC on MySQL, `YYYY-MM-DD HH:MM:SS.ffffff` on SQLite.
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

impl From<&UserKey> for Value {
    fn from(key: &UserKey) -> Self {
        match key {
            UserKey::Uuid(id) => Self::Uuid(*id),
            UserKey::Int(id) => Self::Int(*id),
            UserKey::Text(id) => Self::Text(id.clone()),
        }
    }
}

/// A column doesn't hold what was asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("column {column} is not {wanted}")]
pub struct ValueError {
    column: usize,
    wanted: &'static str,
}

/// One row of an answer; columns are counted from 0.
#[derive(Clone, Debug, PartialEq)]
pub struct Row(Vec<Value>);

impl Row {
    /// A row of these columns.
    pub const fn new(columns: Vec<Value>) -> Self {
        Self(columns)
    }

    /// The value of a column; [`Value::Null`] when there is no such column.
    pub fn value(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    /// A row of the columns from `first` on.
    #[must_use]
    pub fn skip(mut self, first: usize) -> Self {
        self.0.drain(..first.min(self.0.len()));
        self
    }

    /// A text, or `None` for null.
    ///
    /// # Errors
    /// [`ValueError`] when the column holds something else.
    pub fn text(&self, column: usize) -> Result<Option<&str>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Text(text) => Ok(Some(text)),
            Value::Bytes(bytes) => std::str::from_utf8(bytes).map(Some).map_err(|_| wrong(column, "a text")),
            _ => Err(wrong(column, "a text")),
        }
    }

    /// An integer, or `None` for null.
    ///
    /// # Errors
    /// [`ValueError`] when the column holds something else.
    pub fn int(&self, column: usize) -> Result<Option<i64>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Int(int) => Ok(Some(*int)),
            _ => Err(wrong(column, "an integer")),
        }
    }

    /// A truth value; integers count as in C. Null is `false`.
    ///
    /// # Errors
    /// [`ValueError`] when the column holds something else.
    pub fn bool(&self, column: usize) -> Result<bool, ValueError> {
        match self.value(column) {
            Value::Null => Ok(false),
            Value::Bool(truth) => Ok(*truth),
            Value::Int(int) => Ok(*int != 0),
            _ => Err(wrong(column, "a truth value")),
        }
    }

    /// A UUID, or `None` for null.
    ///
    /// # Errors
    /// [`ValueError`] when the column holds something else.
    pub fn uuid(&self, column: usize) -> Result<Option<Uuid>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Uuid(id) => Ok(Some(*id)),
            Value::Bytes(bytes) => Uuid::from_slice(bytes).map(Some).map_err(|_| wrong(column, "a UUID")),
            _ => Err(wrong(column, "a UUID")),
        }
    }

    /// A moment kept as microseconds since the epoch, as the dialect's own type, or as text; `None` for null.
    ///
    /// Text is read as `YYYY-MM-DD`, alone or followed by a space or `T` and `HH:MM:SS`, a fraction, and `Z` or an
    /// offset. Without an offset it is UTC; digits beyond microseconds are dropped.
    ///
    /// # Errors
    /// [`ValueError`] when the column holds something else.
    pub fn time(&self, column: usize) -> Result<Option<Timestamp>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Time(moment) => Ok(Some(*moment)),
            Value::Int(micros) => Ok(Some(Timestamp::from_micros(*micros))),
            Value::Text(text) => parse_time(text).map(Some).ok_or(wrong(column, "a time")),
            _ => Err(wrong(column, "a time")),
        }
    }
}

/// A moment as SQLite keeps it: `YYYY-MM-DD HH:MM:SS.ffffff` in UTC, at least the beginning of the year 0 and at most the
/// end of the year 9999, so that texts are in the order of the moments.
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

fn parse_time(text: &str) -> Option<Timestamp> {
    let moment = text.parse::<jiff::Timestamp>().ok().or_else(|| {
        let civil = text.parse::<jiff::civil::DateTime>().ok()?;
        jiff::tz::Offset::UTC.to_timestamp(civil).ok()
    })?;
    // Rounds towards the past: a token never lives longer for the digits that are dropped.
    i64::try_from(moment.as_nanosecond().div_euclid(1_000)).ok().map(Timestamp::from_micros)
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
            assert_eq!(Row::new(vec![text.into()]).time(0), Ok(Some(ten_to_noon)), "{text}");
        }
        let micros = |text: &str| Row::new(vec![text.into()]).time(0).map(|time| time.unwrap().as_micros());
        assert_eq!(micros("2026-01-15T14:50:00.5+03:00"), Ok(ten_to_noon.as_micros() + 500_000));
        assert_eq!(micros("2026-01-15 11:50:00.123456789"), Ok(ten_to_noon.as_micros() + 123_456));
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
        let moments = [i64::MIN, year_0 - 1, year_0, year_0 + 1, -1, 0, 1_768_477_800_000_000, i64::MAX - 1, i64::MAX];
        let texts = moments.map(|micros| time_text(Timestamp::from_micros(micros)));
        assert!(texts.is_sorted(), "{texts:#?}");
        for text in &texts {
            assert_eq!(text.len(), "YYYY-MM-DD HH:MM:SS.ffffff".len(), "{text}");
        }
        assert_eq!(texts[0], "0000-01-01 00:00:00.000000");
        assert_eq!(texts[3], "0000-01-01 00:00:00.000001");
        assert_eq!(texts[8], "9999-12-31 23:59:59.999999");
        assert_eq!(Row::new(vec![texts[0].as_str().into()]).time(0), Ok(Some(Timestamp::from_micros(year_0))));
    }
}
