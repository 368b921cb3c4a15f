//! The state of PostgreSQL as its errors show it.

use std::error::Error;

use crate::error::Symptom;

/// Returns the symptom that an error shows, if any.
pub(super) fn of(error: &tokio_postgres::Error) -> Option<Symptom> {
    let Some(code) = error.code() else {
        let io = error
            .source()
            .and_then(<dyn Error>::downcast_ref::<std::io::Error>);
        return io.map_or_else(
            || error.is_closed().then_some(Symptom::Starting),
            Symptom::of_io,
        );
    };
    match code.code() {
        "28P01" | "28000" => Some(Symptom::Credentials),
        "3D000" => Some(Symptom::NoDatabase),
        "57P01" | "57P02" | "57P03" => Some(Symptom::Starting),
        "53300" => Some(Symptom::Busy),
        "53100" | "53200" | "53400" => Some(Symptom::Full),
        "42501" => Some(Symptom::Rights),
        "25006" => Some(Symptom::ReadOnly),
        "42P01" | "42703" | "3F000" => Some(Symptom::NoTable),
        _ => None,
    }
}
