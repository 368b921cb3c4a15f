//! The state of MySQL and MariaDB as their errors show it.

use mysql_async::{DriverError, Error, IoError};

use crate::error::Symptom;
use crate::store::sql::codes::mysql as codes;

/// Returns the symptom that an error shows, if any.
pub(super) fn of(error: &Error) -> Option<Symptom> {
    match error {
        Error::Io(IoError::Io(error)) => Symptom::of_io(error),
        Error::Driver(DriverError::ConnectionClosed) => Some(Symptom::Starting),
        Error::Server(error) => codes::symptom(error.code),
        _ => None,
    }
}
