//! Conversion of values to MySQL's types and back.

use mysql_async::consts::{ColumnFlags, ColumnType};
use mysql_async::{Column, Row as Answer, Value as Raw};

use crate::clock::Timestamp;
use crate::store::sql::Statement;
use crate::store::sql::times::{datetime, moment};
use crate::store::{Row, Value};

/// The number of the character set that marks a column of bytes.
const BINARY: u16 = 63;

/// Returns the parameters in the order of the question marks in the statement's text.
pub(super) fn positional(statement: &Statement, params: &[Value]) -> Vec<Raw> {
    statement
        .order()
        .iter()
        .map(|&number| params.get(number).map_or(Raw::NULL, raw))
        .collect()
}

/// Returns a value in the driver's form.
fn raw(value: &Value) -> Raw {
    match value {
        Value::Null => Raw::NULL,
        Value::Bool(truth) => Raw::Int((*truth).into()),
        Value::Int(int) => Raw::Int(*int),
        Value::Text(text) => Raw::Bytes(text.clone().into_bytes()),
        Value::Bytes(bytes) => Raw::Bytes(bytes.clone()),
        Value::Uuid(id) => Raw::Bytes(id.as_bytes().to_vec()),
        Value::Time(moment) => date(*moment),
    }
}

/// Returns a time as `DATETIME(6)` in UTC.
fn date(moment: Timestamp) -> Raw {
    let date = datetime(moment);
    // All parts are positive from the year 1000 on, and fit.
    Raw::Date(
        date.year().unsigned_abs(),
        date.month().unsigned_abs(),
        date.day().unsigned_abs(),
        date.hour().unsigned_abs(),
        date.minute().unsigned_abs(),
        date.second().unsigned_abs(),
        date.subsec_nanosecond().unsigned_abs() / 1000,
    )
}

/// Returns a row of an answer.
pub(super) fn row(answer: Answer) -> Row {
    let columns = answer.columns();
    Row::new(
        answer
            .unwrap_raw()
            .into_iter()
            .zip(columns.iter())
            .map(|(raw, column)| value(raw, column))
            .collect(),
    )
}

/// Returns the value of a column. Impossible dates such as `0000-00-00` become null, and types that
/// [`Value`] lacks become text.
fn value(raw: Option<Raw>, column: &Column) -> Value {
    match raw {
        None | Some(Raw::NULL) => Value::Null,
        Some(Raw::Int(int)) => Value::Int(int),
        Some(Raw::UInt(int)) => {
            i64::try_from(int).map_or_else(|_| Value::Text(int.to_string()), Value::Int)
        }
        Some(Raw::Bytes(bytes)) if is_text(column) => match String::from_utf8(bytes) {
            Ok(text) => Value::Text(text),
            Err(error) => Value::Bytes(error.into_bytes()),
        },
        Some(Raw::Bytes(bytes)) => Value::Bytes(bytes),
        Some(Raw::Date(year, month, day, hour, minute, second, micros)) => {
            moment(year, [month, day, hour, minute, second], micros)
                .map_or(Value::Null, Value::Time)
        }
        Some(other) => Value::Text(other.as_sql(true).trim_matches('\'').to_owned()),
    }
}

/// Returns `true` if a column's bytes are text.
fn is_text(column: &Column) -> bool {
    match column.column_type() {
        ColumnType::MYSQL_TYPE_NEWDECIMAL
        | ColumnType::MYSQL_TYPE_DECIMAL
        | ColumnType::MYSQL_TYPE_JSON => true,
        ColumnType::MYSQL_TYPE_BIT => false,
        _ => column.character_set() != BINARY || column.flags().contains(ColumnFlags::ENUM_FLAG),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn there_and_back(micros: i64) -> Option<i64> {
        match date(Timestamp::from_micros(micros)) {
            Raw::Date(year, month, day, hour, minute, second, micros) => {
                moment(year, [month, day, hour, minute, second], micros).map(Timestamp::as_micros)
            }
            _ => None,
        }
    }

    #[test]
    fn times_keep_their_microseconds_and_saturate() {
        for micros in [0, 1, -1, 1_768_478_400_123_456, -1_000_000_000_000_001] {
            assert_eq!(there_and_back(micros), Some(micros));
        }
        assert_eq!(
            date(Timestamp::MAX),
            Raw::Date(9999, 12, 31, 23, 59, 59, 999_999)
        );
        assert_eq!(
            date(Timestamp::from_micros(i64::MIN)),
            Raw::Date(1000, 1, 1, 0, 0, 0, 0)
        );
    }

    #[test]
    fn what_is_no_date_is_null() {
        assert_eq!(moment(0, [0; 5], 0), None);
        assert_eq!(moment(2026, [2, 30, 0, 0, 0], 0), None);
    }

    #[test]
    fn each_question_mark_gets_its_parameter() {
        let statement = Statement::new(crate::store::sql::Dialect::Mysql, "SELECT ?2, ?1, ?2");
        assert_eq!(
            positional(&statement, &[7.into(), 8.into()]),
            [Raw::Int(8), Raw::Int(7), Raw::Int(8)]
        );
    }
}
