//! Conversion of values to MySQL's types and back.

use sqlx::error::BoxDynError;
use sqlx::mysql::{MySqlArguments, MySqlValueRef};
use sqlx::{Arguments, Decode, MySql, Type, TypeInfo, ValueRef};

use crate::store::Value;
use crate::store::sql::times::{datetime, moment};

/// Adds a parameter.
///
/// A time goes as text with six digits of fraction, because sqlx has times only with the features
/// `time` or `chrono`, and which of them its macros prefer is the application's choice.
pub(super) fn add(arguments: &mut MySqlArguments, value: &Value) -> Result<(), BoxDynError> {
    match value {
        Value::Null => arguments.add(None::<&str>),
        Value::Bool(truth) => arguments.add(i64::from(*truth)),
        Value::Int(int) => arguments.add(*int),
        Value::Text(text) => arguments.add(text.as_str()),
        Value::Bytes(bytes) => arguments.add(bytes.as_slice()),
        Value::Uuid(id) => arguments.add(id.as_bytes().as_slice()),
        Value::Time(time) => {
            let time = datetime(*time);
            arguments.add(time.strftime("%Y-%m-%d %H:%M:%S.%6f").to_string())
        }
    }
}

/// Returns the value of a column. Impossible dates such as `0000-00-00` become null.
pub(super) fn read(raw: MySqlValueRef<'_>) -> Result<Value, BoxDynError> {
    if raw.is_null() {
        return Ok(Value::Null);
    }

    let info = raw.type_info().into_owned();
    Ok(match info.name() {
        "DATETIME" | "TIMESTAMP" | "DATE" => {
            let bytes = <&[u8] as Decode<MySql>>::decode(raw)?;
            date(bytes).map_or(Value::Null, Value::Time)
        }
        "DOUBLE" => Value::Text(<f64 as Decode<MySql>>::decode(raw)?.to_string()),
        "FLOAT" => Value::Text(<f32 as Decode<MySql>>::decode(raw)?.to_string()),
        name if name == "YEAR" || name.ends_with(" UNSIGNED") => {
            let int = <u64 as Decode<MySql>>::decode(raw)?;
            i64::try_from(int).map_or_else(|_| Value::Text(int.to_string()), Value::Int)
        }
        "BOOLEAN" | "TINYINT" | "SMALLINT" | "INT" | "MEDIUMINT" | "BIGINT" => {
            Value::Int(<i64 as Decode<MySql>>::decode(raw)?)
        }
        name => {
            let is_text =
                matches!(name, "DECIMAL" | "JSON") || <str as Type<MySql>>::compatible(&info);
            let bytes = <&[u8] as Decode<MySql>>::decode(raw)?;
            match std::str::from_utf8(bytes) {
                Ok(text) if is_text => Value::Text(text.to_owned()),
                _ => Value::Bytes(bytes.to_vec()),
            }
        }
    })
}

/// Reads a date in MySQL's binary format: its length, and as many parts as aren't zero.
fn date(bytes: &[u8]) -> Option<crate::clock::Timestamp> {
    let (_, bytes) = bytes.split_first()?;
    let (year, bytes) = bytes.split_first_chunk::<2>()?;
    let (day, bytes) = bytes.split_first_chunk::<2>()?;
    let (time, bytes) = match bytes.split_first_chunk::<3>() {
        Some((time, bytes)) => (*time, bytes),
        None => ([0; 3], bytes),
    };

    let micros = bytes
        .first_chunk::<4>()
        .map_or(0, |micros| u32::from_le_bytes(*micros));
    let ([month, day], [hour, minute, second]) = (*day, time);
    let year = u16::from_le_bytes(*year);
    moment(year, [month, day, hour, minute, second], micros)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    #[test]
    fn a_date_has_as_many_parts_as_are_not_zero() {
        let day = date(&[4, 0xea, 0x07, 1, 15]);
        assert_eq!(day, Some(Timestamp::from_micros(1_768_435_200_000_000)));
        let second = date(&[7, 0xea, 0x07, 1, 15, 12, 0, 1]);
        assert_eq!(second, Some(Timestamp::from_micros(1_768_478_401_000_000)));
        let micro = date(&[11, 0xea, 0x07, 1, 15, 12, 0, 0, 0x40, 0xe2, 1, 0]);
        assert_eq!(micro, Some(Timestamp::from_micros(1_768_478_400_123_456)));
        assert_eq!(date(&[0]), None);
        assert_eq!(date(&[4, 0xea, 0x07, 2, 30]), None);
    }
}
