//! Conversion of values to PostgreSQL's types and back, in its binary format.

use std::error::Error;

use bytes::{BufMut, BytesMut};
use tokio_postgres::types::{FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use uuid::Uuid;

use crate::store::Value;
use crate::store::sql::Statement;
use crate::store::sql::times::{from_2000, since_2000};

/// The error that tokio-postgres accepts from a conversion.
type Boxed = Box<dyn Error + Sync + Send>;

/// A parameter, converted to the type that the statement wants.
#[derive(Debug)]
pub(super) struct Param<'a>(pub(super) &'a Value);

impl ToSql for Param<'_> {
    fn to_sql(&self, ty: &Type, out: &mut BytesMut) -> Result<IsNull, Boxed> {
        match (self.0, base(ty)) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Bool(truth), ty) if *ty == Type::BOOL => out.put_u8((*truth).into()),
            (Value::Bool(truth), ty) => put_int((*truth).into(), ty, out)?,
            (Value::Int(int), ty) => put_int(*int, ty, out)?,
            (Value::Text(text), ty) if *ty == Type::UUID => {
                out.put_slice(Uuid::parse_str(text)?.as_bytes());
            }
            (Value::Text(text), ty) if is_int(ty) => put_int(text.parse()?, ty, out)?,
            (Value::Text(text), ty) if is_text(ty) || *ty == Type::BYTEA => {
                out.put_slice(text.as_bytes());
            }
            (Value::Bytes(bytes), ty) if *ty == Type::BYTEA => out.put_slice(bytes),
            (Value::Bytes(bytes), ty) if *ty == Type::UUID => {
                out.put_slice(Uuid::from_slice(bytes)?.as_bytes());
            }
            (Value::Bytes(bytes), ty) if is_text(ty) => {
                out.put_slice(std::str::from_utf8(bytes)?.as_bytes());
            }
            (Value::Uuid(id), ty) if *ty == Type::UUID || *ty == Type::BYTEA => {
                out.put_slice(id.as_bytes());
            }
            (Value::Uuid(id), ty) if is_text(ty) => {
                out.put_slice(
                    id.hyphenated()
                        .encode_lower(&mut Uuid::encode_buffer())
                        .as_bytes(),
                );
            }
            (Value::Time(moment), ty) if is_time(ty) => out.put_i64(since_2000(*moment)),
            (Value::Time(moment), ty) if *ty == Type::INT8 => out.put_i64(moment.as_micros()),
            (_, ty) => return Err(mismatch(ty)),
        }

        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

/// Writes an integer in the width of the type, or as text.
fn put_int(int: i64, ty: &Type, out: &mut BytesMut) -> Result<(), Boxed> {
    match *ty {
        Type::INT8 => out.put_i64(int),
        Type::INT4 => out.put_i32(int.try_into()?),
        Type::INT2 => out.put_i16(int.try_into()?),
        Type::BOOL => out.put_u8((int != 0).into()),
        _ if is_text(ty) => out.put_slice(int.to_string().as_bytes()),
        _ => return Err(mismatch(ty)),
    }
    Ok(())
}

/// The value of a column. Types that [`Value`] lacks come as the bytes that PostgreSQL sends.
pub(super) struct Cell(pub(super) Value);

impl<'a> FromSql<'a> for Cell {
    fn from_sql(ty: &Type, raw: &'a [u8]) -> Result<Self, Boxed> {
        let ty = base(ty);
        Ok(Self(match *ty {
            Type::BOOL => Value::Bool(bool::from_sql(ty, raw)?),
            Type::INT8 => Value::Int(i64::from_sql(ty, raw)?),
            Type::INT4 => Value::Int(i32::from_sql(ty, raw)?.into()),
            Type::INT2 => Value::Int(i16::from_sql(ty, raw)?.into()),
            Type::UUID => Value::Uuid(Uuid::from_sql(ty, raw)?),
            Type::TIMESTAMPTZ | Type::TIMESTAMP => Value::Time(from_2000(raw.try_into()?)),
            _ if is_text(ty) => Value::Text(std::str::from_utf8(raw)?.to_owned()),
            _ => Value::Bytes(raw.to_vec()),
        }))
    }

    fn from_sql_null(_: &Type) -> Result<Self, Boxed> {
        Ok(Self(Value::Null))
    }

    fn accepts(_: &Type) -> bool {
        true
    }
}

