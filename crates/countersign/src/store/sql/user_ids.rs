//! The kind of user ids that a database keeps, which the type of a column records.
//!
//! A program whose ids are of another kind would write what nothing finds again, so migrations and
//! [`DatabaseTokenModels::verify`](super::DatabaseTokenModels::verify) refuse it.

use crate::error::{ConfigError, Failure};
use crate::store::sql::{Dialect, Driver, SetupError, Statement};
use crate::user::UserKeyKind;
use crate::value::Value;

/// Returns the type of a column of user ids. Texts are compared byte by byte, so that two different
/// ids are never taken for one.
pub(super) const fn column_type(dialect: Dialect, kind: UserKeyKind) -> &'static str {
    match (kind, dialect) {
        (UserKeyKind::Uuid, Dialect::Postgres) => "UUID",
        (UserKeyKind::Uuid, Dialect::Sqlite | Dialect::Mysql) => "BINARY(16)",
        (UserKeyKind::Int, _) => "BIGINT",
        (UserKeyKind::Text, Dialect::Sqlite) => "VARCHAR(255)",
        (UserKeyKind::Text, Dialect::Postgres) => "VARCHAR(255) COLLATE \"C\"",
        (UserKeyKind::Text, Dialect::Mysql) => "VARBINARY(255)",
    }
}

/// Does nothing if `column` of `table` can hold ids of the kind `wanted`, or if there is no such
/// column.
///
/// # Errors
///
/// Returns [`SetupError::Config`] if the column's type belongs to another kind, and
/// [`SetupError::Store`] if the database can't be asked.
pub(super) async fn refuse_another_kind<D: Driver + ?Sized>(
    database: &D,
    (table, column): (&str, &str),
    wanted: UserKeyKind,
) -> Result<(), SetupError> {
    let Some(declared) = type_of(database, table, column).await? else {
        return Ok(());
    };

    match kind_of(&declared) {
        Some(kept) if kept != wanted => {
            let (kept, wanted) = (word(kept), word(wanted));
            let problem = format!(
                "the database keeps {kept} ({table}.{column} is {}), and the program's users \
                 have {wanted}",
                declared.to_ascii_uppercase()
            );
            let cure = "use the id type that the tables were made with, or another database";
            Err(ConfigError::new("user id", problem, cure).into())
        }
        _ => Ok(()),
    }
}

/// Returns the declared type of a column, or `None` if there is no such column.
async fn type_of<D: Driver + ?Sized>(
    database: &D,
    table: &str,
    column: &str,
) -> Result<Option<String>, Failure> {
    let template = match database.dialect() {
        Dialect::Sqlite => {
            "SELECT type \
             FROM pragma_table_info(?1) \
             WHERE name = ?2"
        }
        Dialect::Postgres => {
            "SELECT format_type(atttypid, atttypmod) \
             FROM pg_attribute \
             WHERE attrelid = to_regclass(quote_ident(?1::text)) \
               AND attname = ?2::text \
               AND attnum > 0 \
               AND NOT attisdropped"
        }
        Dialect::Mysql => {
            "SELECT CAST(column_type AS CHAR) \
             FROM information_schema.columns \
             WHERE table_schema = DATABASE() \
               AND table_name = ?1 \
               AND column_name = ?2"
        }
    };

    let statement = Statement::new(database.dialect(), template);
    let parameters = [Value::from(table), Value::from(column)];
    let rows = database.fetch(&statement, &parameters).await?;
    Ok(rows
        .first()
        .and_then(|row| row.text(0).ok().flatten())
        .map(ToOwned::to_owned))
}

/// Returns the kind of ids that a column of this type was made for. Returns `None` if the type fits
/// several kinds: a UUID may be kept as text of 32 or 36 characters.
fn kind_of(declared: &str) -> Option<UserKeyKind> {
    let declared = declared.to_ascii_lowercase();
    let (name, length) = declared.split_once('(').unwrap_or((&declared, ""));

    match name.trim() {
        "uuid" => Some(UserKeyKind::Uuid),
        "binary" if length.starts_with("16)") => Some(UserKeyKind::Uuid),
        "bigint" | "int" | "integer" | "smallint" | "mediumint" | "int8" | "int4"
        | "bigint unsigned" | "int unsigned" => Some(UserKeyKind::Int),
        // UUIDs are read from it as well.
        "varbinary" if length.starts_with("16)") => None,
        "text" | "varbinary" => Some(UserKeyKind::Text),
        "varchar" | "character varying"
            if !length.starts_with("32)") && !length.starts_with("36)") =>
        {
            Some(UserKeyKind::Text)
        }
        _ => None,
    }
}

/// Returns the name of a kind, as errors say it.
const fn word(kind: UserKeyKind) -> &'static str {
    match kind {
        UserKeyKind::Uuid => "UUIDs as user ids",
        UserKeyKind::Int => "integers as user ids",
        UserKeyKind::Text => "texts as user ids",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_type_that_the_migrations_write_is_known_again() {
        for dialect in [Dialect::Sqlite, Dialect::Postgres, Dialect::Mysql] {
            for kind in [UserKeyKind::Uuid, UserKeyKind::Int, UserKeyKind::Text] {
                let declared = column_type(dialect, kind);
                assert_eq!(kind_of(declared), Some(kind), "{declared}");
            }
        }
    }

    #[test]
    fn types_as_the_databases_show_them() {
        for (declared, kind) in [
            ("uuid", Some(UserKeyKind::Uuid)),
            ("binary(16)", Some(UserKeyKind::Uuid)),
            ("bigint(20)", Some(UserKeyKind::Int)),
            ("bigint(20) unsigned", Some(UserKeyKind::Int)),
            ("INTEGER", Some(UserKeyKind::Int)),
            ("character varying(255)", Some(UserKeyKind::Text)),
            ("varbinary(255)", Some(UserKeyKind::Text)),
            // Any of these may hold a UUID's text.
            ("CHAR(36)", None),
            ("VARCHAR(32)", None),
            ("varbinary(16)", None),
            ("character varying(36)", None),
            ("BLOB", None),
            ("", None),
        ] {
            assert_eq!(kind_of(declared), kind, "{declared}");
        }
    }
}
