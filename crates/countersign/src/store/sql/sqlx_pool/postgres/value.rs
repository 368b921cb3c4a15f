//! Conversion of values to PostgreSQL's types and back, in its binary format.

use sqlx::encode::IsNull;
use sqlx::error::BoxDynError;
use sqlx::postgres::types::Oid;
use sqlx::postgres::{PgArgumentBuffer, PgTypeInfo, PgTypeKind, PgValueRef};
use sqlx::{Encode, Postgres, Type, TypeInfo, ValueRef};
use uuid::Uuid;

use crate::store::Value;
use crate::store::sql::sqlx_pool::postgres::types::ParamType;
use crate::store::sql::times::{from_2000, since_2000};

// The types of PostgreSQL that values are converted to and from, by the numbers that they have in
// every database.
const BOOL: Oid = Oid(16);
const BYTEA: Oid = Oid(17);
const NAME: Oid = Oid(19);
const INT8: Oid = Oid(20);
const INT2: Oid = Oid(21);
const INT4: Oid = Oid(23);
const TEXT: Oid = Oid(25);
const JSON: Oid = Oid(114);
const UNKNOWN: Oid = Oid(705);
const BPCHAR: Oid = Oid(1042);
const VARCHAR: Oid = Oid(1043);
const TIMESTAMP: Oid = Oid(1114);
const TIMESTAMPTZ: Oid = Oid(1184);
const UUID: Oid = Oid(2950);

/// A parameter, converted to the type that the statement wants.
pub(super) struct Param<'a> {
    pub(super) value: &'a Value,
    pub(super) ty: ParamType,
}

impl Type<Postgres> for Param<'_> {
    fn type_info() -> PgTypeInfo {
        PgTypeInfo::with_oid(UNKNOWN)
    }
}

impl Encode<'_, Postgres> for Param<'_> {
    fn encode_by_ref(&self, out: &mut PgArgumentBuffer) -> Result<IsNull, BoxDynError> {
        let base = self.ty.base;
        let is_text = self.ty.is_text || is_text(base);
        match (self.value, base) {
            (Value::Null, _) => return Ok(IsNull::Yes),
            (Value::Bool(truth), BOOL) => out.push((*truth).into()),
            (Value::Bool(truth), _) => put_int((*truth).into(), base, is_text, out)?,
            (Value::Int(int), _) => put_int(*int, base, is_text, out)?,
            (Value::Text(text), UUID) => out.extend_from_slice(Uuid::parse_str(text)?.as_bytes()),
            (Value::Text(text), INT8 | INT4 | INT2) => {
                put_int(text.parse()?, base, is_text, out)?;
            }
            (Value::Text(text), _) if is_text || base == BYTEA => {
                out.extend_from_slice(text.as_bytes());
            }
            (Value::Bytes(bytes), BYTEA) => out.extend_from_slice(bytes),
            (Value::Bytes(bytes), UUID) => {
                out.extend_from_slice(Uuid::from_slice(bytes)?.as_bytes());
            }
            (Value::Bytes(bytes), _) if is_text => {
                out.extend_from_slice(std::str::from_utf8(bytes)?.as_bytes());
            }
            (Value::Uuid(id), UUID | BYTEA) => out.extend_from_slice(id.as_bytes()),
            (Value::Uuid(id), _) if is_text => {
                out.extend_from_slice(id.hyphenated().to_string().as_bytes());
            }
            (Value::Time(moment), TIMESTAMPTZ | TIMESTAMP) => {
                out.extend_from_slice(&since_2000(*moment).to_be_bytes());
            }
            (Value::Time(moment), INT8) => {
                out.extend_from_slice(&moment.as_micros().to_be_bytes());
            }
            _ => return Err(mismatch()),
        }

        Ok(IsNull::No)
    }

    fn produces(&self) -> Option<PgTypeInfo> {
        Some(PgTypeInfo::with_oid(self.ty.oid))
    }
}

/// Writes an integer in the width of the type, or as text.
fn put_int(
    int: i64,
    base: Oid,
    is_text: bool,
    out: &mut PgArgumentBuffer,
) -> Result<(), BoxDynError> {
    match base {
        INT8 => out.extend_from_slice(&int.to_be_bytes()),
        INT4 => out.extend_from_slice(&i32::try_from(int)?.to_be_bytes()),
        INT2 => out.extend_from_slice(&i16::try_from(int)?.to_be_bytes()),
        BOOL => out.push((int != 0).into()),
        _ if is_text => out.extend_from_slice(int.to_string().as_bytes()),
        _ => return Err(mismatch()),
    }
    Ok(())
}

/// Returns the value of a column. Types that [`Value`] lacks come as the bytes that PostgreSQL
/// sends.
pub(super) fn read(raw: &PgValueRef<'_>) -> Result<Value, BoxDynError> {
    if raw.is_null() {
        return Ok(Value::Null);
    }
    let bytes = raw.as_bytes()?;
    let info = raw.type_info();
    let info = base(&info);

    Ok(match info.oid() {
        Some(BOOL) => Value::Bool(bytes.first().is_some_and(|byte| *byte != 0)),
        Some(INT8) => Value::Int(i64::from_be_bytes(bytes.try_into()?)),
        Some(INT4) => Value::Int(i32::from_be_bytes(bytes.try_into()?).into()),
        Some(INT2) => Value::Int(i16::from_be_bytes(bytes.try_into()?).into()),
        Some(UUID) => Value::Uuid(Uuid::from_slice(bytes)?),
        Some(TIMESTAMPTZ | TIMESTAMP) => Value::Time(from_2000(bytes.try_into()?)),
        Some(oid) if is_text(oid) => Value::Text(raw.as_str()?.to_owned()),
        _ if matches!(info.kind(), PgTypeKind::Enum(_)) || info.name() == "citext" => {
            Value::Text(raw.as_str()?.to_owned())
        }
        _ => Value::Bytes(bytes.to_vec()),
    })
}

/// Returns the type beneath a domain.
fn base(info: &PgTypeInfo) -> &PgTypeInfo {
    match info.kind() {
        PgTypeKind::Domain(inner) => base(inner),
        _ => info,
    }
}

/// Returns `true` for built-in types whose binary format is the text itself.
const fn is_text(oid: Oid) -> bool {
    matches!(oid, TEXT | VARCHAR | BPCHAR | NAME | UNKNOWN | JSON)
}

/// Returns the error for a value that can't be converted to the type of its parameter.
fn mismatch() -> BoxDynError {
    "a parameter doesn't fit its type".into()
}