/// Returns the type beneath a domain.
fn base(ty: &Type) -> &Type {
    match ty.kind() {
        Kind::Domain(inner) => base(inner),
        _ => ty,
    }
}

/// Returns `true` for types whose binary format is the text itself, among them enums and `citext`.
fn is_text(ty: &Type) -> bool {
    let builtin = matches!(
        *ty,
        Type::TEXT | Type::VARCHAR | Type::BPCHAR | Type::NAME | Type::UNKNOWN | Type::JSON
    );
    builtin || matches!(ty.kind(), Kind::Enum(_)) || ty.name() == "citext"
}

/// Returns `true` for the types of integers.
fn is_int(ty: &Type) -> bool {
    matches!(*ty, Type::INT8 | Type::INT4 | Type::INT2)
}

/// Returns `true` for the types of times, whose binary formats are the same.
fn is_time(ty: &Type) -> bool {
    matches!(*ty, Type::TIMESTAMPTZ | Type::TIMESTAMP)
}

/// Returns the error for a value that can't be converted to the type.
fn mismatch(ty: &Type) -> Boxed {
    format!("a parameter doesn't fit the type {}", ty.name()).into()
}

/// Returns the types to declare for a statement's parameters. PostgreSQL infers them, except for
/// parameters that the statement doesn't use.
pub(super) fn param_types(statement: &Statement) -> Vec<Type> {
    let count = statement
        .order()
        .iter()
        .max()
        .map_or(0, |last| last.saturating_add(1));

    (0..count)
        .map(|n| {
            if statement.order().contains(&n) {
                Type::UNKNOWN
            } else {
                Type::TEXT
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::Timestamp;

    fn sent(value: &Value, ty: &Type) -> Option<Value> {
        let mut out = BytesMut::new();
        match Param(value).to_sql(ty, &mut out).ok()? {
            IsNull::Yes => Some(Cell::from_sql_null(ty).ok()?.0),
            IsNull::No => Some(Cell::from_sql(ty, &out).ok()?.0),
        }
    }

    #[test]
    fn travels_there_and_back() {
        let id = Uuid::from_u128(0x1234_5678_9abc_def0_1122_3344_5566_7788);
        let time = Timestamp::from_micros(1_768_478_400_123_456);
        let text = Value::from("déjà");
        let cases = [
            (Value::Null, Type::TEXT, Value::Null),
            (Value::Bool(true), Type::BOOL, Value::Bool(true)),
            (Value::Int(7), Type::BOOL, Value::Bool(true)),
            (Value::Int(-7), Type::INT2, Value::Int(-7)),
            (Value::Int(-70_000), Type::INT4, Value::Int(-70_000)),
            (Value::Int(i64::MIN), Type::INT8, Value::Int(i64::MIN)),
            (Value::Int(42), Type::VARCHAR, Value::from("42")),
            (text.clone(), Type::BPCHAR, text),
            (Value::from("42"), Type::INT8, Value::Int(42)),
            (Value::Uuid(id), Type::UUID, Value::Uuid(id)),
            (
                Value::Uuid(id),
                Type::TEXT,
                Value::from("12345678-9abc-def0-1122-334455667788"),
            ),
            (
                Value::from("12345678-9abc-def0-1122-334455667788"),
                Type::UUID,
                Value::Uuid(id),
            ),
            (
                Value::Bytes(vec![0, 255]),
                Type::BYTEA,
                Value::Bytes(vec![0, 255]),
            ),
            (Value::Time(time), Type::TIMESTAMPTZ, Value::Time(time)),
            (
                Value::Time(time),
                Type::INT8,
                Value::Int(1_768_478_400_123_456),
            ),
        ];
        for (value, ty, expected) in cases {
            assert_eq!(sent(&value, &ty), Some(expected), "{value:?} as {ty}");
        }
    }

    #[test]
    fn refuses_what_does_not_fit() {
        for (value, ty) in [
            (Value::Int(40_000), Type::INT2),
            (Value::Int(i64::MAX), Type::INT4),
            (Value::from("x"), Type::INT8),
            (Value::from("x"), Type::UUID),
            (Value::from("x"), Type::TIMESTAMPTZ),
            (Value::Bytes(vec![255]), Type::TEXT),
        ] {
            assert_eq!(sent(&value, &ty), None, "{value:?} as {ty}");
        }
    }
}
