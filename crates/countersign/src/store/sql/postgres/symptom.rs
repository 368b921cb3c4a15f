//! The state of PostgreSQL as its errors show it.

use std::error::Error;

use crate::error::Symptom;
use crate::store::sql::codes::postgres as codes;

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
    codes::symptom(code.code())
}
