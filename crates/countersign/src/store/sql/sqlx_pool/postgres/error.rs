//! The meaning of PostgreSQL's errors.

use sqlx::Error;
use sqlx::error::DatabaseError;

use crate::store::sql::codes::postgres as codes;
use crate::store::sql::sqlx_pool::wire::{Fault, Verdict, told};

/// Interprets an error that PostgreSQL reported.
pub(super) fn verdict(error: &dyn DatabaseError) -> Verdict {
    let code = error.code().unwrap_or_default();
    let code = &*code;
    let fault = match code {
        _ if codes::is_loss(code) => Fault::Lost,
        _ if codes::is_held(code) => Fault::Held,
        "57014" => Fault::Cancelled,
        _ if codes::is_undone(code) => Fault::Undone,
        _ if is_stale_code(code) => Fault::Stale,
        _ if codes::is_busy(code) => Fault::Busy,
        _ => Fault::Refused,
    };

    Verdict {
        fault,
        symptom: codes::symptom(code),
        told: told(&format!("SQLSTATE {code}"), error, codes::names_only(code)),
    }
}

/// Returns `true` if the tables may have changed since the types of a statement were asked for.
pub(super) fn is_stale(error: &Error) -> bool {
    let code = error.as_database_error().and_then(DatabaseError::code);
    code.is_some_and(|code| is_stale_code(&code))
}

/// Returns `true` for the codes of such errors: those of a prepared statement that doesn't fit, of
/// a value in the binary format of another type, and of a passing name that is in use.
fn is_stale_code(code: &str) -> bool {
    codes::is_stale(code) || matches!(code, "22P03" | "08P01" | "42P05")
}
