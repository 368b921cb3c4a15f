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

    /// A moment kept as microseconds since the epoch, or as the dialect's own type; `None` for null.
    ///
    /// # Errors
    /// [`ValueError`] when the column holds something else.
    pub fn time(&self, column: usize) -> Result<Option<Timestamp>, ValueError> {
        match self.value(column) {
            Value::Null => Ok(None),
            Value::Time(moment) => Ok(Some(*moment)),
            Value::Int(micros) => Ok(Some(Timestamp::from_micros(*micros))),
            _ => Err(wrong(column, "a time")),
        }
    }
}

const fn wrong(column: usize, wanted: &'static str) -> ValueError {
    ValueError { column, wanted }
}
